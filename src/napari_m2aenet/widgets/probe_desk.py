"""The probe that follows the pointer, and the ones that are pinned: pointer, readout, table and layers together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari.viewer import Viewer
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from m2aenet_core.atomic import write_atomic
from napari_m2aenet.motion_layer_data import MotionRole
from napari_m2aenet.motion_session import MotionSession
from napari_m2aenet.session import sentence
from napari_m2aenet.widgets.motion_layers import MotionLayers
from napari_m2aenet.widgets.notify import notify
from napari_m2aenet.widgets.pointer import Pointer
from napari_m2aenet.widgets.probe_controls import ProbeControls
from napari_m2aenet.widgets.save_name import ask_for_name

if TYPE_CHECKING:
    from napari_m2aenet.jobs import Analyzed


class ProbeDesk(QObject):
    """Shows what the session knows of the pixel under the pointer, and keeps what is pinned."""

    def __init__(self, viewer: Viewer, session: MotionSession, layers: MotionLayers, parent: QWidget) -> None:
        super().__init__(parent)
        self.controls = ProbeControls()
        self.pointer = Pointer(viewer, self)
        self._session, self._layers = session, layers
        controls = self.controls
        controls.switched.connect(lambda _is_on: self.follow())
        controls.placed.connect(self._on_placed)
        controls.pin_requested.connect(self.pin)
        controls.removal_requested.connect(self._remove)
        controls.export_requested.connect(self._ask_for_file)
        self.pointer.moved.connect(self._on_pointer_moved)
        self.pointer.clicked.connect(self._on_pointer_clicked)

    def show_analysis(self, analyzed: Analyzed) -> None:
        """Another photo, or the same one with another model: pins on it have new values."""
        self.controls.show_size(*analyzed.analysis.blur_probability.shape)
        self.controls.show_probe(None)
        self._show_pins()

    def show_nothing(self) -> None:
        """The photo is gone."""
        self.controls.show_probe(None)
        self.leave()

    def show_state(self) -> None:
        """Offer what can be done now."""
        for widget in (self.controls.check, self.controls.y, self.controls.x):
            widget.setEnabled(not self._session.obstacle)

    def follow(self) -> None:
        """Follow the pointer if that is switched on; else take the probe out of the picture."""
        if self.controls.check.isChecked() and not self._session.obstacle:
            self.pointer.follow()
            return
        self.leave()
        if self._session.analyzed is not None:
            self._layers.remove(MotionRole.PROBE, self._session.analyzed.source)

    def leave(self) -> None:
        """Leave the viewer's pointer."""
        self.pointer.unfollow()

    def pin(self) -> None:
        """Keep the probe that is shown."""
        if self._session.probe is not None:
            self._session.pins.add(self._session.probe)
            self._show_pins()

    def export(self, path: str) -> None:
        """Write the table of pinned probes as CSV, whole or not at all."""
        try:
            write_atomic(path, self._session.pins.to_csv())
        except Exception as error:
            notify(error, sentence(error))

    def _on_pointer_moved(self, position: Sequence[float]) -> None:
        if self._session.move_probe(position) is not None:
            self._show_probe()

    def _on_pointer_clicked(self, position: Sequence[float]) -> None:
        if self._session.move_probe(position) is not None:
            self._show_probe()
            self.pin()

    def _on_placed(self, y: int, x: int) -> None:
        if self._session.put_probe(y, x) is not None:
            self._show_probe()

    def _remove(self, numbers: list[int]) -> None:
        self._session.pins.remove(numbers)
        self._show_pins()

    def _show_probe(self) -> None:
        probe, analyzed = self._session.probe, self._session.analyzed
        if probe is not None and analyzed is not None:
            self._layers.show_probe(analyzed.source, probe)
            self.controls.show_probe(probe)

    def _show_pins(self) -> None:
        self.controls.show_pins(self._session.pins.all)
        analyzed = self._session.analyzed
        if analyzed is not None:
            self._layers.show_pins(analyzed.source, self._session.pins.of(analyzed))

    def _ask_for_file(self) -> None:
        proposed = str(Path.home() / "probes.csv")
        path = ask_for_name(self.controls, "Export probes", proposed, {"Table (*.csv)": ".csv"})
        if path:
            self.export(path)
