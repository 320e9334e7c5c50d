"""Blur of several lengths at several scales, small enough to run in a blink."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path

import pytest

from m2aenet_core.benchmark.command import main
from m2aenet_core.benchmark.scales import ScaleFigures, ScalesConfig, benchmark_scales, to_table
from m2aenet_core.errors import InputError


def test_each_photo_is_restored_at_each_scale_and_at_the_chosen_one(photos: Path) -> None:
    config = ScalesConfig(
        data=str(photos), model="small", paths_px=(6, 20), scales=(1, 0.5), limit=1, enlarge=1.5, device="cpu"
    )
    measured = [each for some in benchmark_scales(config) for each in some]
    assert [(each.path_px, each.asked, each.used) for each in measured] == [
        (6, "1", 1),
        (6, "0.5", 0.5),
        (6, "auto", 1),
        (20, "1", 1),
        (20, "0.5", 0.5),
        (20, "auto", 1),
    ]
    # what stays at full size is the same photo, restored the same
    assert (measured[0].gain_w, measured[0].mask_iou) == (measured[2].gain_w, measured[2].mask_iou)
    assert measured[1].macs < measured[0].macs
    assert measured[0].true_px < 12 < measured[3].true_px
    table = to_table(config, measured).splitlines()
    assert len(table) == 2 + 6
    assert table[4].split("|")[-3].strip() == "1 at 1"


def test_every_scale_that_was_chosen_is_counted(photos: Path) -> None:
    config = ScalesConfig(data=str(photos), paths_px=(300,), scales=(1,))
    figures = partial(
        ScaleFigures, path_px=300, asked="auto", gain_w=0, gain=0, mask_iou=0, true_px=1, found_px=1, macs=1
    )
    measured = [figures(photo=str(number), used=used) for number, used in enumerate((0.125, 1, 0.5, 0.125))]
    measured.append(dataclasses.replace(measured[0], asked="1", used=1))
    row = to_table(config, measured).splitlines()[-1]
    assert row.split("|")[-3].strip() == "1 at 1, 1 at 0.5, 2 at 0.125"


def test_the_command_prints_the_table_and_keeps_the_figures(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scales.json"
    words = f"scales --data {photos} --model small --paths_px 8 --scales 0.5 --limit 2 --device cpu --out {out}"
    assert main(words.split()) == 0
    rows = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()]
    assert [row[2] for row in rows if len(row) > 2][2:] == ["0.5", "auto"]
    content = json.loads(out.read_text())
    assert [each["photo"] for each in content["measurements"]] == ["chelsea.png"] * 2 + ["coffee.png"] * 2


def test_a_length_that_is_none_is_refused(photos: Path) -> None:
    with pytest.raises(InputError, match="paths_px"):
        ScalesConfig(data=str(photos), paths_px=(0, 3))
