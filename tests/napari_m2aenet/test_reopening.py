"""The dock may be opened and closed again and again."""

import gc
from typing import Any

import numpy as np
import pytest

from napari_m2aenet.widgets.napari_versions import camera_of

pytestmark = pytest.mark.window


def test_opening_and_closing_twenty_times_leaves_nothing_behind(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer(show=True)

    def callbacks() -> list[int]:
        # napari lets go of what is gone when it next tells of something
        gc.collect()
        viewer.layers.remove(viewer.add_image(np.zeros((4, 4))))
        layers, camera = viewer.layers, camera_of(viewer)
        return [
            len(each.callbacks)
            for each in (layers.events.removed, layers.events.inserted, layers.events.reordered, camera.events.zoom)
        ] + [len(viewer.mouse_drag_callbacks), len(viewer.mouse_move_callbacks), len(viewer.keymap)]

    def open_and_close() -> None:
        _, widget = viewer.window.add_plugin_dock_widget("napari-m2aenet", "Local motion deblur")
        qtbot.wait(20)
        viewer.window.remove_dock_widget(widget)
        qtbot.wait(20)

    open_and_close()
    before = callbacks()
    for _ in range(20):
        open_and_close()
    assert [after <= held for after, held in zip(callbacks(), before, strict=True)] == [True] * len(before)
    assert len(viewer.layers) == 0
