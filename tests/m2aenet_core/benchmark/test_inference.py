"""Deblurring is measured beside NAFNet, from a photo to a photo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from m2aenet_core.benchmark.eager_nafnet import as_released
from m2aenet_core.benchmark.inference import (
    EAGER,
    InferenceBenchmarkConfig,
    benchmark_inference,
    exceeded,
    main,
    region_mask,
)
from m2aenet_core.benchmark.rivals import rivals
from m2aenet_core.benchmark.shares import time_shares
from m2aenet_core.errors import InputError
from m2aenet_core.models.nafnet import NAFNet

TINY = ["--height", "64", "--width", "96", "--channels", "4", "--encoder-blocks", "[1, 1, 1, 1]", "--rounds", "1"]


@pytest.fixture
def nafnet() -> NAFNet:
    torch.manual_seed(0)
    network = NAFNet(8, (1, 1), 1, (1, 1)).eval()
    for parameter in network.parameters():
        parameter.data = torch.randn_like(parameter) / max(1, parameter[0].numel()) ** 0.5
    return network


def test_every_form_is_measured_shown_written_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, figure = tmp_path / "inference.json", tmp_path / "inference.png"
    words = ["--densities", "[0.1, 1.0]", "--areas", "[0.5]", "--out", str(out), "--figure", str(figure)]
    assert main([*TINY, *words, "--device", "cpu"]) == 0
    written = json.loads(out.read_text())
    # a smaller area has ways of the same names, whose times are to NAFNet's on that area
    whole, half = ({row["way"]: row for row in written["measurements"] if row["height"] == side} for side in (64, 45))
    assert whole[EAGER]["ratio"] == half[EAGER]["ratio"] == 1
    for area in (whole, half):
        assert area["adaptive 10%"]["ratio"] == pytest.approx(area["adaptive 10%"]["seconds"] / area[EAGER]["seconds"])
    assert {EAGER, "adaptive 10%", "exact 100%"} <= written["shares"].keys() <= whole.keys()
    for form in ("adaptive", "exact", "again"):
        for density in ("10%", "100%"):
            row = whole[f"{form} {density}"]
            assert row["ratio"] == pytest.approx(row["seconds"] / whole[EAGER]["seconds"])
            assert row["macs"] > 0
    assert whole["again 100%"]["macs"] < whole["adaptive 100%"]["macs"] == whole["exact 100%"]["macs"]
    assert whole["adaptive 10%"]["covered"] <= whole["exact 10%"]["covered"] == 1
    assert figure.read_bytes().startswith(b"\x89PNG")
    text = capsys.readouterr().out
    assert "| adaptive 10%" in text
    assert "68 x 45, adaptive 10%" in text


def test_densities_that_are_nearly_the_same_are_measured_apart(tmp_path: Path) -> None:
    out = tmp_path / "inference.json"
    words = ["--forms", "[adaptive]", "--densities", "[0.001, 0.004, 0.07]", "--device", "cpu", "--out", str(out)]
    assert main([*TINY, *words]) == 0
    written = json.loads(out.read_text())
    ways = ["adaptive 0.1%", "adaptive 0.4%", "adaptive 7%"]
    assert [row["way"] for row in written["measurements"] if row["form"]] == ways
    assert list(written["shares"])[1:] == ways


@pytest.mark.parametrize("densities", ["[1.5]", "[-0.5]"])
def test_densities_that_no_photo_has_get_a_sentence(densities: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--densities", densities, "--device", "cpu"]) == 1
    assert "from 0 to 1" in capsys.readouterr().err


def test_the_parts_of_the_time_make_up_the_whole() -> None:
    config = InferenceBenchmarkConfig(64, 96, (0.5,), ("exact",), (), 4, (1, 1, 1, 1), 1, device="cpu")
    by_way = benchmark_inference(config).shares
    assert list(by_way) == [EAGER, "exact 50%"]
    for shares in by_way.values():
        assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
        assert shares["encoder 4"] > 0
    assert by_way["exact 50%"]["mask and motion"] > 0


def test_timing_the_parts_leaves_nothing_behind(nafnet: NAFNet) -> None:
    image = torch.rand(1, 3, 16, 16)
    assert set(time_shares(nafnet, lambda: nafnet(image))) >= {"encoder 1", "encoder 2", "middle", "decoder 2"}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in nafnet.modules())


@pytest.mark.parametrize("density", [0.05, 0.2, 1.0])
def test_regions_cover_the_share_that_was_asked_for(density: float) -> None:
    mask = region_mask(1436, 2152, density)
    assert mask.shape == (1436, 2152)
    assert mask.mean() == pytest.approx(density, rel=0.03)
    assert np.array_equal(mask, region_mask(1436, 2152, density))


def test_the_released_form_computes_the_same_network(nafnet: NAFNet) -> None:
    image = torch.rand(1, 3, 20, 24)
    eager = as_released(nafnet)
    assert type(eager.middle[0]) is not type(nafnet.middle[0])
    with torch.inference_mode():
        torch.testing.assert_close(eager(image), nafnet(image), atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_other_runtimes_compute_the_same_network(nafnet: NAFNet) -> None:
    image = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        wanted = nafnet(image).numpy()
    for name, run in rivals(("onnxruntime", "openvino"), as_released(nafnet), image).items():
        np.testing.assert_allclose(run(image.numpy()), wanted, atol=1e-3, err_msg=name)


def test_a_ratio_above_its_limit_ends_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--densities", "[1.0]", "--forms", "[exact]", "--device", "cpu"]
    assert main([*TINY, *words, "--limits", "exact 100%=1000000"]) == 0
    assert main([*TINY, *words, "--limits", "exact 100%=1000000, exact 100%=0"]) == 1
    assert "of NAFNet's time, more than 0" in capsys.readouterr().err


def test_limits_and_forms_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="was not measured"):
        exceeded([], "exact 100%=1")
    with pytest.raises(InputError, match="there is no form"):
        benchmark_inference(InferenceBenchmarkConfig(forms=("quick",)))
    with pytest.raises(InputError, match="measure nothing"):
        benchmark_inference(InferenceBenchmarkConfig(rounds=0))
    with pytest.raises(InputError, match="there is no runtime"):
        rivals(("tensorrt",), NAFNet(4, (1,), 1, (1,)), torch.rand(1, 3, 8, 8))
