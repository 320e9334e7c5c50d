"""The tab for how a result was made: copied as text, saved, and repeated from a record that is opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Vectors
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QGridLayout,
    QPushButton,
    QVBoxLayout,
)

from m2aenet_core.errors import InputError
from napari_m2aenet.frames import StackRole
from napari_m2aenet.jobs import Analyzed, CallJob, Restored
from napari_m2aenet.layer_data import Role
from napari_m2aenet.repeating import RECORD_KEY, REPEAT_KEY, Copyable, Repeat
from napari_m2aenet.result_writer import FullLayerData, save_result
from napari_m2aenet.session import sentence
from napari_m2aenet.source import Source, source_of_layer
from napari_m2aenet.widgets.layers import TAG, is_result
from napari_m2aenet.widgets.notify import notify
from napari_m2aenet.widgets.panel import Panel, read_only_text, sentence_label
from napari_m2aenet.widgets.save_name import ask_for_name
from napari_m2aenet.widgets.worker import JobRunner

if TYPE_CHECKING:
    from napari_m2aenet.widgets.main import DeblurWidget

PLUGIN = "napari-m2aenet"
RECORD_FILTER = "Records (*.json)"


class RecordPanel(Panel):
    """Copies, saves and repeats: the selected result layer, else the last run."""

    title = "Record"
    help = "How a result was made: copy it as code, save it, repeat it"

    def __init__(self, window: DeblurWidget) -> None:
        super().__init__(window)
        self.python_button = _button(
            "Copy as Python", "Copy Python that makes this result again, from its file, pixel for pixel."
        )
        self.command_button = _button(
            "Copy as command", "Copy the m2aenet command that makes this result again, pixel for pixel."
        )
        self.save_button = _button(
            "Save result…", "Save the restored photo, its mask and the other layers, and the record beside them."
        )
        self.open_button = _button("Repeat a record…", "Open the record (.json) of a result, and make it again.")
        self.status = sentence_label()
        self.text = read_only_text(
            "How the result was made is shown here after a run.", "What was copied, or the record of the result."
        )
        self.runner = JobRunner(self)
        self.saver = JobRunner(self)
        self._repeat: tuple[Source, Repeat] | None = None
        self._follows = False
        self._lay_out()
        self._connect()
        self._follow()

    # -- what a person does ---------------------------------------------------------------------------------------

    def copy_python(self) -> None:
        """Put Python that makes the result again on the clipboard."""
        self._copy("Python", Copyable.python)

    def copy_command(self) -> None:
        """Put the command that makes the result again on the clipboard."""
        self._copy("command", Copyable.command)

    def save(self) -> None:
        """Ask for a name, and save the layers of the result."""
        proposed = str(Path.home() / "result.json")
        path = ask_for_name(self, "Save result", proposed, {RECORD_FILTER: ".json"})
        if path:
            self.save_to(path)

    def save_to(self, path: str) -> None:
        """Save the layers of the result in the background, as napari's File > Save does."""
        if self.saver.job is not None:
            return
        try:
            result = self._to_save()
            if result is None:
                raise InputError("There is no result yet; run a photo first.")
            if Path(path).suffix.lower() != ".json":
                raise InputError(f"{path} is no name for a record; give one that ends with .json.")
            layers = [_as_it_is(layer) for layer in self._with_companions(result)]
        except Exception as error:
            self._fail(error)
            return
        self.status.setText("Saving …")
        self.save_button.setEnabled(False)
        self.saver.start(CallJob("saving a result", lambda: save_result(path, layers)))

    def _on_saved(self, job: CallJob) -> None:
        self.save_button.setEnabled(True)
        if job.error is not None:
            self._fail(job.error)
        elif job.value is not None:
            self.status.setText(f"Saved: {', '.join(Path(name).name for name in job.value)}.")
        else:
            self.status.setText("Nothing was saved.")

    def _to_save(self) -> Any:
        """The restored layer of the photo that is selected, or that one of its results is; else of the last run."""
        layers, last = self.window_of_run.viewer.layers, self.window_of_run.session.restored
        results = [layer for layer in layers if is_result(layer) and RECORD_KEY in layer.metadata]
        chosen = layers.selection.active
        found = [self._restored_of(chosen)]
        found += [] if last is None else [self.window_of_run.layers.find(Role.RESTORED, last.analyzed.source.key)]
        return next((layer for layer in found if layer is not None), next(reversed(results), None))

    def _restored_of(self, layer: Any) -> Any:
        """The restored layer of the run that a layer belongs to, as its photo or as one of its results; or None."""
        if layer is None:
            return None
        tag = layer.metadata[TAG] if is_result(layer) else {"source": layer.unique_id}
        if "batch" not in tag:
            return self.window_of_run.layers.find(Role.RESTORED, tag["source"])
        found = (x for x in self.window_of_run.viewer.layers if str(x.unique_id) == tag["batch"])
        return next((frames for frames in found if RECORD_KEY in frames.metadata), None)

    def open_record(self) -> None:
        """Ask for a record, and repeat its run."""
        path, _ = QFileDialog.getOpenFileName(self, "Repeat a record", str(Path.home()), RECORD_FILTER)
        if path:
            self.repeat_file(path)

    def repeat_file(self, path: str) -> None:
        """Open a record through napari, so that it is the same as dropping it on the window."""
        from m2aenet_core.repeat import read_record

        try:
            # napari calls it a fault of the plugin where its reader takes no such file
            read_record(path)
            self.window_of_run.viewer.open(path, plugin=PLUGIN)
        except Exception as error:
            self._fail(error)

    # -- what the window tells ------------------------------------------------------------------------------------

    def show_analysis(self, analyzed: Analyzed) -> None:
        """Give the run that is repeated its mask, where it has one; any other run ends the waiting for it."""
        if self._repeat is not None and analyzed.source is not self._repeat[0]:
            self._repeat = None
        elif self._repeat is not None and self._repeat[1].mask is not None:
            self.window_of_run.session.request_mask(self._repeat[1].mask)

    def show_mask(self) -> None:
        """Another mask was asked for, so what comes is no repetition."""
        self._repeat = None

    def show_restored(self, restored: Restored) -> None:
        """Show the record; say of a repeated run whether the same pixels came out."""
        self.text.setPlainText(json.dumps(restored.record, indent=2, ensure_ascii=False))
        self.status.setText("")
        if self._repeat is None or restored.analyzed.source is not self._repeat[0]:
            return
        verdict = self._repeat[1].verdict(restored.result.restored)
        self._repeat = None
        session = self.window_of_run.session
        session.status = replace(session.status, text=f"{session.status.text} {verdict}")
        self.status.setText(verdict)

    def forget(self, key: Hashable) -> None:
        """Stop waiting for a photo that was removed."""
        if self._repeat is not None and self._repeat[0].key == key:
            self._repeat = None

    def close_down(self) -> None:
        """Leave the viewer's events; what is being saved is finished."""
        if self.runner.job is not None:
            self.runner.job.cancel()
        if self._follows:
            self.window_of_run.viewer.layers.events.inserted.disconnect(self._on_inserted)
            self._follows = False

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the viewer again where the dock was closed before."""
        self._follow()
        super().showEvent(event)

    # -- repeating ------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        if not self._follows:
            self.window_of_run.viewer.layers.events.inserted.connect(self._on_inserted)
            self._follows = True
            # later, as the window is still being made, and has to start as preferred first
            QTimer.singleShot(0, self._repeat_waiting)

    def _on_inserted(self, event: object) -> None:
        if REPEAT_KEY in event.value.metadata:  # type: ignore[attr-defined]
            # later, as the list of photos has to know the layer first
            QTimer.singleShot(0, self._repeat_waiting)

    def _repeat_waiting(self) -> None:
        """Run the photo of a record that was opened, as it was run before."""
        for layer in list(self.window_of_run.viewer.layers):
            repeat = layer.metadata.pop(REPEAT_KEY, None)
            if isinstance(repeat, Repeat):
                try:
                    self._run_again(layer, repeat)
                except Exception as error:
                    self._fail(error)
                return

    def _run_again(self, layer: Any, repeat: Repeat) -> None:
        window = self.window_of_run
        window.photo.choose(layer)
        window.model.choose(repeat.model)
        window.device.choose(repeat.device())
        window.choose_scale(repeat.scale)
        window.choose_ensemble(repeat.ensemble)
        if repeat.threshold is not None:
            window.threshold.number.setValue(repeat.threshold)
        if repeat.is_stack:
            window.run_frames()
        else:
            source = source_of_layer(layer, window.viewer.dims.point)
            # asked for here, so that this very run is known again; the window starts it
            window.session.request_run(source)
            window.run()
            self._repeat = (source, repeat)

    # -- copying --------------------------------------------------------------------------------------------------

    def _copy(self, kind: str, make: Callable[[Copyable], str]) -> None:
        if self.runner.job is not None:
            return
        result = self._result()
        if result is None:
            self._fail(InputError("There is no result yet; run a photo first."))
            return
        self.status.setText("Looking whether the file still holds these pixels …")
        self.runner.start(CallJob(f"copying as {kind}", lambda: (kind, make(result))))

    def _on_copied(self, job: CallJob) -> None:
        if job.error is not None:
            self._fail(job.error)
        elif job.value is not None and not job.is_cancelled:
            kind, text = job.value
            QApplication.clipboard().setText(text)
            self.text.setPlainText(text)
            self.status.setText(f"Copied as {kind}.")

    def _result(self) -> Copyable | None:
        """The result that is selected, or that the selected layer belongs to; else the last run."""
        chosen, last = self.window_of_run.viewer.layers.selection.active, self.window_of_run.session.restored
        layer = self._restored_of(chosen)
        if chosen is not None and isinstance(chosen.metadata.get(RECORD_KEY), dict):
            layer = chosen  # a duplicate, too
        if layer is None and last is None:
            layer = self._to_save()
        if last is not None and (layer is None or layer.metadata[RECORD_KEY] is last.record):
            return self._copyable(last.record, last.result.mask, last.analyzed.source.key)
        if layer is None:
            return None
        return self._copyable(layer.metadata[RECORD_KEY], None, layer.metadata.get(TAG, {}).get("source"))

    def _copyable(self, record: dict[str, Any], mask: NDArray[np.bool_] | None, key: Hashable) -> Copyable:
        """A result with how its photo is found in napari's console: under the name that it has now."""
        photo = next((layer for layer in self.window_of_run.viewer.layers if str(layer.unique_id) == str(key)), None)
        if photo is None:
            return Copyable(record, mask)
        return Copyable(record, mask, bool(photo.multiscale), str(photo.name))

    def _with_companions(self, result: Any) -> list[Any]:
        """The layers of the same run, and the layer that was run."""
        tag = result.metadata[TAG]
        # of one stack, there may be results of its frames in turn and of several batches
        roles = {*StackRole} if tag["role"] in {*StackRole} else {*Role} - {Role.RESTORED}

        def belongs(layer: Any) -> bool:
            if str(layer.unique_id) in (tag["source"], tag["layer"]):
                return True
            other = layer.metadata[TAG] if is_result(layer) else {}
            is_of_run = all(other.get(name) == tag.get(name) for name in ("source", "batch"))
            return is_of_run and other.get("role") in roles

        layers = self.window_of_run.viewer.layers
        return [layer for layer in layers if isinstance(layer, Image | Labels | Vectors) and belongs(layer)]

    # -- making ---------------------------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        text = sentence(error)
        self.status.setText(f"⚠ {text}")
        notify(error, text)

    def _lay_out(self) -> None:
        buttons = QGridLayout()
        for index, button in enumerate((self.python_button, self.command_button, self.save_button, self.open_button)):
            buttons.addWidget(button, index // 2, index % 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.addLayout(buttons)
        column.addWidget(self.status)
        column.addWidget(self.text, 1)

    def _connect(self) -> None:
        self.python_button.clicked.connect(lambda _checked: self.copy_python())
        self.command_button.clicked.connect(lambda _checked: self.copy_command())
        self.save_button.clicked.connect(lambda _checked: self.save())
        self.open_button.clicked.connect(lambda _checked: self.open_record())
        self.runner.ended.connect(self._on_copied)
        self.saver.ended.connect(self._on_saved)


def _as_it_is(layer: Image | Labels | Vectors) -> FullLayerData:
    """A layer for the writer, as it is now: a mask may be painted on, and a record replaced, while it is saved."""
    data, keywords, kind = layer.as_layer_data_tuple()
    data = np.array(data) if isinstance(layer, Labels) else data
    return data, {**keywords, "metadata": dict(keywords["metadata"])}, kind


def _button(label: str, tooltip: str) -> QPushButton:
    button = QPushButton(label)
    button.setToolTip(tooltip)
    return button
