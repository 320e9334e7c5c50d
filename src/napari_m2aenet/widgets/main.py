"""The dock widget: wires the parts together and holds no rule of its own."""

from pathlib import Path
from typing import Any

import napari.viewer
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QTabWidget, QVBoxLayout, QWidget

from m2aenet_core.errors import InputError
from napari_m2aenet.jobs import Analyzed, AnalyzeJob, CallJob, RestoreJob
from napari_m2aenet.models import OpenDeblurrer, device_choices, model_choices, open_deblurrer
from napari_m2aenet.session import Phase, Session
from napari_m2aenet.settings import (
    DEVICE,
    ENSEMBLE,
    ENSEMBLES,
    MODEL,
    SCALE,
    SCALES,
    THRESHOLD,
    Setting,
    read_ensemble,
    read_scale,
)
from napari_m2aenet.source import FILE_KEY, Source, require_seen_frame, source_of_layer
from napari_m2aenet.widgets.batch_panel import BatchPanel
from napari_m2aenet.widgets.blur_panel import BlurPanel
from napari_m2aenet.widgets.choices import AUTOMATIC, ChoiceList, FixedList, ModelList
from napari_m2aenet.widgets.compare_panel import ComparePanel
from napari_m2aenet.widgets.keys import CANCEL_KEY, RUN_KEY, DockKeys, tell_key
from napari_m2aenet.widgets.layers import ResultLayers
from napari_m2aenet.widgets.machine_panel import MachinePanel
from napari_m2aenet.widgets.mask_control import MaskControl
from napari_m2aenet.widgets.motion_panel import MotionPanel
from napari_m2aenet.widgets.napari_versions import preferred_settings
from napari_m2aenet.widgets.notify import notify
from napari_m2aenet.widgets.panel import Panel
from napari_m2aenet.widgets.photo import PhotoChooser
from napari_m2aenet.widgets.record_panel import RecordPanel
from napari_m2aenet.widgets.run_controls import RunControls, StatusLine
from napari_m2aenet.widgets.threshold import ThresholdSlider
from napari_m2aenet.widgets.train_panel import TrainPanel
from napari_m2aenet.widgets.worker import JobRunner

PANELS: tuple[type[Panel], ...] = (
    BlurPanel,
    MotionPanel,
    ComparePanel,
    BatchPanel,
    TrainPanel,
    RecordPanel,
    MachinePanel,
)
"""The tabs, from left to right."""


class DeblurWidget(QWidget):
    """Finds, explains and removes local motion blur in an image layer.

    Args:
        viewer: the viewer whose layers it works on; napari passes it.
        open_deblurrer: how a model is opened, (name or path, device, number of copies) -> Deblurrer.
    """

    def __init__(self, viewer: napari.viewer.Viewer, open_deblurrer: OpenDeblurrer = open_deblurrer) -> None:
        super().__init__()
        self.session = Session(open_deblurrer)
        self.layers = ResultLayers(viewer)
        self.viewer = viewer
        self._runner = JobRunner(self)
        self._reader = JobRunner(self)
        self._lister = JobRunner(self)
        self.photo = PhotoChooser(viewer)
        self.model = ModelList()
        self.device = ChoiceList(DEVICE, AUTOMATIC)
        self.scale = FixedList(SCALE, SCALES)
        self.ensemble = FixedList(ENSEMBLE, ENSEMBLES)
        self.controls = RunControls()
        self.threshold = ThresholdSlider()
        self.status_line = StatusLine()
        self.mask = MaskControl(viewer, self.session, self.layers, self.threshold, self)
        self.panels = tuple(panel(self) for panel in PANELS)
        self._lay_out()
        self._connect()
        self.keys = DockKeys(self, {RUN_KEY: self.run, CANCEL_KEY: self.stop_all})
        self._start_as_preferred()
        self._show_state()

    # -- what a person does ---------------------------------------------------------------------------------------

    def run(self) -> None:
        """Analyze and restore the chosen photo."""
        try:
            source = self._chosen_source()
        except Exception as error:
            self._fail(error)
        else:
            self.threshold.settle()
            self.session.request_threshold(self.threshold.value)
            self.session.request_run(source)
        self._go_on()

    def cancel(self) -> None:
        """Stop the run."""
        self.threshold.settle()
        self.session.cancel()
        self._go_on()

    def choose_scale(self, value: str) -> None:
        """Choose a working scale without running again."""
        self.scale.choose_quietly(value)
        self.session.choose(scale=read_scale(value))

    def choose_ensemble(self, value: str) -> None:
        """Choose a number of copies without running again."""
        self.ensemble.choose_quietly(value)
        self.session.choose(ensemble=read_ensemble(value))

    def run_frames(self) -> None:
        """Restore all frames of the chosen layer, and show how far it is."""
        for panel in self.panels:
            if isinstance(panel, BatchPanel):
                panel.run_frames()
                self.tabs.setCurrentWidget(panel)

    def stop_all(self) -> None:
        """Stop the run, and what the tabs are doing."""
        self.cancel()
        for panel in self.panels:
            panel.stop()

    def open_photo(self, path: str) -> None:
        """Read a photo in the background, add it as a layer and choose it."""
        if self._reader.job is not None:
            return
        from m2aenet_core.image_io import read_image

        self._reader.start(CallJob(f"reading {Path(path).name}", lambda: (path, read_image(path))))
        self.photo.open_button.setEnabled(False)

    # -- what the session decides ---------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Start the next job, if there is one, and show what the session says."""
        if self._runner.job is None:
            job = self.session.next_job()
            if job is not None:
                self._runner.start(job)
        self._show_state()

    def _on_progress(self, done: int, total: int) -> None:
        self.controls.show_progress(done, total)
        job = self._runner.job
        if isinstance(job, RestoreJob) and job.preview is not None and not job.is_cancelled:
            part, job.preview = job.preview, None
            self.layers.show_part(job.analyzed.source, part)

    def _on_job_ended(self, job: AnalyzeJob | RestoreJob) -> None:
        shown = self.session.finish(job)
        try:
            if isinstance(shown, Analyzed):
                self.layers.show_analysis(shown)
                for panel in self.panels:
                    panel.show_analysis(shown)
            elif shown is not None:
                self.layers.show_restored(shown)
                for panel in self.panels:
                    panel.show_restored(shown)
            if shown is not None:
                # the mask may have moved on since the job began
                self.mask.show()
        except Exception as error:
            self._fail(error)
        if job.error is not None and not job.is_cancelled:
            notify(job.error, self.session.status.text)
        self._go_on()

    def _run_anew(self, **changes: Any) -> None:
        """Take other settings, and run the photo again that was run, if it is still chosen and its frame is shown."""
        self.session.choose(**changes)
        try:
            source = self._chosen_source()
        except InputError:
            return  # nothing is shown that was run
        if self.session.is_run(source):
            self.run()

    def _on_photo_read(self, job: CallJob) -> None:
        self.photo.open_button.setEnabled(True)
        if job.error is not None:
            self._fail(job.error)
        elif job.value is not None and not job.is_cancelled:
            path, photo = job.value
            is_colour = photo.pixels.ndim == 3
            layer = self.viewer.add_image(
                photo.pixels, name=Path(path).stem, rgb=is_colour, metadata={FILE_KEY: str(path)}
            )
            self.photo.choose(layer)
        self._show_state()

    def _list_choices(self) -> None:
        """Ask for devices and models, once the lists are opened: this is what imports torch if no run did."""
        if self._lister.job is None:
            if self.device.count() == 1:
                self.device.show_waiting("looking for devices …")
            self._lister.start(CallJob("looking for devices", lambda: (device_choices(), model_choices())))

    def _on_listed(self, job: CallJob) -> None:
        if job.error is not None:
            self.device.fill([])
            self._fail(job.error)
        elif job.value is not None and not job.is_cancelled:
            devices, models = job.value
            self.device.fill(devices)
            self.model.fill(models)
        self._show_state()

    def _on_threshold_moved(self, value: float) -> None:
        self.mask.preview(value)
        for panel in self.panels:
            panel.show_threshold(value)

    def _on_mask_changed(self) -> None:
        for panel in self.panels:
            panel.show_mask()
        self._go_on()

    def _on_layer_removed(self, event: object) -> None:
        key = event.value.unique_id  # type: ignore[attr-defined]
        self.session.forget(key)
        self.mask.forget(key)
        for panel in self.panels:
            panel.forget(key)
        self._go_on()

    def _chosen_source(self) -> Source:
        layer, dims = self._chosen_layer(), self.viewer.dims
        require_seen_frame(layer, dims.displayed, dims.ndim)
        return source_of_layer(layer, dims.point)

    def _chosen_layer(self) -> napari.layers.Image:
        layer = self.photo.layer
        if layer is None:
            raise InputError("There is no image layer yet; open a photo, or one of File > Open Sample > M2AENet.")
        return layer

    def _fail(self, error: Exception) -> None:
        self.session.fail(error)
        notify(error, self.session.status.text)

    def _show_state(self) -> None:
        session = self.session
        is_analyzing = session.is_busy and session.phase is not Phase.RESTORING
        self.controls.show_busy(is_busy=session.is_busy, is_analyzing=is_analyzing)
        self.status_line.show_status(session.status)

    def _start_as_preferred(self) -> None:
        """Begin with what napari's preferences page says."""
        preferred = preferred_settings()
        if preferred.model != MODEL.default:
            self.model.choose(preferred.model)
        if preferred.device != DEVICE.default:
            self.device.choose(preferred.device)
        if preferred.scale != read_scale(SCALE.default):
            self.choose_scale(str(preferred.scale))
        if preferred.ensemble is not None:
            self.choose_ensemble(str(preferred.ensemble))
        self.threshold.number.setValue(preferred.threshold)
        self.threshold.settle()
        self.session.request_threshold(self.threshold.value)

    # -- making and ending ----------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Photo", self.photo)
        for choices in (self.model, self.device):
            choices.setMinimumContentsLength(7)
        model = _in_a_row(self.model, ENSEMBLE, self.ensemble)
        device = _in_a_row(self.device, SCALE, self.scale)
        for setting, widget in ((MODEL, model), (DEVICE, device), (THRESHOLD, self.threshold)):
            label = QLabel(setting.label)
            label.setToolTip(setting.help)
            form.addRow(label, widget)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.controls)
        column.addWidget(self.status_line)
        if self.panels:
            self.tabs = QTabWidget()
            for panel in self.panels:
                self.tabs.setTabToolTip(self.tabs.addTab(panel, panel.title), panel.help)
            column.addWidget(self.tabs, 1)

    def _connect(self) -> None:
        self.controls.run_requested.connect(self.run)
        tell_key(self.controls.run_button, RUN_KEY)
        tell_key(self.controls.cancel_button, CANCEL_KEY)
        self.controls.cancel_requested.connect(self.cancel)
        self.photo.open_requested.connect(self.open_photo)
        self.threshold.moved.connect(self._on_threshold_moved)
        self.threshold.rested.connect(self.mask.take_threshold)
        self.mask.changed.connect(self._on_mask_changed)
        self.mask.failed.connect(self._fail)
        self.model.chosen.connect(lambda value: self.session.choose(model=value))
        self.device.chosen.connect(lambda value: self.session.choose(device=value))
        self.scale.chosen.connect(lambda value: self._run_anew(scale=read_scale(value)))
        self.ensemble.chosen.connect(lambda value: self._run_anew(ensemble=read_ensemble(value)))
        self.model.opened.connect(self._list_choices)
        self.device.opened.connect(self._list_choices)
        self._runner.progressed.connect(self._on_progress)
        self._runner.ended.connect(self._on_job_ended)
        self._reader.ended.connect(self._on_photo_read)
        self._lister.ended.connect(self._on_listed)
        self.viewer.layers.events.removed.connect(self._on_layer_removed)

    def event(self, event: QEvent) -> bool:
        """Stop and give the memory back when the dock is closed: napari then takes this widget out of its parent."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self._close_down()
            else:
                self.photo.follow()
                self.mask.bind()
                self.keys.bind()
        return super().event(event)

    def _close_down(self) -> None:
        self.threshold.settle()
        self.keys.unbind()
        for runner in (self._reader, self._lister):
            if runner.job is not None:
                runner.job.cancel()
        self.mask.close_down()
        for panel in self.panels:
            panel.close_down()
        self.session.close()
        self.photo.unfollow()


def _in_a_row(first: QWidget, setting: Setting[str], second: QWidget) -> QHBoxLayout:
    """Lay out two lists beside each other, with the label of the second."""
    row = QHBoxLayout()
    row.addWidget(first, 1)
    label = QLabel(setting.label)
    label.setToolTip(setting.help)
    row.addWidget(label)
    row.addWidget(second)
    return row
