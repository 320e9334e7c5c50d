"""The tab “Batch” as a person uses it: real clicks, real layers, real files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from qtpy.QtCore import Qt

from m2aenet_core import Deblurrer, M2AENet
from m2aenet_core.image_io import read_image, write_image
from napari_m2aenet.models import OpenDeblurrer

pytestmark = pytest.mark.window

LEFT = Qt.MouseButton.LeftButton
RUN_MS = 100_000  # a busy machine is slow, not wrong


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], workers_ended: None) -> Any:
    return make_napari_viewer()


def dock(viewer: Any, opener: OpenDeblurrer) -> tuple[Any, Any]:
    """The widget, and its tab for batches."""
    from napari_m2aenet.widgets.batch_panel import BatchPanel
    from napari_m2aenet.widgets.main import DeblurWidget

    widget = DeblurWidget(viewer, opener)
    viewer.window.add_dock_widget(widget, name="Local motion deblur")
    return widget, next(panel for panel in widget.panels if isinstance(panel, BatchPanel))


def wait_until_done(panel: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: panel.runner.job is None, timeout=RUN_MS)


@pytest.fixture
def frames(photo: np.ndarray) -> np.ndarray:
    return np.stack([photo[..., 0], photo[::-1, :, 1], photo[:, ::-1, 2], photo[..., 1]])


class SlowFilm:
    """Four frames as a dask array; each but the first `given` waits until it is let through."""

    def __init__(self, frames: np.ndarray) -> None:
        self.let_through = threading.Semaphore(0)
        self.computed: list[int] = []

        def load(block_info: Any = None) -> np.ndarray:
            frame = block_info[None]["chunk-location"][0]
            if threading.current_thread() is not threading.main_thread() and self.is_watched:
                self.let_through.acquire(timeout=RUN_MS / 1000)
                self.computed.append(frame)
            return frames[frame][None]

        self.is_watched = False
        chunks = ((1,) * len(frames), (frames.shape[1],), (frames.shape[2],))
        self.data = da.map_blocks(load, chunks=chunks, dtype=frames.dtype, meta=np.zeros((0, 0, 0), frames.dtype))


def test_all_frames_of_a_dask_stack_arrive_one_by_one_where_the_stack_lies(
    viewer: Any, open_tiny: OpenDeblurrer, model: M2AENet, frames: np.ndarray, qtbot: Any
) -> None:
    data = da.from_array(frames, chunks=(1, 96, 128))
    place = {"scale": (3, 0.5, 0.5), "translate": (7, 1, 0), "units": ("s", "um", "um"), "axis_labels": ("t", "y", "x")}
    layer = viewer.add_image(data, name="film", contrast_limits=(0, 255), **place)
    viewer.dims.current_step = (2, 0, 0)
    widget, panel = dock(viewer, open_tiny)
    widget.threshold.number.setValue(0.4)
    assert panel.frames_label.text() == "“film” has 4 frames."
    qtbot.mouseClick(panel.frames_button, LEFT)
    assert not panel.frames_button.isEnabled()
    assert not panel.folder.button.isEnabled()
    wait_until_done(panel, qtbot)
    restored, mask = viewer.layers["restored frames: film"], viewer.layers["blur mask of frames: film"]
    deblurrer = Deblurrer(model, device="cpu")
    for index, frame in enumerate(frames):
        alone = deblurrer(frame, 0.4)
        np.testing.assert_array_equal(restored.data[index], alone.restored)
        np.testing.assert_array_equal(mask.data[index].astype(bool), alone.mask)
    for made in (restored, mask):
        assert (made.units, made.axis_labels) == (layer.units, layer.axis_labels)
        np.testing.assert_allclose(made.data_to_world((3, 2, 1)), layer.data_to_world((3, 2, 1)))
    assert viewer.dims.current_step[0] == 2
    assert viewer.layers.selection.active is not restored
    assert restored.metadata["m2aenet"]["settings"]["threshold"] == 0.4
    assert len(panel.log.toPlainText().splitlines()) == 4
    assert panel.status.text().startswith("“film”: 4 of 4 frames are restored.")
    assert [widget.photo.list.itemText(i) for i in range(widget.photo.list.count())] == ["film"]
    assert panel.frames_button.isEnabled()


def test_cancelled_in_the_middle_what_arrived_stays_and_is_seen(
    viewer: Any, open_tiny: OpenDeblurrer, frames: np.ndarray, qtbot: Any
) -> None:
    film = SlowFilm(frames)
    viewer.add_image(film.data, name="film", contrast_limits=(0, 255))
    viewer.dims.current_step = (0, 0, 0)
    _, panel = dock(viewer, open_tiny)
    film.is_watched = True
    qtbot.mouseClick(panel.frames_button, LEFT)
    assert not viewer.layers["restored frames: film"].visible  # nothing covers the film yet
    film.let_through.release(2)
    qtbot.waitUntil(lambda: len(panel.log.toPlainText().splitlines()) == 2, timeout=RUN_MS)
    restored = viewer.layers["restored frames: film"]
    assert restored.visible
    assert restored.data[:2].any(axis=(1, 2)).all()
    assert 0 < panel.bar.value() < panel.bar.maximum() == 400
    # what arrived is on the screen before the batch ends
    np.testing.assert_array_equal(restored._slice.image.raw, restored.data[0])
    qtbot.mouseClick(panel.cancel_button, LEFT)
    film.let_through.release(2)
    wait_until_done(panel, qtbot)
    film.is_watched = False
    assert restored in viewer.layers
    assert restored.data[:2].any(axis=(1, 2)).all()
    assert not restored.data[2:].any()
    assert film.computed == [0, 1, 2]
    assert panel.status.text().startswith("Stopped. 2 of 4 frames of “film” are restored; they stay.")
    assert [frame["frame"] for frame in restored.metadata["m2aenet"]["frames"]] == [[0], [1]]
    assert panel.frames_button.isEnabled()


def test_stopped_before_the_first_frame_nothing_is_left(
    viewer: Any, open_gated: OpenDeblurrer, gate: Any, frames: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(frames, name="film")
    _, panel = dock(viewer, open_gated)
    qtbot.mouseClick(panel.frames_button, LEFT)
    qtbot.waitUntil(gate.reached.is_set, timeout=RUN_MS)
    qtbot.mouseClick(panel.cancel_button, LEFT)
    wait_until_done(panel, qtbot)
    assert panel.status.text() == "Stopped. No frame of “film” is restored."
    assert [layer.name for layer in viewer.layers] == ["film"]


def test_where_all_frames_fail_nothing_is_left(
    viewer: Any, open_failing: OpenDeblurrer, frames: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(frames, name="film")
    _, panel = dock(viewer, open_failing)
    qtbot.mouseClick(panel.frames_button, LEFT)
    wait_until_done(panel, qtbot)
    assert panel.status.text() == "“film”: 0 of 4 frames are restored. 4 failed; they are listed."
    assert [layer.name for layer in viewer.layers] == ["film"]


@pytest.mark.parametrize("removed", ["film", "restored frames: film"])
def test_removing_the_stack_or_its_result_stops_the_batch(
    viewer: Any, open_tiny: OpenDeblurrer, frames: np.ndarray, qtbot: Any, removed: str
) -> None:
    film = SlowFilm(frames)
    viewer.add_image(film.data, name="film", contrast_limits=(0, 255))
    _, panel = dock(viewer, open_tiny)
    film.is_watched = True
    qtbot.mouseClick(panel.frames_button, LEFT)
    film.let_through.release(1)
    qtbot.waitUntil(lambda: bool(panel.log.toPlainText()), timeout=RUN_MS)
    film.is_watched = False
    viewer.layers.remove(removed)
    film.let_through.release(4)
    wait_until_done(panel, qtbot)
    assert panel.status.text().startswith("Stopped. 1 of 4 frames")


def test_closing_the_dock_in_the_middle_of_a_batch_ends_it(
    viewer: Any, open_tiny: OpenDeblurrer, frames: np.ndarray, qtbot: Any
) -> None:
    film = SlowFilm(frames)
    viewer.add_image(film.data, name="film", contrast_limits=(0, 255))
    widget, panel = dock(viewer, open_tiny)
    film.is_watched = True
    qtbot.mouseClick(panel.frames_button, LEFT)
    job = panel.runner.job
    film.let_through.release(1)
    qtbot.waitUntil(lambda: bool(panel.log.toPlainText()), timeout=RUN_MS)
    viewer.window.remove_dock_widget(widget)
    film.let_through.release(4)
    qtbot.waitUntil(lambda: panel.runner.job is None, timeout=RUN_MS)
    assert job.is_cancelled
    assert not viewer.layers["restored frames: film"].data[2:].any()


def test_a_colour_stack_and_a_plain_picture(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(np.stack([photo, photo[::-1]]), rgb=True, name="film")
    plain = viewer.add_image(photo, rgb=True, name="street")
    widget, panel = dock(viewer, open_tiny)
    widget.photo.choose(plain)
    assert panel.frames_label.text() == "“street” is one picture: press Run above."
    assert not panel.frames_button.isEnabled()
    widget.photo.choose(viewer.layers["film"])
    qtbot.mouseClick(panel.frames_button, LEFT)
    wait_until_done(panel, qtbot)
    made = viewer.layers["restored frames: film"]
    assert (made.rgb, made.data.shape) == (True, (2, 96, 128, 3))


def test_what_is_said_of_the_frames_follows_the_layer(
    viewer: Any, open_tiny: OpenDeblurrer, frames: np.ndarray, qtbot: Any
) -> None:
    """A layer may be renamed, and a recording grows."""
    layer = viewer.add_image(frames[0], name="first")
    _, panel = dock(viewer, open_tiny)
    assert not panel.frames_button.isEnabled()
    layer.name = "film"
    assert panel.frames_label.text() == "“film” is one picture: press Run above."
    layer.data = frames[:2]
    assert (panel.frames_label.text(), panel.frames_button.isEnabled()) == ("“film” has 2 frames.", True)
    layer.data = frames
    assert panel.frames_label.text() == "“film” has 4 frames."


def test_a_folder_is_restored_with_what_is_set_in_the_window(
    viewer: Any, open_tiny: OpenDeblurrer, model: M2AENet, photo: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", photo)
    (tmp_path / "in" / "b.png").write_bytes(b"no photo")
    widget, panel = dock(viewer, open_tiny)
    widget.threshold.number.setValue(0.35)
    panel.folder.source.choose(str(tmp_path / "in"))
    panel.folder.out.choose(str(tmp_path / "out"))
    panel.folder.extras["save_mask"].click()
    qtbot.mouseClick(panel.folder.button, LEFT)
    wait_until_done(panel, qtbot)
    alone = Deblurrer(model, device="cpu")(photo, 0.35)
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a.png").pixels, alone.restored)
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a_mask.png").pixels > 0, alone.mask)
    assert panel.status.text() == f"1 of 2 photos are restored into {tmp_path / 'out'}. 1 failed; they are listed."
    assert [line[0] for line in panel.log.toPlainText().splitlines()] == ["a", "⚠"]


def test_a_folder_that_is_missing_is_a_sentence(viewer: Any, open_tiny: OpenDeblurrer, qtbot: Any) -> None:
    _, panel = dock(viewer, open_tiny)
    qtbot.mouseClick(panel.folder.button, LEFT)
    assert panel.status.text() == "⚠ There is no folder to restore yet; choose one that holds photos."
    assert panel.runner.job is None
