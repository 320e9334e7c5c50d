"""The keys of the dock: they work wherever the focus is in its window, and only while the dock is there."""

from collections.abc import Callable, Mapping

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QPushButton, QShortcut, QWidget

RUN_KEY = "Ctrl+Alt+R"
CANCEL_KEY = "Ctrl+Alt+C"
"""napari binds nothing to these, and no single letter is taken from the layers."""


class DockKeys:
    """Keys that are bound while a widget lives."""

    def __init__(self, widget: QWidget, actions: Mapping[str, Callable[[], None]]) -> None:
        self.shortcuts = {key: QShortcut(QKeySequence(key), widget) for key in actions}
        for key, shortcut in self.shortcuts.items():
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(actions[key])

    def bind(self) -> None:
        """Let the keys work."""
        for shortcut in self.shortcuts.values():
            shortcut.setEnabled(True)

    def unbind(self) -> None:
        """Give the keys back."""
        for shortcut in self.shortcuts.values():
            shortcut.setEnabled(False)


def tell_key(button: QPushButton, key: str) -> None:
    """Name the key in a button's tooltip."""
    shown = QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
    button.setToolTip(f"{button.toolTip()} ({shown})")
