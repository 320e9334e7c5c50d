"""Run, Cancel, the progress bar and the status line."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_m2aenet.session import Status

_LINES = 4


class RunControls(QWidget):
    """`run_requested()` and `cancel_requested()` from the buttons; the rest shows what it is told."""

    run_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run_button = QPushButton("Run")
        self.run_button.setToolTip("Find the blur in the chosen photo, and restore it. The window stays usable.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop the run. What is shown already stays.")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # the window must not jump when a run starts
        self.bar.setSizePolicy(policy)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(buttons)
        column.addWidget(self.bar)
        self.run_button.clicked.connect(lambda _checked: self.run_requested.emit())
        self.cancel_button.clicked.connect(lambda _checked: self.cancel_requested.emit())
        self.show_busy(is_busy=False, is_analyzing=False)

    def show_busy(self, *, is_busy: bool, is_analyzing: bool) -> None:
        """Offer what makes sense now. While a photo is restored it can be run again; while it is analyzed it cannot."""
        self.run_button.setEnabled(not is_analyzing)
        self.cancel_button.setEnabled(is_busy)
        if self.bar.isHidden() == is_busy:
            self.bar.setVisible(is_busy)
            self.bar.setRange(0, 0)

    def show_progress(self, done: int, total: int) -> None:
        """Move the bar; it runs to and fro where there is no more than one step to count."""
        self.bar.setRange(0, total if total > 1 else 0)
        self.bar.setValue(done)


class StatusLine(QLabel):
    """A sentence about the run. Errors stand out by a sign, not by colour alone."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.MinimumExpanding)
        # room for a usual sentence at the usual width: the tabs below must not jump when it changes
        self.setMinimumHeight(_LINES * self.fontMetrics().lineSpacing())

    def show_status(self, status: Status) -> None:
        """Show the sentence."""
        self.setText(status.text if status.error is None else f"⚠ {status.text}")
