"""Scores of tiny networks on tiny photos, from the command to the files."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from torch import nn

from m2aenet_core import evaluate as module
from m2aenet_core.checkpoint import save_model, sha256
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import InputError
from m2aenet_core.evaluate import FILES, evaluate, main
from m2aenet_core.evaluation.config import EvaluateConfig
from m2aenet_core.evaluation.scores import PSNR_CEILING_DB, Score
from m2aenet_core.evaluation.summary import ModelSummary
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.models.nafnet import NAFNet


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def config(tiny_model: M2AENet, photo: np.ndarray, tmp_path: Path) -> EvaluateConfig:
    write(tmp_path / "photos" / "a.png", photo[:110, :130])
    write(tmp_path / "photos" / "b.png", photo[120:230, 200:330])
    save_model(tiny_model, tmp_path / "tiny.safetensors")
    return EvaluateConfig(
        data=str(tmp_path / "photos"),
        out=str(tmp_path / "scores"),
        model=(str(tmp_path / "tiny.safetensors"),),
        path_px=(8.0, 12.0),
        area=(0.05, 0.5),
        samples=1,
        device="cpu",
    )


@pytest.fixture
def nafnet(randomise: Callable[[nn.Module], None], tmp_path: Path) -> str:
    """A NAFNet that changes a little everywhere."""
    model = NAFNet(4, (1, 1), 1, (1, 1))
    randomise(model)
    model.ending.weight.data.mul_(0.02)
    save_model(model, tmp_path / "naf.safetensors")
    return str(tmp_path / "naf.safetensors")


@pytest.fixture
def pairs(photo: np.ndarray, tmp_path: Path) -> Path:
    """Three pairs; the first with a mask of 600 pixels, the second with an empty one, the third blurred all over."""
    root = tmp_path / "pairs"
    masks = np.zeros((3, 96, 112), np.uint8)
    masks[0, 30:50, 40:70] = 255
    masks[2] = 255
    for number, mask in enumerate(masks):
        sharp = photo[60 : 60 + 96, 50 * number : 50 * number + 112]
        blur = sharp.copy()
        blur[mask > 0] = (sharp // 2 + 60)[mask > 0]
        write(root / "blur" / f"{number}.png", blur)
        write(root / "sharp" / f"{number}.png", sharp)
        write(root / "mask" / f"{number}.png", mask)
    return root


def rows_of(config: EvaluateConfig, name: str = "scores.csv") -> list[dict[str, str]]:
    with (Path(config.out) / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_two_models_and_two_executions_are_compared_in_one_folder(config: EvaluateConfig, nafnet: str) -> None:
    config = replace(
        config, model=("input", *config.model, nafnet), execution=("exact", "adaptive"), thresholds=(0.2, 0.5, 0.8)
    )
    summary, out = evaluate(config), Path(config.out)
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    names = [("input", ""), *((model, each) for model in ("tiny", "naf") for each in ("exact", "adaptive"))]
    assert [(row.model, row.execution) for row in summary] == names
    rows = rows_of(config)
    assert tuple(rows[0]) == Score._fields
    assert [(row["image"], row["model"], row["execution"]) for row in rows] == [
        (image, *name) for image in ("a.png", "b.png") for name in names
    ]
    tiny = [row for row in rows if row["model"] == "tiny"]
    assert all(math.isfinite(float(row[name])) for row in tiny for name in Score._fields[5:])
    # a photo is analyzed once for all executions
    assert len({row["analyze_s"] for row in tiny}) == 2
    naf = [row for row in rows if row["model"] == "naf"]
    assert {row["mask_iou"] for row in naf} == {row["sharp_called_blurred"] for row in naf} == {""}
    assert {row["density"] for row in naf} == {"1.0"}
    assert {(row["model"], row["threshold"]) for row in rows_of(config, "sweep.csv")} == {
        ("tiny", "0.2"),
        ("tiny", "0.5"),
        ("tiny", "0.8"),
    }


def test_the_summary_holds_what_the_tables_say_and_how_it_was_measured(config: EvaluateConfig) -> None:
    (row,) = evaluate(config, ["m2aenet", "evaluate", "--data", "photos"])
    written = json.loads((Path(config.out) / "summary.json").read_text())
    assert set(written) == {"measured", "models", "sweep", "roc"}
    (model,) = written["models"]
    assert model["means"] == row.means
    assert model["weights_sha256"] == sha256(Path(config.model[0]))
    assert model["photos"] == 2
    assert written["measured"]["settings"]["seed"] == config.seed
    assert written["measured"]["versions"]["numpy"] == np.__version__
    assert 0 <= written["roc"]["tiny"]["area"] <= 1
    text = (Path(config.out) / "summary.md").read_text()
    assert f"| {row.means['psnr']:.3f} |" in text
    assert "m2aenet evaluate --data photos" in text
    assert "2 photos with made blur" in text


def test_means_are_those_of_the_rows(config: EvaluateConfig) -> None:
    (summary,), rows = evaluate(config), rows_of(config)
    for name in Score._fields[5:]:
        assert summary.means[name] == pytest.approx(np.mean([float(row[name]) for row in rows])), name
    gains = [float(row["psnr_w"]) - float(row["input_psnr_w"]) for row in rows]
    assert summary.means["gain_w"] == pytest.approx(np.mean(gains))


def figures_of(summary: ModelSummary) -> dict[str, float]:
    """The means that do not depend on the machine."""
    depends = {"seconds", "analyze_s", "restore_s", "peak_mb"}
    return {name: value for name, value in summary.means.items() if name not in depends}


def test_the_seed_decides_the_samples(config: EvaluateConfig) -> None:
    (first,), (again,) = evaluate(config), evaluate(config)
    (other,) = evaluate(replace(config, seed=1))
    assert figures_of(first) == figures_of(again)
    assert first.means["input_psnr"] != other.means["input_psnr"]


def test_a_network_that_finds_nothing_changes_nothing(config: EvaluateConfig) -> None:
    (summary,) = evaluate(replace(config, threshold=1.0))
    assert summary.means["gain_w"] == summary.means["gain"] == 0
    assert summary.means["outside_to_input"] == summary.means["sharp_to_input"] == PSNR_CEILING_DB
    assert summary.means["mask_iou"] == summary.means["sharp_called_blurred"] == summary.share_made_worse == 0


def test_a_network_that_finds_blur_everywhere_is_told_so(config: EvaluateConfig) -> None:
    (summary,) = evaluate(replace(config, threshold=0.0))
    assert summary.means["sharp_called_blurred"] == summary.means["mask_recall"] == 1
    assert summary.means["mask_iou"] == pytest.approx(summary.means["blurred_share"], abs=1e-6)
    assert summary.means["outside_to_input"] < PSNR_CEILING_DB
    assert summary.means["sharp_to_input"] < PSNR_CEILING_DB


def test_a_sweep_restores_less_the_higher_the_threshold_is(config: EvaluateConfig) -> None:
    thresholds = (0.9, 0.1, 0.3, 0.5, 0.7)
    evaluate(replace(config, thresholds=thresholds))
    rows, points = rows_of(config), rows_of(config, "sweep.csv")
    for image in ("a.png", "b.png"):
        own = sorted((row for row in points if row["image"] == image), key=lambda row: float(row["threshold"]))
        for name in ("density", "gmacs", "sharp_called_blurred"):
            values = [float(row[name]) for row in own]
            assert values == sorted(values, reverse=True), name
        assert float(own[0]["density"]) > float(own[-1]["density"])
        # the same analysis at the same threshold is the same restoration
        (row,) = (row for row in rows if row["image"] == image)
        for name in ("psnr", "psnr_w", "outside_to_input", "mask_iou", "density", "gmacs"):
            assert own[2][name] == row[name], name


def test_pairs_are_scored_against_their_own_sharp_photos(config: EvaluateConfig, pairs: Path) -> None:
    config = replace(config, data=str(pairs))
    (summary,) = evaluate(config)
    rows, deblurrer = rows_of(config), Deblurrer(config.model[0], device="cpu")
    assert [row["image"] for row in rows] == ["0", "1", "2"]
    for number, row in enumerate(rows):
        blur, sharp = (np.asarray(Image.open(pairs / kind / f"{number}.png")) for kind in ("blur", "sharp"))
        restored = deblurrer(blur).restored
        assert float(row["psnr"]) == pytest.approx(peak_signal_noise_ratio(sharp, restored))
        if number == 0:
            mask = np.asarray(Image.open(pairs / "mask" / "0.png")) > 0
            inside = peak_signal_noise_ratio(sharp[mask], restored[mask])
            assert float(row["psnr_w"]) == pytest.approx(inside)
            assert float(row["outside_to_input"]) == pytest.approx(
                peak_signal_noise_ratio(blur[~mask], restored[~mask])
            )
        if number == 2:
            assert float(row["psnr_w"]) == pytest.approx(float(row["psnr"]))
    # an empty mask has no inside, a full one no outside, and pairs no known motion
    assert [row["psnr_w"] == "" for row in rows] == [False, True, False]
    assert [row["outside_to_input"] == "" for row in rows] == [False, False, True]
    assert {row["displacement_error_px"] for row in rows} == {""}
    assert summary.counts["psnr_w"] == 2
    assert float(rows[1]["input_psnr"]) == PSNR_CEILING_DB


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no file name can be other than Unicode")
def test_a_photo_whose_name_is_not_utf8_is_scored_and_named(config: EvaluateConfig, pairs: Path) -> None:
    for kind in ("blur", "sharp", "mask"):
        file = next((pairs / kind).iterdir())
        file.rename(file.with_name(os.fsdecode(b"caf\xe9.png")))
    evaluate(replace(config, data=str(pairs)), ["m2aenet", "evaluate"])
    assert next(row["image"] for row in rows_of(config) if "caf" in row["image"]).endswith(r"caf\udce9")
    assert (Path(config.out) / "contact_sheet_best.png").exists()


def test_pairs_without_masks_leave_out_what_needs_them(config: EvaluateConfig, pairs: Path) -> None:
    for path in (pairs / "mask").iterdir():
        path.unlink()
    (pairs / "mask").rmdir()
    config = replace(config, data=str(pairs), thresholds=(0.3, 0.6))
    (summary,) = evaluate(config)
    assert math.isnan(summary.means["psnr_w"])
    assert not math.isnan(summary.means["psnr"])
    text = (Path(config.out) / "summary.md").read_text()
    assert "3 pairs without masks" in text
    assert "PSNR_w |" not in text
    assert not (Path(config.out) / "roc.png").exists()
    assert (Path(config.out) / "curves.png").exists()


def test_an_unreadable_pair_ends_with_a_sentence_and_keeps_the_folder_as_it_was(
    config: EvaluateConfig, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pairs / "sharp" / "1.png").write_bytes(b"")
    arguments = ["--data", str(pairs), "--out", config.out, "--model", config.model[0], "--device", "cpu"]
    assert main(arguments) == 1
    assert "1.png is empty" in capsys.readouterr().err
    assert not [path for path in Path(config.out).iterdir() if path.name in FILES]


def test_a_stopped_evaluation_goes_on_where_it_was(
    config: EvaluateConfig, pairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = replace(config, data=str(pairs), out=config.out + "-whole")
    (expected,) = evaluate(whole)
    original, calls = module.score_photo, []

    def counted(*arguments: object) -> object:
        calls.append(arguments[1].name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(module, "score_photo", counted)
    arguments = ["--data", str(pairs), "--out", config.out, "--model", config.model[0], "--device", "cpu"]
    assert main(arguments) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert not [path for path in Path(config.out).iterdir() if path.name in FILES]
    assert main(arguments) == 0
    assert calls == ["0", "1", "2", "2"]
    assert sorted(path.name for path in Path(config.out).iterdir()) == sorted(
        path.name for path in Path(whole.out).iterdir()
    )
    for ours, theirs in zip(rows_of(config), rows_of(whole), strict=True):
        assert {name: ours[name] for name in ("image", "psnr", "ssim_w", "mask_auc")} == {
            name: theirs[name] for name in ("image", "psnr", "ssim_w", "mask_auc")
        }
    sheets = [(Path(each.out) / "contact_sheet_best.png").read_bytes() for each in (config, whole)]
    assert sheets[0] == sheets[1]
    assert expected.photos == 3


def test_what_an_earlier_call_left_and_this_one_does_not_make_goes_away(config: EvaluateConfig) -> None:
    evaluate(replace(config, thresholds=(0.5,)))
    assert (Path(config.out) / "curves.png").exists()
    (Path(config.out) / "notes.txt").write_text("mine")
    evaluate(config)
    left = {path.name for path in Path(config.out).iterdir()}
    assert left == set(FILES) - {"sweep.csv", "curves.png"} | {"notes.txt"}


def test_the_photo_as_it_came_can_be_scored_alone(config: EvaluateConfig) -> None:
    (summary,) = evaluate(replace(config, model=("input",)))
    assert summary.means["gain"] == 0
    assert {path.name for path in Path(config.out).iterdir()} == {"summary.json", "summary.md", "scores.csv"}


def test_sharp_photos_cost_nothing_where_they_are_not_wanted(config: EvaluateConfig) -> None:
    (summary,) = evaluate(replace(config, sharp_photos=False))
    assert summary.counts["sharp_called_blurred"] == summary.counts["sharp_to_input"] == 0


def test_a_sharp_photo_is_restored_once_for_all_its_samples(
    config: EvaluateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, photos = module.restore_sharp_photo, []

    def counted(*arguments: object) -> object:
        photos.append(arguments[1])
        return original(*arguments)

    monkeypatch.setattr(module, "restore_sharp_photo", counted)
    evaluate(replace(config, samples=3))
    assert len(photos) == 2
    assert [(row["image"], row["sample"]) for row in rows_of(config)] == [
        (name, number) for name in ("a.png", "b.png") for number in "123"
    ]


def test_a_manifest_and_cutouts_choose_what_is_made(config: EvaluateConfig, tmp_path: Path) -> None:
    write(tmp_path / "cutouts" / "green.png", np.full((80, 80, 4), (0, 255, 0, 255), np.uint8))
    (tmp_path / "manifest.csv").write_text(
        "file,clear_licence\nphotos/a.png,no\nphotos/b.png,yes\ncutouts/green.png,yes\n"
    )
    (without,) = evaluate(config)
    (green,) = evaluate(
        replace(config, cutouts=str(tmp_path / "cutouts"), manifest=str(tmp_path / "manifest.csv"), samples=2)
    )
    assert {row["image"] for row in rows_of(config)} == {"b.png"}
    assert green.means["input_psnr"] != without.means["input_psnr"]


def test_a_folder_without_photos_gets_a_sentence(config: EvaluateConfig, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="holds no image that can be used"):
        evaluate(replace(config, data=str(tmp_path / "nothing")))
    assert not Path(config.out).exists()


def test_a_folder_that_cannot_be_written_is_told_of_before_any_work(
    config: EvaluateConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("m2aenet_core.evaluate.score_photo", lambda *_: pytest.fail("a photo was scored"))
    with pytest.raises(InputError, match=r"file.summary\.json was not written because .*file is a file"):
        evaluate(replace(config, out=str(tmp_path / "file")))


def test_the_command_takes_several_models_and_prints_the_tables(
    config: EvaluateConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", config.data, "--out", config.out, "--model", "input", "--model", config.model[0]]
    arguments += ["--samples", "1", "--area", "[0.05, 0.5]", "--path_px", "[8, 12]", "--device", "cpu"]
    assert main([*arguments, "--execution", "exact,adaptive", "--thresholds", "0.3,0.7", "--limit", "1"]) == 0
    printed = capsys.readouterr().out
    assert "| tiny, exact |" in printed
    assert "| tiny, adaptive |" in printed
    assert "| input |" in printed
    assert len(rows_of(config)) == 3
    assert len(rows_of(config, "sweep.csv")) == 4


def test_a_typo_ends_with_code_2_and_unknown_weights_with_a_sentence(
    config: EvaluateConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", config.data, "--out", config.out, "--sampels", "1"]) == 2
    assert main(["--data", config.data, "--out", config.out, "--model", "huge", "--device", "cpu"]) == 1
    assert "there are no weights called huge" in capsys.readouterr().err
