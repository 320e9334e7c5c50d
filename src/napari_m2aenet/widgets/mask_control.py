"""Keeps slider, mask layer, selection and session in step; the rules of masks are the session's."""

from typing import Any

import numpy as np
from napari.viewer import Viewer
from qtpy.QtCore import QObject, QTimer, Signal
from superqt.utils import QSignalDebouncer

from m2aenet_core.errors import InputError
from napari_m2aenet.blur_levels import BlurLevels
from napari_m2aenet.layer_mask import can_be_mask, mask_of_layer
from napari_m2aenet.mask_choice import MaskSource, PackedMask
from napari_m2aenet.session import Session
from napari_m2aenet.settings import REST_MS
from napari_m2aenet.source import Source
from napari_m2aenet.widgets.layers import ResultLayers, is_same
from napari_m2aenet.widgets.mask_layer import REDO_KEY, UNDO_KEY, MaskLayer
from napari_m2aenet.widgets.selection_layer import SelectionLayer, SelectionTool, is_selection
from napari_m2aenet.widgets.threshold import ThresholdSlider

PAINTS = ("paint", "erase", "fill", "polygon")
"""Modes of a labels layer that change it."""


class MaskControl(QObject):
    """What a person does to the mask. `changed()` when it is made in another way; `failed(error)` where it cannot be.

    After `changed` the session may have work to do. `hand_changed()` when another tool is in the person's hand.
    """

    changed = Signal()
    hand_changed = Signal()
    failed = Signal(object)

    def __init__(
        self, viewer: Viewer, session: Session, layers: ResultLayers, slider: ThresholdSlider, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer, self._session, self._slider = viewer, session, slider
        self.layer = MaskLayer(layers, self.undo, self.redo, self)
        self.selection = SelectionLayer(viewer, self.undo, self.redo, self)
        self._levels: tuple[BlurLevels, PackedMask | None, BlurLevels] | None = None
        self._followed: Any = None
        self._reread = QSignalDebouncer(parent=self)
        self._reread.setTimeout(REST_MS)
        self._reread.triggered.connect(self._read_followed)
        # layers may be added once napari has taken out all that a person removed, not before
        self._show_soon = QTimer(self)
        self._show_soon.setSingleShot(True)
        self._show_soon.timeout.connect(self._after)
        self._keys = {UNDO_KEY: lambda _viewer: self.undo(), REDO_KEY: lambda _viewer: self.redo()}
        self._bound: list[Any] = []
        self._is_bound = False
        self.layer.painted.connect(self._on_painted)
        self.selection.changed.connect(self._on_selected)
        self.layer.mode_changed.connect(self._on_mode)

    # -- showing --------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Show the mask as it is to be now: while the threshold moves, the mask at the threshold."""
        self._follow()
        analyzed = self._session.analyzed
        if analyzed is None:
            return
        if self.selection.layer is not None and not analyzed.source.is_same_picture(self.selection.source):
            # it was drawn on another photo, or on another frame; this one may have had a selection before
            self.selection.remove()
            self._show_selection()
            self.hand_changed.emit()
        is_moving = self._slider.value != self._session.choice.threshold
        if is_moving and self.preview(self._slider.value):
            return
        mask = self._session.mask()
        if mask is not None:
            self.layer.show(analyzed.source, mask)

    def preview(self, threshold: float) -> bool:
        """Show the mask at a threshold that moves; False where there is no layer to show it in."""
        analyzed = self._session.analyzed
        if analyzed is None:
            return False
        return self.layer.preview(analyzed.source.key, self.levels(analyzed.levels), threshold)

    def levels(self, levels: BlurLevels) -> BlurLevels:
        """Return the levels inside the selection, kept until either changes."""
        selection = self._session.choice.selection
        if self._levels is None or self._levels[0] is not levels or self._levels[1] is not selection:
            inside = levels.inside(None if selection is None else selection.unpack())
            self._levels = levels, selection, inside
        return self._levels[2]

    @property
    def is_limited(self) -> bool:
        """Whether the mask is limited to a selection, or the next drag draws one."""
        return self._session.choice.selection is not None or self.selection.layer is not None

    @property
    def hand(self) -> str | None:
        """What a drag on the picture does now: "paint", "erase", "rectangle" or "lasso"; None moves the picture."""
        active = self._viewer.layers.selection.active
        if active is None:
            return None
        if is_same(active, self.layer.layer) and str(active.mode) in ("paint", "erase"):
            return str(active.mode)
        return str(self.selection.tool) if is_same(active, self.selection.layer) and self.selection.tool else None

    # -- what a person does ---------------------------------------------------------------------------------------

    def take_threshold(self, threshold: float) -> None:
        """Take the mask from a threshold that came to rest."""
        self._session.request_threshold(threshold)
        self._after()

    def take_source(self, source: MaskSource) -> None:
        """Take the mask from the threshold or from the strokes."""
        self._session.request_source(source)
        self._after()

    def take_layer(self, layer: Any) -> None:
        """Take the mask from a layer where the photo lies, whatever frame is shown; now and whenever it changes."""
        analyzed = self._session.analyzed
        if analyzed is None:
            return
        try:
            self._session.request_mask(self._mask_in(layer, analyzed.source), (layer.unique_id, layer.name))
        except Exception as error:
            self.failed.emit(error)
        self._after()

    def paint(self, mode: str) -> None:
        """Put napari's brush or eraser into the person's hand: mode "paint", "erase", or "pan_zoom" to put it down."""
        layer = self.layer.layer
        if (layer is None or layer not in self._viewer.layers) and mode != "pan_zoom":
            self.show()  # a person has removed the layer; it is needed now
            layer = self.layer.layer
        if layer is None or layer not in self._viewer.layers:
            return
        self.selection.use(None)
        if mode != "pan_zoom":
            self._viewer.layers.selection.active = layer
            layer.visible = True
            layer.selected_label = 1
            if layer.brush_size == 10:  # napari's own, which a large photo hardly shows
                layer.brush_size = max(10, max(layer.data.shape) // 40)
        layer.mode = mode
        self.hand_changed.emit()

    def select(self, tool: SelectionTool | None) -> None:
        """Restore inside a selection alone, which the next drag draws; None gives the selection up."""
        analyzed = self._session.analyzed
        if analyzed is None:
            return
        if tool is None:
            self.selection.remove()
            self._on_selected(None)
            self.hand_changed.emit()
            return
        self.paint("pan_zoom")
        if self.selection.layer is None:
            self._show_selection(wait_for_drag=True)
        self.selection.use(tool)
        self.hand_changed.emit()

    def put_down(self) -> None:
        """Take brush, eraser and selection tool out of the person's hand: a drag moves the picture again."""
        self.paint("pan_zoom")
        self.selection.use(None)
        self.hand_changed.emit()

    def can_be_mask(self, layer: Any) -> bool:
        """Say whether the mask can be taken from a layer."""
        analyzed = self._session.analyzed
        if analyzed is None or is_selection(layer):
            return False
        if is_same(layer, self.layer.layer) or layer.unique_id == analyzed.source.key:
            return False
        return can_be_mask(layer, analyzed.levels.levels.shape)

    def undo(self) -> None:
        """Go back to how the mask was before."""
        if self._session.undo():
            self._slider.show_value(self._session.choice.threshold)
            self._after()

    def redo(self) -> None:
        """Go forward again."""
        if self._session.redo():
            self._slider.show_value(self._session.choice.threshold)
            self._after()

    # -- making and ending ----------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Bind the keys for undo and redo in the viewer, where nobody else has."""
        for key, do in self._keys.items():
            if key not in self._bound and not any(str(bound) == str(_binding(key)) for bound in self._viewer.keymap):
                self._viewer.bind_key(key, do)
                self._bound.append(key)
        if not self._is_bound:
            self._viewer.layers.selection.events.active.connect(self._on_active)
            self._is_bound = True

    def forget(self, key: object) -> None:
        """The layer with this key was removed; that of a selection takes the selection with it, until undo."""
        unselected = self.selection.forget(key)
        if self._followed is not None and self._followed.unique_id == key:
            self._follow()
        analyzed = self._session.analyzed
        if analyzed is None:
            self._levels = None
            self.layer.leave()
            self._follow()
        elif analyzed.source.is_same_picture(unselected):
            self._session.request_selection(None)
            self._show_soon.start()

    def close_down(self) -> None:
        """Give mouse, keys and layers back."""
        for key in self._bound:
            self._viewer.bind_key(key, None)
        self._bound = []
        if self._is_bound:
            self._viewer.layers.selection.events.active.disconnect(self._on_active)
            self._is_bound = False
        self._show_soon.stop()
        self.paint("pan_zoom")
        self.selection.remove()
        self.layer.leave()
        self._levels = None
        self._follow(leave=True)

    def _on_active(self, event: object = None) -> None:
        self.hand_changed.emit()

    def _on_mode(self) -> None:
        """A tool of napari's was taken into the hand or put down; whichever paints needs the ground for strokes."""
        layer = self.layer.layer
        if layer is not None and str(layer.mode) in PAINTS and self._session.choice.source is not MaskSource.PAINTED:
            self._session.take_brush()
            self._after()
        self.hand_changed.emit()

    def _on_painted(self, mask: np.ndarray) -> None:
        self._slider.settle()
        self._slider.show_value(self._session.choice.threshold)
        self._session.request_mask(mask)
        self._after()

    def _on_selected(self, selection: np.ndarray | None) -> None:
        self._session.request_selection(selection)
        self._after()

    def _after(self) -> None:
        self._show_selection()
        self.show()
        self.changed.emit()

    def _show_selection(self, *, wait_for_drag: bool = False) -> None:
        """Show the selection that counts; it comes back with undo."""
        analyzed, packed = self._session.analyzed, self._session.choice.selection
        if analyzed is None:
            return
        selection = np.zeros(analyzed.levels.levels.shape, np.bool_) if packed is None else packed.unpack()
        if wait_for_drag or packed is not None or self.selection.layer is not None:
            self.selection.show(analyzed.source, selection)

    def _follow(self, *, leave: bool = False) -> None:
        """Listen to the layer that the mask is read from, and to no other."""
        choice = self._session.choice
        key = None if leave or choice.source is not MaskSource.LAYER else choice.layer_key
        layer = next((layer for layer in self._viewer.layers if key is not None and layer.unique_id == key), None)
        if layer is self._followed or is_same(layer, self._followed):
            return
        if self._followed is not None:
            for event in _drawn(self._followed):
                event.disconnect(self._on_followed_drawn)
        self._followed = layer
        if layer is not None:
            for event in _drawn(layer):
                event.connect(self._on_followed_drawn)

    def _mask_in(self, layer: Any, photo: Source) -> np.ndarray:
        place = photo.placement.point(self._viewer.dims.point)
        try:
            return mask_of_layer(layer, tuple(place))
        except InputError as error:
            raise InputError(f"“{layer.name}” has no mask where the photo lies; choose another layer.") from error

    def _on_followed_drawn(self, event: object = None) -> None:
        self._reread.throttle()

    def _read_followed(self) -> None:
        if self._followed is not None and self._followed in self._viewer.layers:
            self.take_layer(self._followed)


def _drawn(layer: Any) -> list[Any]:
    """The events of a layer whose contents may have changed; strokes on labels have one of their own."""
    strokes = [layer.events.labels_update] if hasattr(layer.events, "labels_update") else []
    return [layer.events.set_data, *strokes]


def _binding(key: int) -> object:
    from app_model.types import KeyBinding

    return KeyBinding.from_int(key)
