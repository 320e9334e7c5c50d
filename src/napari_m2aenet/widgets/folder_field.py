"""A folder: typed, or picked in a dialog."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget


class FolderField(QWidget):
    """`chosen(path)` when a person has typed another folder than before, or picked one: the same again, too."""

    chosen = Signal(str)

    def __init__(self, title: str, help_text: str, placeholder: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._last = ""
        self.line = QLineEdit()
        self.line.setPlaceholderText(placeholder)
        self.button = QPushButton("…")
        self.button.setAccessibleName(title)
        self.button.setMaximumWidth(32)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)
        for widget in (self.line, self.button):
            widget.setToolTip(help_text)
        self.line.editingFinished.connect(self._tell)
        self.button.clicked.connect(self._ask)

    @property
    def path(self) -> str:
        """The folder, or nothing."""
        text = self.line.text().strip()
        return str(Path(text).expanduser()) if text else ""

    def choose(self, path: str) -> None:
        """Choose a folder, as if a person had picked it."""
        self.line.setText(path)
        self._last = self.path
        self.chosen.emit(self.path)

    def _ask(self) -> None:
        path = QFileDialog.getExistingDirectory(self, self._title, self.path or str(Path.home()))
        if path:
            self.choose(path)

    def _tell(self) -> None:
        if self.path != self._last:
            self._last = self.path
            self.chosen.emit(self.path)
