"""The tab that compares, on real pixels of the canvas."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from m2aenet_core.metrics import psnr, ssim_in, ssim_map
from napari_m2aenet.models import OpenDeblurrer
from napari_m2aenet.widgets.napari_versions import camera_of, grid_of

pytestmark = pytest.mark.window

LEFT = Qt.MouseButton.LeftButton
RUN_MS = 100_000


def restored_in(viewer: Any, opener: OpenDeblurrer, photo: np.ndarray, qtbot: Any, **keywords: Any) -> Any:
    """The dock with a photo that was restored, and nothing but pictures to see."""
    from napari_m2aenet.widgets.main import DeblurWidget

    viewer.add_image(photo, name="street", **{"rgb": photo.ndim == 3, **keywords})
    widget = DeblurWidget(viewer, opener)
    viewer.window.add_dock_widget(widget, name="Local motion deblur")
    widget.threshold.number.setValue(0.0)
    qtbot.mouseClick(widget.controls.run_button, LEFT)
    qtbot.waitUntil(lambda: not widget.session.is_busy and widget.session.job is None, timeout=RUN_MS)
    for layer in viewer.layers:
        layer.visible = layer.name in ("street", "restored: street")
    viewer.reset_view()
    qtbot.wait(50)
    return widget


def tab(widget: Any) -> Any:
    return next(panel for panel in widget.panels if panel.title == "Compare")


def canvas_point(viewer: Any, layer: Any, pixel: tuple[float, float]) -> tuple[int, int]:
    """Where on the canvas (x, y) the middle of a pixel (y, x) of a layer is."""
    world = np.asarray(layer.data_to_world((0,) * (layer.ndim - 2) + pixel))[-2:]
    height, width = viewer.screenshot(flash=False).shape[:2]
    y, x = (world - np.asarray(camera_of(viewer).center)[-2:]) * camera_of(viewer).zoom + np.array([height, width]) / 2
    return round(x), round(y)


def colour_at(viewer: Any, layer: Any, pixel: tuple[int, int]) -> np.ndarray:
    x, y = canvas_point(viewer, layer, pixel)
    return viewer.screenshot(flash=False)[y, x, :3].astype(int)


def telling_pixels(photo: np.ndarray, restored: np.ndarray, rows: slice, columns: slice) -> list[tuple[int, int]]:
    """Pixels at which photo and restored photo differ the most, in a box."""
    change = np.abs(photo.astype(int) - restored).sum(axis=-1)[rows, columns]
    best = np.argsort(change, axis=None)[-3:]
    assert change.flat[best].min() > 30
    return [
        (int(y) + rows.start, int(x) + columns.start)
        for y, x in zip(*np.unravel_index(best, change.shape), strict=True)
    ]


def assert_shows(viewer: Any, layer: Any, picture: np.ndarray, pixels: list[tuple[int, int]]) -> None:
    for pixel in pixels:
        np.testing.assert_allclose(colour_at(viewer, layer, pixel), picture[pixel], atol=3)


def send_mouse(canvas: Any, kind: QEvent.Type, at: tuple[int, int], buttons: Qt.MouseButton) -> None:
    button = LEFT if kind != QEvent.Type.MouseMove else Qt.MouseButton.NoButton
    place = QPointF(*at)
    where = QPointF(canvas.mapToGlobal(place.toPoint()))
    event = QMouseEvent(kind, place, where, button, buttons, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, event)
    QApplication.processEvents()


PLACES = [{}, {"scale": (0.5, 0.25), "rotate": 25, "translate": (40, -7)}]


@pytest.mark.parametrize("place", PLACES, ids=["plain", "placed"])
def test_the_wipe_shows_the_photo_before_the_line_and_the_restored_photo_behind_it(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any, place: dict[str, Any]
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, **place)
    panel, layer = tab(widget), viewer.layers["street"]
    restored = widget.session.restored.result.restored
    qtbot.mouseClick(panel.wipe_button, LEFT)
    for cut in (30, 64, 100):
        panel.slider.setValue(cut)
        for is_resting in (False, True):
            if is_resting:
                qtbot.wait(500)
            before = telling_pixels(photo, restored, slice(10, 86), slice(5, cut - 4))
            behind = telling_pixels(photo, restored, slice(10, 86), slice(cut + 4, 123))
            assert_shows(viewer, layer, photo, before)
            assert_shows(viewer, layer, restored, behind)
    panel.line.setCurrentIndex(1)
    panel.slider.setValue(50)
    assert_shows(viewer, layer, photo, telling_pixels(photo, restored, slice(2, 45), slice(10, 118)))
    assert_shows(viewer, layer, restored, telling_pixels(photo, restored, slice(55, 94), slice(10, 118)))
    qtbot.mouseClick(panel.wipe_button, LEFT)
    assert [x.name for x in viewer.layers if x.name.startswith("wipe")] == []
    assert_shows(viewer, layer, restored, telling_pixels(photo, restored, slice(10, 86), slice(5, 60)))


def test_at_the_ends_of_the_line_all_of_one_picture_is_seen(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel, layer = tab(widget), viewer.layers["street"]
    restored = widget.session.restored.result.restored
    pixels = telling_pixels(photo, restored, slice(4, 92), slice(4, 124))
    qtbot.mouseClick(panel.wipe_button, LEFT)
    for cut, picture in ((0, restored), (128, photo), (0, restored), (128, photo)):
        panel.slider.setValue(cut)
        assert_shows(viewer, layer, picture, pixels)


@pytest.mark.parametrize("place", PLACES, ids=["plain", "placed"])
def test_the_line_is_dragged_with_the_mouse_and_the_picture_stays_where_it_is(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any, place: dict[str, Any]
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, **place)
    panel, layer = tab(widget), viewer.layers["street"]
    qtbot.mouseClick(panel.wipe_button, LEFT)
    assert panel.slider.value() == 64
    canvas = viewer.window._qt_viewer.canvas.native
    centre = camera_of(viewer).center
    send_mouse(canvas, QEvent.Type.MouseButtonPress, canvas_point(viewer, layer, (48, 63.5)), LEFT)
    for x in (70, 85, 99.5):
        send_mouse(canvas, QEvent.Type.MouseMove, canvas_point(viewer, layer, (40, x)), LEFT)
    send_mouse(canvas, QEvent.Type.MouseButtonRelease, canvas_point(viewer, layer, (40, 99.5)), Qt.MouseButton.NoButton)
    assert abs(panel.slider.value() - 100) <= 1
    np.testing.assert_allclose(camera_of(viewer).center, centre)
    # beside the line the mouse pans, as ever
    send_mouse(canvas, QEvent.Type.MouseButtonPress, canvas_point(viewer, layer, (48, 20)), LEFT)
    for x in (25, 30, 35):
        send_mouse(canvas, QEvent.Type.MouseMove, canvas_point(viewer, layer, (48, x)), LEFT)
    send_mouse(canvas, QEvent.Type.MouseButtonRelease, canvas_point(viewer, layer, (48, 35)), Qt.MouseButton.NoButton)
    assert abs(panel.slider.value() - 100) <= 1
    assert not np.allclose(camera_of(viewer).center, centre)


def test_a_brush_in_the_hand_paints_on_the_line_too(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel, layer = tab(widget), viewer.layers["street"]
    qtbot.mouseClick(panel.wipe_button, LEFT)
    labels = viewer.add_labels(np.zeros((96, 128), np.uint8))
    labels.mode = "paint"
    canvas = viewer.window._qt_viewer.canvas.native
    send_mouse(canvas, QEvent.Type.MouseButtonPress, canvas_point(viewer, layer, (48, 63.5)), LEFT)
    send_mouse(canvas, QEvent.Type.MouseMove, canvas_point(viewer, layer, (48, 80)), LEFT)
    send_mouse(canvas, QEvent.Type.MouseButtonRelease, canvas_point(viewer, layer, (48, 80)), Qt.MouseButton.NoButton)
    assert panel.slider.value() == 64
    assert labels.data.any()


def test_the_wipe_of_a_grey_layer_has_its_colours_and_contrast(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    grey = photo[..., 0].astype(np.uint16) * 9 + 100
    widget = restored_in(viewer, open_tiny, grey, qtbot, colormap="green", contrast_limits=(200, 1900))
    panel, layer = tab(widget), viewer.layers["street"]
    qtbot.mouseClick(panel.wipe_button, LEFT)
    shown = colour_at(viewer, layer, (40, 20))
    viewer.layers["wipe, photo side: street"].visible = False
    viewer.layers["restored: street"].visible = False
    np.testing.assert_allclose(shown, colour_at(viewer, layer, (40, 20)), atol=2)


def test_of_a_stack_the_wipe_stands_at_the_frame_that_was_restored(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    stack = np.stack([photo[..., 0], photo[::-1, :, 1]])
    widget = restored_in(viewer, open_tiny, stack, qtbot, rgb=False, scale=(3, 1, 1))
    panel = tab(widget)
    frame = widget.session.analyzed.source.placement.frame
    qtbot.mouseClick(panel.wipe_button, LEFT)
    piece = viewer.layers["wipe, photo side: street"]
    np.testing.assert_array_equal(piece.data[0], stack[frame][:, :64])
    np.testing.assert_allclose(piece.data_to_world((0, 5, 6)), viewer.layers["street"].data_to_world((*frame, 5, 6)))


def test_the_line_is_taken_only_where_it_is_seen(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    stack = np.stack([photo[..., 0]] * 3)
    widget = restored_in(viewer, open_tiny, stack, qtbot, rgb=False, scale=(3, 1, 1))
    qtbot.mouseClick(tab(widget).wipe_button, LEFT)
    layer, (frame,) = viewer.layers["street"], widget.session.analyzed.source.placement.frame
    for shown in range(3):
        event = SimpleNamespace(position=layer.data_to_world((shown, 48, 63.5)))
        assert tab(widget).wipe._is_near(event) == (shown == frame)


def test_what_compares_goes_with_a_photo_that_is_moved_and_run_again(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel, layer = tab(widget), viewer.layers["street"]
    for button in (panel.wipe_button, panel.difference_button):
        qtbot.mouseClick(button, LEFT)
    qtbot.waitUntil(lambda: "difference: street" in viewer.layers, timeout=RUN_MS)
    layer.scale, layer.rotate, layer.translate = (2, 3), 30, (5, 6)
    qtbot.mouseClick(widget.controls.run_button, LEFT)
    qtbot.waitUntil(lambda: not widget.session.is_busy and widget.session.job is None, timeout=RUN_MS)
    qtbot.waitUntil(lambda: not panel._subtractor.is_busy, timeout=RUN_MS)
    for made in viewer.layers:
        np.testing.assert_allclose(made.data_to_world((50, 60)), layer.data_to_world((50, 60)), err_msg=made.name)


# -- the original ---------------------------------------------------------------------------------------------------


def test_while_the_key_is_held_the_photo_is_seen_as_it_was(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    layer, restored = viewer.layers["street"], widget.session.restored.result.restored
    viewer.layers["blur mask: street"].visible = True
    eyes = [x.visible for x in viewer.layers]
    pixels = telling_pixels(photo, restored, slice(4, 92), slice(4, 124))
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.keyPress(canvas, Qt.Key.Key_O, Qt.KeyboardModifier.ShiftModifier)
    assert_shows(viewer, layer, photo, pixels)
    qtbot.keyRelease(canvas, Qt.Key.Key_O, Qt.KeyboardModifier.NoModifier)  # Shift was let go first
    assert [x.visible for x in viewer.layers] == eyes
    viewer.layers["blur mask: street"].visible = False
    assert_shows(viewer, layer, restored, pixels)


def test_the_button_does_the_same_while_it_is_pressed(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    panel = tab(restored_in(viewer, open_tiny, photo, qtbot))
    qtbot.mousePress(panel.hold_button, LEFT)
    assert not viewer.layers["restored: street"].visible
    qtbot.mouseRelease(panel.hold_button, LEFT)
    assert viewer.layers["restored: street"].visible


def test_the_key_is_bound_as_long_as_the_dock_is_open(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    assert "Shift+O" in [str(key) for key in viewer.keymap]
    qtbot.mouseClick(tab(widget).wipe_button, LEFT)
    viewer.window.remove_dock_widget(widget)
    assert "Shift+O" not in [str(key) for key in viewer.keymap]
    assert [x.name for x in viewer.layers if x.name.startswith("wipe")] == []


# -- side by side ---------------------------------------------------------------------------------------------------


def test_side_by_side_shows_both_and_gives_back_what_was_there(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel, grid = tab(widget), grid_of(viewer)
    grid.stride, grid.shape = 3, (2, -1)
    viewer.layers["restored: street"].visible = False
    zoom = camera_of(viewer).zoom
    qtbot.mouseClick(panel.grid_button, LEFT)
    names = [x.name for x in viewer.layers]
    places = {name: grid.position(names.index(name), viewer.layers) for name in ("street", "restored: street")}
    assert sorted(places.values()) == [(0, 0), (0, 1)]
    assert panel.hint.text() == "Left: restored, right: photo."
    assert places["street"] == (0, 1)
    qtbot.wait(100)
    picture = viewer.screenshot(flash=False)[..., :3].astype(int)
    half = picture.shape[1] // 2
    left, right = picture[:, :half], picture[:, half : 2 * half]
    assert (left != right).any()  # one is the photo, one is restored
    assert (left.sum(axis=-1) > 0).mean() > 0.2
    assert (right.sum(axis=-1) > 0).mean() > 0.2
    qtbot.mouseClick(panel.grid_button, LEFT)
    assert (grid.enabled, grid.stride, grid.shape) == (False, 3, (2, -1))
    assert not viewer.layers["restored: street"].visible
    assert camera_of(viewer).zoom == pytest.approx(zoom)


def test_napari_s_own_grid_button_ends_side_by_side(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    panel, grid = tab(restored_in(viewer, open_tiny, photo, qtbot)), grid_of(viewer)
    qtbot.mouseClick(panel.grid_button, LEFT)
    assert not panel.hold_button.isEnabled()
    grid.enabled = False
    assert not panel.grid_button.isChecked()
    assert panel.hold_button.isEnabled()
    assert (grid.enabled, grid.stride) == (False, 1)


def test_a_layer_that_is_added_meanwhile_makes_no_third_half(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    panel, grid = tab(restored_in(viewer, open_tiny, photo, qtbot)), grid_of(viewer)
    qtbot.mouseClick(panel.grid_button, LEFT)
    viewer.add_points(np.zeros((1, 2)))
    viewer.layers.move(len(viewer.layers) - 1, 0)
    assert grid.actual_shape(viewer.layers) == (1, 2)
    names = [x.name for x in viewer.layers]
    halves = {name: grid.position(names.index(name), viewer.layers) for name in ("street", "restored: street")}
    assert len(set(halves.values())) == 2


def test_side_by_side_tells_the_halves_as_they_are_whatever_the_order_of_the_layers(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel, grid = tab(widget), grid_of(viewer)
    qtbot.mouseClick(panel.grid_button, LEFT)

    def assert_told() -> None:
        names = [x.name for x in viewer.layers]
        left, right = (grid.position(names.index(name), viewer.layers) for name in ("street", "restored: street"))
        assert {left, right} == {(0, 0), (0, 1)}
        expected = "Left: photo, right: restored." if left == (0, 0) else "Left: restored, right: photo."
        assert panel.hint.text() == expected

    for number in range(5):
        assert_told()
        viewer.add_image(photo[..., 0], name=str(number))
        viewer.layers.move(len(viewer.layers) - 1, 0)
    # the restored photo below the photo
    viewer.layers.move(viewer.layers.index("restored: street"), 0)
    assert_told()
    viewer.layers.move(viewer.layers.index("street"), len(viewer.layers))
    assert_told()


def test_a_restored_photo_that_was_deleted_is_not_told_of_and_comes_back_when_it_is_needed(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel, restored = tab(widget), np.array(viewer.layers["restored: street"].data)
    for button in (panel.grid_button, panel.wipe_button):
        qtbot.mouseClick(button, LEFT)
        viewer.layers.remove("restored: street")
        qtbot.wait(50)
        assert not button.isChecked()
        assert panel.hint.text().startswith("Hold ")
        assert not any(layer.name.startswith("wipe") for layer in viewer.layers)
        assert not grid_of(viewer).enabled
        qtbot.mouseClick(button, LEFT)
        np.testing.assert_array_equal(viewer.layers["restored: street"].data, restored)
        assert button.isChecked()


# -- difference and figures -----------------------------------------------------------------------------------------


def test_the_difference_is_a_layer_that_follows_the_restored_photo(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, scale=(0.5, 0.25))
    panel = tab(widget)
    qtbot.mouseClick(panel.difference_button, LEFT)
    qtbot.waitUntil(lambda: "difference: street" in viewer.layers, timeout=RUN_MS)
    layer = viewer.layers["difference: street"]
    change = widget.session.restored.result.restored.astype(np.float32) - photo
    np.testing.assert_allclose(layer.data, change.mean(axis=-1), atol=1e-4)
    assert layer.contrast_limits[0] == -layer.contrast_limits[1]
    np.testing.assert_allclose(layer.scale, (0.5, 0.25))
    panel.kind.setCurrentIndex(1)
    qtbot.waitUntil(lambda: not panel._subtractor.is_busy, timeout=RUN_MS)
    np.testing.assert_allclose(layer.data, np.abs(change).max(axis=-1), atol=1e-4)
    assert layer.contrast_limits[0] == 0
    widget.threshold.number.setValue(1.0)
    qtbot.waitUntil(lambda: not viewer.layers["difference: street"].data.any(), timeout=RUN_MS)
    assert widget.session.restorations_done == 2
    assert widget.photo.list.count() == 1  # it is no input
    qtbot.mouseClick(panel.difference_button, LEFT)
    assert "difference: street" not in viewer.layers


@pytest.mark.parametrize("part", ["difference", "wipe line", "wipe, photo side"])
def test_what_a_person_deletes_stays_away_until_it_is_asked_for(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any, part: str
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel, name = tab(widget), f"{part}: street"
    button = panel.difference_button if part == "difference" else panel.wipe_button
    qtbot.mouseClick(button, LEFT)
    qtbot.waitUntil(lambda: name in viewer.layers, timeout=RUN_MS)
    # what is written anew for another frame or another photo is not taken away by a person
    panel.show_restored(widget.session.restored)
    qtbot.waitUntil(lambda: not panel._subtractor.is_busy, timeout=RUN_MS)
    assert button.isChecked()
    viewer.layers.remove(name)
    qtbot.wait(50)
    assert not button.isChecked()
    panel.show_restored(widget.session.restored)
    qtbot.waitUntil(lambda: not panel._subtractor.is_busy, timeout=RUN_MS)
    assert not any(layer.name.startswith(("wipe", "difference")) for layer in viewer.layers)
    qtbot.mouseClick(button, LEFT)
    qtbot.waitUntil(lambda: name in viewer.layers, timeout=RUN_MS)


def test_the_figures_against_a_reference_are_those_of_the_metrics(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel = tab(widget)
    truth = np.clip(photo.astype(int) + 7, 0, 255).astype(np.uint8)
    viewer.add_image(truth, name="truth", rgb=True, visible=False)
    viewer.add_image(truth[..., 0], name="grey", visible=False)
    viewer.add_image(truth[:50], name="small", rgb=True, visible=False)
    assert [panel.reference.itemText(i) for i in range(panel.reference.count())] == ["none", "truth"]
    panel.reference.setCurrentIndex(1)
    qtbot.waitUntil(lambda: "PSNR" in panel.figures.text(), timeout=RUN_MS)
    result = widget.session.restored.result
    for image in (photo, result.restored):
        for mask in (None, result.mask):
            assert f"{psnr(image, truth, mask):.2f}" in panel.figures.text()
        assert f"{ssim_in(ssim_map(image, truth), result.mask):.4f}" in panel.figures.text()
    viewer.layers["truth"].name = "sharp"
    assert panel.reference.currentText() == "sharp"
    viewer.layers.remove("sharp")
    assert "PSNR" not in panel.figures.text()


def test_the_reference_of_a_stack_is_taken_at_the_frame_that_was_restored(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    stack = np.stack([photo[..., 0]] * 3)
    sharp = np.stack([np.roll(photo[..., 0], shift, axis=1) for shift in (4, 8, 12)])
    widget = restored_in(viewer, open_tiny, stack, qtbot, rgb=False)
    panel, (frame,) = tab(widget), widget.session.analyzed.source.placement.frame
    viewer.add_image(sharp, name="truth", visible=False)
    viewer.dims.set_current_step(0, (frame + 1) % 3)
    panel.reference.choose(viewer.layers["truth"])
    qtbot.waitUntil(lambda: "PSNR" in panel.figures.text(), timeout=RUN_MS)
    assert f"{psnr(stack[frame], sharp[frame]):.2f}" in panel.figures.text()
    viewer.layers["truth"].translate = (10, 0, 0)
    panel._ask_for_figures()
    assert panel.figures.text().startswith("⚠ The reference “truth” has no picture at the frame that was restored")


def test_the_photo_and_what_compares_it_are_removed_together(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    panel = tab(restored_in(viewer, open_tiny, photo, qtbot))
    for button in (panel.wipe_button, panel.difference_button):
        qtbot.mouseClick(button, LEFT)
    qtbot.waitUntil(lambda: "difference: street" in viewer.layers, timeout=RUN_MS)
    for layer in list(viewer.layers):  # as napari removes what is selected, but for the order
        viewer.layers.remove(layer)
    qtbot.wait(50)
    assert not viewer.layers


def test_a_dock_that_was_closed_is_opened_and_closed_again(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    viewer.window.remove_dock_widget(widget)
    viewer.window.add_dock_widget(widget, name="Local motion deblur")
    viewer.window.remove_dock_widget(widget)
    viewer.window.add_dock_widget(widget, name="Local motion deblur")
    widget.tabs.setCurrentWidget(tab(widget))
    qtbot.waitUntil(lambda: "Shift+O" in [str(key) for key in viewer.keymap], timeout=RUN_MS)


def test_without_the_photo_there_is_nothing_to_compare(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    panel = tab(restored_in(viewer, open_tiny, photo, qtbot))
    for button in (panel.wipe_button, panel.difference_button):
        qtbot.mouseClick(button, LEFT)
    qtbot.waitUntil(lambda: "difference: street" in viewer.layers, timeout=RUN_MS)
    viewer.layers.remove("street")
    qtbot.wait(50)
    assert not any(x.name.startswith(("wipe", "difference")) for x in viewer.layers)
    assert not panel.wipe_button.isEnabled()
    assert panel.hint.text() == "Restore a photo first; it can be compared here then."
