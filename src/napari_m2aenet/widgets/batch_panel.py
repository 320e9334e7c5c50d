"""The tab for more than one picture: all frames of a layer, and all photos of a folder."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from m2aenet_core.errors import InputError
from napari_m2aenet.folder import FolderJob
from napari_m2aenet.frames import Frame, FramesJob, frame_count, stack_of_layer
from napari_m2aenet.session import sentence
from napari_m2aenet.settings import Settings
from napari_m2aenet.source import frame_at
from napari_m2aenet.widgets.folder_controls import FolderControls
from napari_m2aenet.widgets.notify import notify
from napari_m2aenet.widgets.panel import Panel
from napari_m2aenet.widgets.stack_layers import StackLayers
from napari_m2aenet.widgets.worker import JobRunner

if TYPE_CHECKING:
    from napari_m2aenet.widgets.main import DeblurWidget

_LOG_LINES = 5000


class BatchPanel(Panel):
    """Runs one batch at a time, shows what comes of it, and keeps what arrived when it is stopped."""

    title = "Batch"
    help = "All frames of a stack, and all photos of a folder"

    def __init__(self, window: DeblurWidget) -> None:
        super().__init__(window)
        self.frames_label = QLabel()
        self.frames_label.setWordWrap(True)
        self.frames_button = QPushButton("Restore all frames")
        self.folder = FolderControls()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop the batch. What is finished stays.")
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(_LOG_LINES)
        self.log.setPlaceholderText("What comes of each frame or photo is listed here.")
        self.log.setToolTip("What came of each frame or photo. ⚠ marks those that failed.")
        self.runner = JobRunner(self)
        self._layers: StackLayers | None = None
        self._lay_out()
        self._connect()
        self._show_frames()
        self._show_busy()
        self._say("")

    # -- what a person does ---------------------------------------------------------------------------------------

    def run_frames(self) -> None:
        """Restore all frames of the chosen layer; the results arrive in two new layers."""
        window = self.window_of_run
        try:
            self._require_idle()
            layer = window.photo.layer
            if layer is None:
                raise InputError("There is no image layer yet; open a stack.")
            stack, shown = stack_of_layer(layer), self._shown_frame(layer)
            self._layers = StackLayers(window.viewer, stack)
        except Exception as error:
            self._fail(error)
            return
        self._start(FramesJob(stack, self._settings(), window.session.shelf, shown))

    def run_folder(self) -> None:
        """Restore the photos of the chosen folder."""
        window, wish = self.window_of_run, self.folder.wish
        try:
            self._require_idle()
            wish.check()
        except InputError as error:
            self._fail(error)
            return
        self._start(FolderJob(wish, self._settings(), window.session.shelf))

    def cancel(self) -> None:
        """Stop the batch; what arrived stays."""
        if self.runner.job is not None:
            self.runner.job.cancel()
            self._say("Stopping …")
            self.cancel_button.setEnabled(False)

    # -- what the window tells ------------------------------------------------------------------------------------

    def forget(self, key: Hashable) -> None:
        """Stop where the stack or its result was removed."""
        job = self.runner.job
        if isinstance(job, FramesJob) and (key == job.stack.key or not (self._layers and self._layers.is_shown)):
            self.cancel()

    def stop(self) -> None:
        """Stop the batch: the key for Cancel was pressed."""
        self.cancel()

    def close_down(self) -> None:
        """Stop; napari waits for the step that is going on."""
        if self.runner.job is not None:
            self.runner.job.cancel()

    # -- a batch --------------------------------------------------------------------------------------------------

    def _require_idle(self) -> None:
        if self.runner.job is not None:
            raise InputError("A batch is running; wait for it, or cancel it first.")

    def _shown_frame(self, layer: Image) -> Frame:
        """The frame to begin with; the first one where the layer shows nothing now."""
        try:
            return frame_at(layer, self.window_of_run.viewer.dims.point)
        except InputError:
            return ()

    def _settings(self) -> Settings:
        """What is set above, now, even where the threshold has not come to rest yet."""
        window = self.window_of_run
        return replace(window.session.settings, threshold=window.threshold.value)

    def _start(self, job: FramesJob | FolderJob) -> None:
        self.log.clear()
        self._say(f"{str(job).capitalize()} …")
        self.bar.setRange(0, 0)
        self.runner.start(job)
        self._show_busy()

    def _on_progress(self, done: int, total: int) -> None:
        self._take_arrived()
        self.bar.setRange(0, total if total > 1 else 0)
        self.bar.setValue(done)

    def _take_arrived(self) -> None:
        job = self.runner.job
        if isinstance(job, FramesJob):
            self._take_frames(job)
        elif isinstance(job, FolderJob):
            self._take_lines(job)

    def _take_frames(self, job: FramesJob) -> None:
        arrived = [job.arrived.popleft() for _ in range(len(job.arrived))]
        if self._layers is not None:
            self._layers.put(arrived)
        for done in arrived:
            self.log.appendPlainText(done.line())

    def _take_lines(self, job: FolderJob) -> None:
        for _ in range(len(job.arrived)):
            self.log.appendPlainText(job.arrived.popleft())

    def _on_ended(self, job: FramesJob | FolderJob) -> None:
        try:
            if isinstance(job, FramesJob):
                self._take_frames(job)
                self._finish_frames(job)
            else:
                self._take_lines(job)
                self._say(job.summary())
        except Exception as error:
            self._fail(error)
        if job.error is not None and not job.is_cancelled:
            self._fail(job.error)
        self._show_busy()

    def _finish_frames(self, job: FramesJob) -> None:
        layers, self._layers = self._layers, None
        if layers is not None:
            layers.finish()
            self._say(layers.results.summary(is_complete=job.value is not None))

    # -- what is shown --------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        """Show a sentence. There is always room for two lines, so that the next one moves nothing."""
        self.status.setText(text)
        lines_px = 2 * self.status.fontMetrics().lineSpacing()
        self.status.setMinimumHeight(max(lines_px, self.status.heightForWidth(self.status.width())))

    def _fail(self, error: Exception) -> None:
        text = sentence(error)
        self._say(f"⚠ {text}")
        notify(error, text)

    def _show_frames(self) -> None:
        layer = self.window_of_run.photo.layer
        counts = () if layer is None else frame_count(layer)
        if layer is None:
            text = "No image layer yet."
        elif not counts:
            text = f"“{layer.name}” is one picture: press Run above."
        else:
            text = f"“{layer.name}” has {' × '.join(map(str, counts))} frames."
        self.frames_label.setText(text)
        self.frames_button.setEnabled(bool(counts) and self.runner.job is None)

    def _show_busy(self) -> None:
        is_busy = self.runner.job is not None
        self._show_frames()
        self.folder.button.setEnabled(not is_busy)
        self.cancel_button.setEnabled(is_busy)
        if not is_busy:
            self.bar.setRange(0, 1)
            self.bar.setValue(0)

    # -- making ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.frames_button.setToolTip(
            "Restore every frame of the chosen layer with the model, the device and the threshold ε that are set "
            "above. The results appear in two new layers, one frame after the other."
        )
        frames = QGroupBox("All frames of the layer")
        inside = QVBoxLayout(frames)
        inside.addWidget(self.frames_label)
        inside.addWidget(self.frames_button)
        folder = QGroupBox("All photos of a folder")
        QVBoxLayout(folder).addWidget(self.folder)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(frames)
        column.addWidget(folder)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidget(content)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self.log.setFixedHeight(70)
        running = QHBoxLayout()
        running.addWidget(self.bar, 2)
        running.addWidget(self.cancel_button, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(4, 4, 4, 4)
        whole.addWidget(scroll, 1)
        whole.addLayout(running)
        whole.addWidget(self.status)
        whole.addWidget(self.log)

    def _connect(self) -> None:
        self.frames_button.clicked.connect(lambda _checked: self.run_frames())
        self.folder.run_requested.connect(self.run_folder)
        self.cancel_button.clicked.connect(lambda _checked: self.cancel())
        self.runner.progressed.connect(self._on_progress)
        self.runner.ended.connect(self._on_ended)
        self.window_of_run.photo.changed.connect(self._show_frames)
