"""The window on a sample photo: for the demo, and for true pictures of it."""

import time
from collections.abc import Callable

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from m2aenet_core.errors import InputError
from napari_m2aenet.widgets.main import DeblurWidget

PLUGIN = "napari-m2aenet"
WINDOW_SIZE = (1280, 800)


def show_window(sample: str) -> None:
    """Open napari with a sample, start a run, and stay until the window is closed."""
    open_window(sample)[1].controls.run_button.click()
    napari.run()


def take_picture(sample: str, timeout_s: float = 300) -> np.ndarray:
    """Return the picture (H, W, 4) uint8 of the window after a run on a sample.

    Raises:
        InputError: the run failed, with its own sentence, or took longer than `timeout_s`.
    """
    viewer, widget = open_window(sample)
    try:
        fit_view(viewer)
        run_photo(widget, timeout_s)
        return picture_of(viewer)
    finally:
        viewer.close()


def open_window(sample: str | None = None) -> tuple[napari.Viewer, DeblurWidget]:
    """Return a viewer that holds a sample photo, where one is named, and the dock widget in it."""
    viewer = napari.Viewer(title="Local motion deblur", show=True)
    viewer.window.resize(*WINDOW_SIZE)
    if sample is not None:
        viewer.open_sample(PLUGIN, sample)
    widget = viewer.window.add_plugin_dock_widget(PLUGIN)[1]
    return viewer, widget


def fit_view(viewer: napari.Viewer) -> None:
    """Show all of the layers, as large as the window allows."""
    wait(lambda: False, 0.5)  # the window has to be drawn once before its size is true
    viewer.reset_view()


def run_photo(widget: DeblurWidget, timeout_s: float) -> None:
    """Press Run, and come back when the photo is restored.

    Raises:
        InputError: the run failed, with its own sentence, or took longer than `timeout_s`.
    """
    widget.controls.run_button.click()
    done = wait(lambda: not widget.session.is_busy, timeout_s)
    if widget.session.restored is None:
        reason = widget.session.status.text if done else f"the run took longer than {timeout_s:.0f} s"
        raise InputError(f"no picture of the window was taken: {reason}")


def picture_of(viewer: napari.Viewer) -> np.ndarray:
    """Return the picture (H, W, 4) uint8 of the whole window, once it has come to rest."""
    wait(lambda: False, 1)
    return np.asarray(viewer.screenshot(canvas_only=False, flash=False))


def wait(until: Callable[[], bool], seconds: float) -> bool:
    """Let the window live until something is true; False where the time was too short."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        if until():
            return True
        time.sleep(0.01)
    return False
