"""The mask- and motion-aware block."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from m2aenet_core.models.m2as_block import M2ASBlock, M2ASStage
from m2aenet_core.models.motion_analyzer import Motion
from m2aenet_core.models.nafnet import NAFBlock
from m2aenet_core.models.trajectory_conv import trajectory_taps
from m2aenet_core.ops.sampling import TapTable
from m2aenet_core.ops.sparse import kept_pixels

SHAPE = (2, 8, 9, 10)


def taps_of(scale: float) -> TapTable:
    generator = torch.Generator().manual_seed(1)
    start, end = (scale * torch.randn(2, 2, 9, 10, generator=generator) for _ in range(2))
    return trajectory_taps(Motion(start, end))


def test_a_block_begins_as_the_identity() -> None:
    features = torch.randn(SHAPE)
    assert torch.equal(M2ASBlock(8)(features, torch.ones(2, 1, 9, 10), taps_of(1)), features)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_pruned_equals_dense(share: float, randomise: Callable[[nn.Module], None]) -> None:
    stage = M2ASStage(8, 3)
    randomise(stage)
    features, mask = torch.randn(SHAPE), (torch.rand(2, 1, 9, 10) < share).float()
    dense = stage(features, mask, taps_of(2))
    pruned = stage(features, mask, taps_of(2), kept_pixels(mask))
    torch.testing.assert_close(pruned, dense, atol=1e-5, rtol=1e-5)


def test_all_blurred_and_still_it_is_a_nafnet_block_with_one_more_convolution(
    randomise: Callable[[nn.Module], None],
) -> None:
    ours, theirs = M2ASBlock(8), NAFBlock(8)
    randomise(ours)
    with torch.no_grad():
        ours.trajectory_conv.weight.zero_()[:, :, 1, 1] = 1
        ours.trajectory_conv.bias.zero_()
    shared = {name: value for name, value in ours.state_dict().items() if not name.startswith("trajectory_conv.")}
    theirs.load_state_dict(shared)
    features = torch.randn(SHAPE)
    still = trajectory_taps(Motion(torch.zeros(2, 2, 9, 10), torch.zeros(2, 2, 9, 10)))
    torch.testing.assert_close(ours(features, torch.ones(2, 1, 9, 10), still), theirs(features), atol=1e-5, rtol=1e-5)


def test_a_sharp_pixel_repeats_its_normalised_features(randomise: Callable[[nn.Module], None]) -> None:
    """Without blur the first half does not read expand1 and depthwise at all."""
    block = M2ASBlock(8)
    randomise(block)
    features, nothing = torch.randn(SHAPE), torch.zeros(2, 1, 9, 10)
    before = block(features, nothing, taps_of(1))
    with torch.no_grad():
        block.expand1.weight.mul_(5)
        block.depthwise.bias.add_(1)
    assert torch.equal(block(features, nothing, taps_of(1)), before)
