"""The tab “Record”: what is copied, saved and opened makes the same pixels again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from m2aenet_core import M2AENet, save_model
from m2aenet_core.cli import main
from m2aenet_core.image_io import read_image, write_image
from napari_m2aenet.layer_data import Role
from napari_m2aenet.models import open_deblurrer

pytestmark = pytest.mark.window

LEFT = Qt.MouseButton.LeftButton
RUN_MS = 100_000  # a busy machine is slow, not wrong
PLUGIN = "napari-m2aenet"


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], workers_ended: None) -> Any:
    return make_napari_viewer()


@pytest.fixture
def weights(model: M2AENet, tmp_path: Path) -> str:
    save_model(model, tmp_path / "mine.safetensors")
    return str(tmp_path / "mine.safetensors")


def dock(viewer: Any, weights: str | None = None) -> tuple[Any, Any]:
    """The widget, and its tab for records."""
    from napari_m2aenet.widgets.main import DeblurWidget
    from napari_m2aenet.widgets.record_panel import RecordPanel

    widget = DeblurWidget(viewer, open_deblurrer)
    viewer.window.add_dock_widget(widget, name="Local motion deblur")
    if weights is not None:
        widget.model.choose_file(weights)
        widget.device.choose("cpu")
    return widget, next(panel for panel in widget.panels if isinstance(panel, RecordPanel))


def save(panel: Any, path: Path, qtbot: Any) -> None:
    panel.save_to(str(path))
    qtbot.waitUntil(lambda: panel.saver.job is None, timeout=RUN_MS)


def wait_until_done(widget: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not widget.session.is_busy and widget.session.job is None, timeout=RUN_MS)
    assert widget.session.status.error is None, widget.session.status.text


def run(widget: Any, qtbot: Any) -> np.ndarray:
    qtbot.mouseClick(widget.controls.run_button, LEFT)
    wait_until_done(widget, qtbot)
    restored = widget.session.restored.result.restored
    assert (restored != widget.session.analyzed.analysis.image).any()
    return np.asarray(restored)


def copied(panel: Any, button: Any, qtbot: Any) -> str:
    qtbot.mouseClick(button, LEFT)
    qtbot.waitUntil(lambda: panel.runner.job is None, timeout=RUN_MS)
    return str(QApplication.clipboard().text())


def executed(text: str, **known: object) -> np.ndarray:
    names: dict[str, Any] = dict(known)
    exec(compile(text, "copied", "exec"), names)
    return np.asarray(names["restored"])


def open_photo(widget: Any, path: Path, qtbot: Any) -> Any:
    widget.open_photo(str(path))
    qtbot.waitUntil(lambda: path.stem in widget.viewer.layers, timeout=RUN_MS)
    return widget.viewer.layers[path.stem]


def test_what_is_copied_makes_the_same_pixels(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "holiday.png", photo)
    widget, panel = dock(viewer, weights)
    open_photo(widget, tmp_path / "holiday.png", qtbot)
    widget.threshold.number.setValue(0.45)
    restored = run(widget, qtbot)
    python = copied(panel, panel.python_button, qtbot)
    assert panel.status.text() == "Copied as Python."
    np.testing.assert_array_equal(executed(python), restored)
    command = copied(panel, panel.command_button, qtbot)
    assert main(shlex.split(command)[1:]) == 0
    np.testing.assert_array_equal(read_image("restored/holiday.png").pixels, restored)


def test_a_dim_micrograph_in_a_layer_without_a_file_is_copied_for_the_console(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any
) -> None:
    stack = np.stack([photo[..., 0], photo[::-1, :, 1]]).astype(np.uint16) * 3 + 100
    viewer.add_image(stack, name="cells", contrast_limits=(90, 800))
    viewer.dims.current_step = (1, 0, 0)
    widget, panel = dock(viewer, weights)
    restored = run(widget, qtbot)
    python = copied(panel, panel.python_button, qtbot)
    np.testing.assert_array_equal(executed(python, viewer=viewer), restored)
    copied(panel, panel.command_button, qtbot)
    assert panel.status.text().startswith("⚠ The record names no photo")


def test_all_frames_of_a_stack_are_copied_as_python(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    stack = np.stack([photo[..., 0], photo[::-1, :, 1]])
    tifffile.imwrite(tmp_path / "film.tif", stack, photometric="minisblack")
    viewer.open(str(tmp_path / "film.tif"), plugin="napari")
    widget, panel = dock(viewer, weights)
    batch = next(other for other in widget.panels if other.title == "Batch")
    qtbot.mouseClick(batch.frames_button, LEFT)
    qtbot.waitUntil(lambda: batch.runner.job is None, timeout=RUN_MS)
    result = viewer.layers["restored frames: film"]
    viewer.layers.selection.active = result
    python = copied(panel, panel.python_button, qtbot)
    assert "tifffile.imread" in python
    np.testing.assert_array_equal(executed(python), result.data)


def test_the_record_of_a_stack_restores_all_its_frames_again(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    stack = np.stack([photo[..., 0], photo[::-1, :, 1]]).astype(np.uint16) * 3 + 100
    tifffile.imwrite(tmp_path / "film.tif", stack, photometric="minisblack")
    (layer,) = viewer.open(str(tmp_path / "film.tif"), plugin="napari")
    layer.contrast_limits = (90, 800)
    widget, panel = dock(viewer, weights)
    widget.threshold.number.setValue(0.4)
    batch = next(other for other in widget.panels if other.title == "Batch")
    qtbot.mouseClick(batch.frames_button, LEFT)
    qtbot.waitUntil(lambda: batch.runner.job is None, timeout=RUN_MS)
    restored = viewer.layers["restored frames: film"].data
    save(panel, tmp_path / "saved" / "film result.json", qtbot)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "saved" / "film result.tif"), restored)
    mask = tifffile.imread(tmp_path / "saved" / "film result_mask.tif")
    np.testing.assert_array_equal(mask > 0, viewer.layers["blur mask of frames: film"].data > 0)

    viewer.layers.clear()
    widget.threshold.number.setValue(0.9)
    panel.repeat_file(str(tmp_path / "saved" / "film result.json"))
    qtbot.waitUntil(lambda: batch.runner.job is not None, timeout=RUN_MS)
    assert widget.tabs.currentWidget() is batch
    qtbot.waitUntil(lambda: batch.runner.job is None, timeout=RUN_MS)
    np.testing.assert_array_equal(viewer.layers["restored frames: film"].data, restored)


def test_a_saved_result_is_repeated_when_its_record_is_opened(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    """A layer without a file and a painted mask: the photo and the mask are saved, and the record finds them."""
    layer = viewer.add_image(photo, rgb=True, name="street")
    widget, panel = dock(viewer, weights)
    run(widget, qtbot)
    mask = np.zeros(photo.shape[:2], bool)
    mask[20:70, 30:90] = True
    widget.session.request_mask(mask)
    widget._go_on()
    wait_until_done(widget, qtbot)
    restored = widget.session.restored.result.restored
    save(panel, tmp_path / "saved" / "result.json", qtbot)
    assert panel.status.text().startswith("Saved: result.json, ")
    folder = tmp_path / "saved"
    np.testing.assert_array_equal(read_image(folder / "result.png").pixels, restored)
    np.testing.assert_array_equal(read_image(folder / "result_mask.png").pixels > 0, mask)
    np.testing.assert_array_equal(read_image(folder / "result_photo.png").pixels, photo)
    assert (folder / "result_trajectories.csv").read_text().startswith("begin_y_px,begin_x_px,end_y_px,end_x_px,time\n")
    record = json.loads((folder / "result.json").read_text("utf-8"))
    assert set(record["outputs"].values()) == {path.name for path in folder.iterdir()} - {"result.json"}

    viewer.layers.remove(layer)
    widget.model.choose("default")
    viewer.open(str(folder / "result.json"), plugin=PLUGIN)
    qtbot.waitUntil(lambda: widget.session.is_busy, timeout=RUN_MS)
    wait_until_done(widget, qtbot)
    assert widget.photo.layer.name == "result_photo"
    assert widget.session.settings.model == weights
    np.testing.assert_array_equal(widget.session.restored.result.mask, mask)
    np.testing.assert_array_equal(widget.session.restored.result.restored, restored)
    assert panel.status.text() == "The same pixels came out as in the record."
    assert widget.status_line.text().endswith("The same pixels came out as in the record.")


def test_a_repetition_that_was_cancelled_gives_its_mask_to_no_other_run(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    viewer.add_image(photo, rgb=True, name="street")
    widget, panel = dock(viewer, weights)
    run(widget, qtbot)
    mask = np.zeros(photo.shape[:2], bool)
    mask[20:70, 30:90] = True
    widget.session.request_mask(mask)
    widget._go_on()
    wait_until_done(widget, qtbot)
    save(panel, tmp_path / "result.json", qtbot)
    viewer.layers.clear()
    panel.repeat_file(str(tmp_path / "result.json"))
    qtbot.waitUntil(lambda: widget.session.is_busy, timeout=RUN_MS)
    widget.cancel()
    qtbot.waitUntil(lambda: widget.session.job is None, timeout=RUN_MS)
    widget.threshold.number.setValue(0.4)
    run(widget, qtbot)
    assert widget.session.restored.choice.is_plain
    assert panel.status.text() == ""


def test_a_frame_and_batches_of_one_stack_are_saved_each_by_itself(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    viewer.add_image(np.stack([photo[..., 0], photo[::-1, :, 1]]), name="film")
    widget, panel = dock(viewer, weights)
    batch = next(other for other in widget.panels if other.title == "Batch")
    run(widget, qtbot)
    for _ in range(2):
        qtbot.mouseClick(batch.frames_button, LEFT)
        qtbot.waitUntil(lambda: batch.runner.job is None, timeout=RUN_MS)
    results = [layer for layer in viewer.layers if layer.name.startswith("restored")]
    assert len(results) == 3
    for number, layer in enumerate(results):
        viewer.layers.selection.active = layer
        save(panel, tmp_path / f"{number}.json", qtbot)
        assert panel.status.text().startswith(f"Saved: {number}.json")
        assert ("frames" in json.loads((tmp_path / f"{number}.json").read_text("utf-8"))) == ("frames" in layer.name)


def test_what_is_saved_is_the_result_of_the_selected_photo_else_of_the_last_run(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    """Two photos, the lower one run last, a film on top, and a photo that was renamed since."""
    low = viewer.add_image(photo, rgb=True, name="low")
    high = viewer.add_image(photo[::-1].copy(), rgb=True, name="high")
    widget, panel = dock(viewer, weights)
    for layer in (high, low):
        widget.photo.choose(layer)
        run(widget, qtbot)
    motion = next(other for other in widget.panels if other.title == "Motion")
    qtbot.mouseClick(motion.film.make_button, LEFT)
    qtbot.waitUntil(lambda: "film: low" in viewer.layers, timeout=RUN_MS)
    low.name = "renamed"

    def saved_photo() -> np.ndarray:
        path = tmp_path / f"{len(list(tmp_path.glob('*.json')))}.json"
        save(panel, path, qtbot)
        assert panel.status.text().startswith(f"Saved: {path.name}"), panel.status.text()
        return read_image(path.with_name(f"{path.stem}_photo.png")).pixels

    for chosen, expected in ((None, low), (low, low), (viewer.layers["film: low"], low), (high, high)):
        viewer.layers.selection.active = chosen
        np.testing.assert_array_equal(saved_photo(), expected.data)
    save(panel, tmp_path / "result.png", qtbot)
    assert "give one that ends with .json" in panel.status.text()


def test_what_is_copied_names_the_photo_as_it_is_called_now(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any
) -> None:
    layer = viewer.add_image(photo, rgb=True, name="street")
    widget, panel = dock(viewer, weights)
    restored = run(widget, qtbot)
    layer.name = "road"
    np.testing.assert_array_equal(executed(copied(panel, panel.python_button, qtbot), viewer=viewer), restored)


def test_what_is_copied_is_the_result_of_the_selected_layer_else_of_the_last_run(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any
) -> None:
    """Two photos, the lower one run last: any result layer stands for its run, as where a result is saved."""
    low = viewer.add_image(photo, rgb=True, name="low")
    high = viewer.add_image(photo[::-1].copy(), rgb=True, name="high")
    widget, panel = dock(viewer, weights)
    made = {}
    for layer in (high, low):
        widget.photo.choose(layer)
        made[layer] = run(widget, qtbot)
    result = widget.layers.find
    for chosen, expected in (
        (None, low),
        (result(Role.MASK, high.unique_id), high),
        (result(Role.RESTORED, high.unique_id), high),
        (high, high),
        (result(Role.TRAJECTORIES, low.unique_id), low),
    ):
        viewer.layers.selection.active = chosen
        text = copied(panel, panel.python_button, qtbot)
        np.testing.assert_array_equal(executed(text, viewer=viewer), made[expected])
    viewer.layers.remove(low)
    viewer.layers.remove("restored: low")
    viewer.layers.selection.active = None
    text = copied(panel, panel.python_button, qtbot)
    np.testing.assert_array_equal(executed(text, viewer=viewer), made[high])


@pytest.mark.parametrize("name", ["grey16.tif", "colour.png"])
def test_a_record_of_the_command_opens_the_dock_and_repeats_the_run(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any, tmp_path: Path, name: str
) -> None:
    pixels = photo[..., 0].astype(np.uint16) * 3 + 100 if name == "grey16.tif" else photo
    write_image(tmp_path / name, pixels)
    options = ["--threshold", "0.4", "--model", weights, "--device", "cpu"]
    options += ["--value-range", *(("90", "800.5") if name == "grey16.tif" else ("5", "200"))]
    assert main(["deblur", str(tmp_path / name), "-o", str(tmp_path / "out"), *options]) == 0
    viewer.open(str(tmp_path / "out" / f"{name}.json"), plugin=PLUGIN)
    found: list[Any] = []

    def opened() -> bool:
        from napari_m2aenet.widgets.main import DeblurWidget

        found[:] = viewer.window._qt_window.findChildren(DeblurWidget)
        return bool(found)

    qtbot.waitUntil(opened, timeout=RUN_MS)
    (widget,) = found
    qtbot.waitUntil(lambda: widget.session.is_busy or widget.session.restored is not None, timeout=RUN_MS)
    wait_until_done(widget, qtbot)
    assert widget.threshold.value == 0.4
    assert widget.session.settings.device == "cpu"
    restored = read_image(tmp_path / "out" / name).pixels
    assert (restored != pixels).any()
    np.testing.assert_array_equal(widget.session.restored.result.restored, restored)
    assert widget.status_line.text().endswith("The same pixels came out as in the record.")


def test_another_json_is_not_taken_for_a_record(
    viewer: Any, tmp_path: Path, qtbot: Any, notifications: list[str]
) -> None:
    (tmp_path / "other.json").write_text("{}")
    _, panel = dock(viewer)
    panel.repeat_file(str(tmp_path / "other.json"))
    sentence = f"{tmp_path / 'other.json'} is no record of a restored photo; choose the .json beside one."
    assert panel.status.text() == f"⚠ {sentence}"
    assert notifications == [sentence]
    assert len(viewer.layers) == 0


def test_saving_a_plain_picture_is_left_to_napari(viewer: Any, photo: np.ndarray, tmp_path: Path) -> None:
    viewer.add_image(photo, rgb=True, name="street")
    for name in ("street.png", "street.tif", "street"):
        assert viewer.layers.save(str(tmp_path / name))
    assert not list(tmp_path.rglob("*.json"))


def test_a_mask_that_moved_on_is_not_saved_with_an_older_photo(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    layer = viewer.add_image(photo, rgb=True, name="street")
    widget, panel = dock(viewer, weights)
    save(panel, tmp_path / "result.json", qtbot)
    assert panel.status.text() == "⚠ There is no result yet; run a photo first."
    run(widget, qtbot)
    mask = widget.layers.find(Role.MASK, layer.unique_id)
    mask.data = 1 - mask.data
    save(panel, tmp_path / "result.json", qtbot)
    assert "The mask has moved on since the photo was restored" in panel.status.text()
    assert not list(tmp_path.glob("result*"))


def test_saving_goes_on_beside_the_window_with_the_mask_as_it_was(
    viewer: Any, weights: str, photo: np.ndarray, qtbot: Any, tmp_path: Path
) -> None:
    """A stroke on the mask while its file is written, and a dock that is closed before all are."""
    layer = viewer.add_image(photo, rgb=True, name="street")
    widget, panel = dock(viewer, weights)
    run(widget, qtbot)
    mask = widget.layers.find(Role.MASK, layer.unique_id)
    expected = mask.data.copy()
    panel.save_to(str(tmp_path / "result.json"))
    assert panel.status.text() == "Saving …"
    assert not panel.save_button.isEnabled()
    mask.data[...] = 1 - mask.data
    panel.save_to(str(tmp_path / "second.json"))
    panel.close_down()
    qtbot.waitUntil(lambda: panel.saver.job is None, timeout=RUN_MS)
    assert panel.status.text().startswith("Saved: result.json, ")
    assert panel.save_button.isEnabled()
    np.testing.assert_array_equal(read_image(tmp_path / "result_mask.png").pixels > 0, expected > 0)
    assert not list(tmp_path.glob("second*"))
