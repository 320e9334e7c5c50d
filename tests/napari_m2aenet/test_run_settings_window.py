"""Working scale and number of copies in the window: chosen, run again with, shown, recorded and repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_m2aenet.layer_data import trajectory_curves
from napari_m2aenet.models import OpenDeblurrer
from napari_m2aenet.repeating import REPEAT_KEY, Repeat

pytestmark = pytest.mark.window

RUN_MS = 100_000  # a busy machine is slow, not wrong


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], qtbot: Any) -> Iterator[Any]:
    from napari.qt.threading import FunctionWorker

    yield make_napari_viewer(show=True)
    qtbot.waitUntil(lambda: not FunctionWorker._worker_set, timeout=RUN_MS)


@pytest.fixture
def dock(viewer: Any, open_tiny: OpenDeblurrer) -> Any:
    from napari_m2aenet.widgets.main import DeblurWidget

    widget = DeblurWidget(viewer, open_tiny)
    viewer.window.add_dock_widget(widget, name="Local motion deblur")
    return widget


def choose(dock: Any, words: str, qtbot: Any, which: str = "scale") -> None:
    """Take a choice from a list, by default that of the scales, as a person does, and wait for what it starts."""
    choices = getattr(dock, which)
    index = choices.findText(words)
    assert index >= 0
    choices.setCurrentIndex(index)
    choices.activated.emit(index)
    wait_until_done(dock, qtbot)


def wait_until_done(dock: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dock.session.is_busy and dock.session.job is None, timeout=RUN_MS)


def record_of(dock: Any) -> dict[str, Any]:
    """The record as the tab shows it."""
    from napari_m2aenet.widgets.record_panel import RecordPanel

    panel = next(each for each in dock.panels if isinstance(each, RecordPanel))
    return dict(json.loads(panel.text.toPlainText()))


def test_another_scale_runs_the_photo_again(dock: Any, viewer: Any, photo: np.ndarray, qtbot: Any) -> None:
    viewer.add_image(photo, rgb=True, name="street")
    assert [dock.scale.itemText(index) for index in range(4)] == ["auto", "1", "1/2", "1/4"]
    assert dock.scale.currentText() == "1"
    choose(dock, "1/2", qtbot)
    assert dock.session.analyses_done == 0  # nothing was run yet
    choose(dock, "1", qtbot)
    dock.controls.run_button.click()
    wait_until_done(dock, qtbot)
    full = viewer.layers["restored: street"].data.copy()
    assert record_of(dock)["settings"]["scale"] == 1

    choose(dock, "1/2", qtbot)
    assert dock.session.analyses_done == 2
    analysis = dock.session.analyzed.analysis
    assert analysis.scale == 0.5
    assert "Working scale 0.5." in dock.status_line.text()
    assert record_of(dock)["settings"]["scale"] == 0.5
    restored = viewer.layers["restored: street"]
    assert (restored.data != full).any()
    assert np.array_equal(restored.data, dock.session.restored.result.restored)
    assert viewer.layers["blur probability: street"].data.shape == photo.shape[:2]
    # what is drawn are the curves of this analysis, in the photo's pixels
    curves = trajectory_curves(analysis, dock.session.restored.result.mask)
    np.testing.assert_allclose(viewer.layers["trajectories: street"].data, curves.segments)
    assert np.abs(analysis.end_displacement).max() > 0

    choose(dock, "auto", qtbot)  # a photo of 96 pixels is too small to be looked at in a smaller copy
    assert dock.session.analyzed.analysis.scale == 1
    assert np.array_equal(viewer.layers["restored: street"].data, full)


def test_a_mask_is_painted_at_full_size(dock: Any, viewer: Any, photo: np.ndarray, qtbot: Any) -> None:
    viewer.add_image(photo, rgb=True, name="street")
    choose(dock, "1/2", qtbot)
    dock.run()
    wait_until_done(dock, qtbot)
    mask = np.zeros(photo.shape[:2], bool)
    mask[11:30, 41:70] = True
    dock.session.request_mask(mask)
    dock._go_on()
    wait_until_done(dock, qtbot)
    result = dock.session.restored.result
    assert np.array_equal(result.mask, mask)
    assert result.threshold is None
    assert (viewer.layers["restored: street"].data != photo).any()


def test_a_record_brings_its_scale(dock: Any, viewer: Any, photo: np.ndarray, qtbot: Any, tmp_path: Path) -> None:
    viewer.add_image(photo, rgb=True, name="street")
    choose(dock, "1/4", qtbot)
    dock.run()
    wait_until_done(dock, qtbot)
    # the tiny network is in no file; its model is left as it is
    record = {**dock.session.restored.record, "model": {"name": "default", "weights_sha256": None}}
    choose(dock, "1", qtbot)
    assert dock.session.analyzed.analysis.scale == 1
    viewer.add_image(photo, rgb=True, name="again", metadata={REPEAT_KEY: Repeat(record)})
    qtbot.waitUntil(lambda: dock.session.analyses_done == 3, timeout=RUN_MS)
    wait_until_done(dock, qtbot)
    assert dock.scale.currentText() == "1/4"
    assert dock.session.analyzed.analysis.scale == 0.25
    assert "The same pixels came out as in the record." in dock.status_line.text()


def test_another_number_of_copies_runs_the_photo_again_and_is_repeated(
    dock: Any, viewer: Any, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True, name="street")
    assert [dock.ensemble.itemText(index) for index in range(5)] == ["auto", "1", "2", "4", "8"]
    assert dock.ensemble.currentText() == "auto"
    choose(dock, "2", qtbot, "ensemble")
    assert dock.session.analyses_done == 0  # nothing was run yet
    choose(dock, "auto", qtbot, "ensemble")
    dock.controls.run_button.click()
    wait_until_done(dock, qtbot)
    alone = viewer.layers["restored: street"].data.copy()
    assert record_of(dock)["settings"]["ensemble"] == 1  # what the tiny network says

    choose(dock, "4", qtbot, "ensemble")
    assert dock.session.analyses_done == 2
    assert "The mean of 4 turned copies." in dock.status_line.text()
    assert (viewer.layers["restored: street"].data != alone).any()
    record = {**dock.session.restored.record, "model": {"name": "default", "weights_sha256": None}}
    assert record["settings"]["ensemble"] == 4

    choose(dock, "1", qtbot, "ensemble")
    assert np.array_equal(viewer.layers["restored: street"].data, alone)
    viewer.add_image(photo, rgb=True, name="again", metadata={REPEAT_KEY: Repeat(record)})
    qtbot.waitUntil(lambda: dock.session.analyses_done == 4, timeout=RUN_MS)
    wait_until_done(dock, qtbot)
    assert dock.ensemble.currentText() == "4"
    assert "The same pixels came out as in the record." in dock.status_line.text()


def test_another_number_of_copies_leaves_a_frame_alone_that_was_not_run(
    dock: Any, viewer: Any, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(np.stack([photo[..., 0]] * 5), name="stack")
    viewer.dims.set_current_step(0, 0)
    dock.controls.run_button.click()
    wait_until_done(dock, qtbot)
    viewer.dims.set_current_step(0, 4)
    choose(dock, "2", qtbot, "ensemble")
    assert dock.session.analyses_done == 1
    viewer.dims.set_current_step(0, 0)
    choose(dock, "4", qtbot, "ensemble")
    assert dock.session.analyses_done == 2
    assert dock.session.analyzed.source.placement.frame == (0,)


def test_the_list_leaves_the_dock_narrow(dock: Any, viewer: Any, qtbot: Any) -> None:
    viewer.window._qt_window.resize(1280, 800)
    qtbot.wait(100)
    for widget in (dock.scale, dock.device, dock.ensemble, dock.model):
        assert widget.mapTo(dock, widget.rect().bottomRight()).x() <= dock.width()
    assert dock.minimumSizeHint().width() <= 420


def test_the_preferences_say_what_it_starts_with(viewer: Any, open_tiny: OpenDeblurrer) -> None:
    from napari import settings

    from napari_m2aenet.widgets.main import DeblurWidget

    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("napari has a preferences page for plugins since 0.9")
    start = settings.get_plugin_settings("napari-m2aenet").start
    assert (start.scale, start.ensemble) == ("1", "auto")
    try:
        start.scale, start.ensemble = "0.5", "4"
        widget = DeblurWidget(viewer, open_tiny)
        viewer.window.add_dock_widget(widget, name="Local motion deblur")
    finally:
        start.scale, start.ensemble = "1", "auto"
    assert widget.ensemble.currentText() == "4"
    assert widget.session.settings.ensemble == 4
    assert widget.scale.currentText() == "1/2"
    assert widget.session.settings.scale == 0.5
