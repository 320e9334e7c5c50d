"""Photo and restored photo side by side in napari's grid, whose cameras move together."""

from collections.abc import Hashable
from typing import Any

import numpy as np
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_m2aenet.layer_data import Role
from napari_m2aenet.widgets.layers import ResultLayers
from napari_m2aenet.widgets.napari_versions import camera_of, grid_of


def stride_between(last: int, count: int) -> int:
    """Return napari's stride that makes two groups of `count` layers, the first ending with the layer `last`.

    A positive stride counts from the lowest layer, a negative one from the topmost. Only one of the two makes two
    groups: the one whose first group is not the smaller.
    """
    below, above = last + 1, count - last - 1
    return below if below >= above else -above


class SideBySide(QObject):
    """Turns the grid on and gives back what a person had.

    `arranged()` when the layers were shared out among the halves; `ended()` when napari's own button turned it off.
    """

    arranged = Signal()
    ended = Signal()

    def __init__(self, viewer: Viewer, results: ResultLayers, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._results = viewer, results
        self._key: Hashable = None
        self._before: dict[str, Any] | None = None
        self._visible_before: dict[Hashable, bool] = {}
        self._view_before: tuple[float, Any] | None = None

    @property
    def is_on(self) -> bool:
        """Whether both are shown side by side."""
        return self._before is not None

    @property
    def is_photo_left(self) -> bool:
        """Whether the photo is in the left half; the order of the layers decides it."""
        is_lower_left = grid_of(self._viewer).stride > 0
        layers, both = self._viewer.layers, self._both()
        is_photo_lower = bool(both) and both[0].unique_id == self._key and layers.index(both[0]) == self._lower()
        return bool(is_lower_left == is_photo_lower)

    def start(self, key: Hashable) -> None:
        """Show the photo with this key beside its restored photo."""
        self._key = key
        grid = grid_of(self._viewer)
        is_new = self._before is None
        if is_new:
            self._view_before = self._whole_view()
            self._before = {name: getattr(grid, name) for name in ("enabled", "stride", "shape", "spacing")}
            events = self._viewer.layers.events
            for event in (events.inserted, events.removed, events.reordered):
                event.connect(self._arrange)
            grid.events.enabled.connect(self._on_enabled)
        for layer in self._both():
            self._visible_before.setdefault(layer.unique_id, layer.visible)
            layer.visible = True
        self._arrange()
        if is_new and self._view_before is not None:
            self._viewer.reset_view()

    def stop(self) -> None:
        """Give grid and eyes back as they were."""
        if self._before is None:
            return
        before, self._before = self._before, None
        grid, events = grid_of(self._viewer), self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.disconnect(self._arrange)
        grid.events.enabled.disconnect(self._on_enabled)
        for name, value in before.items():
            setattr(grid, name, value)
        for layer in self._viewer.layers:
            if layer.unique_id in self._visible_before:
                layer.visible = self._visible_before[layer.unique_id]
        self._visible_before = {}
        if self._view_before is not None:
            camera = camera_of(self._viewer)
            camera.zoom, camera.center = self._view_before

    def _whole_view(self) -> tuple[float, Any] | None:
        """Zoom and centre where the whole photo is seen, which has to fit a half then; None for a closer look."""
        restored = self._results.find(Role.RESTORED, self._key)
        if restored is None or not restored.visible:
            return None
        (top, left), (bottom, right) = np.asarray(restored.corner_pixels)[:, -2:]
        height, width = restored.data.shape[restored.ndim - 2 : restored.ndim]
        camera = camera_of(self._viewer)
        is_whole = top <= 0 and left <= 0 and bottom >= height - 1 and right >= width - 1
        return (camera.zoom, camera.center) if is_whole else None

    def _both(self) -> list[Any]:
        photo = next((layer for layer in self._viewer.layers if layer.unique_id == self._key), None)
        return [layer for layer in (photo, self._results.find(Role.RESTORED, self._key)) if layer is not None]

    def _lower(self) -> int | None:
        """Where the lower one of both is among the layers: with it ends one half, so that the other is in another."""
        return min((self._viewer.layers.index(layer) for layer in self._both()), default=None)

    def _arrange(self, event: object = None) -> None:
        index = self._lower()
        if self._before is None or index is None:
            return
        grid = grid_of(self._viewer)
        grid.stride = stride_between(index, len(self._viewer.layers))
        grid.shape = (1, 2)
        grid.enabled = True
        self.arranged.emit()

    def _on_enabled(self, event: object = None) -> None:
        if self._before is not None and not grid_of(self._viewer).enabled:
            self._before["enabled"] = False
            self.stop()
            self.ended.emit()
