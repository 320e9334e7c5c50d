"""Tells when another part of the picture is seen."""

from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal
from superqt.utils import QSignalDebouncer

from napari_m2aenet.widgets.napari_versions import camera_of

_REST_MS = 150


class ViewFollower(QObject):
    """`changed()` once zoom and place of the view have rested for a moment."""

    changed = Signal()

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._follows = False
        self._rest = QSignalDebouncer(parent=self)
        self._rest.setTimeout(_REST_MS)
        self._rest.triggered.connect(self.changed)

    def follow(self) -> None:
        """Tell from now on."""
        if not self._follows:
            for event in self._events():
                event.connect(self._on_moved)
            self._follows = True

    def unfollow(self) -> None:
        """Leave the camera's events."""
        if self._follows:
            for event in self._events():
                event.disconnect(self._on_moved)
            self._follows = False
        self._rest.cancel()

    def look_again(self) -> None:
        """Tell soon, as if the view had moved."""
        self._rest.throttle()

    def _events(self) -> tuple[Any, ...]:
        camera = camera_of(self._viewer)
        return (camera.events.zoom, camera.events.center, self._viewer.dims.events.ndisplay)

    def _on_moved(self, event: object = None) -> None:
        self._rest.throttle()
