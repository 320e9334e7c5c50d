from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from m2aenet_core.data.samples import make_sample
from m2aenet_core.image_io import read_image
from napari_m2aenet.demo import SAMPLE, main, show

PICTURES = ("restored.png", "blur_probability.png", "mask.png", "trajectories.png", "side_by_side.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two demos in a row leave behind."""
    made = tmp_path_factory.mktemp("made") / "demo"
    for _ in range(2):
        assert main(["-o", str(made), "--no-window"]) == 0
    return made


def test_the_demo_writes_pictures_and_a_record(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted([*PICTURES, "record.json"])
    sample = make_sample(SAMPLE)
    restored, mask = (read_image(folder / name).pixels for name in ("restored.png", "mask.png"))
    assert restored.shape == sample.blur.shape
    assert set(np.unique(mask)) <= {0, 255}
    record = json.loads((folder / "record.json").read_text("utf-8"))
    assert record["sample"] == SAMPLE
    assert record["result"]["density"] == pytest.approx((mask > 0).mean())


def test_the_demo_prints_share_displacement_and_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-o", str(tmp_path), "--no-window"]) == 0
    said = capsys.readouterr().out
    for part in ("blurred pixels:", "mean displacement:", "time:", "to analyze", "restored.png"):
        assert part in said


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "demo").write_text("a file in the way")
    assert main(["-o", str(tmp_path / "demo"), "--no-window"]) == 1
    assert "choose another folder with -o" in capsys.readouterr().err


def test_without_display_and_xvfb_the_command_to_install_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from m2aenet_core.errors import InputError

    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="apt-get install xvfb"):
        show(tmp_path)


@pytest.mark.window
def test_the_picture_of_the_window_shows_the_photo_and_the_widget(tmp_path: Path) -> None:
    path = tmp_path / "window.png"
    done = subprocess.run(
        [sys.executable, "-m", "napari_m2aenet.demo", "--screenshot", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    picture = read_image(path).pixels
    assert picture.shape[0] >= 700
    canvas = picture[100:700, 340:880]
    assert canvas.std() > 20  # a window that was not drawn is black
