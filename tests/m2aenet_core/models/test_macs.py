"""Multiply-adds counted from the layers, against those that torch sees."""

from itertools import pairwise

import pytest
import torch
from scipy import ndimage
from torch.utils.flop_counter import FlopCounterMode

from m2aenet_core.models import m2aenet
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.macs import count_macs, ellipse_mask
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import Network
from m2aenet_core.ops.sparse import dilate

SIZE = {"width": 8, "encoder_blocks": (1, 2, 1, 3), "middle_blocks": 2, "decoder_blocks": (2, 1, 1, 1)}
FORMS = {
    "fourth stage": M2AENetConfig(**SIZE),
    "two scales": M2AENetConfig(width=4, encoder_blocks=(1, 2), middle_blocks=1, decoder_blocks=(1, 2)),
    "every scale": M2AENetConfig.every_scale(**SIZE),
    "all positions": M2AENetConfig(mask_positions=(1, 2, 3), **SIZE),
    "every scale, all positions": M2AENetConfig.every_scale(mask_positions=(1, 2, 3), **SIZE),
    "learnable": M2AENetConfig(trajectory="learnable", **SIZE),
    "25 taps": M2AENetConfig(taps=25, **SIZE),
    "without motion": M2AENetConfig(use_motion=False, **SIZE),
    "without mask": M2AENetConfig(use_mask=False, **SIZE),
    "surroundings": M2AENetConfig(surroundings=2, **SIZE),
    "every scale, surroundings": M2AENetConfig.every_scale(surroundings=1, **SIZE),
    "deconvolution": M2AENetConfig(deconvolution=3, motion_surroundings=1, **SIZE),
    "motion's own encoder": M2AENetConfig(motion_encoder=2, motion_surroundings=1, **SIZE),
    "decisions' own encoder": M2AENetConfig(
        decision_encoder=True, motion_encoder=1, motion_surroundings=1, surroundings=1, **SIZE
    ),
    "neither": M2AENetConfig(use_mask=False, use_motion=False, **SIZE),
}
forms = pytest.mark.parametrize("config", FORMS.values(), ids=FORMS.keys())
HEIGHT, WIDTH = 48, 64


def blocks_of(model: M2AENet) -> list[tuple[int, int, int]]:
    """Give (scale, blocks, index of the mask they use) of every part that is guided."""
    config, stages = model.config, len(model.config.encoder_blocks)
    parts = [(scale, config.encoder_blocks[scale], index) for index, scale in enumerate(model.guided_scales)]
    if model.decides_along:
        parts.append((stages, config.middle_blocks, stages - 1))
        parts += [(scale, config.decoder_blocks[stages - 1 - scale], scale) for scale in range(stages)]
    return parts


def unseen_by_torch(model: M2AENet, masks: tuple[torch.Tensor, ...]) -> int:
    """Give what torch's counter has no formula for: the taps, and in pruned evaluation the depthwise convolution."""
    total = 0
    for scale, blocks, index in blocks_of(model):
        channels, pixels = 2 * (model.config.width << scale), (HEIGHT >> scale) * (WIDTH >> scale)
        if model.has_motion:
            total += blocks * model.config.taps * channels * pixels
        if masks and 1 in model.config.mask_positions:
            mask = masks[index]
            if mask.shape[-2] != HEIGHT >> scale:
                mask = torch.nn.functional.max_pool2d(mask, 2)
            total += blocks * 9 * channels * int(mask.sum())
    return total


@forms
def test_the_count_is_what_torch_counts_and_the_taps(config: M2AENetConfig) -> None:
    # torch counts each convolution and linear layer, without biases; two operations are one multiply-add
    model = M2AENet(config).eval()
    with torch.no_grad():
        encoded = model.analyze(torch.rand(1, 3, HEIGHT, WIDTH))
        with FlopCounterMode(display=False) as restoring:
            model.restore(encoded, 0.5)
    counted = restoring.get_total_flops() // 2 + unseen_by_torch(model, ())
    assert model.restore_macs(HEIGHT, WIDTH) == counted


@pytest.fixture
def always_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prune also where that does not pay, which is computed densely otherwise."""
    monkeypatch.setattr(m2aenet, "pruning_pays", lambda mask: True)


@forms
@pytest.mark.usefixtures("always_pruned")
def test_the_count_of_the_analysis_is_what_torch_counts(config: M2AENetConfig) -> None:
    model = M2AENet(config).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as analyzing:
        encoded = model.analyze(torch.rand(1, 3, HEIGHT, WIDTH))
    counted = analyzing.get_total_flops() // 2
    if model.decides_along:
        # the last stage and all that follows it are left out
        parts = [part for part in blocks_of(model) if part[0] < len(config.encoder_blocks) - 1][: len(encoded.masks)]
        for scale, blocks, index in parts[: len(config.encoder_blocks) - 1]:
            channels = 2 * (config.width << scale)
            counted += blocks * 9 * channels * (HEIGHT >> scale) * (WIDTH >> scale)
            counted += blocks * 9 * channels * int(encoded.masks[index].sum())
    assert model.analyze_macs(HEIGHT, WIDTH, encoded.masks) == counted


@pytest.mark.usefixtures("always_pruned")
@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("name", ["fourth stage", "every scale", "all positions", "every scale, all positions"])
def test_the_pruned_count_is_what_torch_counts_of_a_pruned_restoration(share: float, name: str) -> None:
    model = M2AENet(FORMS[name]).eval()
    mask = (torch.rand(1, 1, 6, 8) < share).float()
    with torch.no_grad():
        encoded = model.analyze(torch.rand(1, 3, HEIGHT, WIDTH))
        with FlopCounterMode(display=False) as restoring:
            masks = model.restore(encoded, mask, pruned=True).masks
    counted = restoring.get_total_flops() // 2 + unseen_by_torch(model, masks)
    assert model.restore_macs(HEIGHT, WIDTH, masks) == counted


def test_nafnets_count_is_what_torch_counts() -> None:
    model = NAFNet(**SIZE).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as running:
        model(torch.rand(1, 3, HEIGHT, WIDTH))
    assert count_macs(model, HEIGHT, WIDTH) == running.get_total_flops() // 2


@pytest.mark.parametrize("name", ["fourth stage", "every scale", "all positions"])
def test_less_blur_costs_less(name: str) -> None:
    costs = [count_macs(M2AENet(FORMS[name]), 96, 96, share) for share in (0.0, 0.1, 0.5, 1.0)]
    assert all(less < more for less, more in pairwise(costs))


def test_odd_sizes_count_at_the_padded_size() -> None:
    model = M2AENet(FORMS["fourth stage"])
    assert count_macs(model, 33, 50, 0.5) == count_macs(model, 48, 64, 0.5)


@pytest.mark.parametrize("density", [0.0, 0.05, 0.2, 0.5, 1.0])
def test_the_ellipse_has_the_density_asked_for_and_one_border(density: float) -> None:
    mask = ellipse_mask(180, 270, density)
    assert mask.mean().item() == pytest.approx(density, abs=1e-4)
    assert ndimage.label(mask[0, 0])[1] == (density > 0)
    # compact: it grows by no more pixels than a box around it has
    grown = dilate(mask).sum() - mask.sum()
    rows, columns = (int(mask.amax(axis).sum()) for axis in (3, 2))
    assert grown <= 2 * (rows + columns) + 4


@pytest.mark.parametrize("density", [-0.1, 1.1])
def test_impossible_densities_are_refused(density: float) -> None:
    with pytest.raises(ValueError, match="give a number from 0 to 1"):
        count_macs(NAFNet(**SIZE), 32, 32, density)


def test_the_papers_networks_cost_about_what_the_paper_says() -> None:
    """Table 1: 0.764 T for NAFNet, which counts biases and pooling too; 0.759 T for M2AENet, at an unknown density."""
    models: list[Network] = []
    with torch.device("meta"):
        models += [NAFNet(), M2AENet(), M2AENet(M2AENetConfig.every_scale())]
    nafnet, fourth, every = models
    assert count_macs(nafnet, 1436, 2152) == pytest.approx(757.19e9, rel=1e-5)
    for model in (fourth, every):
        assert count_macs(model, 1436, 2152, 0.0) < 0.759e12 < count_macs(model, 1436, 2152, 1.0)
