"""Scores of a tiny network on tiny photos."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2aenet_core.checkpoint import save_model, sha256
from m2aenet_core.errors import InputError
from m2aenet_core.evaluate import PSNR_CEILING_DB, EvaluateConfig, Score, evaluate, main, summarize
from m2aenet_core.models.m2aenet import M2AENet


@pytest.fixture
def config(tiny_model: M2AENet, photo: np.ndarray, tmp_path: Path) -> EvaluateConfig:
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo[:150, :170]).save(tmp_path / "photos" / "a.png")
    Image.fromarray(photo[120:290, 200:400]).save(tmp_path / "photos" / "b.png")
    save_model(tiny_model, tmp_path / "tiny.safetensors")
    return EvaluateConfig(
        data=str(tmp_path / "photos"),
        out=str(tmp_path / "scores"),
        model=str(tmp_path / "tiny.safetensors"),
        path_px=(8.0, 12.0),
        area=(0.05, 0.5),
        samples=1,
        device="cpu",
    )


def rows_of(config: EvaluateConfig) -> list[dict[str, str]]:
    with (Path(config.out) / "scores.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_folder_holds_scores_summaries_and_a_contact_sheet(config: EvaluateConfig) -> None:
    summary, out = evaluate(config), Path(config.out)
    assert sorted(path.name for path in out.iterdir()) == [
        "contact_sheet.png",
        "scores.csv",
        "summary.json",
        "summary.md",
    ]
    rows = rows_of(config)
    assert [row["name"] for row in rows] == ["a.png", "b.png"]
    assert all(math.isfinite(float(value)) for row in rows for name, value in row.items() if name != "name")
    assert all(math.isfinite(value) for value in summary.values())
    written = json.loads((out / "summary.json").read_text())
    assert written["summary"] == summary
    assert written["settings"]["weights_sha256"] == sha256(Path(config.model))
    assert written["settings"]["seed"] == config.seed
    for name in summary:
        assert f"| {name} | " in (out / "summary.md").read_text()
    sheet = Image.open(out / "contact_sheet.png")
    assert sheet.width == 5 * 240
    assert sheet.height > 2 * 20


def test_means_are_those_of_the_rows(config: EvaluateConfig) -> None:
    summary, rows = evaluate(config), rows_of(config)
    for name in set(Score._fields) - {"name"}:
        assert summary[name] == pytest.approx(np.mean([float(row[name]) for row in rows]))
    gains = [float(row["restored_psnr_inside"]) - float(row["input_psnr_inside"]) for row in rows]
    assert summary["gain_inside"] == pytest.approx(np.mean(gains))


@pytest.mark.parametrize("area", [(0.03, 0.1), (0.15, 0.4)])
def test_the_blurred_share_is_in_the_range_asked_for(config: EvaluateConfig, area: tuple[float, float]) -> None:
    evaluate(replace(config, area=area))
    shares = [float(row["blurred_share"]) for row in rows_of(config)]
    assert area[0] <= min(shares)
    assert max(shares) <= area[1]


def test_the_seed_decides_the_samples(config: EvaluateConfig) -> None:
    first, again = evaluate(config), evaluate(config)
    other = evaluate(replace(config, seed=1))
    assert first == again
    assert first["input_psnr"] != other["input_psnr"]


def test_a_network_that_finds_nothing_changes_nothing(config: EvaluateConfig) -> None:
    summary = evaluate(replace(config, threshold=1.0, execution="adaptive"))
    assert summary["gain_inside"] == 0
    assert summary["outside_to_input"] == PSNR_CEILING_DB
    assert summary["restored_psnr"] == summary["input_psnr"]
    assert summary["mask_iou"] == summary["sharp_photo_called_blurred"] == summary["share_made_worse"] == 0


def test_a_network_that_finds_blur_everywhere_is_told_so(config: EvaluateConfig) -> None:
    summary = evaluate(replace(config, threshold=0.0))
    assert summary["sharp_photo_called_blurred"] == 1
    assert summary["mask_iou"] == pytest.approx(summary["blurred_share"], abs=1e-6)
    assert summary["outside_to_input"] < PSNR_CEILING_DB


def test_the_number_of_samples_is_honoured(config: EvaluateConfig) -> None:
    evaluate(replace(config, samples=2))
    assert [row["name"] for row in rows_of(config)] == ["a.png", "a.png", "b.png", "b.png"]


def test_cutouts_move_where_they_are_given(config: EvaluateConfig, tmp_path: Path) -> None:
    cutouts = tmp_path / "cutouts"
    cutouts.mkdir()
    Image.fromarray(np.full((80, 80, 4), (0, 255, 0, 255), np.uint8)).save(cutouts / "green.png")
    without = evaluate(config)
    green = evaluate(replace(config, cutouts=str(cutouts)))
    assert green["input_psnr"] != without["input_psnr"]


def test_a_manifest_chooses_the_photos(config: EvaluateConfig, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("file,clear_licence\nphotos/a.png,no\nphotos/b.png,yes\n")
    evaluate(replace(config, manifest=str(manifest)))
    assert {row["name"] for row in rows_of(config)} == {"b.png"}


def test_gain_and_share_made_worse_are_counted_by_sample() -> None:
    better = Score("a", 0.1, 30.0, 31.0, 20.0, 23.0, 50.0, 0.5, 2.0, 0.0)
    worse = better._replace(restored_psnr=29.0, restored_psnr_inside=19.0)
    summary = summarize([better, worse, better, better])
    assert summary["gain_inside"] == pytest.approx((3 * 3 - 1) / 4)
    assert summary["share_made_worse"] == 0.25
    assert summary["restored_psnr"] == 30.5


def test_a_folder_without_photos_gets_a_sentence(config: EvaluateConfig, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="holds no image that can be used"):
        evaluate(replace(config, data=str(tmp_path / "nothing")))
    assert not Path(config.out).exists()


def test_the_command_prints_the_means(config: EvaluateConfig, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", config.data, "--out", config.out, "--model", config.model, "--device", "cpu"]
    assert main([*arguments, "--samples", "1", "--area", "[0.05, 0.5]", "--path_px", "[8, 12]"]) == 0
    printed = capsys.readouterr().out
    assert "gain_inside" in printed
    assert "share_made_worse" in printed


def test_a_typo_ends_with_code_2_and_unknown_weights_with_a_sentence(
    config: EvaluateConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", config.data, "--out", config.out, "--sampels", "1"]) == 2
    assert main(["--data", config.data, "--out", config.out, "--model", "huge", "--device", "cpu"]) == 1
    assert "there are no weights called huge" in capsys.readouterr().err
