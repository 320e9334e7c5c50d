"""The window as a person uses it: the real manifest, real clicks, real layers."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from m2aenet_core import M2AENet, save_model
from m2aenet_core.image_io import write_image
from napari_m2aenet.jobs import Analyzed, Restored
from napari_m2aenet.layer_data import Role
from napari_m2aenet.models import OpenDeblurrer
from napari_m2aenet.source import source_of_layer
from napari_m2aenet.widgets.selection_layer import SelectionTool

pytestmark = pytest.mark.window

ROLES = tuple(Role)
LEFT = Qt.MouseButton.LeftButton
RUN_MS = 100_000  # a busy machine is slow, not wrong


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], workers_ended: None) -> Any:
    return make_napari_viewer()


def dock(viewer: Any, opener: OpenDeblurrer) -> Any:
    from napari_m2aenet.widgets.main import DeblurWidget

    widget = DeblurWidget(viewer, opener)
    viewer.window.add_dock_widget(widget, name="Local motion deblur")
    return widget


def click_run(widget: Any, qtbot: Any) -> None:
    qtbot.mouseClick(widget.controls.run_button, LEFT)


def wait_until_done(widget: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not widget.session.is_busy and widget.session.job is None, timeout=RUN_MS)


def run(widget: Any, qtbot: Any) -> None:
    click_run(widget, qtbot)
    wait_until_done(widget, qtbot)
    assert widget.session.status.error is None, widget.session.status.text


def results(widget: Any, layer: Any) -> dict[Role, Any]:
    return {role: widget.layers.find(role, layer.unique_id) for role in ROLES}


def middle_threshold(widget: Any) -> float:
    return float(np.median(widget.session.analyzed.analysis.blur_probability))


# -- through the manifest -------------------------------------------------------------------------------------------


def test_the_plugin_menu_opens_the_widget_without_torch_work(viewer: Any) -> None:
    dock_widget, widget = viewer.window.add_plugin_dock_widget("napari-m2aenet", "Local motion deblur")
    assert dock_widget.windowTitle() == "Local motion deblur (napari-m2aenet)"
    assert type(widget).__name__ == "DeblurWidget"
    assert widget.status_line.text() == "Choose a photo and press Run."


def test_the_command_is_in_the_layers_menu_the_plugins_menu_and_the_palette(viewer: Any) -> None:
    from napari._app_model import get_app_model
    from napari._app_model.constants import MenuId

    app = get_app_model()
    for menu in (MenuId.LAYERS_FILTER, MenuId.MENUBAR_PLUGINS, app.menus.COMMAND_PALETTE_ID):
        ids = [getattr(getattr(item, "command", None), "id", None) for item in app.menus.get_menu(menu)]
        assert "napari-m2aenet.deblur" in ids
    assert app.commands["napari-m2aenet.deblur"].title == "Local motion deblur (M2AENet)"


def test_the_menu_command_opens_the_widget(viewer: Any) -> None:
    from napari._app_model import get_app_model

    get_app_model().commands.execute_command("napari-m2aenet.deblur").result()
    assert any("Local motion deblur" in name for name in viewer.window.dock_widgets)


def test_a_sample_opens_from_the_menu_and_can_be_run(viewer: Any, open_tiny: OpenDeblurrer, qtbot: Any) -> None:
    viewer.open_sample("napari-m2aenet", "cat")
    assert [layer.visible for layer in viewer.layers] == [True, False, False]
    widget = dock(viewer, open_tiny)
    assert widget.photo.layer is viewer.layers["cat"]
    run(widget, qtbot)
    assert all(results(widget, viewer.layers["cat"]).values())


# -- a run ----------------------------------------------------------------------------------------------------------


def test_run_adds_four_layers_that_lie_where_the_input_lies(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(
        photo,
        rgb=True,
        name="street",
        scale=(0.5, 0.25),
        translate=(30, -4),
        rotate=20,
        shear=[0.2],
        affine=[[1, 0.1, 3], [0, 2, 5], [0, 0, 1]],
        units=("um", "um"),
        axis_labels=("height", "width"),
    )
    widget = dock(viewer, open_tiny)
    run(widget, qtbot)
    made = results(widget, layer)
    assert [type(made[role]).__name__ for role in ROLES] == ["Image", "Image", "Labels", "Vectors"]
    assert [x.name for x in viewer.layers] == ["street", *(f"{role}: street" for role in ROLES)]
    for result in made.values():
        assert result.units == layer.units
        assert result.axis_labels == layer.axis_labels
        for point in [(0, 0), (10, 0), (0, 10)]:
            np.testing.assert_allclose(result.data_to_world(point), layer.data_to_world(point))
    assert made[Role.RESTORED].rgb
    assert made[Role.RESTORED].data.dtype == photo.dtype
    assert made[Role.RESTORED].metadata["m2aenet"]["layer"]["name"] == "street"
    assert viewer.layers.selection.active is layer


def test_the_layers_hold_what_the_session_found(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_tiny)
    run(widget, qtbot)
    made, restored = results(widget, layer), widget.session.restored
    np.testing.assert_array_equal(made[Role.RESTORED].data, restored.result.restored)
    np.testing.assert_array_equal(made[Role.MASK].data.astype(bool), restored.result.mask)
    np.testing.assert_array_equal(made[Role.PROBABILITY].data, restored.analyzed.analysis.blur_probability)
    assert widget.status_line.text() == widget.session.status.text
    assert "to restore on cpu" in widget.status_line.text()


def test_running_again_replaces_the_layers_and_keeps_how_a_person_sees_them(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_tiny)
    run(widget, qtbot)
    first = results(widget, layer)
    first[Role.MASK].opacity = 0.9
    first[Role.RESTORED].visible = False
    viewer.layers.remove(first[Role.TRAJECTORIES])
    layer.data = photo[::-1].copy()
    run(widget, qtbot)
    second = results(widget, layer)
    assert len(viewer.layers) == 5
    assert all(second[role] is first[role] for role in (Role.RESTORED, Role.PROBABILITY, Role.MASK))
    assert (second[Role.MASK].opacity, second[Role.RESTORED].visible) == (0.9, False)
    assert second[Role.TRAJECTORIES] in viewer.layers
    np.testing.assert_array_equal(second[Role.RESTORED].data, widget.session.restored.result.restored)


@pytest.mark.parametrize("moved", ["photo", "all"])
def test_a_photo_that_is_moved_takes_its_results_along_with_the_next_threshold(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any, moved: str
) -> None:
    layer = viewer.add_image(np.stack([photo] * 2), rgb=True, scale=(3, 1, 1), name="film")
    widget = dock(viewer, open_tiny)
    run(widget, qtbot)
    widget.mask.select(SelectionTool.RECTANGLE)
    source = widget.session.analyzed.source
    (frame,) = source.placement.frame
    for other in list(viewer.layers) if moved == "all" else [layer]:
        other.scale = (3, 0.5, 0.25)
    layer.translate = (0, 4, 5)
    widget.threshold.number.setValue(0.4)
    qtbot.waitUntil(lambda: widget.session.restorations_done == 2, timeout=RUN_MS)
    wait_until_done(widget, qtbot)
    widget.mask.selection.show(source, np.ones(photo.shape[:2], bool))
    made = {**results(widget, layer), "selection": viewer.layers["selection: film"]}
    for role, other in made.items():
        place = other.data_to_world((0, 50, 60))
        np.testing.assert_allclose(place, layer.data_to_world((frame, 50, 60)), err_msg=role)


def test_results_are_no_input_but_a_duplicate_of_one_is(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(photo, rgb=True, name="street")
    widget = dock(viewer, open_tiny)
    run(widget, qtbot)
    listed = [widget.photo.list.itemText(i) for i in range(widget.photo.list.count())]
    assert listed == ["street"]
    viewer.layers.selection.active = results(widget, layer)[Role.RESTORED]
    from napari.layers import Layer

    viewer.add_layer(Layer.create(*results(widget, layer)[Role.RESTORED].as_layer_data_tuple()))
    assert widget.photo.list.count() == 2
    run(widget, qtbot)
    assert results(widget, layer)[Role.RESTORED] is viewer.layers["restored: street"]


@pytest.mark.parametrize("kind", ["grey", "grey16", "float", "rgba", "dask"])
def test_other_kinds_of_layers(viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any, kind: str) -> None:
    grey = photo[..., 0]
    rgba = np.dstack([photo, np.full(grey.shape, 200, np.uint8)])
    data = {
        "grey": grey,
        "grey16": grey.astype(np.uint16) * 9 + 100,
        "float": (photo / 200).astype(np.float32),  # beyond 1: brighter than the screen
        "rgba": rgba,
        "dask": da.from_array(grey, chunks=(32, 32)),
    }[kind]
    layer = viewer.add_image(data, rgb=data.ndim == 3)
    widget = dock(viewer, open_tiny)
    run(widget, qtbot)
    restored = results(widget, layer)[Role.RESTORED]
    assert (restored.data.shape, restored.data.dtype, restored.rgb) == (data.shape, data.dtype, layer.rgb)
    if not layer.rgb and data.dtype != np.uint8:
        assert restored.contrast_limits == layer.contrast_limits
    if kind == "rgba":
        np.testing.assert_array_equal(restored.data[..., 3], 200)


def test_a_stack_that_is_seen_from_another_side_shows_no_frame_to_restore(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(np.repeat(photo[None, :, :, 0], 5, axis=0), name="stack")
    widget = dock(viewer, open_tiny)
    viewer.dims.order = (1, 0, 2)
    click_run(widget, qtbot)
    assert not widget.session.is_busy
    assert widget.status_line.text() == (
        "⚠ “stack” is seen from another side, so no frame of it is shown; change the order of the visible axes "
        "(Ctrl+E over the picture) until you see its frames."
    )
    viewer.dims.order = (0, 2, 1)  # turned, and still a frame
    run(widget, qtbot)
    assert widget.session.analyzed.source.is_same_picture(source_of_layer(layer, viewer.dims.point))


def test_of_a_stack_the_shown_frame_is_restored_where_it_stands(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    stack = np.stack([photo[..., 0], photo[::-1, :, 1], photo[:, ::-1, 2]])
    layer = viewer.add_image(stack, scale=(3, 0.5, 0.5), translate=(7, 0, 0), units=("s", "um", "um"))
    widget = dock(viewer, open_tiny)
    viewer.dims.current_step = (1, 0, 0)
    run(widget, qtbot)
    assert viewer.dims.current_step[0] == 1
    made = results(widget, layer)
    np.testing.assert_array_equal(widget.session.analyzed.analysis.image, stack[1])
    for result in made.values():
        np.testing.assert_allclose(result.data_to_world((0, 2, 3)), layer.data_to_world((1, 2, 3)))
        assert result.units == layer.units
    viewer.dims.current_step = (2, 0, 0)
    run(widget, qtbot)
    assert len(viewer.layers) == 5
    np.testing.assert_allclose(made[Role.MASK].data_to_world((0, 0, 0)), layer.data_to_world((2, 0, 0)))


def test_a_pyramid_is_run_at_its_finest_level(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image([photo, photo[::2, ::2]], rgb=True, multiscale=True, scale=(0.5, 0.5))
    widget = dock(viewer, open_tiny)
    run(widget, qtbot)
    restored = results(widget, layer)[Role.RESTORED]
    assert restored.data.shape == photo.shape
    np.testing.assert_allclose(restored.scale, (0.5, 0.5))


# -- the threshold --------------------------------------------------------------------------------------------------


def test_the_slider_changes_the_mask_at_once_and_the_restored_photo_when_it_rests(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_tiny)
    widget.threshold.number.setValue(1.0)
    run(widget, qtbot)
    made, session = results(widget, layer), widget.session
    assert not made[Role.MASK].data.any()
    np.testing.assert_array_equal(made[Role.RESTORED].data, photo)

    widget.threshold.number.setValue(middle_threshold(widget))
    assert session.restorations_done == 1  # the mask is there before anything was restored
    mask = made[Role.MASK].data.astype(bool)
    np.testing.assert_array_equal(mask, session.mask_at(widget.threshold.value))
    assert 0 < mask.mean() < 1

    qtbot.waitUntil(lambda: session.restorations_done == 2, timeout=RUN_MS)
    wait_until_done(widget, qtbot)
    np.testing.assert_array_equal(made[Role.MASK].data.astype(bool), mask)
    assert (made[Role.RESTORED].data != photo).any()
    assert len(made[Role.TRAJECTORIES].data) > 1
    assert session.analyses_done == 1


def test_dragging_does_not_restore_for_every_step(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_tiny)
    run(widget, qtbot)
    for value in np.linspace(0.1, 0.4, 13):
        widget.threshold.number.setValue(float(value))
        qtbot.wait(10)
    qtbot.waitUntil(lambda: widget.session.restorations_done == 2, timeout=RUN_MS)
    wait_until_done(widget, qtbot)
    assert widget.session.restored.result.threshold == 0.4
    assert widget.session.analyses_done == 1


def test_a_restoration_that_ends_while_the_threshold_moves_does_not_pull_the_mask_back(
    viewer: Any, open_gated: OpenDeblurrer, gate: Any, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_gated)
    click_run(widget, qtbot)
    qtbot.waitUntil(gate.reached.is_set, timeout=RUN_MS)
    widget.threshold._rest.setTimeout(10 * RUN_MS)  # a hand that does not rest
    widget.threshold.number.setValue(0.9)
    gate.open()
    wait_until_done(widget, qtbot)
    mask = results(widget, layer)[Role.MASK].data.astype(bool)
    assert widget.session.restored.result.threshold == 0.5
    np.testing.assert_array_equal(mask, widget.session.mask_at(0.9))
    assert (mask != widget.session.restored.result.mask).any()


def test_the_threshold_can_be_moved_with_keys_and_typed(viewer: Any, open_tiny: OpenDeblurrer, qtbot: Any) -> None:
    slider = dock(viewer, open_tiny).threshold
    qtbot.keyClick(slider.slider, Qt.Key.Key_Right)
    assert slider.value == 0.51
    qtbot.keyClick(slider.slider, Qt.Key.Key_PageUp)
    assert slider.value == 0.61
    slider.number.selectAll()
    moved: list[float] = []
    slider.number.valueChanged.connect(moved.append)
    qtbot.keyClicks(slider.number, f"0{slider.number.locale().decimalPoint()}07")
    qtbot.keyClick(slider.number, Qt.Key.Key_Return)
    assert (slider.value, slider.slider.value(), moved) == (0.07, 7, [0.07])


def test_trajectories_are_coloured_by_time_after_every_change(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_tiny)
    widget.threshold.number.setValue(1.0)  # nothing blurred: the layer starts with nothing to show
    run(widget, qtbot)
    for threshold in (0.0, middle_threshold(widget), 1.0, 0.0):
        widget.threshold.number.setValue(threshold)
        done = widget.session.restorations_done
        qtbot.waitUntil(lambda done=done: widget.session.restorations_done > done, timeout=RUN_MS)
        vectors = results(widget, layer)[Role.TRAJECTORIES]
        assert len(vectors.features) == len(vectors.data) == len(vectors.edge_color)
    assert len(np.unique(vectors.edge_color, axis=0)) == 8


# -- stopping -------------------------------------------------------------------------------------------------------


def test_cancel_stops_the_run_and_the_next_one_works(
    viewer: Any, open_gated: OpenDeblurrer, gate: Any, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_gated)
    click_run(widget, qtbot)
    qtbot.waitUntil(gate.reached.is_set, timeout=RUN_MS)
    assert not widget.controls.run_button.isEnabled()
    qtbot.mouseClick(widget.controls.cancel_button, LEFT)
    assert widget.controls.run_button.isEnabled()
    wait_until_done(widget, qtbot)
    assert len(viewer.layers) == 1
    assert widget.status_line.text().startswith("Stopped")
    gate.open()
    run(widget, qtbot)
    assert len(viewer.layers) == 5


def test_the_window_lives_while_a_run_goes_on(
    viewer: Any, open_gated: OpenDeblurrer, gate: Any, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_gated)
    click_run(widget, qtbot)
    qtbot.waitUntil(gate.reached.is_set, timeout=RUN_MS)
    assert not widget.controls.bar.isHidden()
    qtbot.waitUntil(lambda: widget.controls.bar.maximum() == 4, timeout=RUN_MS)
    layer.opacity = 0.5
    assert widget.session.is_busy
    gate.open()
    wait_until_done(widget, qtbot)
    assert widget.controls.bar.isHidden()


def test_pressing_run_twice_is_one_run(
    viewer: Any, open_gated: OpenDeblurrer, gate: Any, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_gated)
    click_run(widget, qtbot)
    click_run(widget, qtbot)
    widget.run()
    gate.open()
    wait_until_done(widget, qtbot)
    assert (widget.session.analyses_done, widget.session.dropped) == (1, 0)


def test_deleting_the_layer_stops_its_run(
    viewer: Any, open_gated: OpenDeblurrer, gate: Any, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_gated)
    click_run(widget, qtbot)
    qtbot.waitUntil(gate.reached.is_set, timeout=RUN_MS)
    viewer.layers.remove(layer)
    wait_until_done(widget, qtbot)
    assert len(viewer.layers) == 0
    assert widget.status_line.text() == "The layer was removed, so its run was stopped."


def test_a_result_layer_deleted_while_the_threshold_moves_comes_back_when_it_rests(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_tiny)
    run(widget, qtbot)
    viewer.layers.remove(results(widget, layer)[Role.MASK])
    widget.threshold.number.setValue(0.1)
    assert results(widget, layer)[Role.MASK] is None
    qtbot.waitUntil(lambda: widget.session.restorations_done == 2, timeout=RUN_MS)
    assert results(widget, layer)[Role.MASK] is not None


def test_closing_the_dock_widget_stops_the_run_and_gives_the_model_back(
    viewer: Any, open_gated: OpenDeblurrer, gate: Any, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_gated)
    click_run(widget, qtbot)
    qtbot.waitUntil(gate.reached.is_set, timeout=RUN_MS)
    viewer.window.remove_dock_widget(widget)
    assert not widget.session.is_busy
    qtbot.waitUntil(lambda: widget.session.job is None, timeout=RUN_MS)
    viewer.add_image(photo, rgb=True)  # the list no longer follows
    assert len(viewer.layers) == 2
    assert widget.photo.list.count() == 1


def test_a_widget_docked_again_works_again(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = dock(viewer, open_tiny)
    viewer.window.remove_dock_widget(widget)
    viewer.add_image(photo, rgb=True)
    viewer.window.add_dock_widget(widget, name="again")
    run(widget, qtbot)
    assert len(viewer.layers) == 5


def test_napari_keeps_nothing_of_runs_and_moves_that_have_ended(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_tiny)
    before = alive(Analyzed), alive(Restored)
    for threshold in (0.3, 0.4, 0.5):
        run(widget, qtbot)
        widget.threshold.number.setValue(threshold)
        widget.mask.take_threshold(threshold)
        wait_until_done(widget, qtbot)
    qtbot.waitUntil(lambda: (alive(Analyzed), alive(Restored)) == (before[0] + 1, before[1] + 1), timeout=RUN_MS)


def alive(kind: type) -> int:
    gc.collect()
    return sum(type(each) is kind for each in gc.get_objects())


def test_closing_the_viewer_stops_the_run(
    viewer: Any, open_gated: OpenDeblurrer, gate: Any, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_gated)
    session = widget.session
    click_run(widget, qtbot)
    qtbot.waitUntil(gate.reached.is_set, timeout=RUN_MS)
    job = session.job
    viewer.close()
    assert job.is_cancelled
    QApplication.processEvents()
    assert session.analyses_done == 0


def test_closing_the_viewer_right_after_the_threshold_moved_starts_nothing(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_tiny)
    run(widget, qtbot)
    session = widget.session
    widget.threshold.number.setValue(0.1)
    viewer.close()
    qtbot.wait(500)
    assert session.restorations_done == 1


# -- what can go wrong ----------------------------------------------------------------------------------------------


def test_without_a_layer_the_sentence_says_what_to_do(
    viewer: Any, open_tiny: OpenDeblurrer, qtbot: Any, notifications: list[str]
) -> None:
    widget = dock(viewer, open_tiny)
    click_run(widget, qtbot)
    text = "There is no image layer yet; open a photo, or one of File > Open Sample > M2AENet."
    assert widget.status_line.text() == f"⚠ {text}"
    assert notifications == [text]


def test_layers_that_are_no_images_are_not_offered(viewer: Any, open_tiny: OpenDeblurrer) -> None:
    widget = dock(viewer, open_tiny)
    viewer.add_labels(np.zeros((8, 8), np.uint8))
    viewer.add_points(np.zeros((1, 2)))
    assert widget.photo.list.count() == 0
    viewer.add_image(np.zeros((8, 8)), name="before")
    viewer.layers["before"].name = "after"
    assert widget.photo.list.itemText(0) == "after"
    viewer.layers.remove("after")
    assert widget.photo.layer is None


def test_a_bad_picture_is_told_in_the_window_and_in_a_notification(
    viewer: Any, open_tiny: OpenDeblurrer, qtbot: Any, notifications: list[str]
) -> None:
    viewer.add_image(np.full((16, 16), np.nan, np.float32), contrast_limits=(0, 1))
    widget = dock(viewer, open_tiny)
    click_run(widget, qtbot)
    wait_until_done(widget, qtbot)
    assert "NaN" in widget.status_line.text()
    assert any("NaN" in text for text in notifications)
    assert len(viewer.layers) == 1
    assert widget.controls.run_button.isEnabled()


def test_a_fault_is_never_swallowed(
    viewer: Any, open_failing: OpenDeblurrer, photo: np.ndarray, qtbot: Any, notifications: list[str]
) -> None:
    viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_failing)
    click_run(widget, qtbot)
    wait_until_done(widget, qtbot)
    assert "RuntimeError: the weights melted" in widget.status_line.text()
    assert "the weights melted" in notifications
    assert widget.controls.run_button.isEnabled()


def test_where_a_stack_shows_nothing_the_sentence_says_so(viewer: Any, open_tiny: OpenDeblurrer, qtbot: Any) -> None:
    viewer.add_image(np.zeros((2, 16, 16)), name="film")
    viewer.add_labels(np.zeros((9, 16, 16), np.uint8))
    widget = dock(viewer, open_tiny)
    viewer.dims.current_step = (7, 0, 0)
    click_run(widget, qtbot)
    assert "“film” shows nothing here" in widget.status_line.text()


# -- files, models, devices -----------------------------------------------------------------------------------------


def test_a_photo_opens_from_a_file_and_is_chosen(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    viewer.add_image(photo[..., 0], name="other")
    widget = dock(viewer, open_tiny)
    write_image(tmp_path / "holiday.png", photo)
    widget.open_photo(str(tmp_path / "holiday.png"))
    qtbot.waitUntil(lambda: "holiday" in viewer.layers, timeout=RUN_MS)
    layer = viewer.layers["holiday"]
    assert layer.rgb
    np.testing.assert_array_equal(layer.data, photo)
    assert widget.photo.layer is layer
    run(widget, qtbot)
    record = results(widget, layer)[Role.RESTORED].metadata["m2aenet"]
    assert record["layer"]["file"] == str(tmp_path / "holiday.png")


@pytest.mark.parametrize("name", ["missing.png", "text.jpg", "half.png"])
def test_a_file_that_is_no_photo_is_a_sentence(
    viewer: Any,
    open_tiny: OpenDeblurrer,
    photo: np.ndarray,
    qtbot: Any,
    tmp_path: Path,
    notifications: list[str],
    name: str,
) -> None:
    write_image(tmp_path / "whole.png", photo)
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:2000])
    (tmp_path / "text.jpg").write_text("this is no photo")
    widget = dock(viewer, open_tiny)
    widget.open_photo(str(tmp_path / name))
    qtbot.waitUntil(lambda: widget.session.status.error is not None, timeout=RUN_MS)
    assert name in widget.status_line.text()
    assert len(notifications) == 1
    assert widget.photo.open_button.isEnabled()
    assert len(viewer.layers) == 0


def test_the_button_asks_for_a_file(
    viewer: Any,
    open_tiny: OpenDeblurrer,
    photo: np.ndarray,
    qtbot: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_image(tmp_path / "holiday.png", photo)
    answer = (str(tmp_path / "holiday.png"), "")
    # a modal dialog would hang the test, so the answer of a person is given here
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getOpenFileName", lambda *_: answer)
    widget = dock(viewer, open_tiny)
    qtbot.mouseClick(widget.photo.open_button, LEFT)
    qtbot.waitUntil(lambda: "holiday" in viewer.layers, timeout=RUN_MS)


def test_opening_the_device_list_fills_it_with_the_free_memory(
    viewer: Any, open_tiny: OpenDeblurrer, qtbot: Any
) -> None:
    widget = dock(viewer, open_tiny)
    widget.device.showPopup()
    qtbot.waitUntil(lambda: widget.device.findData("cpu") >= 0, timeout=RUN_MS)
    assert "free" in widget.device.itemText(widget.device.findData("cpu"))
    assert widget.device.value == "auto"
    widget.device.setCurrentIndex(widget.device.findData("cpu"))
    widget.device.activated.emit(widget.device.currentIndex())
    assert widget.session.settings.device == "cpu"
    widget.device.hidePopup()


def test_own_weights_are_chosen_by_file_and_used(
    viewer: Any, model: M2AENet, photo: np.ndarray, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_m2aenet.models import open_deblurrer

    weights = tmp_path / "mine.safetensors"
    save_model(model, weights)
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getOpenFileName", lambda *_: (str(weights), ""))
    layer = viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_deblurrer)
    widget.model.setCurrentIndex(widget.model.count() - 1)
    widget.model.activated.emit(widget.model.currentIndex())
    assert widget.model.currentText() == "mine.safetensors"
    run(widget, qtbot)
    record = results(widget, layer)[Role.RESTORED].metadata["m2aenet"]
    assert record["model"]["weights_sha256"] == widget.session.restored.analyzed.deblurrer.weights_sha256 is not None


def test_leaving_the_file_dialog_keeps_the_model(
    viewer: Any, open_tiny: OpenDeblurrer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getOpenFileName", lambda *_: ("", ""))
    widget = dock(viewer, open_tiny)
    widget.model.setCurrentIndex(widget.model.count() - 1)
    widget.model.activated.emit(widget.model.currentIndex())
    assert widget.model.value == widget.session.settings.model == "default"


def test_weights_that_are_none_are_a_sentence(
    viewer: Any, photo: np.ndarray, qtbot: Any, tmp_path: Path, notifications: list[str]
) -> None:
    from napari_m2aenet.models import open_deblurrer

    weights = tmp_path / "cut.safetensors"
    weights.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    viewer.add_image(photo, rgb=True)
    widget = dock(viewer, open_deblurrer)
    widget.model.choose_file(str(weights))
    click_run(widget, qtbot)
    wait_until_done(widget, qtbot)
    assert "is not a whole .safetensors file; get it again" in widget.status_line.text()
    assert len(notifications) == 1
