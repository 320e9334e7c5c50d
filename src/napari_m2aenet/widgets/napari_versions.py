"""Where napari 0.7 to 0.9 differ, in one place."""

from typing import Any

from napari.viewer import Viewer


def grid_of(viewer: Viewer) -> Any:
    """Return the model of the grid: of the canvas since napari 0.9, of the viewer before."""
    canvas = getattr(viewer, "canvas", None)
    return canvas.grid if canvas is not None else viewer.grid


def camera_of(viewer: Viewer) -> Any:
    """Return the camera: of the scene since napari 0.9, of the viewer before."""
    scene = getattr(viewer, "scene", None)
    return scene.camera if scene is not None else viewer.camera
