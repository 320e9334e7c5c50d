"""The mask- and motion-aware block, in every form that the paper varies."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from m2aenet_core.models.m2as_block import Guide, M2ASBlock, M2ASStage
from m2aenet_core.models.nafnet import NAFBlock
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.models.trajectory_conv import trajectory_taps
from m2aenet_core.ops.sampling import TapTable
from m2aenet_core.ops.sparse import kept_pixels

SHAPE = (2, 8, 9, 10)
ALL, NOTHING = torch.ones(2, 1, 9, 10), torch.zeros(2, 1, 9, 10)
POSITIONS = [(1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3)]


def taps_of(scale: float, taps: int = 9) -> TapTable:
    generator = torch.Generator().manual_seed(1)
    start, end = (scale * torch.randn(2, 2, 9, 10, generator=generator) for _ in range(2))
    return trajectory_taps(Motion.of(start, end), taps)


def test_a_block_begins_as_the_identity() -> None:
    features = torch.randn(SHAPE)
    assert torch.equal(M2ASBlock(8)(features, Guide(ALL, taps_of(1))), features)


@pytest.mark.parametrize("positions", POSITIONS, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_pruned_equals_dense(share: float, positions: tuple[int, ...], randomise: Callable[[nn.Module], None]) -> None:
    stage = M2ASStage(8, 3, positions)
    randomise(stage)
    features, mask = torch.randn(SHAPE), (torch.rand(2, 1, 9, 10) < share).float()
    dense = stage(features, Guide(mask, taps_of(2)))
    pruned = stage(features, Guide(mask, taps_of(2), kept_pixels(mask)))
    torch.testing.assert_close(pruned, dense, atol=1e-5, rtol=1e-5)


def nafnet_block(ours: M2ASBlock) -> NAFBlock:
    theirs = NAFBlock(8)
    shared = {name: value for name, value in ours.state_dict().items() if not name.startswith("trajectory_conv.")}
    theirs.load_state_dict(shared)
    return theirs


def test_all_blurred_and_still_it_is_a_nafnet_block_with_one_more_convolution(
    randomise: Callable[[nn.Module], None],
) -> None:
    ours = M2ASBlock(8)
    randomise(ours)
    assert ours.trajectory_conv is not None
    with torch.no_grad():
        ours.trajectory_conv.weight.zero_()[:, :, 1, 1] = 1
        ours.trajectory_conv.bias.zero_()
    features = torch.randn(SHAPE)
    still = trajectory_taps(Motion.of(torch.zeros(2, 2, 9, 10), torch.zeros(2, 2, 9, 10)))
    torch.testing.assert_close(ours(features, Guide(ALL, still)), nafnet_block(ours)(features), atol=1e-5, rtol=1e-5)


def test_without_mask_and_motion_it_is_a_nafnet_block(randomise: Callable[[nn.Module], None]) -> None:
    ours = M2ASBlock(8, (), taps=0)
    randomise(ours)
    features = torch.randn(SHAPE)
    assert torch.equal(ours(features, Guide(None, None)), nafnet_block(ours)(features))


# what a position skips: parameters that a block without any blur must not read
SKIPPED = {1: ["expand1", "depthwise"], 2: ["project1"], 3: ["expand2"]}


@pytest.mark.parametrize("positions", POSITIONS, ids=str)
def test_where_nothing_is_blurred_masked_convolutions_are_not_read(
    positions: tuple[int, ...], randomise: Callable[[nn.Module], None]
) -> None:
    block, features = M2ASBlock(8, positions), torch.randn(SHAPE)
    randomise(block)
    before = block(features, Guide(NOTHING, taps_of(1)))
    for position, names in SKIPPED.items():
        changed = M2ASBlock(8, positions)
        changed.load_state_dict(block.state_dict())
        with torch.no_grad():
            for name in names:
                changed.get_submodule(name).weight.mul_(5)
                changed.get_submodule(name).bias.add_(1)
        after = changed(features, Guide(NOTHING, taps_of(1)))
        assert torch.equal(after, before) == (position in positions), f"position {position}"


def test_a_sharp_pixel_repeats_its_normalised_features(randomise: Callable[[nn.Module], None]) -> None:
    """Figure 2b: Rep doubles the channels, and the gate makes their square of it."""
    block, features = M2ASBlock(8), torch.randn(SHAPE)
    randomise(block)
    read: list[Tensor] = []
    block.attention.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    for kept in (None, kept_pixels(NOTHING)):
        block(features, Guide(NOTHING, taps_of(1), kept))
    normed = block.norm1(features)
    doubled = normed.repeat(1, 2, 1, 1)
    for gated in read:
        torch.testing.assert_close(gated, doubled[:, :8] * doubled[:, 8:])


@pytest.mark.parametrize("taps", [9, 25])
def test_the_second_half_has_as_many_taps_as_asked_for(taps: int) -> None:
    block = M2ASBlock(8, taps=taps)
    assert block.trajectory_conv is not None
    assert block.trajectory_conv.weight[0].numel() == taps
    assert block(torch.randn(SHAPE), Guide(ALL, taps_of(1, taps))).shape == SHAPE
