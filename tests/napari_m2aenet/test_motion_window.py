"""The tab “Motion” as a person uses it: real pixels, a real pointer, real files."""

from __future__ import annotations

import csv
import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QTabWidget

from napari_m2aenet.layer_data import Role
from napari_m2aenet.models import OpenDeblurrer
from napari_m2aenet.motion_layer_data import MotionRole
from napari_m2aenet.settings import TRAJECTORY_SEGMENTS
from napari_m2aenet.widgets.napari_versions import camera_of

pytestmark = pytest.mark.window

LEFT = Qt.MouseButton.LeftButton
WAIT_MS = 100_000  # a busy machine is slow, not wrong


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], workers_ended: None) -> Any:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1100, 800)
    return viewer


class Window:
    """A dock widget after a run on a photo, and the tab in it."""

    def __init__(self, viewer: Any, opener: OpenDeblurrer, photo: np.ndarray, qtbot: Any, **keywords: Any) -> None:
        from napari_m2aenet.widgets.main import DeblurWidget

        self.viewer, self.qtbot = viewer, qtbot
        self.photo = viewer.add_image(photo, rgb=photo.ndim == 3 and photo.shape[-1] == 3, name="street", **keywords)
        self.widget = DeblurWidget(viewer, opener)
        viewer.window.add_dock_widget(self.widget, name="Local motion deblur")
        self.tab = next(panel for panel in self.widget.panels if panel.title == "Motion")
        self.widget.findChild(QTabWidget).setCurrentWidget(self.tab)
        self.run()

    def run(self) -> None:
        session = self.widget.session
        self.click(self.widget.controls.run_button)
        self.until(lambda: not session.is_busy and session.job is None)
        assert session.status.error is None, session.status.text
        self.viewer.reset_view()
        self.settle()

    def click(self, button: Any) -> None:
        self.qtbot.mouseClick(button, LEFT)

    def until(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    def settle(self) -> None:
        """Let the view come to rest."""
        self.qtbot.wait(600)

    def layer(self, role: Any) -> Any:
        return self.widget.layers.find(role, self.photo.unique_id)

    def show_only(self, *roles: Any) -> None:
        for layer in self.viewer.layers:
            layer.visible = layer is self.photo or layer in [self.layer(role) for role in roles]

    def on_canvas(self, y: float, x: float) -> tuple[int, int]:
        """Where a pixel of the photo is on the canvas, (y, x)."""
        camera = camera_of(self.viewer)
        world = np.array(self.photo.data_to_world((y, x)))[-2:]
        height, width = self.viewer.screenshot(flash=False).shape[:2]
        place = (world - np.array(camera.center)[-2:]) * camera.zoom + np.array([height, width]) / 2
        return int(place[0]), int(place[1])

    def colour_at(self, y: float, x: float) -> np.ndarray:
        row, column = self.on_canvas(y, x)
        return np.asarray(self.viewer.screenshot(flash=False)[row, column, :3]).astype(int)

    def point_at(self, y: float, x: float, *, click: Qt.KeyboardModifier | None = None) -> None:
        """Move the real pointer over a pixel of the photo, and click there if asked for."""
        row, column = self.on_canvas(y, x)
        native = self.viewer.window._qt_viewer.canvas.native
        if click is None:
            self.qtbot.mouseMove(native, QPoint(column, row))
        else:
            self.qtbot.mouseClick(native, LEFT, click, QPoint(column, row))
        self.qtbot.wait(100)


@pytest.fixture
def open_window(viewer: Any, open_moving: OpenDeblurrer, photo: np.ndarray, qtbot: Any) -> Callable[..., Window]:
    def open_(pixels: np.ndarray = photo, **keywords: Any) -> Window:
        return Window(viewer, open_moving, pixels, qtbot, **keywords)

    return open_


# -- motion ---------------------------------------------------------------------------------------------------------


def test_the_colours_show_where_the_truth_moves(open_window: Callable[..., Window]) -> None:
    window = open_window(np.full((96, 128, 3), 128, np.uint8))
    window.click(window.tab.colours.check)
    window.until(lambda: window.layer(MotionRole.OVERVIEW) is not None)
    assert window.tab.colours.scale.text() == "rim: 15 px and more"
    window.show_only(MotionRole.OVERVIEW)
    window.settle()
    red, green, blue = window.colour_at(40, 32)  # it moved to the right
    assert red > green + 60
    assert red > blue + 60
    red, green, blue = window.colour_at(40, 96)  # it moved up
    assert green > red + 20 > blue + 40
    np.testing.assert_allclose(window.colour_at(80, 64), 128, atol=3)  # nothing moved: the photo itself
    window.click(window.tab.colours.check)
    assert window.layer(MotionRole.OVERVIEW) is None


def test_colours_that_a_person_deletes_are_switched_off_and_come_back_when_asked_for(
    open_window: Callable[..., Window],
) -> None:
    window = open_window()
    window.click(window.tab.colours.check)
    window.until(lambda: window.layer(MotionRole.OVERVIEW) is not None)
    window.viewer.layers.remove(window.layer(MotionRole.OVERVIEW))
    assert not window.tab.colours.check.isChecked()
    window.click(window.tab.colours.check)
    window.until(lambda: window.layer(MotionRole.OVERVIEW) is not None)


def test_zooming_in_shows_closer_curves_within_the_budget(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    window = Window(viewer, open_tiny, np.tile(photo, (6, 6, 1)), qtbot)
    window.widget.threshold.number.setValue(0.0)  # all of it counts as blurred
    done = window.widget.session.restorations_done
    window.until(lambda: window.widget.session.restorations_done > done)
    window.settle()

    def gap() -> float:
        """How far curves are apart: the middles of each curve of eight segments lie on the grid."""
        rows = np.unique(np.round(window.layer(Role.TRAJECTORIES).data[4::8, 0, 0]))
        return float(np.diff(rows).min())

    far = gap()
    width_far = window.layer(Role.TRAJECTORIES).edge_width
    camera_of(viewer).zoom *= 6
    window.until(lambda: gap() < far)
    window.settle()
    near = window.layer(Role.TRAJECTORIES)
    assert 8 < len(near.data) <= TRAJECTORY_SEGMENTS
    assert near.edge_width == pytest.approx(width_far / 6, rel=0.01)
    assert len(np.unique(near.edge_color, axis=0)) == 8
    # what is drawn is what is seen
    (top, left), (bottom, right) = window.layer(Role.RESTORED).corner_pixels
    starts = near.data[:, 0]
    margin = 0.3 * max(bottom - top, right - left) + 40
    assert (starts > (top - margin, left - margin)).all()
    assert (starts < (bottom + margin, right + margin)).all()
    window.click(window.tab.closer)  # off: those of the whole photo again
    np.testing.assert_array_equal(near.data, window.widget.session.restored.curves.segments)
    assert near.edge_width == pytest.approx(max(np.shape(photo)[:2]) * 6 / 400)
    window.click(window.tab.closer)
    assert gap() < far
    camera_of(viewer).zoom /= 6
    window.until(lambda: gap() == far)


# -- probes ---------------------------------------------------------------------------------------------------------


def test_the_probe_follows_the_pointer(open_window: Callable[..., Window]) -> None:
    window = open_window(scale=(0.5, 0.5), units=("um", "um"))
    window.click(window.tab.probe.controls.check)
    readout = window.tab.probe.controls.readout
    window.point_at(40, 32)
    window.until(lambda: readout["Length"].text() == "12.0 px = 6 µm")
    assert readout["Direction"].text() == "→ right, 0°"
    assert readout["Blur probability"].text() == "1.00"
    points = window.layer(MotionRole.PROBE)
    assert len(points.data) == 9
    np.testing.assert_allclose(np.ptp(points.data, axis=0), (0, 12), atol=1e-3)
    np.testing.assert_allclose(points.scale, window.photo.scale)
    window.point_at(40, 96)
    window.until(lambda: readout["Direction"].text() == "↑ up, 90°")
    assert window.viewer.layers.selection.active is not points
    window.click(window.tab.probe.controls.check)
    assert window.layer(MotionRole.PROBE) is None
    window.point_at(40, 32)
    assert window.layer(MotionRole.PROBE) is None


def test_probes_are_pinned_by_click_and_by_keyboard_and_exported(
    open_window: Callable[..., Window], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window()
    controls = window.tab.probe.controls
    window.click(controls.check)
    window.point_at(40, 96)
    window.point_at(40, 96, click=Qt.KeyboardModifier.NoModifier)
    assert controls.table.rowCount() == 0
    window.point_at(40, 96, click=Qt.KeyboardModifier.ShiftModifier)
    window.until(lambda: controls.table.rowCount() == 1)
    window.click(controls.check)  # no pointer from here on
    for box, value in ((controls.y, 40), (controls.x, 32)):
        box.setFocus()
        box.selectAll()
        window.qtbot.keyClicks(box, str(value))
        window.qtbot.keyClick(box, Qt.Key.Key_Return)
    assert controls.readout["Length"].text() == "12.0 px"
    window.click(controls.pin_button)
    window.click(controls.pin_button)
    pins = window.layer(MotionRole.PINS)
    assert len(pins.data) == 27
    assert [text for text in pins.text.values if text] == ["1", "2", "3"]
    controls.table.selectRow(1)
    window.click(controls.remove_button)
    assert [controls.table.item(row, 0).text() for row in range(2)] == ["1", "3"]
    assert len(window.layer(MotionRole.PINS).data) == 18
    path = tmp_path / "probes.csv"
    # a modal dialog would hang the test, so the answer of a person is given here
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *_: (str(path), ""))
    window.click(controls.export_button)
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    assert [(row["number"], float(row["length_px"])) for row in rows] == [("1", 8.0), ("3", 12.0)]
    assert [file.name for file in tmp_path.iterdir()] == ["probes.csv"]
    controls.table.selectAll()
    window.click(controls.remove_button)
    assert window.layer(MotionRole.PINS) is None
    assert not controls.export_button.isEnabled()


def test_a_probe_of_a_shown_frame_only(open_window: Callable[..., Window]) -> None:
    window = open_window(np.random.default_rng(0).integers(0, 255, (3, 96, 128)).astype(np.uint8))
    controls = window.tab.probe.controls
    window.click(controls.check)
    shown = window.viewer.dims.current_step[0]
    window.viewer.dims.set_current_step(0, (shown + 1) % 3)
    world = window.photo.data_to_world(((shown + 1) % 3, 40, 32))
    assert window.tab.session.move_probe(world) is None
    assert window.tab.session.move_probe(window.photo.data_to_world((shown, 40, 32))) is not None


# -- film -----------------------------------------------------------------------------------------------------------


def test_the_film_is_a_layer_with_a_slider_of_its_own(open_window: Callable[..., Window], photo: np.ndarray) -> None:
    window = open_window(scale=(0.5, 0.5), units=("um", "um"), axis_labels=("height", "width"), rotate=10)
    assert not window.tab.film.save_button.isEnabled()
    window.tab.film.instants.setValue(5)
    window.click(window.tab.film.make_button)
    window.until(lambda: window.layer(MotionRole.FILM) is not None)
    film = window.layer(MotionRole.FILM)
    assert (film.data.shape, film.data.dtype, film.rgb) == ((5, *photo.shape), photo.dtype, True)
    assert film.axis_labels == ("exposure", "height", "width")
    assert window.viewer.dims.axis_labels[0] == "exposure"
    assert window.viewer.dims.current_step[0] == 2
    np.testing.assert_array_equal(film.data[2], window.layer(Role.RESTORED).data)
    np.testing.assert_allclose(film.data_to_world((0, 4, 9))[1:], window.photo.data_to_world((4, 9)))
    assert film.units[1:] == window.photo.units
    assert film.metadata["m2aenet"]["film"] == {"instants": 5}
    # the photo can be run again while the film has its slider
    window.run()
    assert "make it again" in window.tab.film.text.text()


def test_the_film_shows_mid_exposure_beside_a_stack_whose_axis_begins_and_steps_elsewhere(
    open_window: Callable[..., Window], viewer: Any, photo: np.ndarray
) -> None:
    viewer.add_image(np.zeros((2, 30, 9, 9), np.uint8), scale=(1, 0.5, 1, 1), translate=(0, -3, 0, 0), visible=False)
    window = open_window()
    window.tab.film.instants.setValue(5)
    window.click(window.tab.film.make_button)
    window.until(lambda: window.layer(MotionRole.FILM) is not None)
    film = window.layer(MotionRole.FILM)
    np.testing.assert_allclose(film.world_to_data(viewer.dims.point)[0], 2)


def test_the_slider_shows_a_bright_bar_move_to_the_right(open_window: Callable[..., Window]) -> None:
    photo = np.full((96, 128, 3), 40, np.uint8)
    photo[16:64, 30:34] = 240
    window = open_window(photo)
    # what is looked at is the film, so the network must not have touched the bar
    restored = window.tab.session.restored
    window.tab.session.take_restored(replace(restored, result=replace(restored.result, restored=photo)))
    window.click(window.tab.film.make_button)
    window.until(lambda: window.layer(MotionRole.FILM) is not None)
    window.show_only(MotionRole.FILM)
    for instant, column in ((0, 26), (4, 32), (8, 38)):
        window.viewer.dims.set_current_step(0, instant)
        window.settle()
        assert window.colour_at(40, column).min() > 150
        assert window.colour_at(40, column + 8).max() < 90


@pytest.mark.parametrize("suffix", [".gif", ".mp4", ".tif"])
def test_the_film_is_saved(
    open_window: Callable[..., Window], tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    window = open_window()
    window.tab.film.instants.setValue(3)
    window.click(window.tab.film.make_button)
    window.until(lambda: window.tab.session.film is not None)
    path = tmp_path / f"film{suffix}"
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *_: (str(path), ""))
    window.click(window.tab.film.save_button)
    window.until(lambda: window.tab.film.text.text() == f"Written to {path}.")
    if suffix == ".tif":
        np.testing.assert_array_equal(tifffile.imread(path), window.tab.session.film.frames)
    else:
        assert iio.imread(path).shape[1:3] == (96, 128)


def test_work_can_be_cancelled(open_window: Callable[..., Window]) -> None:
    window = open_window()
    window.tab.film.instants.setValue(65)
    window.click(window.tab.film.make_button)
    assert window.tab.film.make_button.text().startswith("Cancel")
    window.click(window.tab.film.make_button)
    assert window.tab.film.make_button.text() == "Make film"
    window.until(lambda: window.tab.filmer._runner.job is None)
    assert window.layer(MotionRole.FILM) is None


# -- trust ----------------------------------------------------------------------------------------------------------


def test_the_check_shows_where_and_says_how_much(open_window: Callable[..., Window]) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    window = open_window(photo)
    window.click(window.tab.trust.button)
    window.until(lambda: window.tab.session.checked is not None)
    difference, reblurred = window.layer(MotionRole.DIFFERENCE), window.layer(MotionRole.REBLURRED)
    # grain that moved 12 pixels would be gone, and it is there
    share = window.tab.session.checked.trust.explanation.explained
    assert share < 0.75
    assert window.tab.trust.text.text().startswith("⚠ ")
    assert f"{share:.0%}" in window.tab.trust.text.text() or share < 0
    apart = (reblurred.data.astype(float) - photo) / 255
    np.testing.assert_allclose(difference.data, np.sqrt((apart**2).mean(axis=-1)), atol=1e-5)
    assert not reblurred.visible
    assert reblurred.data[20:60, 20:44].std() < photo[20:60, 20:44].std() / 2
    window.show_only(MotionRole.DIFFERENCE)
    before = window.colour_at(40, 32)
    difference.visible = False
    window.settle()
    assert np.abs(window.colour_at(40, 32) - before).max() > 20


# -- coming and going -----------------------------------------------------------------------------------------------


def test_closing_the_dock_leaves_the_viewers_pointer_and_camera(open_window: Callable[..., Window]) -> None:
    window = open_window()
    callbacks = len(window.viewer.mouse_move_callbacks), len(window.viewer.mouse_drag_callbacks)
    window.click(window.tab.probe.controls.check)
    assert len(window.viewer.mouse_move_callbacks) == callbacks[0] + 1
    window.click(window.tab.film.make_button)
    window.viewer.window.remove_dock_widget(window.widget)
    assert (len(window.viewer.mouse_move_callbacks), len(window.viewer.mouse_drag_callbacks)) == callbacks
    camera_of(window.viewer).zoom *= 3
    window.settle()
    assert not window.tab.filmer.is_busy


def test_a_closed_dock_keeps_nothing_of_the_photo_and_of_the_model(open_window: Callable[..., Window]) -> None:
    """Even where a script still holds the widget, which may be opened again."""
    window = open_window()
    window.click(window.tab.film.make_button)
    window.until(lambda: window.tab.session.film is not None and not window.tab.filmer.is_busy)
    analyzed = window.widget.session.analyzed
    kept = {name: weakref.ref(getattr(analyzed, name)) for name in ("analysis", "deblurrer", "levels")}
    del analyzed
    window.viewer.window.remove_dock_widget(window.widget)
    window.settle()
    gc.collect()
    assert [name for name, known in kept.items() if known() is not None] == []
    assert not window.tab.film.make_button.isEnabled()
    assert not window.tab.film.save_button.isEnabled()


def test_closing_the_viewer_right_after_zooming_and_pointing_starts_nothing(
    open_window: Callable[..., Window],
) -> None:
    window = open_window()
    window.click(window.tab.probe.controls.check)
    camera_of(window.viewer).zoom *= 3
    window.tab.probe.pointer._note(window.viewer, type("Event", (), {"position": (40.0, 32.0)})())
    window.click(window.tab.film.make_button)
    window.viewer.close()
    window.settle()
    assert not window.tab.filmer.is_busy
    assert window.tab.session.film is window.tab.session.probe is None


def test_the_key_for_cancel_stops_film_and_check(open_window: Callable[..., Window]) -> None:
    window = open_window()
    window.tab.film.instants.setValue(65)
    window.click(window.tab.film.make_button)
    window.click(window.tab.trust.button)
    window.tab.stop()
    assert (window.tab.film.make_button.text(), window.tab.trust.button.text()) == ("Make film", "Check the result")
    window.until(lambda: window.tab.filmer._runner.job is window.tab.checker._runner.job is None)
    assert window.layer(MotionRole.FILM) is window.layer(MotionRole.DIFFERENCE) is None


def test_deleting_the_photo_stops_the_work_and_keeps_the_table(open_window: Callable[..., Window]) -> None:
    window = open_window()
    window.tab.probe._on_placed(40, 32)
    window.click(window.tab.probe.controls.pin_button)
    window.click(window.tab.film.make_button)
    window.viewer.layers.remove(window.photo)
    assert not window.tab.film.make_button.isEnabled()
    assert window.tab.film.text.text() == "Press Run first."
    assert window.tab.probe.controls.table.rowCount() == 1
