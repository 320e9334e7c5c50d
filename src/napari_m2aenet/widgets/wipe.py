"""The wipe: a line over the photo with the photo on one side and the restored photo on the other."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal
from superqt.utils import QSignalDebouncer

from napari_m2aenet.comparing import Box, Line, line_segments, photo_side
from napari_m2aenet.jobs import Restored
from napari_m2aenet.layer_data import Role
from napari_m2aenet.settings import REST_MS
from napari_m2aenet.widgets.compare_layers import CompareLayers, CompareRole
from napari_m2aenet.widgets.layers import ResultLayers
from napari_m2aenet.widgets.napari_versions import camera_of

GRAB_PX = 8
"""The line is taken with the mouse within this distance, in pixels of the screen."""

LINE_PX, HANDLE_PX = 2.0, 7.0


class Wipe(QObject):
    """Moves the line, by the mouse too. `moved(cut)` when the mouse has moved it to that pixel of the photo."""

    moved = Signal(int)

    def __init__(self, viewer: Viewer, results: ResultLayers, layers: CompareLayers, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._results, self._layers = viewer, results, layers
        self._shown: Restored | None = None
        self._cut = 0
        self._line = Line.UPRIGHT
        self._points_at_line = False
        self._rest = QSignalDebouncer(parent=self)
        self._rest.setTimeout(REST_MS)
        self._rest.triggered.connect(self._settle)

    @property
    def is_on(self) -> bool:
        """Whether the line is shown."""
        return self._shown is not None

    def start(self, shown: Restored, line: Line, cut: int) -> None:
        """Show the line over a photo, or over another one than before."""
        is_new = self._shown is None
        if is_new:
            self._viewer.mouse_drag_callbacks.append(self._on_drag)
            self._viewer.mouse_move_callbacks.append(self._on_hover)
            camera_of(self._viewer).events.zoom.connect(self._draw_line)
        self._shown, self._line, self._cut = shown, line, cut
        for layer in (self._photo, self._restored) if is_new else ():
            if layer is not None:
                layer.visible = True
        self._draw(is_moving=False)
        self._draw_line()

    def stop(self) -> None:
        """Take the line away, with its half of the photo."""
        if self._shown is None:
            return
        self._shown = None
        self._rest.cancel()
        self._viewer.mouse_drag_callbacks.remove(self._on_drag)
        self._viewer.mouse_move_callbacks.remove(self._on_hover)
        camera_of(self._viewer).events.zoom.disconnect(self._draw_line)
        self._point_at_line(False)
        self._layers.remove(CompareRole.LINE, CompareRole.PHOTO_SIDE)

    def move(self, cut: int) -> None:
        """Put the line behind so many pixels; all pixels are drawn once it rests."""
        if self._shown is None or cut == self._cut:
            return
        self._cut = cut
        self._draw(is_moving=True)
        self._draw_line()
        self._rest.throttle()

    # -- drawing --------------------------------------------------------------------------------------------------

    @property
    def _photo(self) -> Any:
        key = None if self._shown is None else self._shown.analyzed.source.key
        return next((layer for layer in self._viewer.layers if layer.unique_id == key), None)

    @property
    def _restored(self) -> Any:
        return None if self._shown is None else self._results.find(Role.RESTORED, self._shown.analyzed.source.key)

    def _settle(self) -> None:
        self._draw(is_moving=False)

    def _draw(self, *, is_moving: bool) -> None:
        if self._shown is None:
            return
        photo = self._shown.analyzed.analysis.image
        piece = photo_side(photo, self._line, self._cut, self._seen() if is_moving else None)
        self._layers.show_piece(self._shown.analyzed.source, piece, self._photo)

    def _draw_line(self, event: object = None) -> None:
        if self._shown is None:
            return
        one = self._pixel_on_screen()
        segments = line_segments(self._shown.result.mask.shape, self._line, self._cut, HANDLE_PX / one)
        self._layers.show_line(self._shown.analyzed.source, segments, LINE_PX / one)

    def _seen(self) -> Box | None:
        """The box of the photo that the canvas shows."""
        layer = self._restored
        if layer is None:
            return None
        (top, left), (bottom, right) = np.asarray(layer.corner_pixels)[:, -2:]
        return Box(int(top), int(left), int(bottom) + 1, int(right) + 1)

    def _pixel_on_screen(self) -> float:
        """How many pixels of the screen a pixel of the photo takes, across the line."""
        layer = self._photo or self._restored
        if layer is None:
            return 1.0
        origin, there = np.zeros(layer.ndim), np.zeros(layer.ndim)
        there[-2 + self._line.axis] = 1
        length = np.linalg.norm(np.subtract(layer.data_to_world(there), layer.data_to_world(origin)))
        return max(float(length) * float(camera_of(self._viewer).zoom), 1e-6)

    # -- the mouse ------------------------------------------------------------------------------------------------

    def _is_near(self, event: Any) -> bool:
        active = self._viewer.layers.selection.active
        if self._viewer.dims.ndisplay != 2 or (active is not None and str(active.mode) != "pan_zoom"):
            return False  # a brush in the hand paints
        point = self._point(event)
        shape = (0, 0) if self._shown is None else self._shown.result.mask.shape
        along = 1 - self._line.axis
        if point is None or not -0.5 <= point[along] <= shape[along] - 0.5:
            return False
        return abs(point[self._line.axis] - (self._cut - 0.5)) * self._pixel_on_screen() <= GRAB_PX

    def _point(self, event: Any) -> np.ndarray | None:
        """The pixel of the photo, (y, x), that the mouse is at; None where another frame is seen than the line's."""
        layer = self._photo
        if layer is None or self._shown is None:
            return None
        *frame, y, x = layer.world_to_data(event.position)
        is_there = np.array_equal(np.floor(np.add(frame, 0.5)), self._shown.analyzed.source.placement.frame)
        return np.array([y, x]) if is_there else None

    def _on_drag(self, viewer: Viewer, event: Any) -> Iterator[None]:
        if event.button != 1 or not self._is_near(event):
            return
        camera = camera_of(viewer)
        could_pan, camera.mouse_pan = camera.mouse_pan, False
        try:
            event.handled = True
            yield
            while event.type == "mouse_move":
                self._follow_mouse(event)
                event.handled = True
                yield
        finally:
            camera.mouse_pan = could_pan

    def _follow_mouse(self, event: Any) -> None:
        point = self._point(event)
        if point is None or self._shown is None:
            return
        size = self._shown.result.mask.shape[self._line.axis]
        cut = int(np.clip(round(float(point[self._line.axis]) + 0.5), 0, size))
        self.move(cut)
        self.moved.emit(cut)

    def _on_hover(self, viewer: Viewer, event: Any) -> None:
        self._point_at_line(self._is_near(event))

    def _point_at_line(self, points: bool) -> None:
        if points != self._points_at_line:
            self._points_at_line = points
            self._viewer.cursor.style = "pointing" if points else "standard"
