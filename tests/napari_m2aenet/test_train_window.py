"""The tab that trains: real runs of a tiny network, started and stopped with real clicks."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QTabWidget

from m2aenet_core.checkpoint import load_model
from m2aenet_core.train import parse
from m2aenet_core.training.sources import make_sources
from napari_m2aenet.comparing import Box
from napari_m2aenet.models import OpenDeblurrer, open_deblurrer
from napari_m2aenet.source import source_of_layer
from napari_m2aenet.training_preview import Preview
from napari_m2aenet.training_run import RunState, TrainingRun

pytestmark = pytest.mark.window

LEFT = Qt.MouseButton.LeftButton
RUN_MS = 300_000


@pytest.fixture
def photos(tmp_path: Path, photo: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.roll(photo, 20 * number, axis=1)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def runs() -> Iterator[list[Any]]:
    """Runs that are ended when the test is over, however it ends."""
    begun: list[Any] = []
    yield begun
    for run in begun:
        while run.is_running:
            run.process.stop()


def tab(viewer: Any, opener: OpenDeblurrer) -> tuple[Any, Any]:
    """The dock, and its tab for training in front."""
    from napari_m2aenet.widgets.main import DeblurWidget

    widget = DeblurWidget(viewer, opener)
    viewer.window.add_dock_widget(widget, name="Local motion deblur")
    panel = next(panel for panel in widget.panels if panel.title == "Train")
    widget.findChild(QTabWidget).setCurrentWidget(panel)
    return widget, panel


def start(panel: Any, out: Path, photos: Path, qtbot: Any, runs: list[Any], steps: int = 0, more: str = "") -> None:
    qtbot.waitUntil(lambda: panel.order.recipe.count() > 1)
    panel.order.out.choose(str(out))
    panel.order.data.choose(str(photos))
    panel.order.recipe.setCurrentText("debug")
    panel.order.steps.setValue(steps)
    panel.order.more.setText(f"--workers 0 --accelerator cpu {more}")
    qtbot.mouseClick(panel.start_button, LEFT)
    assert panel.run is not None, panel.status.text()
    runs.append(panel.run)


def wait_for_end(panel: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not panel.run.is_running and not panel._timer.isActive(), timeout=RUN_MS)
    qtbot.waitUntil(lambda: not panel._previewer.is_busy, timeout=RUN_MS)


def colours_of(widget: Any) -> set[str]:
    image = widget.grab().toImage()
    return {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}


def written_run(folder: Path, steps: int = 20) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text("steps: 40\n")
    rows = "".join(f"{i},{2 / i},20\n" for i in range(1, steps + 1))
    (folder / "losses.csv").write_text("step,loss,psnr_db\n" + rows)
    (folder / "metrics.csv").write_text("step,loss,psnr_db,gain_db,mask_iou\n10,1,28,0.1,0.4\n20,1,29,0.3,0.5\n")
    return folder


# -- a run ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_from_the_dock_shows_its_course_previews_it_and_its_weights_are_used_at_once(
    viewer: Any, photos: Path, photo: np.ndarray, tmp_path: Path, qtbot: Any, runs: list[Any]
) -> None:
    from napari_m2aenet.widgets.curve_plot import LOSS_COLOUR

    layer = viewer.add_image(photo, rgb=True, name="street", scale=(0.5, 0.5))
    widget, panel = tab(viewer, open_deblurrer)
    panel.preview_always.setChecked(True)
    start(panel, tmp_path / "mine", photos, qtbot, runs)
    assert not panel.start_button.isEnabled()
    assert panel.status.text().startswith("Starting")
    layer.opacity = 0.9  # the window lives
    qtbot.waitUntil(lambda: panel.run.state is RunState.RUNNING, timeout=RUN_MS)
    wait_for_end(panel, qtbot)
    assert panel.run.state is RunState.FINISHED, panel.status.text()
    assert "training preview: street" in viewer.layers  # made after a validation, unasked
    assert panel.status.text().startswith("Step 20 of 20")
    assert "Validation at step 20" in panel.validation.text()
    assert QColor(LOSS_COLOUR).name() in colours_of(panel.plot)

    qtbot.mouseClick(panel.preview_button, LEFT)
    qtbot.waitUntil(lambda: not panel._previewer.is_busy, timeout=RUN_MS)
    preview = viewer.layers["training preview: street"]
    assert preview.metadata["m2aenet_training_step"] == 20
    np.testing.assert_allclose(preview.scale, layer.scale)
    assert preview.data.shape == photo.shape
    assert [widget.photo.list.itemText(i) for i in range(widget.photo.list.count())] == ["street"]

    qtbot.mouseClick(panel.use_button, LEFT)
    assert widget.model.currentText() == "mine/best.safetensors"
    qtbot.mouseClick(widget.controls.run_button, LEFT)
    qtbot.waitUntil(lambda: not widget.session.is_busy and widget.session.job is None, timeout=RUN_MS)
    used = widget.session.restored.analyzed.deblurrer.model
    best = load_model(tmp_path / "mine" / "best.safetensors").state_dict()
    for name, value in used.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), best[name].numpy())


@pytest.mark.slow
def test_a_run_is_stopped_with_a_checkpoint_and_goes_on(
    viewer: Any, open_tiny: OpenDeblurrer, photos: Path, tmp_path: Path, qtbot: Any, runs: list[Any]
) -> None:
    widget, panel = tab(viewer, open_tiny)
    start(panel, tmp_path / "mine", photos, qtbot, runs, steps=100_000, more="--validate_every 100000")
    qtbot.waitUntil(lambda: panel.run.step >= 3, timeout=RUN_MS)
    widget.stop_all()  # the key that cancels a photo's run is not for what has learned for hours
    assert not panel.run.process.stop_asked
    assert "left." in panel.status.text() or panel.status.text().startswith("Step")
    qtbot.mouseClick(panel.stop_button, LEFT)
    assert panel.stop_button.text() == "Stop at once"
    wait_for_end(panel, qtbot)
    stopped_at = panel.run.step
    assert panel.run.state is RunState.STOPPED
    assert panel.start_button.text() == "Go on"
    assert not panel.order.recipe.isEnabled()
    panel.order.steps.setValue(stopped_at + 3)
    qtbot.mouseClick(panel.start_button, LEFT)
    runs.append(panel.run)
    wait_for_end(panel, qtbot)
    assert panel.run.state is RunState.FINISHED, panel.status.text()
    assert list(panel.run.losses.columns["step"]) == list(range(1, stopped_at + 4))


@pytest.mark.slow
def test_closing_the_dock_leaves_the_run_to_itself_and_its_folder_brings_it_back(
    viewer: Any,
    open_tiny: OpenDeblurrer,
    photos: Path,
    tmp_path: Path,
    qtbot: Any,
    runs: list[Any],
    notifications: list[str],
) -> None:
    widget, panel = tab(viewer, open_tiny)
    start(panel, tmp_path / "mine", photos, qtbot, runs, steps=100_000, more="--validate_every 100000")
    qtbot.waitUntil(lambda: panel.run.step >= 1, timeout=RUN_MS)
    viewer.window.remove_dock_widget(widget)
    assert any(str(tmp_path / "mine") in text and "goes on" in text for text in notifications)
    assert runs[0].is_running
    assert not panel._timer.isActive()

    _, other = tab(viewer, open_tiny)
    other.order.out.choose(str(tmp_path / "mine"))
    assert other.run.is_running
    assert not other.start_button.isEnabled()
    step = other.run.step
    qtbot.waitUntil(lambda: other.run.step > step, timeout=RUN_MS)
    qtbot.mouseClick(other.stop_button, LEFT)
    wait_for_end(other, qtbot)
    assert other.run.state is RunState.STOPPED
    assert not runs[0].is_running


# -- without a process ----------------------------------------------------------------------------------------------


def test_the_folder_of_an_earlier_run_shows_how_it_went(
    viewer: Any, open_tiny: OpenDeblurrer, tmp_path: Path, qtbot: Any
) -> None:
    from napari_m2aenet.widgets.curve_plot import LOSS_COLOUR, VALIDATION_COLOUR

    _, panel = tab(viewer, open_tiny)
    before = colours_of(panel.plot)
    assert panel.plot.height() >= 100
    panel.order.out.choose(str(written_run(tmp_path / "earlier")))
    assert panel.status.text() == "Step 20 of 40, loss 0.1000. It is stopped; Go on takes it up again."
    assert panel.validation.text() == (
        "Validation at step 20: 29.00 dB, +0.30 dB inside the blur, masks overlap by 50%."
    )
    assert not panel._timer.isActive()
    assert len(colours_of(panel.plot) - before) > 10
    assert {QColor(LOSS_COLOUR).name(), QColor(VALIDATION_COLOUR).name()} <= colours_of(panel.plot)
    panel.order.out.choose("")
    assert panel.status.text().startswith("Choose a folder")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_words_of_the_curves_can_be_read_in_each_theme(
    viewer: Any, open_tiny: OpenDeblurrer, tmp_path: Path, qtbot: Any, theme: str
) -> None:
    """The colours of the lines, which are the darkest or the lightest of their hue, stand out as letters should."""
    _, panel = tab(viewer, open_tiny)
    panel.order.out.choose(str(written_run(tmp_path / "earlier")))
    viewer.theme = theme
    qtbot.wait(50)
    picture = panel.plot.grab().toImage()
    colours = [picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height())]
    ground = max(set(map(QColor.name, colours)), key=list(map(QColor.name, colours)).count)
    for least, most in ((20, 45), (180, 205)):  # hues of orange and of blue
        lines = [c.name() for c in colours if least < c.hue() < most and c.saturation() > 150]
        assert max(contrast(line, ground) for line in lines) >= 3


def contrast(one: str, other: str) -> float:
    """How far two colours are apart, 1 to 21, as the guidelines for web content take it."""

    def luminance(name: str) -> float:
        shares = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in rgb(name)]
        return 0.2126 * shares[0] + 0.7152 * shares[1] + 0.0722 * shares[2]

    def rgb(name: str) -> tuple[float, float, float]:
        colour = QColor(name)
        return colour.redF(), colour.greenF(), colour.blueF()

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_what_is_missing_is_a_sentence(
    viewer: Any, open_tiny: OpenDeblurrer, tmp_path: Path, qtbot: Any, notifications: list[str]
) -> None:
    _, panel = tab(viewer, open_tiny)
    qtbot.mouseClick(panel.start_button, LEFT)
    assert panel.status.text() == ("⚠ There is no folder for the run yet; choose one, new or with a run to go on with.")
    panel.order.out.choose(str(tmp_path / "new"))
    qtbot.mouseClick(panel.start_button, LEFT)
    assert panel.status.text() == "⚠ There is nothing to learn from yet; choose a folder of photos or of pairs."
    assert len(notifications) == 2
    assert not (tmp_path / "new").exists()


def test_a_folder_of_pairs_is_recognised(viewer: Any, open_tiny: OpenDeblurrer, tmp_path: Path, qtbot: Any) -> None:
    _, panel = tab(viewer, open_tiny)
    for kind in ("blur", "sharp"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        (tmp_path / "set" / kind / "one.png").touch()
    panel.order.data.choose(str(tmp_path / "set"))
    qtbot.waitUntil(lambda: panel.order.kind.currentData() == "pairs", timeout=RUN_MS)


def test_the_folder_button_asks_for_a_folder(
    viewer: Any, open_tiny: OpenDeblurrer, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getExistingDirectory", lambda *_: str(tmp_path))
    _, panel = tab(viewer, open_tiny)
    qtbot.mouseClick(panel.order.out.button, LEFT)
    assert panel.order.out.path == str(tmp_path)
    assert panel.run.folder == str(tmp_path)


def test_a_process_that_trains_in_the_folder_since_is_followed(
    viewer: Any, open_tiny: OpenDeblurrer, tmp_path: Path, qtbot: Any
) -> None:
    widget, panel = tab(viewer, open_tiny)
    panel.order.out.choose(str(tmp_path))
    assert not panel.run.is_running
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        began = psutil.Process(process.pid).create_time()
        occupied = {"pid": process.pid, "began": began, "host": platform.node()}
        (tmp_path / "running.json").write_text(json.dumps(occupied))
        # by choosing the folder again, by Start, which is refused, and by looking at the tab again
        panel.order.out.choose(str(tmp_path))
        assert panel.run.is_running
        panel.run = TrainingRun(str(tmp_path / "elsewhere"))
        panel.run.folder = str(tmp_path)
        panel.order.data.choose(str(tmp_path))
        panel.start()
        assert panel.status.text().startswith(f"⚠ Process {process.pid} is training in {tmp_path}")
        assert panel.run.is_running
        assert panel.stop_button.isEnabled()
        panel.run = TrainingRun(str(tmp_path / "elsewhere"))
        panel.run.folder = str(tmp_path)
        widget.tabs.setCurrentIndex(0)
        widget.tabs.setCurrentWidget(panel)
        qtbot.waitUntil(lambda: panel.run.is_running)
        process.communicate(b"\n")
    panel._timer.stop()


# -- samples --------------------------------------------------------------------------------------------------------


def test_a_corrected_mask_is_saved_with_the_reference_and_can_be_learned_from(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, tmp_path: Path, qtbot: Any, notifications: list[str]
) -> None:
    viewer.add_image(photo, rgb=True, name="street")
    sharp = np.clip(photo.astype(int) + 9, 0, 255).astype(np.uint8)
    widget, panel = tab(viewer, open_tiny)
    samples = panel.samples
    qtbot.mouseClick(samples.button, LEFT)
    assert samples.note.text() == "⚠ There is no mask to save yet; run a photo first."
    qtbot.mouseClick(widget.controls.run_button, LEFT)
    qtbot.waitUntil(lambda: not widget.session.is_busy and widget.session.job is None, timeout=RUN_MS)
    viewer.add_image(sharp, rgb=True, name="truth")
    samples.folder.choose(str(tmp_path / "samples"))

    qtbot.mouseClick(samples.button, LEFT)
    qtbot.waitUntil(samples.button.isEnabled, timeout=RUN_MS)
    assert "needs a sharp picture" in samples.note.text()
    assert not (tmp_path / "samples").exists()

    compare = next(panel for panel in widget.panels if panel.title == "Compare")
    compare.reference.choose(viewer.layers["truth"])
    corrected = np.zeros(photo.shape[:2], bool)
    corrected[10:40, 20:70] = True
    widget.session.request_mask(corrected)
    widget._go_on()
    qtbot.mouseClick(samples.button, LEFT)
    qtbot.waitUntil(samples.button.isEnabled, timeout=RUN_MS)
    assert samples.note.text() == "Saved as “street”. The folder holds 1 sample now; learn from it as pairs."
    saved = {kind: np.asarray(Image.open(tmp_path / "samples" / kind / "street.png")) for kind in ("blur", "sharp")}
    np.testing.assert_array_equal(saved["blur"], photo)
    np.testing.assert_array_equal(saved["sharp"], sharp)

    words = ["--recipe", "debug", "--pairs", str(tmp_path / "samples"), "--out", str(tmp_path / "run")]
    sources = make_sources(parse(words))
    assert sources.notes[0].endswith("1 pairs with masks")
    batch = sources.training.batch(0, 0, 4)
    assert batch.mask.any()
    assert not batch.mask.all()
    qtbot.waitUntil(lambda: not widget.session.is_busy and widget.session.job is None, timeout=RUN_MS)


def test_of_a_stack_the_sample_holds_the_reference_of_the_frame_that_was_restored(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, tmp_path: Path, qtbot: Any
) -> None:
    viewer.add_image(np.stack([photo[..., 0]] * 3), name="film")
    widget, panel = tab(viewer, open_tiny)
    viewer.dims.set_current_step(0, 0)
    widget.threshold.number.setValue(0.0)
    qtbot.mouseClick(widget.controls.run_button, LEFT)
    qtbot.waitUntil(lambda: not widget.session.is_busy and widget.session.job is None, timeout=RUN_MS)
    viewer.add_image(np.stack([np.full(photo.shape[:2], 40 * i, np.uint8) for i in range(3)]), name="truth")
    next(panel for panel in widget.panels if panel.title == "Compare").reference.choose(viewer.layers["truth"])
    viewer.dims.set_current_step(0, 2)
    panel.samples.folder.choose(str(tmp_path))
    qtbot.mouseClick(panel.samples.button, LEFT)
    qtbot.waitUntil(panel.samples.button.isEnabled, timeout=RUN_MS)
    (saved,) = tmp_path.glob("sharp/*.png")
    assert not np.asarray(Image.open(saved)).any()


def test_the_preview_goes_with_a_photo_that_is_moved(viewer: Any, photo: np.ndarray) -> None:
    from napari_m2aenet.widgets.training_layers import TrainingLayers

    layer = viewer.add_image(photo, rgb=True, name="street")
    layers, box = TrainingLayers(viewer), Box(10, 20, 30, 40)
    for step in (1, 2):
        layers.show(Preview(source_of_layer(layer), box, photo[10:30, 20:40], step))
        preview = layers.find()
        np.testing.assert_allclose(preview.data_to_world((5, 6)), layer.data_to_world((15, 26)))
        layer.scale, layer.rotate = (2, 3), 30
