"""The tab that shows what `m2aenet doctor` prints: torch, devices, memory, how long a photo takes, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qtpy
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QApplication, QGridLayout, QPushButton, QVBoxLayout

from m2aenet_core.errors import InputError
from napari_m2aenet.examining import ExamineJob
from napari_m2aenet.folder import FolderJob
from napari_m2aenet.frames import FramesJob
from napari_m2aenet.jobs import AnalyzeJob, RestoreJob
from napari_m2aenet.session import sentence
from napari_m2aenet.source import source_of_layer
from napari_m2aenet.widgets.notify import notify
from napari_m2aenet.widgets.panel import Panel, read_only_text, sentence_label
from napari_m2aenet.widgets.worker import JobRunner

if TYPE_CHECKING:
    from napari_m2aenet.widgets.main import DeblurWidget

_USERS_OF_THE_MODEL = (AnalyzeJob, RestoreJob, FramesJob, FolderJob, ExamineJob)


class MachinePanel(Panel):
    """Looks at the machine when it is first shown; measures when it is asked to."""

    title = "Info"
    help = "What this machine can do, and the memory of the model"

    def __init__(self, window: DeblurWidget) -> None:
        super().__init__(window)
        self.estimate_button = QPushButton("How long?")
        self.estimate_button.setToolTip(
            "Run a small piece of the chosen photo twice, and say about how long all of it takes."
        )
        self.release_button = QPushButton("Give memory back")
        self.release_button.setToolTip(
            "Take the model and what it knows of the photo off the device. The layers stay; the model returns with the "
            "next run or change."
        )
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copy all of this, for example for a report of a problem.")
        self.status = sentence_label()
        self.text = read_only_text(
            "Looking at this machine …",
            "The same as the command m2aenet doctor prints. → marks what could be better.",
        )
        self.runner = JobRunner(self)
        self._lay_out()
        self._connect()

    def look(self) -> None:
        """Show what this machine can do; the first time this loads torch, in a worker thread."""
        if self.runner.job is None:
            self.runner.start(ExamineJob())
            self._show_busy()

    def estimate(self) -> None:
        """Measure about how long the chosen photo takes."""
        window = self.window_of_run
        try:
            if self.runner.job is not None or window.session.is_busy:
                raise InputError("Something is running, which would falsify the measurement; wait until it is done.")
            if window.photo.layer is None:
                raise InputError("There is no image layer yet; open a photo.")
            source = source_of_layer(window.photo.layer, window.viewer.dims.point)
        except Exception as error:
            self._fail(error)
            return
        self.status.setText("Measuring on a small piece of the photo …")
        self.runner.start(ExamineJob(source, window.session.settings, window.session.shelf))
        self._show_busy()

    def give_back(self) -> None:
        """Give the device's memory back."""
        window, session = self.window_of_run, self.window_of_run.session
        try:
            if any(isinstance(runner.job, _USERS_OF_THE_MODEL) for runner in window.findChildren(JobRunner)):
                raise InputError("The model is at work; wait or cancel, then the memory can be given back.")
            session.give_back()
        except InputError as error:
            self._fail(error)
            return
        self.status.setText(session.status.text)
        window.status_line.show_status(session.status)
        self.look()

    def copy(self) -> None:
        """Put the report on the clipboard."""
        QApplication.clipboard().setText(self.text.toPlainText())
        self.status.setText("Copied.")

    def close_down(self) -> None:
        """Stop the measurement."""
        if self.runner.job is not None:
            self.runner.job.cancel()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Look when the tab is first seen: the dock opens without loading torch."""
        super().showEvent(event)
        if not self.text.toPlainText():
            self.look()

    def _on_ended(self, job: ExamineJob) -> None:
        if job.error is not None:
            self._fail(job.error)
        elif job.value is not None and not job.is_cancelled:
            lines = [*job.value.lines(), f"Qt in use: {qtpy.API_NAME} {qtpy.QT_VERSION}"]
            self.text.setPlainText("\n".join(lines))
            if job.value.estimate is not None:
                self.status.setText(job.value.estimate.sentence())
        self._show_busy()

    def _show_busy(self) -> None:
        self.estimate_button.setEnabled(self.runner.job is None)

    def _fail(self, error: Exception) -> None:
        text = sentence(error)
        self.status.setText(f"⚠ {text}")
        notify(error, text)

    def _lay_out(self) -> None:
        buttons = QGridLayout()
        for column, button in enumerate((self.estimate_button, self.release_button, self.copy_button)):
            buttons.addWidget(button, 0, column)
        column_of_all = QVBoxLayout(self)
        column_of_all.setContentsMargins(4, 4, 4, 4)
        column_of_all.addLayout(buttons)
        column_of_all.addWidget(self.status)
        column_of_all.addWidget(self.text, 1)

    def _connect(self) -> None:
        def pressed(button: QPushButton, do: Any) -> None:
            button.clicked.connect(lambda _checked: do())

        pressed(self.estimate_button, self.estimate)
        pressed(self.release_button, self.give_back)
        pressed(self.copy_button, self.copy)
        self.runner.ended.connect(self._on_ended)
