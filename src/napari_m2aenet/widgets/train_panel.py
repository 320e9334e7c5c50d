"""The tab that trains a network in a process of its own, shows how it goes, and uses what it has learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m2aenet_core.errors import InputError
from napari_m2aenet.comparing import Box
from napari_m2aenet.jobs import CallJob
from napari_m2aenet.session import sentence
from napari_m2aenet.source import source_of_layer
from napari_m2aenet.training_figures import thinned
from napari_m2aenet.training_preview import PreviewJob
from napari_m2aenet.training_process import RunProcess, likely_kind
from napari_m2aenet.training_run import RunState, TrainingRun, last_validation
from napari_m2aenet.widgets.curve_plot import CurvePlot
from napari_m2aenet.widgets.layer_list import LayerList
from napari_m2aenet.widgets.layers import is_result
from napari_m2aenet.widgets.newest import NewestRunner
from napari_m2aenet.widgets.notify import notify
from napari_m2aenet.widgets.panel import Panel
from napari_m2aenet.widgets.sample_saver import SampleSaver
from napari_m2aenet.widgets.train_order import TrainOrder
from napari_m2aenet.widgets.training_layers import TrainingLayers

if TYPE_CHECKING:
    from napari_m2aenet.widgets.main import DeblurWidget

LOOK_MS = 1000
"""The run's files are looked at so often."""

_PLOT_POINTS = 300
NOTHING_YET = "Choose a folder for the run, something to learn from, and press Start."


class TrainPanel(Panel):
    """Starts, follows, stops and resumes a run, previews it on a layer, and makes its weights the dock's model."""

    title = "Train"
    help = "Train a network on your own photos or pairs, in a process of its own, and use it at once."

    def __init__(self, window: DeblurWidget) -> None:
        super().__init__(window)
        self.run: TrainingRun | None = None
        self._seen_validations = 0
        self._previewed_at: int | None = None
        self._is_preview_due = False
        self._problem = ""
        self._is_closed = False
        self.layers = TrainingLayers(window.viewer)
        self.order = TrainOrder()
        self.start_button = QPushButton("Start")
        self.start_button.setToolTip("Train in a process of its own. The window stays usable, and may be closed.")
        self.stop_button = QPushButton("Stop")
        self.status = _text(NOTHING_YET)
        self.plot = CurvePlot()
        self.validation = _text("")
        self.use_button = QPushButton("Use these weights")
        self.use_button.setToolTip("Make the weights of the best validation so far the model of this window.")
        self.preview_layer = LayerList(
            window.viewer,
            lambda layer: hasattr(layer, "rgb") and not is_result(layer),
            "the photo chosen above",
            "The image layer that the preview is made of. Of a large one, the part that is seen is taken.",
        )
        self.preview_button = QPushButton("Preview")
        self.preview_button.setToolTip("Restore the layer with the averaged weights of the run's newest checkpoint.")
        self.preview_always = QCheckBox("after each validation")
        self.preview_always.setToolTip("Make the preview again each time the run has validated.")
        self.samples = SampleSaver(window)
        self._previewer = NewestRunner(self)
        self._looker = NewestRunner(self)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._lay_out()
        self._connect()
        self._show_state()

    # -- what a person does ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the run, or go on with it."""
        settings = self.window_of_run.session.settings
        try:
            order = self.order.order(settings.model, settings.device)
            self._require_steps(order.steps)
            self.run = TrainingRun(order.out, RunProcess.start(order))
        except InputError as error:
            self._find_process()
            self._follow()
            self._tell(error)
            return
        self._follow()

    def _require_steps(self, steps: int | None) -> None:
        run = self.run
        is_over = run is not None and run.state is RunState.FINISHED and (steps or 0) <= (run.total or 0)
        if is_over and not self.order.more.text().strip():
            raise InputError("This run is finished; give more steps than it has taken, or choose another folder.")

    def stop_run(self) -> None:
        """Ask the run to stop after its step; the second time, at once. The key for Cancel leaves it alone."""
        if self.run is not None and self.run.process is not None:
            self.run.process.stop()
        self._show_state()

    def attach(self, folder: str) -> None:
        """Show the run in a folder, and follow it where it goes on."""
        is_same = self.run is not None and self.run.is_running and self.run.folder == folder
        # of a process that was started here more is known than of one that is found
        if not is_same:
            self.run = TrainingRun(folder) if folder else None
        self._follow()

    def use_weights(self) -> None:
        """Make the best weights so far the model of the dock."""
        weights = None if self.run is None else self.run.best_weights
        if weights is not None:
            self.window_of_run.model.choose_file(str(weights))
            show_info(f"{weights} is the model of this window now; press Run.")

    def preview(self) -> None:
        """Restore a layer with the newest checkpoint."""
        window = self.window_of_run
        layer = self.preview_layer.layer or window.photo.layer
        if self.run is None or layer is None:
            return
        try:
            source = source_of_layer(layer, window.viewer.dims.point)
        except Exception as error:
            self._tell(error)
            return
        settings = window.session.settings
        self._is_preview_due, self._previewed_at = False, self.run.saved_at
        self._previewer.ask(
            PreviewJob(self.run.folder, source, _seen(layer), device=settings.device, threshold=settings.threshold)
        )
        self._show_state()

    # -- what happens ---------------------------------------------------------------------------------------------

    def close_down(self) -> None:
        """Leave the run to itself: it goes on, and is found again in its folder."""
        self._is_closed = True
        self._timer.stop()
        for runner in (self._previewer, self._looker):
            runner.cancel()
        self.samples.close_down()
        self.preview_layer.unfollow()
        if self.run is not None and self.run.is_running:
            show_info(f"The training goes on. To follow it, choose {self.run.folder} in the tab “Train” again.")

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """List what is slow to find out when the tab is seen, and look at the run."""
        super().showEvent(event)
        self._is_closed = False
        self.order.fill_recipes()
        self.preview_layer.follow()
        self._find_process()
        self._follow()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 - Qt's name
        """The list of layers need not be right while nobody sees it."""
        super().hideEvent(event)
        self.preview_layer.unfollow()

    def _find_process(self) -> None:
        """Follow a process that was started elsewhere, in the run's folder, since it was chosen."""
        folder = "" if self.run is None or self.run.is_running else self.run.folder
        found = TrainingRun(folder) if folder else None
        if found is not None and found.is_running:
            self.run = found

    def _follow(self) -> None:
        self._problem = ""
        self._is_preview_due = False
        self._previewed_at = None if self.run is None else self.run.saved_at
        self._seen_validations = 0 if self.run is None else len(self.run.validations)
        if self.run is not None and self.run.is_running and not self._is_closed:
            self._timer.start()
        self._draw()
        self._show_state()

    def _look(self) -> None:
        if self.run is None:
            self._timer.stop()
            return
        is_running = self.run.is_running
        if self.run.update():
            self._problem = ""
            self._draw()
        self._preview_in_time(self.run)
        if not is_running:
            self._timer.stop()
            if self.run.state is RunState.FAILED:
                notify(InputError(self.run.last_words()), self.run.describe())
        self._show_state()

    def _preview_in_time(self, run: TrainingRun) -> None:
        """After a validation, make a preview of the first checkpoint that is new: it comes a little later."""
        if len(run.validations) > self._seen_validations:
            self._is_preview_due = True
        self._seen_validations = len(run.validations)
        is_new = run.saved_at not in (None, self._previewed_at)
        # one that takes longer than the time between two validations is not begun anew all the time
        if self._is_preview_due and is_new and self.preview_always.isChecked() and not self._previewer.is_busy:
            self.preview()

    def _on_previewed(self, job: PreviewJob) -> None:
        if job.error is not None:
            self._tell(job.error)
        elif job.value is not None and not self._is_closed:
            self.layers.show(job.value)
        self._show_state()

    def _on_data_chosen(self, folder: str) -> None:
        if folder:
            self._looker.ask(CallJob("looking at the folder", lambda: likely_kind(folder)))

    def _on_looked(self, job: CallJob) -> None:
        if job.value is not None:
            self.order.choose_kind(job.value)

    # -- showing --------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        if self.run is None:
            self.plot.show_curves((np.zeros(0), np.zeros(0)), (np.zeros(0), np.zeros(0)), None)
            return
        losses, validations = self.run.losses.columns, self.run.validations.columns
        self.plot.show_curves(
            thinned(losses["step"], losses["loss"], _PLOT_POINTS),
            thinned(validations["step"], validations["psnr_db"], _PLOT_POINTS),
            self.run.total,
        )

    def _tell(self, error: Exception) -> None:
        self._problem = f"⚠ {sentence(error)}"
        notify(error, sentence(error))
        self._show_state()

    def _show_state(self) -> None:
        run = self.run
        state = RunState.NONE if run is None else run.state
        is_running = state in (RunState.STARTING, RunState.RUNNING, RunState.STOPPING)
        self.order.show_state(is_running=is_running)
        self.start_button.setEnabled(not is_running)
        self.start_button.setText("Go on" if run is not None and run.has_checkpoint else "Start")
        self.stop_button.setEnabled(is_running)
        self.stop_button.setText("Stop at once" if state is RunState.STOPPING else "Stop")
        self.stop_button.setToolTip(
            "End the run now; what was learned since the last checkpoint is lost."
            if state is RunState.STOPPING
            else "End the run after its step, with a checkpoint to go on from."
        )
        told = NOTHING_YET if run is None or state is RunState.NONE else run.describe()
        warning = "⚠ " if state is RunState.FAILED else ""
        self.status.setText(self._problem or warning + told)
        self.validation.setText("" if run is None else last_validation(run))
        self.use_button.setEnabled(run is not None and run.best_weights is not None)
        is_previewing = self._previewer.is_busy
        self.preview_button.setEnabled(run is not None and run.has_checkpoint and not is_previewing)
        self.preview_button.setText("Working …" if is_previewing else "Preview")

    # -- making ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.addWidget(self.order)
        column.addLayout(_row(self.start_button, self.stop_button))
        for widget in (self.status, self.plot, self.validation, self.use_button):
            column.addWidget(widget)
        preview = QGroupBox("Preview on a layer")
        inside = QVBoxLayout(preview)
        inside.addWidget(self.preview_layer)
        inside.addLayout(_row(self.preview_button, self.preview_always))
        column.addWidget(preview)
        column.addWidget(self.samples)
        column.addStretch(1)
        self.scroll(content)

    def _connect(self) -> None:
        self.start_button.clicked.connect(lambda _checked: self.start())
        self.stop_button.clicked.connect(lambda _checked: self.stop_run())
        self.use_button.clicked.connect(lambda _checked: self.use_weights())
        self.preview_button.clicked.connect(lambda _checked: self.preview())
        self.order.folder_chosen.connect(self.attach)
        self.order.data_chosen.connect(self._on_data_chosen)
        self._timer.timeout.connect(self._look)
        self._previewer.ended.connect(self._on_previewed)
        self._looker.ended.connect(self._on_looked)


def _seen(layer: Any) -> Box | None:
    """The box of a layer that the canvas shows; None where its pixels are those of another level."""
    if layer.multiscale or not layer.visible:
        return None
    (top, left), (bottom, right) = np.asarray(layer.corner_pixels)[:, -2:]
    return Box(int(top), int(left), int(bottom) + 1, int(right) + 1)


def _text(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _row(first: QWidget, second: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(first, 1)
    row.addWidget(second, 1)
    return row
