"""A stage of AdaWPT blocks: what its predictors decide, and what pruned windows keep."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from m2aenet_core.models.adawpt import AdaWPTBlock, AdaWPTStage
from m2aenet_core.models.mask_predictor import threshold_mask
from m2aenet_core.ops.windows import windows_of_cells

CHANNELS, WINDOW = 8, 4


def make_stage(depth: int, drop_path: float = 0.0) -> AdaWPTStage:
    return AdaWPTStage(CHANNELS, 2, WINDOW, 2.0, is_modulated=True, drop_paths=[drop_path] * depth, temperature=1.0)


@pytest.mark.parametrize(("depth", "shifts"), [(1, (0,)), (2, (0, 2)), (5, (0, 2))])
def test_the_first_straight_and_the_first_shifted_block_have_a_predictor(depth: int, shifts: tuple[int, ...]) -> None:
    stage = make_stage(depth)
    assert stage.shifts == shifts
    assert len(stage.predictors) == len(shifts)
    assert [block.shift for block in stage.blocks] == [0, 2, 0, 2, 0][:depth]
    output = stage(torch.randn(2, CHANNELS, 8, 12), 0.5)
    assert [tuple(logits.shape) for logits in output.logits] == [(2, 2, 2, 3)] * len(shifts)
    assert [tuple(mask.shape) for mask in output.masks] == [(2, 1, 2, 3)] * len(shifts)


def test_decisions_are_the_predictors_confidence_against_the_threshold(randomise: Callable[[nn.Module], None]) -> None:
    stage, features = make_stage(3), torch.randn(2, CHANNELS, 16, 24)
    randomise(stage)
    stage.eval()
    with torch.no_grad():
        first = stage.predictors[0](features)
        threshold = first.softmax(dim=1)[:, 0].median().item()
        output = stage(features.clone(), threshold)
        assert torch.equal(output.logits[0], first)
        for logits, mask in zip(output.logits, output.masks, strict=True):
            assert torch.equal(mask, threshold_mask(logits, threshold))
    assert 0 < output.masks[0].mean() < 1


@pytest.mark.parametrize("pruned", [False, True])
def test_a_pruned_window_stays_as_it_is(randomise: Callable[[nn.Module], None], pruned: bool) -> None:
    """One blurred cell: the straight window around it changes, then the four shifted ones that it touches."""
    stage, features = make_stage(2), torch.randn(1, CHANNELS, 16, 24)
    randomise(stage)
    cells = torch.zeros(1, 1, 4, 6)
    cells[..., 1, 2] = 1
    masks = [windows_of_cells(cells, 1, is_shifted=is_shifted) for is_shifted in (False, True)]
    with torch.no_grad():
        changed = (stage.eval()(features.clone(), masks, pruned=pruned).features != features).any(dim=1)[0]
    expected = torch.zeros(16, 24, dtype=torch.bool)
    expected[2:10, 6:14] = True
    assert torch.equal(changed, expected)


@pytest.mark.parametrize("pruned", [False, True])
def test_nothing_kept_leaves_the_features_as_they_are(randomise: Callable[[nn.Module], None], pruned: bool) -> None:
    stage, features = make_stage(3), torch.randn(2, CHANNELS, 8, 12)
    randomise(stage)
    with torch.no_grad():
        output = stage.eval()(features.clone(), [torch.zeros(2, 1, 2, 3)] * 2, pruned=pruned)
    assert torch.equal(output.features, features)


@pytest.mark.parametrize("pruned", [False, True])
def test_portions_give_what_all_windows_at_once_give(randomise: Callable[[nn.Module], None], pruned: bool) -> None:
    """With gradients all windows are computed at once and nothing is overwritten, without neither holds."""
    stage = AdaWPTStage(4, 1, WINDOW, 1.0, is_modulated=False, drop_paths=[0.0, 0.0], temperature=1.0)
    randomise(stage)
    # more than one portion: 2^17 / 4 pixels for each thread
    rows = 2 + torch.get_num_threads() * 2**15 // (256 * WINDOW)
    features = torch.randn(1, 4, rows * WINDOW, 256)
    masks = [(torch.rand(1, 1, rows, 64) > 0.1).float() for _ in range(2)]
    whole = stage.eval()(features, masks, pruned=pruned).features
    with torch.no_grad():
        portions = stage(features.clone(), masks, pruned=pruned).features
    assert whole.requires_grad
    torch.testing.assert_close(portions, whole.detach(), atol=1e-5, rtol=1e-5)


def test_what_no_decision_depends_on_can_be_left_out(randomise: Callable[[nn.Module], None]) -> None:
    stage, features = make_stage(5), torch.randn(1, CHANNELS, 16, 24)
    randomise(stage)
    with torch.no_grad():
        whole, short = (stage.eval()(features.clone(), 0.5, only_decide=only) for only in (False, True))
    for one, other in zip(whole.logits + whole.masks, short.logits + short.masks, strict=True):
        assert torch.equal(one, other)


def test_windows_skip_a_half_of_a_block_in_training_alone(randomise: Callable[[nn.Module], None]) -> None:
    block = AdaWPTBlock(CHANNELS, 2, WINDOW, 16, shift=0, is_modulated=False, drop_path=0.3)
    randomise(block)
    tokens = torch.randn(1, WINDOW**2, CHANNELS).expand(4000, -1, -1)
    with torch.no_grad():
        trained, used = block.train()(tokens, None, None), block.eval()(tokens, None, None)
        attended = block.attention(block.norm1(tokens[:1]), None) / 0.7
    unchanged = (trained == tokens).all(dim=(1, 2)).float().mean()
    assert unchanged == pytest.approx(0.3**2, abs=0.02)
    # what stays is larger by as much, so that the mean does not change
    is_first_alone = torch.isclose(trained, tokens + attended, atol=1e-5).all(dim=(1, 2)).float().mean()
    assert is_first_alone == pytest.approx(0.3 * 0.7, abs=0.03)
    assert (used == used[:1]).all()
    assert (used != tokens).any()
