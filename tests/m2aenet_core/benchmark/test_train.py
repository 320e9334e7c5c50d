"""Training steps of the networks are measured side by side, as training takes them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from m2aenet_core.benchmark.train import (
    StepMeasurement,
    TrainBenchmarkConfig,
    benchmark_training,
    main,
    random_batch,
    to_table,
)
from m2aenet_core.errors import InputError

TINY = ["--width", "4", "--encoder-blocks", "[1, 1, 1, 1]", "--crops", "[32]", "--batch-size", "1", "--rounds", "1"]


def test_two_networks_are_measured_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "train.json"
    words = ["--networks", "m2aenet", "nafnet", "--device", "cpu", "--out", str(out)]
    assert main([*TINY, *words]) == 0
    content = json.loads(out.read_text())
    assert content.keys() == {"machine", "versions", "settings", "measurements"}
    ours, backbone = content["measurements"]
    assert (ours["network"], backbone["network"]) == ("m2aenet", "nafnet")
    assert backbone["ratio_to_nafnet"] == 1
    assert ours["ratio_to_nafnet"] == pytest.approx(ours["step_s"] / backbone["step_s"])
    assert ours["images_per_s"] == pytest.approx(1 / ours["step_s"])
    assert ours["parameters"] > backbone["parameters"]
    assert ours["peak_bytes"] > 0
    text = capsys.readouterr().out
    assert "1 samples of 32 x 32 pixels, 32-true" in text
    assert "| M2AENet |" in text


@pytest.mark.slow
def test_every_network_and_size_is_measured_by_default() -> None:
    small = TrainBenchmarkConfig(width=8, encoder_blocks=(1, 1, 1, 1), batch_size=1, rounds=1, device="cpu")
    for crop_px, some in zip(small.crops, benchmark_training(small), strict=True):
        assert {each.network for each in some} == {"m2aenet", "nafnet", "lmdvit"}
        assert {each.crop_px for each in some} == {crop_px}


def test_the_form_with_masks_at_every_scale_can_be_measured() -> None:
    config = TrainBenchmarkConfig(("m2aenet",), 4, (1, 1, 1, 1), "every", (32,), 1, 1, device="cpu")
    ((measured,),) = benchmark_training(config)
    ((fourth,),) = benchmark_training(replace(config, scales="fourth"))
    assert measured.parameters != fourth.parameters
    assert math.isnan(measured.ratio_to_nafnet)


def test_what_is_not_known_is_left_empty() -> None:
    row = StepMeasurement("m2aenet", 64, 2, "32-true", 1000, 0.5, math.nan, 4.0, math.nan)
    cells = [cell.strip() for cell in to_table([row]).splitlines()[-1].strip("|").split("|")]
    assert cells == ["M2AENet", "0.500", "", "4.00", "", "1,000"]


def test_samples_hold_motion_and_stillness() -> None:
    batch = random_batch(3, 33, torch.device("cpu"))
    assert 0.3 < batch.mask.mean() < 0.35
    assert torch.equal(batch.start, -batch.end)
    assert (batch.end * (1 - batch.mask) == 0).all()
    assert batch.end.abs().max() > 0.5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"networks": ("unet",)}, "there is no network 'unet'; choose some of"),
        ({"rounds": 0}, "0 rounds measure nothing"),
    ],
)
def test_what_cannot_be_measured_gets_a_sentence(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        next(benchmark_training(replace(TrainBenchmarkConfig(device="cpu"), **changes)))
