"""A button that starts slow work, and stops it while it goes on."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QSizePolicy, QWidget


class WorkButton(QPushButton):
    """`start_requested()` when it is pressed, `cancel_requested()` while it shows that work goes on."""

    start_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, text: str, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._text = text
        self._is_busy = False
        self.setToolTip(tooltip)
        # wide enough for all that it will say, so that nothing beside it moves
        widths = [self.fontMetrics().horizontalAdvance(each) for each in (text, "Cancel 100 %")]
        self.setMinimumWidth(max(widths) + 20)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.clicked.connect(self._on_clicked)

    def show_busy(self, is_busy: bool) -> None:
        """Say whether work goes on."""
        self._is_busy = is_busy
        self.setText("Cancel" if is_busy else self._text)

    def show_progress(self, done: int, total: int) -> None:
        """Say how far it is."""
        if self._is_busy and total > 0:
            self.setText(f"Cancel {100 * done // total} %")

    def _on_clicked(self, _checked: bool) -> None:
        (self.cancel_requested if self._is_busy else self.start_requested).emit()
