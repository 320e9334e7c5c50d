"""Motion without a direction of time."""

import math

import pytest
import torch
from torch import Tensor

from m2aenet_core.models.path import ends_of_path, path_of_ends, usual_direction
from m2aenet_core.models.trajectory import Motion


def at_angle(degrees: Tensor) -> Tensor:
    """Give half chords (B, 2, H, W) of three pixels at angles (B, H, W), from right to down."""
    return 3 * torch.stack([degrees.deg2rad().sin(), degrees.deg2rad().cos()], dim=1)


def test_a_path_is_the_same_in_both_directions_of_time() -> None:
    start, end = torch.randn(2, 2, 5, 6) * 4, torch.randn(2, 2, 5, 6) * 4
    assert torch.allclose(path_of_ends(start, end), path_of_ends(end, start), atol=1e-5)


def test_ends_come_back_in_one_of_both_orders() -> None:
    start, end = torch.randn(2, 2, 5, 6) * 4, torch.randn(2, 2, 5, 6) * 4
    first, last = ends_of_path(path_of_ends(start, end)).chunk(2, dim=1)
    forwards = (first - start).abs().amax(1) + (last - end).abs().amax(1)
    backwards = (first - end).abs().amax(1) + (last - start).abs().amax(1)
    assert torch.minimum(forwards, backwards).max() < 1e-3


@pytest.mark.parametrize("degrees", range(-75, 105, 30))
def test_neighbours_agree_on_time_but_at_one_angle(degrees: int) -> None:
    """Two nearly equal chords run the same way, whatever their angle, unless it is the one where time turns round."""
    half = at_angle(torch.tensor([[[degrees - 1.0, degrees + 1.0]]]))
    ends = ends_of_path(path_of_ends(-half, half))[0, 2:, 0]
    assert float((ends[:, 0] * ends[:, 1]).sum()) > 0


@pytest.mark.parametrize("degrees", range(0, 180, 20))
def test_what_moves_in_about_one_direction_moves_one_way(degrees: int) -> None:
    generator = torch.Generator().manual_seed(1)
    half = at_angle(degrees + 20 * torch.randn(1, 12, 12, generator=generator).clamp(-2, 2))
    # what lies around says something else, with little weight
    half[..., :4] = at_angle(360 * torch.rand(1, 12, 4, generator=generator))
    weights = torch.ones(1, 1, 12, 12)
    weights[..., :4] = 0.05
    path = path_of_ends(-half, half)
    ends = ends_of_path(path, usual_direction(path, weights))[:, 2:, :, 4:].flatten(2)
    assert ((ends[..., :1] * ends).sum(dim=1) > 0).all()


def test_no_motion_has_finite_gradients() -> None:
    field = torch.zeros(1, 4, 3, 3, requires_grad=True)
    ends = ends_of_path(field)
    path_of_ends(ends[:, :2], ends[:, 2:]).square().sum().backward()
    assert field.grad is not None
    assert torch.isfinite(field.grad).all()


def test_between_opposite_directions_of_time_lies_the_same_path() -> None:
    """Enlarged bilinearly, chords that point both ways would shrink to nothing where they meet."""
    end = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1) * torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    for tells_time, shortest in ((True, 0.0), (False, 4 * 5**0.5)):
        large = Motion.of(-end, end)._replace(tells_time=tells_time).resized((8, 8))
        lengths = (large.end - large.start).square().sum(dim=1).sqrt()
        assert large.tells_time == tells_time
        assert float(lengths.max()) == pytest.approx(2 * 4 * 5**0.5, rel=1e-3)
        assert float(lengths.min()) > shortest or tells_time
        assert math.isclose(float(lengths.min()), float(lengths.max()), rel_tol=1e-3) != tells_time
