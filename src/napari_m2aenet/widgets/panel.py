"""What every tab of the dock has in common."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QLabel, QPlainTextEdit, QPushButton, QScrollArea, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from napari_m2aenet.jobs import Analyzed, Restored
    from napari_m2aenet.widgets.main import DeblurWidget


class Panel(QWidget):
    """One theme of the dock with its own controls, told by the window what happens.

    title: the tab's name; help: its tooltip. A panel asks the window's session for what it wants, shows what it is
    told, and writes layers through the window's `layers` alone.
    """

    title: str
    help: str

    def __init__(self, window: DeblurWidget) -> None:
        super().__init__()
        self.window_of_run = window

    def scroll(self, content: QWidget) -> None:
        """Fill the tab with controls that may be taller than it is."""
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)

    def show_analysis(self, analyzed: Analyzed) -> None:
        """A photo was analyzed, and its layers are there."""

    def show_restored(self, restored: Restored) -> None:
        """A photo was restored, and its layers are there."""

    def show_threshold(self, value: float) -> None:
        """The threshold moves; the restored photo still has an older one."""

    def show_mask(self) -> None:
        """The mask is made in another way than before: by another threshold, a stroke, another layer, or undo."""

    def forget(self, key: Hashable) -> None:
        """The layer with this key was removed."""

    def stop(self) -> None:
        """Stop long work: the key for Cancel was pressed."""

    def close_down(self) -> None:
        """The dock is being closed: stop what runs, unbind what is bound."""


def sentence_label() -> QLabel:
    """An empty label for a sentence of any length."""
    label = QLabel()
    label.setWordWrap(True)
    return label


def read_only_text(placeholder: str, tooltip: str) -> QPlainTextEdit:
    """An empty text of many lines, to read and to copy from."""
    text = QPlainTextEdit()
    text.setReadOnly(True)
    text.setPlaceholderText(placeholder)
    text.setToolTip(tooltip)
    return text


def toggle(words: str, tooltip: str) -> QPushButton:
    """A button that stays down."""
    button = QPushButton(words)
    button.setCheckable(True)
    button.setToolTip(tooltip)
    return button
