"""The layer of the blur mask: shows the mask that the session decides on, and tells what a person paints on it."""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from app_model.types import KeyCode, KeyMod
from qtpy.QtCore import QObject, Signal
from superqt.utils import QSignalDebouncer

from napari_m2aenet.blur_levels import BlurLevels
from napari_m2aenet.layer_data import Role, mask_layer
from napari_m2aenet.source import Source
from napari_m2aenet.widgets.layers import ResultLayers, is_same

UNDO_KEY = KeyMod.CtrlCmd | KeyCode.KeyZ
REDO_KEY = KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ
LOOK_AGAIN_MS = 500


class MaskLayer(QObject):
    """`painted(mask)` when the layer holds another mask (H, W) than was shown last: strokes, fills, scripts.

    undo, redo: what the keys do while this layer is selected. napari's own would bring strokes back that its history
    knows, into a mask that it does not know.
    """

    painted = Signal(object)
    mode_changed = Signal()

    def __init__(
        self, layers: ResultLayers, undo: Callable[[], None], redo: Callable[[], None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._layers = layers
        self._keys = {UNDO_KEY: lambda _layer: undo(), REDO_KEY: lambda _layer: redo()}
        self._watched: Any = None
        self._ours: Any = None  # the array that was put into the layer here, and may be written into
        self._shown: np.ndarray | None = None
        self._source: Source | None = None
        self._is_stroking = False
        self._look_again = QSignalDebouncer(parent=self)
        self._look_again.setTimeout(LOOK_AGAIN_MS)
        self._look_again.triggered.connect(self._on_rest)

    @property
    def layer(self) -> Any:
        """The layer that is watched, or None."""
        return self._watched

    def show(self, source: Source, mask: np.ndarray) -> None:
        """Show a mask (H, W) bool, in a new layer where there is none. A stroke that is under way is left alone."""
        layer = self._layers.find(Role.MASK, source.key)
        if is_same(layer, self._watched):
            if self._is_stroking:
                return
            # another source, even of the same layer, may lie elsewhere
            if source is self._source and _holds(layer, mask):
                self._shown = mask
                return
        self._shown, self._source = None, source
        self._layers.show(mask_layer(source, mask), source.key)
        self._watch(self._layers.find(Role.MASK, source.key))
        self._ours = self._watched.data
        self._shown = mask

    def preview(self, key: Hashable, levels: BlurLevels, threshold: float) -> bool:
        """Show the mask at a threshold while it moves; False where there is no layer, or one of another photo's size.

        The very array of the layer is overwritten, one byte a pixel: for twelve megapixels a new one takes twice as
        long to make and to take over.
        """
        layer = self._layers.find(Role.MASK, key)
        if layer is None or layer.data.size != levels.levels.size:
            return False
        self._shown = None
        if layer.data is self._ours:
            levels.mask(threshold, out=self._ours.view(np.bool_).reshape(levels.levels.shape))
            layer.refresh(thumbnail=False, extent=False, highlight=False)
        else:
            self._ours = levels.mask(threshold).view(np.uint8).reshape(layer.data.shape)
            layer.data = self._ours
        return True

    def leave(self) -> None:
        """Watch no layer any more."""
        self._watch(None)
        self._look_again.cancel()
        self._ours = self._shown = self._source = None

    def _watch(self, layer: Any) -> None:
        if layer is self._watched or is_same(layer, self._watched):
            return
        self._is_stroking = False
        if self._watched is not None:
            for event, heard in self._events(self._watched):
                event.disconnect(heard)
            for key in self._keys:
                self._watched.bind_key(key, None)
        self._watched = layer
        if layer is not None:
            for event, heard in self._events(layer):
                event.connect(heard)
            for key, do in self._keys.items():
                layer.bind_key(key, do, overwrite=True)

    def _events(self, layer: Any) -> list[tuple[Any, Callable[..., None]]]:
        events = layer.events
        return [
            (events.paint, self._on_painted),
            (events.labels_update, self._on_stroking),
            (events.set_data, self._on_refreshed),
            (events.mode, self._on_mode),
        ]

    def _on_painted(self, event: object = None) -> None:
        """A stroke has ended, or a region was filled."""
        self._is_stroking = False
        self._look_again.cancel()
        self._look()

    def _on_stroking(self, event: object = None) -> None:
        self._is_stroking = True
        self._look_again.throttle()

    def _on_refreshed(self, event: object = None) -> None:
        """The layer was drawn anew, maybe with other data: a script or napari's own undo tell nothing else."""
        if self._shown is not None:
            self._look_again.throttle()

    def _on_mode(self, event: object = None) -> None:
        self.mode_changed.emit()

    def _on_rest(self) -> None:
        self._is_stroking = False
        self._look()

    def _look(self) -> None:
        layer, shown = self._watched, self._shown
        if layer is None or shown is None or layer.data.size != shown.size:
            return
        mask = np.asarray(layer.data).reshape(shown.shape) != 0
        if not np.array_equal(mask, shown):
            self._shown = mask
            self.painted.emit(mask)


def _holds(layer: Any, mask: np.ndarray) -> bool:
    """Whether a layer shows this very mask."""
    is_same_size = isinstance(layer.data, np.ndarray) and layer.data.size == mask.size
    return is_same_size and np.array_equal(layer.data.reshape(mask.shape) != 0, mask)
