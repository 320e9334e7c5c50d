"""Checking whether a result explains its photo."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from m2aenet_core.trust_words import Verdict
from napari_m2aenet.widgets.work_button import WorkButton


class TrustControls(QWidget):
    """`check_requested()`, `cancel_requested()`; the verdict in words below the button."""

    check_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = WorkButton(
            "Check the result",
            "Blur the restored photo again along its trajectories. Where that does not give the photo, the result "
            "is not to be trusted; a layer shows where.",
        )
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.button)
        column.addWidget(self.text)
        self.button.start_requested.connect(self.check_requested)
        self.button.cancel_requested.connect(self.cancel_requested)

    def show_verdict(self, verdict: Verdict) -> None:
        """Show the sentence; doubts stand out by a sign, not by colour alone."""
        self.text.setText(f"⚠ {verdict.text}" if verdict.is_doubtful else verdict.text)
