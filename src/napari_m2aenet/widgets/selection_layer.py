"""The selection: a layer that a person draws a rectangle or a freehand outline on, to restore inside it alone."""

from collections.abc import Callable, Hashable, Iterator
from enum import StrEnum
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.viewer import Viewer
from PIL import Image, ImageDraw
from qtpy.QtCore import QObject, QTimer, Signal
from superqt.utils import QSignalDebouncer, QSignalThrottler

from napari_m2aenet.settings import PREVIEW_MS
from napari_m2aenet.source import Source
from napari_m2aenet.widgets.layers import TAG, is_result, put_in_place
from napari_m2aenet.widgets.mask_layer import REDO_KEY, UNDO_KEY

ROLE = "selection"
COLOUR = "#ffd400"
LOOK_AGAIN_MS = 300


class SelectionTool(StrEnum):
    """How a drag selects."""

    RECTANGLE = "rectangle"
    LASSO = "lasso"


class SelectionLayer(QObject):
    """`changed(selection)` with (H, W) bool, when a person has drawn another selection.

    undo, redo: what the keys do while this layer is selected.

    It is a layer of labels rather than of shapes: napari crashes when a layer of shapes is removed, and a person can
    remove any layer. So napari's own brush, fill and polygon work on it too.
    """

    changed = Signal(object)

    def __init__(self, viewer: Viewer, undo: Callable[[], None], redo: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._keys = {UNDO_KEY: lambda _layer: undo(), REDO_KEY: lambda _layer: redo()}
        self._layer: Any = None
        self._shape = (0, 0)
        self._shown: np.ndarray | None = None
        self._source: Source | None = None
        self._tool: SelectionTool | None = None
        self._drawing: np.ndarray | None = None
        self._is_dragging = False
        self._redraw = QSignalThrottler(parent=self)
        self._redraw.setTimeout(PREVIEW_MS)
        self._redraw.triggered.connect(self._draw)
        self._look_again = QSignalDebouncer(parent=self)
        self._look_again.setTimeout(LOOK_AGAIN_MS)
        self._look_again.triggered.connect(self._look)

    @property
    def layer(self) -> Any:
        """The layer, or None where there is none in the viewer."""
        return self._layer if self._layer is not None and self._layer in self._viewer.layers else None

    @property
    def source(self) -> Source | None:
        """The photo that it is drawn on, or None."""
        return self._source

    @property
    def tool(self) -> SelectionTool | None:
        """What the next drag on the layer draws."""
        return self._tool

    def show(self, source: Source, selection: np.ndarray) -> None:
        """Show a selection (H, W) bool on a photo; without a pixel it waits for a drag."""
        self._shape = (selection.shape[0], selection.shape[1])
        data = selection.astype(np.uint8).reshape((1,) * len(source.placement.frame) + self._shape)
        layer, shown = self.layer, self._shown
        if layer is not None and source is self._source and shown is not None and np.array_equal(shown, selection):
            return
        self._shown, self._source = None, source
        if layer is None or layer.metadata[TAG]["source"] != str(source.key) or layer.data.shape != data.shape:
            self.remove()
            self._source = source
            layer = self._layer = self._add(source, data)
        else:
            layer.data = data
            put_in_place(layer, source.placement.keywords())
            layer.visible = True
        self._shown = selection

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        self._remove()

    def _remove(self, *, is_later: bool = False) -> None:
        layer, self._layer, self._shown, self._source = self._layer, None, None, None
        self.use(None)
        self._look_again.cancel()
        if layer is None:
            return
        for event in (layer.events.paint, layer.events.set_data):
            event.disconnect(self._on_changed)
        if is_later:
            # napari fails where one of the layers that a person removes together is gone already
            QTimer.singleShot(0, lambda: self._take_out(layer))
        else:
            self._take_out(layer)

    def _take_out(self, layer: Any) -> None:
        if layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def forget(self, key: Hashable) -> Source | None:
        """The layer with this key was removed: the photo, or this one. Return the photo that a person took it from."""
        layer, source = self._layer, self._source
        if layer is None or (layer.unique_id != key and layer.metadata[TAG]["source"] != str(key)):
            return None
        self._remove(is_later=True)
        return source if layer.unique_id == key else None

    def use(self, tool: SelectionTool | None) -> None:
        """Let a drag on the picture draw a rectangle or a freehand outline; None gives the mouse back."""
        self._tool = tool
        layer = self.layer
        if layer is None:
            return
        if tool is not None:
            self._viewer.layers.selection.active = layer
            layer.visible = True
            layer.mode = "pan_zoom"
        layer.mouse_pan = tool is None

    def _add(self, source: Source, data: np.ndarray) -> Any:
        layer = Labels(
            data,
            name=f"{ROLE}: {source.name}",
            opacity=0.15,
            colormap={0: "transparent", None: COLOUR},
            **source.placement.keywords(),
        )
        layer.metadata[TAG] = {"role": ROLE, "source": str(source.key), "layer": str(layer.unique_id)}
        layer.mouse_drag_callbacks.append(self._on_drag)
        for event in (layer.events.paint, layer.events.set_data):
            event.connect(self._on_changed)
        for key, do in self._keys.items():
            # napari's own undo knows strokes alone, and the tool leaves this layer selected
            layer.bind_key(key, do, overwrite=True)
        chosen = self._viewer.layers.selection.active
        self._viewer.layers.append(layer)
        if chosen is not None:
            self._viewer.layers.selection.active = chosen
        return layer

    # -- drawing --------------------------------------------------------------------------------------------------

    def _on_drag(self, layer: Any, event: Any) -> Iterator[None]:
        if self._tool is None or event.button != 1 or str(layer.mode) != "pan_zoom" or len(event.dims_displayed) != 2:
            return
        tool, points = self._tool, [self._pixel(layer, event)]
        self._is_dragging = True
        try:
            yield
            while event.type == "mouse_move":
                points.append(self._pixel(layer, event))
                self._drawing = outlined(points, self._shape, tool)
                self._redraw.throttle()
                event.handled = True
                yield
        finally:
            self._is_dragging = False
        if len(points) > 1:
            self._redraw.cancel()
            self._draw()
            self._look()

    def _pixel(self, layer: Any, event: Any) -> tuple[float, float]:
        y, x = layer.world_to_data(event.position)[-2:]
        return float(y), float(x)

    def _draw(self) -> None:
        """Show what the drag has outlined so far; what was selected before is replaced."""
        layer = self.layer
        if layer is not None and self._drawing is not None:
            layer.data[...] = self._drawing
            layer.refresh(thumbnail=False, extent=False, highlight=False)

    def _on_changed(self, event: object = None) -> None:
        if self._shown is not None:
            self._look_again.throttle()

    def _look(self) -> None:
        layer, shown = self.layer, self._shown
        if self._is_dragging or layer is None or shown is None or layer.data.size != shown.size:
            return
        selection = np.asarray(layer.data).reshape(shown.shape) != 0
        if not np.array_equal(selection, shown):
            self._shown = selection
            self.changed.emit(selection)


def outlined(points: list[tuple[float, float]], shape: tuple[int, int], tool: SelectionTool) -> np.ndarray:
    """Return 1 for the pixels (H, W) that a drag over these points (y, x) has outlined, uint8."""
    picture = Image.new("L", (shape[1], shape[0]))
    corners = [(round(x), round(y)) for y, x in points]
    draw = ImageDraw.Draw(picture)
    if tool is SelectionTool.RECTANGLE:
        (x0, y0), (x1, y1) = corners[0], corners[-1]
        draw.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=1)
    else:
        draw.polygon(corners, fill=1, outline=1)
    return np.array(picture)


def is_selection(layer: Any) -> bool:
    """Say whether a layer is a selection."""
    return is_result(layer) and layer.metadata[TAG]["role"] == ROLE
