"""Networks and the photo as it came, under names of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from m2aenet_core.checkpoint import save_model, sha256
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import InputError
from m2aenet_core.evaluation.config import EvaluateConfig
from m2aenet_core.evaluation.contender import NetworkContender, labels, make_contenders
from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.macs import count_macs
from m2aenet_core.models.nafnet import NAFNet


@pytest.fixture
def config(tiny_model: M2AENet, tmp_path: Path) -> EvaluateConfig:
    path = tmp_path / "tiny.safetensors"
    save_model(tiny_model, path)
    return EvaluateConfig(data="", model=("input", str(path)), execution=("exact", "adaptive"), device="cpu")


def test_a_contender_does_what_the_deblurrer_does(config: EvaluateConfig, photo: np.ndarray) -> None:
    came, tiny = make_contenders(config)
    assert came.label == "input"
    assert came.restore(came.analyze(photo), 0.5, "").restored is photo
    assert tiny.label == "tiny"
    assert tiny.weights_sha256 == sha256(Path(config.model[1]))
    found, deblurrer = tiny.analyze(photo), Deblurrer(config.model[1], device="cpu")
    for execution in ("exact", "adaptive"):
        outcome, expected = tiny.restore(found, 0.4, execution), deblurrer(photo, 0.4, execution=execution)
        assert np.array_equal(outcome.restored, expected.restored)
        assert outcome.mask is not None
        assert np.array_equal(outcome.mask, expected.mask)
        assert outcome.density == expected.density
        assert outcome.macs == expected.analysis.macs + expected.macs
        assert outcome.seconds == pytest.approx(outcome.analyze_s + outcome.restore_s)
        assert min(outcome.analyze_s, outcome.restore_s) > 0
    assert found.probability is not None
    assert np.array_equal(found.probability, expected.analysis.blur_probability)


def test_a_contender_is_asked_as_the_settings_say(config: EvaluateConfig, photo: np.ndarray) -> None:
    tiny = make_contenders(replace(config, ensemble=2, linear_light=True))[1]
    parameters = make_contenders(config)[1].parameters
    outcome = tiny.restore(tiny.analyze(photo), 0.4, "exact")
    deblurrer = Deblurrer(config.model[1], device="cpu", ensemble=2)
    expected = deblurrer(photo, 0.4, linear_light=True, execution="exact")
    assert np.array_equal(outcome.restored, expected.restored)
    assert tiny.parameters == parameters


def test_a_nafnet_restores_everything_and_finds_nothing(
    randomise: Callable[[nn.Module], None], photo: np.ndarray, tmp_path: Path
) -> None:
    nafnet = NAFNet(4, (1, 1), 1, (1, 1))
    randomise(nafnet)
    save_model(nafnet, tmp_path / "naf.safetensors")
    contender = NetworkContender(str(tmp_path / "naf.safetensors"), "naf", EvaluateConfig(data="", device="cpu"))
    found = contender.analyze(photo)
    assert found.probability is None
    assert found.motion is None
    outcome = contender.restore(found, 0.5, "adaptive")
    assert outcome.mask is None
    assert outcome.density == 1
    assert outcome.macs == count_macs(nafnet, *photo.shape[:2])
    assert contender.parameters == sum(parameter.numel() for parameter in nafnet.parameters())
    assert not np.array_equal(outcome.restored, photo)


@pytest.mark.parametrize("kind", ["M2AENet at every scale", "LMD-ViT"])
def test_a_network_that_decides_along_is_charged_once(kind: str, photo: np.ndarray, tmp_path: Path) -> None:
    if kind == "LMD-ViT":
        network: nn.Module = LMDViT(LMDViTConfig(width=4, depths=(2, 2, 2), heads=(1, 2, 1)))
    else:
        sizes = M2AENetConfig(width=4, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), scales="every")
        network = M2AENet(sizes)
    save_model(network, tmp_path / "along.safetensors")
    contender = NetworkContender(str(tmp_path / "along.safetensors"), "along", EvaluateConfig(data="", device="cpu"))
    found = contender.analyze(photo)
    assert found.probability is not None
    outcome = contender.restore(found, 0.5, "exact")
    assert outcome.seconds == outcome.restore_s
    assert outcome.analyze_s == found.seconds > 0
    assert outcome.macs < found.macs + outcome.macs
    assert outcome.macs <= count_macs(contender.deblurrer.model, *photo.shape[:2])


def test_memory_counts_weights_and_grows_with_the_photo(config: EvaluateConfig, rng: np.random.Generator) -> None:
    tiny = make_contenders(config)[1]

    def peak_mb(height: int, width: int) -> float:
        photo = rng.integers(0, 256, (height, width, 3), np.uint8)
        return tiny.restore(tiny.analyze(photo), 0.0, "exact").peak_mb

    small, large = peak_mb(64, 64), peak_mb(800, 1200)
    assert not math.isnan(small)
    assert small > sum(parameter.numel() for parameter in tiny.deblurrer.model.parameters()) * 4 / 2**20
    # 0.96 megapixels, at least 16 values of 4 bytes for each
    assert large > small + 60


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (["input", "small"], ["input", "small"]),
        (["runs/a/best.safetensors"], ["best"]),
        (["runs/a/best.safetensors", "runs/b/best.safetensors"], ["a/best", "b/best"]),
        (["runs/a/best.safetensors", "runs/a/final.safetensors"], ["best", "final"]),
        (["a.v2.safetensors", "a.v1.safetensors"], ["a.v2", "a.v1"]),
        (["input", "runs/input.safetensors"], ["input", "runs/input"]),
        (["input", "input.safetensors"], ["input", "input.safetensors"]),
        (["input.safetensors"], ["input.safetensors"]),
        (["small", "small.safetensors"], ["small", "small.safetensors"]),
        (["nafnet:w/NAFNet.pth", "w/NAFNet.safetensors"], ["nafnet:w/NAFNet.pth", "w/NAFNet.safetensors"]),
        (["a.safetensors", "./a.safetensors"], ["a.safetensors", "./a.safetensors"]),
        (["best.safetensors", "b/best.safetensors"], ["best", "b/best"]),
        (["nafnet:released/NAFNet-GoPro-width32.pth", "small"], ["NAFNet-GoPro-width32", "small"]),
    ],
)
def test_labels_are_short_and_different(models: list[str], expected: list[str]) -> None:
    assert labels(models) == expected


def test_a_model_that_is_named_twice_gets_a_sentence() -> None:
    with pytest.raises(InputError, match="small is named twice"):
        labels(["small", "input", "small"])


def test_auto_stands_for_what_it_means_and_none_runs_twice(config: EvaluateConfig) -> None:
    model = config.model[1]
    settings = EvaluateConfig(data="", execution=("auto", "exact", "adaptive"), device="cpu")
    assert NetworkContender(model, "tiny", settings).executions == ("adaptive", "exact")


def test_an_unknown_execution_gets_a_sentence(config: EvaluateConfig) -> None:
    with pytest.raises(InputError, match="there is no execution 'fast'"):
        NetworkContender(config.model[1], "tiny", EvaluateConfig(data="", execution=("fast",), device="cpu"))
