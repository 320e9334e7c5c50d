"""Blur that is found beside masks that somebody drew."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from m2aenet_core.benchmark.command import main
from m2aenet_core.benchmark.masks import (
    MaskFigures,
    MasksConfig,
    PhotoMasks,
    benchmark_masks,
    find_masks,
    to_table,
)
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import write_image
from m2aenet_core.metrics import roc_curve

LOW = 0.005


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos; the masks are what the embedded weights find at a low threshold in the first, none in the second."""
    for name in ("chelsea", "coffee"):
        photo = getattr(skimage.data, name)()[100:196, 100:228]
        write_image(tmp_path / "blur" / f"{name}.png", photo)
        found = Deblurrer("small", device="cpu").analyze(photo).blur_probability > LOW
        mask = found if name == "chelsea" else np.zeros_like(found)
        write_image(tmp_path / "mask" / f"{name}.png", mask.astype(np.uint8) * 255)
    return tmp_path


def test_a_mask_that_is_found_exactly_overlaps_wholly(folder: Path) -> None:
    config = MasksConfig(data=str(folder), model=("small",), thresholds=(LOW, 0.999), device="cpu")
    first, second = benchmark_masks(config)
    exact, hardly = first.figures
    assert [(each.photo, each.threshold) for each in first.figures] == [("chelsea.png", LOW), ("chelsea.png", 0.999)]
    assert (exact.iou, exact.precision, exact.recall, exact.called) == (1, 1, 1, 0)
    assert hardly.iou < 1
    assert roc_curve(first.counts).area == pytest.approx(1, abs=1e-3)
    # of a photo without blur all that is found is wrong, and there is nothing to recall
    wrong = second.figures[0]
    assert wrong.called > 0
    assert wrong.precision == 0
    assert math.isnan(wrong.recall)
    assert second.counts[1].sum() == 0


def test_means_leave_out_what_is_not_defined_and_the_area_is_of_all_pixels() -> None:
    def photo(name: str, precision: float, counts: list[list[int]]) -> PhotoMasks:
        return PhotoMasks([MaskFigures("small", name, 0.5, 0.25, precision, 0.5, 0.125)], np.array(counts))

    # one photo is sharp and one blurred: neither has an area of its own
    measured = [photo("a", math.nan, [[3, 1], [0, 0]]), photo("b", 0.5, [[0, 0], [0, 4]])]
    row = to_table(measured).splitlines()[2]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells == ["small", "0.5", "0.250", "0.500", "0.500", "12.5%", "0.875"]


def test_the_command_prints_the_table_and_keeps_the_figures(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "masks.json"
    words = f"masks --data {folder} --model small --thresholds 0.5 0.02 --device cpu --out {out}"
    assert main(words.split()) == 0
    rows = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()]
    assert [row[2] for row in rows if len(row) > 2][2:] == ["0.5", "0.02"]
    content = json.loads(out.read_text())
    assert {each["photo"] for each in content["measurements"]} == {"chelsea.png", "coffee.png"}
    assert content["measurements"][-1]["recall"] is None


def test_a_file_that_cannot_be_written_is_told_of_before_any_work(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["masks", "--data", str(folder), "--model", "small", "--device", "cpu", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "there is a folder of that name" in told.err
    assert told.out == ""


def test_a_photo_without_its_mask_is_named(folder: Path) -> None:
    (folder / "mask" / "coffee.png").unlink()
    with pytest.raises(InputError, match="coffee is in only one of"):
        find_masks(folder)


def test_photos_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for name in ("one/a.png", "two/a.png"):
        write_image(tmp_path / "blur" / name, np.zeros((8, 8, 3), np.uint8))
        write_image(tmp_path / "mask" / name, np.zeros((8, 8), np.uint8))
    assert [each.photo.relative_to(tmp_path).as_posix() for each in find_masks(tmp_path)] == [
        "blur/one/a.png",
        "blur/two/a.png",
    ]


def test_two_photos_of_one_name_in_one_folder_are_named(folder: Path) -> None:
    write_image(folder / "blur" / "coffee.bmp", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"coffee\.bmp and .*coffee\.png have one name; keep one"):
        find_masks(folder)


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photos in blur/"):
        find_masks(tmp_path)


def test_a_mask_of_another_size_is_refused(folder: Path) -> None:
    write_image(folder / "mask" / "chelsea.png", np.zeros((10, 12), np.uint8), overwrite=True)
    with pytest.raises(InputError, match="has not the size of its photo"):
        list(benchmark_masks(MasksConfig(data=str(folder), model=("small",), device="cpu")))


def test_settings_that_measure_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="threshold"):
        MasksConfig(data="photos", thresholds=(1.5,))
    with pytest.raises(InputError, match="name at least one"):
        MasksConfig(data="photos", thresholds=())
