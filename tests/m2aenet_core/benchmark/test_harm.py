"""What is done to pictures without motion blur is counted as it is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from m2aenet_core import Deblurrer, DeblurResult, M2AENet, NAFNet, save_model
from m2aenet_core.benchmark.harm import main
from m2aenet_core.benchmark.harm_figures import ALL, MOVING, Answer, Harm, measure_harms, summarize
from m2aenet_core.benchmark.harm_report import to_markdown
from m2aenet_core.benchmark.unblurred import Picture, pictures
from m2aenet_core.data.samples import make_sample
from m2aenet_core.evaluation.sheet import CELL_PX

KINDS = ("sharp", "noise", "page", MOVING)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(skimage.data.astronaut()[:96, 128 * number : 128 * (number + 1)]).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def weights(tiny_model: M2AENet, tmp_path: Path) -> Path:
    save_model(tiny_model, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def harm_of(photos: Path, weights: Path, *options: str) -> dict[str, Any]:
    out = photos.parent / "harm"
    arguments = ["--data", str(photos), "--model", str(weights), "--out", str(out), "--device", "cpu", *options]
    assert main([*arguments, "--kinds", *KINDS]) == 0
    found: dict[str, Any] = json.loads((out / "harm.json").read_text())
    return found


def test_every_picture_is_counted_as_the_deblurrer_sees_it(
    photos: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = harm_of(photos, weights, "--thresholds", "0.5", "0.9", "--check", "false")
    printed = capsys.readouterr().out
    assert (photos.parent / "harm" / "harm.md").read_text() == printed
    deblurrer = Deblurrer(weights, device="cpu")
    assert found["weights_sha256"] == deblurrer.weights_sha256
    told = {(each["kind"], each["image"], each["threshold"]): each for each in found["images"]}
    assert len(told) == 2 * (2 + 2 + 2 + 2)
    for picture in pictures(sorted(photos.iterdir()), KINDS[:-1]):
        for threshold in (0.5, 0.9):
            result = deblurrer(picture.pixels, threshold)
            each = told[picture.kind, picture.name, threshold]
            assert each["called_blurred"] == pytest.approx(result.density)
            error = ((result.restored.astype(float) - picture.pixels) ** 2).mean()
            expected = min(80, 10 * math.log10(255**2 / error)) if error else 80
            # regions that a second threshold shares with the first are taken over, so a pixel may round the other way
            assert each["to_input"] == pytest.approx(expected, abs=0.01)
    rows = {(row["kind"], row["threshold"]): row for row in found["measurements"]}
    assert {kind for kind, _ in rows} == {*KINDS, ALL}
    assert (rows["sharp", 0.5]["images"], rows[ALL, 0.5]["images"], rows[MOVING, 0.5]["images"]) == (2, 6, 2)
    assert rows[ALL, 0.9]["called_blurred"] < rows[ALL, 0.5]["called_blurred"]
    assert "ε = 0.5" in printed
    assert "What another ε buys" in printed


def test_the_sheet_shows_the_worst_picture_of_each_kind(photos: Path, weights: Path) -> None:
    found = harm_of(photos, weights, "--limit", "1")
    assert {each["check"] for each in found["images"]} <= {"doubtful", "trusted", "nothing to check"}
    with Image.open(photos.parent / "harm" / "harm_worst.png") as sheet:
        assert sheet.width == 4 * CELL_PX[0] + 3 * 4
        pixels = np.asarray(sheet.convert("RGB"))
    # at the left of each row is the picture as it came
    photo = np.asarray(Image.open(photos / "0.png").resize(CELL_PX))
    first = pixels[44 : 44 + CELL_PX[1], : CELL_PX[0]]
    assert np.abs(first.astype(int) - photo).mean() < 5


def test_without_the_check_nothing_is_said_of_trust(photos: Path, weights: Path) -> None:
    found = harm_of(photos, weights, "--limit", "1", "--check", "false")
    assert {each["check"] for each in found["images"]} == {"not asked"}
    assert all(row["doubtful"] is None and row["trusted"] is None for row in found["measurements"])


def harm(kind: str, called_blurred: float, to_input: float, check: Answer, image: str = "a.png") -> Harm:
    return Harm(kind, image, 0.5, called_blurred, to_input, check, None)


def test_means_and_worst_are_of_the_pictures_of_a_kind() -> None:
    harms = [
        harm("sharp", 0.0, 80.0, "nothing to check"),
        harm("sharp", 0.4, 30.0, "trusted"),
        harm("empty", 0.02, 40.0, "doubtful"),
        harm(MOVING, 0.3, 20.0, "trusted"),
    ]
    sharp, empty, moving, everything = summarize(harms)
    assert (sharp.called_blurred, sharp.called_blurred_worst, sharp.marked) == (0.2, 0.4, 0.5)
    assert (sharp.to_input, sharp.to_input_worst) == (55.0, 30.0)
    assert (sharp.doubtful, sharp.trusted) == (0.0, 0.5)
    assert (empty.doubtful, empty.trusted, moving.trusted) == (1.0, 0.0, 1.0)
    assert (everything.kind, everything.images) == (ALL, 3)
    assert everything.called_blurred == pytest.approx(0.14)
    assert everything.doubtful == everything.trusted == pytest.approx(1 / 3)
    table = to_markdown([sharp, empty, moving, everything])
    assert [cell.strip() for cell in table.splitlines()[4].strip("| ").split("|")] == [
        "sharp", "2", "20.00", "40.00", "50", "55.0", "30.0", "0", "50",
    ]  # fmt: skip


def test_only_motion_comes_without_a_row_over_all() -> None:
    assert [row.kind for row in summarize([harm(MOVING, 0.3, 20.0, "trusted")])] == [MOVING]


def test_the_check_tells_a_motion_that_explains_the_picture_from_one_that_does_not(
    exposed: Callable[..., DeblurResult],
) -> None:
    cat = make_sample("cat")
    start, end = cat.start_displacement, cat.end_displacement
    right = exposed(cat.sharp, cat.mask, start=start, end=end, photo=cat.blur)
    wrong = exposed(cat.sharp, cat.mask, start=start[..., ::-1] * (1, -1), end=end[..., ::-1] * (1, -1), photo=cat.blur)
    unchanged = replace(right, restored=cat.blur, mask=np.zeros_like(cat.mask), density=0.0, threshold=0.9)
    picture = Picture(MOVING, "cat", cat.blur)
    for result, answer in ((right, "trusted"), (wrong, "doubtful"), (unchanged, "nothing to check")):
        assert measure_harms(picture, [result], check=True)[0].check == answer
    first, second = measure_harms(picture, [right, replace(wrong, threshold=0.7)], check=True)
    assert (first.check, second.check) == ("trusted", "not asked")
    assert (first.threshold, second.threshold) == (0.5, 0.7)


def test_results_below_the_photos_are_no_photos(photos: Path, weights: Path) -> None:
    (photos / "harm").mkdir()
    Image.fromarray(skimage.data.astronaut()[:96, :128]).save(photos / "harm" / "harm_worst.png")
    arguments = ["--data", str(photos), "--model", str(weights), "--out", str(photos / "harm"), "--device", "cpu"]
    assert main([*arguments, "--check", "false", "--kinds", "sharp", MOVING]) == 0
    found = json.loads((photos / "harm" / "harm.json").read_text())
    assert {each["image"] for each in found["images"]} == {"0.png", "1.png"}


def test_a_folder_that_cannot_be_written_is_told_of_before_any_work(
    photos: Path, weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("m2aenet_core.benchmark.harm.measure_harms", lambda *_, **__: pytest.fail("measured"))
    arguments = ["--data", str(photos), "--model", str(weights), "--out", str(weights), "--device", "cpu"]
    assert main([*arguments, "--kinds", "sharp"]) == 1
    assert "is a file or lies below one; choose another folder" in capsys.readouterr().err


def test_what_cannot_be_asked_is_a_sentence(
    photos: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(NAFNet(4, (1, 1, 1, 1), 1, (1, 1, 1, 1)), tmp_path / "plain.safetensors")
    wanted = ["--data", str(photos), "--out", str(tmp_path / "out"), "--device", "cpu"]
    cases = {
        ("--model", str(tmp_path / "plain.safetensors")): "does not look where the blur is; choose a model that finds",
        ("--model", str(weights), "--kinds", "rain"): "there is no kind of picture called 'rain'",
        ("--model", str(weights), "--limit", "0"): "limit counts photos; give at least 1",
    }
    for options, sentence in cases.items():
        assert main([*wanted, *options]) == 1
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
