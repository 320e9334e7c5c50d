"""The pointer over the viewer: where it is, and where it was clicked with Shift."""

from collections.abc import Iterator, Sequence
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal
from superqt.utils import QSignalThrottler

from napari_m2aenet.settings import PREVIEW_MS


class Pointer(QObject):
    """`moved(position)`, at most every PREVIEW_MS, and `clicked(position)` with Shift, in the viewer's world."""

    moved = Signal(object)
    clicked = Signal(object)

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._position: Sequence[float] = ()
        self._follows = False
        # one object each: a bound method is another object every time it is asked for
        self._on_move, self._on_drag = self._note, self._watch_click
        self._throttler = QSignalThrottler(parent=self)
        self._throttler.setTimeout(PREVIEW_MS)
        self._throttler.triggered.connect(lambda: self.moved.emit(self._position))

    def follow(self) -> None:
        """Tell where the pointer is from now on."""
        if not self._follows:
            self._viewer.mouse_move_callbacks.append(self._on_move)
            self._viewer.mouse_drag_callbacks.append(self._on_drag)
            self._follows = True

    def unfollow(self) -> None:
        """Leave the viewer's pointer."""
        if self._follows:
            self._viewer.mouse_move_callbacks.remove(self._on_move)
            self._viewer.mouse_drag_callbacks.remove(self._on_drag)
            self._follows = False
        self._throttler.cancel()

    def _note(self, _viewer: Viewer, event: Any) -> None:
        if self._viewer.dims.ndisplay == 2:  # in 3D the pointer is over a line of places
            self._position = tuple(event.position)
            self._throttler.throttle()

    def _watch_click(self, _viewer: Viewer, event: Any) -> Iterator[None]:
        """A press and release without a drag between, with Shift alone."""
        names = {getattr(modifier, "name", modifier) for modifier in event.modifiers}
        position = tuple(event.position)
        yield
        if event.type == "mouse_release" and names == {"Shift"} and self._viewer.dims.ndisplay == 2:
            self.clicked.emit(position)
