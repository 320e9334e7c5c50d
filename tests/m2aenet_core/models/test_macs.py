"""Multiply-adds counted from the layers, against those that torch sees."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.macs import analyze_macs, restore_macs
from m2aenet_core.ops.sparse import dilate

CONFIGS = [
    M2AENetConfig(width=8, encoder_blocks=(1, 2, 1, 3), middle_blocks=2, decoder_blocks=(2, 1, 1, 1)),
    M2AENetConfig(width=4, encoder_blocks=(1, 2), middle_blocks=1, decoder_blocks=(1, 2)),
]


def deformable_macs(model: M2AENet, height: int, width: int) -> int:
    """Give the multiply-adds of the nine taps, which torch's counter has no formula for."""
    config, cell = model.config, 2**model.motion_scale
    return config.encoder_blocks[-1] * 9 * 2 * (config.width * cell) * (height // cell) * (width // cell)


@pytest.mark.parametrize("config", CONFIGS, ids=["four scales", "two scales"])
def test_the_count_is_what_torch_counts_and_the_nine_taps(config: M2AENetConfig) -> None:
    # torch counts each convolution and linear layer, without biases; two operations are one multiply-add
    model, height, width = M2AENet(config).eval(), 48, 64
    with torch.no_grad():
        with FlopCounterMode(display=False) as analyzing:
            encoded = model.analyze(torch.rand(1, 3, height, width))
        with FlopCounterMode(display=False) as restoring:
            model.restore(encoded, torch.ones(1, 1, *encoded.features.shape[-2:]))
    assert analyze_macs(model, height, width) == analyzing.get_total_flops() // 2
    counted = restoring.get_total_flops() // 2 + deformable_macs(model, height, width)
    assert restore_macs(model, height, width, 1.0, 1.0) == counted


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_pruned_count_is_what_torch_counts_of_a_pruned_restoration(share: float) -> None:
    # the pruned depthwise convolution is a sum of looked-up rows, which torch's counter has no formula for either
    model, height, width = M2AENet(CONFIGS[0]).eval(), 48, 64
    mask = (torch.rand(1, 1, 6, 8) < share).float()
    with torch.no_grad():
        encoded = model.analyze(torch.rand(1, 3, height, width))
        with FlopCounterMode(display=False) as restoring:
            model.restore(encoded, mask, pruned=True)
    depthwise = 3 * 9 * 2 * (8 << 3) * int(mask.sum())
    counted = restoring.get_total_flops() // 2 + deformable_macs(model, height, width) + depthwise
    assert restore_macs(model, height, width, mask.mean().item(), dilate(mask).mean().item()) == counted


def test_less_blur_costs_less() -> None:
    model = M2AENet(CONFIGS[0])
    costs = [restore_macs(model, 96, 96, share, min(1.0, 1.2 * share)) for share in (0.0, 0.1, 0.5, 1.0)]
    assert costs == sorted(set(costs))


def test_odd_sizes_count_at_the_padded_size() -> None:
    model = M2AENet(CONFIGS[0])
    assert analyze_macs(model, 33, 50) == analyze_macs(model, 48, 64)
    assert restore_macs(model, 33, 50, 0.5, 0.6) == restore_macs(model, 48, 64, 0.5, 0.6)


def test_the_papers_network_costs_about_what_the_paper_says() -> None:
    """Table 1 gives 0.759 T at 2152x1436; the paper's way of counting cannot be derived from its text."""
    with torch.device("meta"):
        model = M2AENet()
    dense = analyze_macs(model, 1436, 2152) + restore_macs(model, 1436, 2152, 1.0, 1.0)
    pruned = analyze_macs(model, 1436, 2152) + restore_macs(model, 1436, 2152, 0.0, 0.0)
    assert pruned < 0.759e12 < dense
