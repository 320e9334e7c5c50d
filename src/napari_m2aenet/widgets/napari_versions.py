"""Where napari 0.7 to 0.9 differ, in one place."""

from typing import Any

from napari.viewer import Viewer

from napari_m2aenet.settings import Settings, read_ensemble, read_scale


def grid_of(viewer: Viewer) -> Any:
    """Return the model of the grid: of the canvas since napari 0.9, of the viewer before."""
    canvas = getattr(viewer, "canvas", None)
    return canvas.grid if canvas is not None else viewer.grid


def camera_of(viewer: Viewer) -> Any:
    """Return the camera: of the scene since napari 0.9, of the viewer before."""
    scene = getattr(viewer, "scene", None)
    return scene.camera if scene is not None else viewer.camera


def preferred_settings() -> Settings:
    """Return what a person set on napari's preferences page of this plugin; our defaults before napari 0.9."""
    import napari.settings

    get_plugin_settings = getattr(napari.settings, "get_plugin_settings", None)
    if get_plugin_settings is None:
        return Settings()
    try:
        start = get_plugin_settings("napari-m2aenet").start
    except KeyError:  # the plugin is switched off, and its widget made by hand
        return Settings()
    return Settings(
        threshold=float(start.threshold),
        model=str(start.model),
        device=str(start.device),
        scale=read_scale(str(start.scale)),
        ensemble=read_ensemble(str(start.ensemble)),
    )
