"""The tab in which a person decides what is blurred: real drags and strokes on the canvas, real pixels."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from m2aenet_core import Analysis, Deblurrer, DeblurResult, M2AENet
from m2aenet_core.errors import InputError
from napari_m2aenet.layer_data import Role
from napari_m2aenet.mask_choice import MaskSource
from napari_m2aenet.models import OpenDeblurrer
from napari_m2aenet.widgets.napari_versions import camera_of

pytestmark = pytest.mark.window

LEFT = Qt.MouseButton.LeftButton
RUN_MS = 100_000


@pytest.fixture
def wide() -> np.ndarray:
    """A photo (96, 640, 3) whose two ends are too far apart to be restored together."""
    return np.random.default_rng(3).integers(0, 256, (96, 640, 3)).astype(np.uint8)


def restored_in(viewer: Any, opener: OpenDeblurrer, photo: np.ndarray, qtbot: Any, threshold: float = 0.5) -> Any:
    from napari.utils._proxies import PublicOnlyProxy

    from napari_m2aenet.widgets.main import DeblurWidget

    viewer.add_image(photo, name="street", rgb=photo.shape[-1] == 3)
    widget = DeblurWidget(PublicOnlyProxy(viewer), opener)  # as napari hands the viewer to a plugin
    viewer.window.add_dock_widget(widget, name="Local motion deblur")
    widget.threshold.number.setValue(threshold)
    qtbot.mouseClick(widget.controls.run_button, LEFT)
    settle(widget, qtbot)
    assert widget.session.status.error is None, widget.session.status.text
    viewer.reset_view()
    qtbot.wait(50)
    return widget


def run_on(layer: Any, widget: Any, qtbot: Any) -> None:
    widget.photo.choose(layer)
    qtbot.mouseClick(widget.controls.run_button, LEFT)
    settle(widget, qtbot)


def settle(widget: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not widget.session.is_busy and widget.session.job is None, timeout=RUN_MS)


def tab(widget: Any) -> Any:
    return next(panel for panel in widget.panels if panel.title == "Blur")


def made(widget: Any, role: Role) -> Any:
    return widget.layers.find(role, widget.session.analyzed.source.key)


def mask_shown(widget: Any) -> np.ndarray:
    return made(widget, Role.MASK).data.astype(bool)


def restored_shown(widget: Any) -> np.ndarray:
    return made(widget, Role.RESTORED).data.copy()


def drag(viewer: Any, pixels: list[tuple[float, float]]) -> None:
    """Press the mouse at a pixel (y, x) of the photo, move it over the others, and let go."""
    canvas = viewer.window._qt_viewer.canvas.native
    size = np.array([canvas.height(), canvas.width()])
    camera = camera_of(viewer)
    ends = [(np.asarray(pixel) - np.asarray(camera.center)[-2:]) * camera.zoom + size / 2 for pixel in pixels]
    kinds = [QEvent.Type.MouseButtonPress, *[QEvent.Type.MouseMove] * (len(ends) - 1), QEvent.Type.MouseButtonRelease]
    for kind, (y, x) in zip(kinds, [*ends, ends[-1]], strict=True):
        place = QPointF(x, y)
        button = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else LEFT
        buttons = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else LEFT
        where = QPointF(canvas.mapToGlobal(place.toPoint()))
        event = QMouseEvent(kind, place, where, button, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(canvas, event)
        QApplication.processEvents()


def stroke(viewer: Any, widget: Any, qtbot: Any, pixels: list[tuple[float, float]], brush: int = 10) -> None:
    made(widget, Role.MASK).brush_size = brush
    done = widget.session.restorations_done
    drag(viewer, pixels)
    qtbot.waitUntil(lambda: widget.session.restorations_done > done, timeout=RUN_MS)
    settle(widget, qtbot)


def colour_at(viewer: Any, pixel: tuple[int, int]) -> np.ndarray:
    picture = viewer.screenshot(flash=False)
    camera = camera_of(viewer)
    y, x = (np.asarray(pixel) - np.asarray(camera.center)[-2:]) * camera.zoom + np.array(picture.shape[:2]) / 2
    return picture[round(y), round(x), :3].astype(int)


# -- the threshold --------------------------------------------------------------------------------------------------


def test_dragging_the_cut_moves_the_threshold_the_mask_and_the_words(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    histogram, session = tab(widget).histogram, widget.session
    y = histogram.height() // 2
    start, end = (QPoint(round(histogram.x_of(value)), y) for value in (0.5, 0.3))
    qtbot.mousePress(histogram, LEFT, pos=start)
    for x in range(start.x(), end.x(), -3):
        move = QPointF(x, y)
        QApplication.sendEvent(
            histogram, QMouseEvent(QEvent.Type.MouseMove, move, move, LEFT, LEFT, Qt.KeyboardModifier.NoModifier)
        )
    qtbot.mouseRelease(histogram, LEFT, pos=end)
    value = widget.threshold.value
    assert 0.25 < value < 0.35
    assert histogram.cut == value
    qtbot.waitUntil(lambda: np.array_equal(mask_shown(widget), session.mask_at(value)), timeout=RUN_MS)
    assert f"{np.count_nonzero(session.mask_at(value)):,} pixels" in tab(widget).meaning.text()
    qtbot.waitUntil(lambda: session.restorations_done == 2, timeout=RUN_MS)
    settle(widget, qtbot)
    assert session.restored.result.threshold == value
    assert "Restored in" in tab(widget).meaning.text()


def test_the_threshold_can_be_moved_while_the_trajectories_are_hidden(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, threshold=0.0)
    trajectories = made(widget, Role.TRAJECTORIES)
    trajectories.visible = False
    for threshold in (1.0, 0.0, 0.6):
        done = widget.session.restorations_done
        widget.threshold.number.setValue(threshold)
        qtbot.waitUntil(lambda done=done: widget.session.restorations_done > done, timeout=RUN_MS)
        settle(widget, qtbot)
        assert widget.session.status.error is None, widget.session.status.text
        assert len(trajectories.edge_color) == len(trajectories.data)


def test_the_cut_moves_with_keys_and_follows_the_slider(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    histogram = tab(widget).histogram
    for key, expected in ((Qt.Key.Key_Left, 0.49), (Qt.Key.Key_PageUp, 0.59), (Qt.Key.Key_End, 1.0)):
        qtbot.keyClick(histogram, key)
        assert widget.threshold.value == expected
    widget.threshold.number.setValue(0.2)
    qtbot.waitUntil(lambda: histogram.cut == 0.2)


def test_the_words_tell_work_and_seconds(viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel = tab(widget)
    qtbot.waitUntil(lambda: "multiply-adds" in panel.meaning.text(), timeout=RUN_MS)
    macs = widget.session.restored.result.macs / 1e9
    assert f"About {macs:.3g} of" in panel.meaning.text()
    assert "the whole frame about" in panel.meaning.text()


# -- strokes --------------------------------------------------------------------------------------------------------


def test_a_stroke_restores_what_it_touches_and_leaves_the_rest_bit_for_bit(
    viewer: Any, open_tiny: OpenDeblurrer, wide: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, wide, qtbot, threshold=1.0)
    panel = tab(widget)
    qtbot.mouseClick(panel.paint_button, LEFT)
    assert viewer.layers.selection.active is made(widget, Role.MASK)
    assert panel.paint_button.isChecked()
    stroke(viewer, widget, qtbot, [(48, 30), (48, 60)])
    stroke(viewer, widget, qtbot, [(48, 560), (48, 600)])
    assert widget.session.choice.source is MaskSource.PAINTED
    assert panel.source.currentText() == "Painted"
    mask, before = mask_shown(widget), restored_shown(widget)
    assert mask[48, 30:60].all()
    assert mask[48, 560:600].all()
    assert not mask[:, 100:500].any()
    np.testing.assert_array_equal(widget.session.restored.result.mask, mask)
    assert panel.paint_button.isChecked()  # still in the hand

    stroke(viewer, widget, qtbot, [(30, 60), (30, 80)])
    changed = (restored_shown(widget) != before).any(axis=(0, 2))
    assert changed[50:80].any()
    assert not changed[200:].any()
    assert 0 < widget.session.restored.new_macs < widget.session.restored.result.macs
    np.testing.assert_array_equal(restored_shown(widget)[:, 200:480], wide[:, 200:480])
    record = made(widget, Role.RESTORED).metadata["m2aenet"]
    assert record["mask"]["source"] == "painted"


def test_a_stroke_at_a_large_region_shows_while_the_region_is_still_being_restored(
    viewer: Any, model: M2AENet, qtbot: Any
) -> None:
    wide = np.random.default_rng(3).integers(0, 256, (160, 640, 3)).astype(np.uint8)
    is_held = threading.Event()

    class HeldDeblurrer(Deblurrer):
        def restore(self, analysis: Analysis, *rest: Any, progress: Any = None, **keywords: Any) -> DeblurResult:
            while is_held.is_set() and keywords.get("previous") is not None:
                progress(0, 1)
                time.sleep(0.01)
            return super().restore(analysis, *rest, progress=progress, **keywords)

    widget = restored_in(
        viewer,
        lambda name, device, ensemble: HeldDeblurrer(model, device="cpu", ensemble=ensemble),
        wide,
        qtbot,
        threshold=1.0,
    )
    layer = made(widget, Role.MASK)
    large = np.zeros(wide.shape[:2], np.uint8)
    large[20:140, 20:500] = 1
    layer.data = large
    qtbot.waitUntil(lambda: widget.session.restorations_done == 2, timeout=RUN_MS)
    settle(widget, qtbot)
    before = restored_shown(widget)
    is_held.set()
    qtbot.mouseClick(tab(widget).paint_button, LEFT)
    layer.brush_size = 20
    drag(viewer, [(70, 510), (72, 512)])
    qtbot.waitUntil(lambda: (restored_shown(widget) != before).any(), timeout=RUN_MS)
    assert widget.session.restorations_done == 2
    changed = (restored_shown(widget) != before).any(axis=2)
    assert changed[65:75, 505:515].any()
    assert not changed[:, :470].any()
    np.testing.assert_array_equal(widget.session.restored.result.restored, before)
    is_held.clear()
    settle(widget, qtbot)
    np.testing.assert_array_equal(restored_shown(widget), widget.session.restored.result.restored)
    assert widget.session.restored.result.mask[70, 510]


def test_strokes_and_thresholds_are_undone_and_redone_alike(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel, session = tab(widget), widget.session
    qtbot.mouseClick(panel.erase_button, LEFT)
    settle(widget, qtbot)
    states = [(mask_shown(widget), restored_shown(widget), 0.5)]
    stroke(viewer, widget, qtbot, [(20, 20), (70, 100)], brush=30)
    states.append((mask_shown(widget), restored_shown(widget), 0.5))
    widget.threshold.number.setValue(0.4)
    qtbot.waitUntil(lambda: session.restored.result.threshold == 0.4, timeout=RUN_MS)
    settle(widget, qtbot)
    states.append((mask_shown(widget), restored_shown(widget), 0.4))
    assert len({mask.tobytes() for mask, _, _ in states}) == 3
    for button, expected in (
        (panel.undo_button, 1),
        (panel.undo_button, 0),
        (panel.redo_button, 1),
        (panel.redo_button, 2),
    ):
        qtbot.mouseClick(button, LEFT)
        settle(widget, qtbot)
        mask, restored, threshold = states[expected]
        np.testing.assert_array_equal(mask_shown(widget), mask)
        np.testing.assert_array_equal(restored_shown(widget), restored)
        assert widget.threshold.value == panel.histogram.cut == threshold
    assert not panel.redo_button.isEnabled()


def test_the_undo_key_over_the_picture_is_ours_also_where_napari_has_one(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, threshold=1.0)
    canvas = viewer.window._qt_viewer.canvas.native
    qtbot.mouseClick(tab(widget).paint_button, LEFT)
    stroke(viewer, widget, qtbot, [(20, 20), (20, 60)])
    painted = mask_shown(widget)
    for active in (made(widget, Role.MASK), viewer.layers["street"]):
        viewer.layers.selection.active = active
        qtbot.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        settle(widget, qtbot)
        assert not mask_shown(widget).any()
        qtbot.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
        settle(widget, qtbot)
        np.testing.assert_array_equal(mask_shown(widget), painted)


def test_what_a_script_writes_or_undoes_in_the_layer_counts_as_painted(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, threshold=1.0)
    layer = made(widget, Role.MASK)
    drawn = np.zeros(photo.shape[:2], np.uint8)
    drawn[10:40, 10:50] = 3
    layer.data = drawn
    qtbot.waitUntil(lambda: widget.session.restorations_done == 2, timeout=RUN_MS)
    settle(widget, qtbot)
    np.testing.assert_array_equal(widget.session.restored.result.mask, drawn > 0)
    layer.fill((60, 60), 1)
    qtbot.waitUntil(lambda: widget.session.restorations_done == 3, timeout=RUN_MS)
    settle(widget, qtbot)
    assert widget.session.restored.result.mask.all()
    layer.undo()  # napari's own, as from its console
    qtbot.waitUntil(lambda: widget.session.restorations_done == 4, timeout=RUN_MS)
    settle(widget, qtbot)
    np.testing.assert_array_equal(widget.session.restored.result.mask, drawn > 0)
    assert widget.session.undo()


def test_a_restoration_that_ends_during_a_stroke_does_not_take_the_stroke_away(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, threshold=1.0)
    layer = made(widget, Role.MASK)
    qtbot.mouseClick(tab(widget).paint_button, LEFT)
    settle(widget, qtbot)
    with layer.block_history():  # a button that is held
        layer.paint((20, 20), 1)
        widget.mask.show()  # as when a job has ended
        assert mask_shown(widget)[20, 20]
    settle(widget, qtbot)
    assert widget.session.restored.result.mask[20, 20]


def test_the_mask_is_seen_where_it_was_painted(viewer: Any, open_tiny: OpenDeblurrer, qtbot: Any) -> None:
    widget = restored_in(viewer, open_tiny, np.full((96, 128, 3), 60, np.uint8), qtbot, threshold=1.0)
    for layer in viewer.layers:
        layer.visible = layer.name in ("street", "blur mask: street")
    qtbot.mouseClick(tab(widget).paint_button, LEFT)
    made(widget, Role.MASK).selected_label = 7  # any label counts, and is seen
    before = colour_at(viewer, (48, 64))
    stroke(viewer, widget, qtbot, [(48, 40), (48, 90)], brush=20)
    viewer.layers.selection.active = viewer.layers["street"]
    tinted = colour_at(viewer, (48, 64)) - before
    assert tinted[2] > 20 > tinted[0]
    np.testing.assert_allclose(colour_at(viewer, (80, 64)), before, atol=2)


def test_a_painted_mask_that_comes_back_is_shown_and_painted_on_whatever_the_threshold_is(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, threshold=1.0)
    qtbot.mouseClick(tab(widget).paint_button, LEFT)
    stroke(viewer, widget, qtbot, [(20, 20), (20, 60)])
    painted = mask_shown(widget)
    run_on(viewer.add_image(photo[:, ::-1].copy(), rgb=True, name="other"), widget, qtbot)
    widget.threshold.number.setValue(0.8)
    qtbot.waitUntil(lambda: widget.session.choice.threshold == 0.8)
    settle(widget, qtbot)
    run_on(viewer.layers["street"], widget, qtbot)
    np.testing.assert_array_equal(mask_shown(widget), painted)
    assert f"{painted.sum():,} pixels" in tab(widget).meaning.text()
    qtbot.mouseClick(tab(widget).paint_button, LEFT)
    stroke(viewer, widget, qtbot, [(80, 20), (80, 60)])
    assert widget.session.restored.result.mask[[20, 80], 40].all()


# -- other sources --------------------------------------------------------------------------------------------------


def test_the_mask_of_another_layer_is_taken_and_followed(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel = tab(widget)
    truth = np.zeros(photo.shape[:2], np.uint16)
    truth[20:50, 30:90] = 5
    labels = viewer.add_labels(truth, name="truth")
    viewer.add_labels(np.zeros((9, 9), np.uint8), name="too small")
    panel.layer.refresh()
    assert [panel.layer.itemText(i) for i in range(panel.layer.count())] == [
        "choose a layer…",
        "blur probability: street",
        "truth",
    ]
    panel.layer.setCurrentIndex(panel.layer.findData(labels.unique_id))
    settle(widget, qtbot)
    assert panel.source.currentText() == "Another layer"
    np.testing.assert_array_equal(mask_shown(widget), truth > 0)
    np.testing.assert_array_equal(widget.session.restored.result.mask, truth > 0)
    assert widget.session.restored.record["mask"]["layer"] == "truth"
    qtbot.wait(500)  # what choosing the layer has drawn is over
    done = widget.session.restorations_done
    labels.fill((0, 0), 2)
    qtbot.waitUntil(lambda: widget.session.restorations_done > done, timeout=RUN_MS)
    settle(widget, qtbot)
    assert widget.session.restored.result.mask.all()
    panel.source.setCurrentIndex(0)
    panel.source.activated.emit(0)
    settle(widget, qtbot)
    np.testing.assert_array_equal(mask_shown(widget), widget.session.mask_at(0.5))
    assert panel.layer.layer is None


def test_the_mask_of_a_stack_is_that_of_the_frame_that_was_run(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    masks = np.zeros((5, *photo.shape[:2]), np.uint8)
    for index in range(5):
        masks[index, 10 * index : 10 * index + 10, :20] = 1
    labels = viewer.add_labels(masks, name="truth")
    viewer.dims.set_current_step(0, 1)
    widget = restored_in(viewer, open_tiny, np.stack([photo[..., 0]] * 5), qtbot)
    frame = widget.session.analyzed.source.placement.frame
    viewer.dims.set_current_step(0, 3)
    widget.mask.take_layer(labels)
    settle(widget, qtbot)
    np.testing.assert_array_equal(widget.session.restored.result.mask, masks[frame] > 0)
    viewer.dims.set_current_step(0, 4)
    qtbot.wait(500)
    settle(widget, qtbot)
    np.testing.assert_array_equal(widget.session.restored.result.mask, masks[frame] > 0)


@pytest.mark.parametrize("tool", ["rectangle", "lasso"])
def test_only_what_was_dragged_around_is_restored(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any, tool: str
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, threshold=0.0)
    panel = tab(widget)
    button = {"rectangle": panel.rectangle_button, "lasso": panel.lasso_button}[tool]
    qtbot.mouseClick(button, LEFT)
    assert panel.inside.isChecked()
    assert button.isChecked()
    center = camera_of(viewer).center
    corners = [(20, 30), (60, 90)] if tool == "rectangle" else [(20, 30), (20, 90), (60, 90), (60, 30)]
    drag(viewer, corners)
    qtbot.waitUntil(lambda: widget.session.restorations_done == 2, timeout=RUN_MS)
    settle(widget, qtbot)
    assert camera_of(viewer).center == center  # the picture stays under the drag
    mask = widget.session.restored.result.mask
    inside = np.zeros_like(mask)
    inside[20:61, 30:91] = True
    assert np.count_nonzero(mask ^ inside) <= 2 * (41 + 61)  # a pixel of the screen may be less than one of the photo
    np.testing.assert_array_equal(mask_shown(widget), mask)
    assert viewer.layers["selection: street"].data.astype(bool).sum() == mask.sum()
    qtbot.mouseClick(panel.inside, LEFT)
    settle(widget, qtbot)
    assert mask_shown(widget).all()
    assert "selection: street" not in viewer.layers
    qtbot.mouseClick(panel.undo_button, LEFT)
    settle(widget, qtbot)
    np.testing.assert_array_equal(mask_shown(widget), mask)
    assert panel.inside.isChecked()


def test_a_selection_stays_with_its_photo(viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, threshold=0.0)
    panel, street = tab(widget), viewer.layers["street"]
    qtbot.mouseClick(panel.rectangle_button, LEFT)
    drag(viewer, [(20, 30), (60, 90)])
    qtbot.waitUntil(lambda: widget.session.restorations_done == 2, timeout=RUN_MS)
    settle(widget, qtbot)
    limited = widget.session.restored.result.mask
    other = viewer.add_image(photo[:64, :80].copy(), name="other", rgb=True)
    run_on(other, widget, qtbot)
    assert not panel.inside.isChecked()
    assert "selection: street" not in viewer.layers
    assert widget.session.restored.result.mask.all()
    qtbot.mouseClick(panel.rectangle_button, LEFT)
    assert viewer.layers["selection: other"].data.shape == (64, 80)
    with pytest.raises(InputError, match="The selection is 96 × 128 but the photo is 64 × 80"):
        widget.session.request_selection(limited)
    run_on(street, widget, qtbot)
    assert panel.inside.isChecked()
    np.testing.assert_array_equal(widget.session.restored.result.mask, limited)
    assert viewer.layers["selection: street"].data.astype(bool).sum() >= limited.sum()
    assert "selection: other" not in viewer.layers


def test_the_undo_key_works_over_a_selection(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, threshold=0.0)
    qtbot.mouseClick(tab(widget).rectangle_button, LEFT)
    drag(viewer, [(20, 30), (60, 90)])
    qtbot.waitUntil(lambda: widget.session.restorations_done == 2, timeout=RUN_MS)
    settle(widget, qtbot)
    assert viewer.layers.selection.active.name == "selection: street"
    qtbot.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    settle(widget, qtbot)
    assert widget.session.restored.result.mask.all()


def test_the_list_of_layers_shows_the_one_whose_mask_is_used_after_undo(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    panel, masks = tab(widget), np.zeros((2, *photo.shape[:2]), np.uint8)
    masks[0, :20], masks[1, 40:] = 1, 1
    first, second = (viewer.add_labels(mask, name=f"mask {number}") for number, mask in enumerate(masks))
    panel.layer.refresh()
    for layer in (first, second):
        panel.layer.choose(layer)
        settle(widget, qtbot)
    qtbot.mouseClick(panel.undo_button, LEFT)
    settle(widget, qtbot)
    assert panel.layer.layer is first
    np.testing.assert_array_equal(mask_shown(widget), masks[0] > 0)
    panel.layer.choose(second)
    settle(widget, qtbot)
    np.testing.assert_array_equal(mask_shown(widget), masks[1] > 0)


def test_masks_of_a_photo_that_has_another_size_now_are_forgotten(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    widget.session.request_mask(np.ones(photo.shape[:2], bool))
    widget._go_on()
    settle(widget, qtbot)
    widget.threshold.number.setValue(0.4)
    qtbot.waitUntil(lambda: widget.session.restored.result.threshold == 0.4, timeout=RUN_MS)
    settle(widget, qtbot)
    street = viewer.layers["street"]
    street.data = photo[:64, :80].copy()
    run_on(street, widget, qtbot)
    assert not tab(widget).undo_button.isEnabled()


def test_a_selection_that_a_person_deletes_limits_nothing_until_undo(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot, threshold=0.0)
    panel = tab(widget)
    qtbot.mouseClick(panel.rectangle_button, LEFT)
    drag(viewer, [(20, 30), (60, 90)])
    qtbot.waitUntil(lambda: widget.session.restorations_done == 2, timeout=RUN_MS)
    settle(widget, qtbot)
    inside = mask_shown(widget)
    viewer.layers.remove(viewer.layers["selection: street"])
    qtbot.waitUntil(lambda: widget.session.restorations_done == 3, timeout=RUN_MS)
    settle(widget, qtbot)
    assert widget.session.choice.selection is None
    assert not panel.inside.isChecked()
    assert mask_shown(widget).all()
    qtbot.mouseClick(panel.undo_button, LEFT)
    settle(widget, qtbot)
    np.testing.assert_array_equal(mask_shown(widget), inside)
    assert panel.inside.isChecked()
    assert "selection: street" in viewer.layers


# -- ends -----------------------------------------------------------------------------------------------------------


def test_a_removed_mask_layer_comes_back_with_the_brush_and_with_the_next_change(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    viewer.layers.remove(made(widget, Role.MASK))
    qtbot.mouseClick(tab(widget).paint_button, LEFT)
    assert made(widget, Role.MASK) in viewer.layers
    settle(widget, qtbot)
    viewer.layers.remove(made(widget, Role.MASK))
    assert not tab(widget).paint_button.isChecked()
    done = widget.session.restorations_done
    widget.threshold.number.setValue(0.3)
    qtbot.waitUntil(lambda: widget.session.restorations_done > done, timeout=RUN_MS)
    settle(widget, qtbot)
    np.testing.assert_array_equal(mask_shown(widget), widget.session.mask_at(0.3))
    qtbot.mouseClick(tab(widget).paint_button, LEFT)
    stroke(viewer, widget, qtbot, [(20, 20), (20, 60)])
    assert widget.session.choice.source is MaskSource.PAINTED


def test_nothing_is_held_of_a_photo_and_a_mask_that_are_gone(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    qtbot.waitUntil(lambda: "multiply-adds" in tab(widget).meaning.text(), timeout=RUN_MS)
    truth = viewer.add_labels((photo[..., 0] > 100).astype(np.uint8), name="truth")
    widget.mask.take_layer(truth)
    settle(widget, qtbot)
    held = {"mask": weakref.ref(truth)}
    viewer.layers.remove(truth)
    del truth
    qtbot.waitUntil(lambda: not still_held(held), timeout=RUN_MS)
    held = {"analysis": weakref.ref(widget.session.analyzed), "restored": weakref.ref(widget.session.restored)}
    viewer.layers.remove(viewer.layers["street"])
    qtbot.waitUntil(lambda: not still_held(held), timeout=RUN_MS)


def still_held(objects: dict[str, Any]) -> list[str]:
    gc.collect()
    return [name for name, each in objects.items() if each() is not None]


def test_closing_the_dock_gives_keys_and_mouse_back(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    before = dict(viewer.keymap)
    widget = restored_in(viewer, open_tiny, photo, qtbot)
    assert len(viewer.keymap) > len(before)
    mask = made(widget, Role.MASK)
    qtbot.mouseClick(tab(widget).lasso_button, LEFT)
    viewer.window.remove_dock_widget(widget)
    assert not any("Z" in str(key) for key in viewer.keymap)
    assert not mask.keymap
    assert "selection: street" not in viewer.layers
    mask.fill((0, 0), 1)
    qtbot.wait(700)
    assert widget.session.analyzed is None
