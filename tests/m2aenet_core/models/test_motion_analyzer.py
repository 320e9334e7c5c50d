"""Motion without a direction of time."""

import math

import pytest
import torch

from m2aenet_core.models.motion_analyzer import MotionAnalyzer, ends_of_path, path_of_ends


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
    angles = [math.radians(degrees - 1), math.radians(degrees + 1)]
    half = torch.tensor([[[math.sin(a)], [math.cos(a)]] for a in angles]).view(2, 2, 1, 1) * 3
    ends = ends_of_path(path_of_ends(-half, half))[:, 2:].view(2, 2)
    assert float((ends[0] * ends[1]).sum()) > 0


def test_no_motion_has_finite_gradients() -> None:
    field = torch.zeros(1, 4, 3, 3, requires_grad=True)
    ends = ends_of_path(field)
    path_of_ends(ends[:, :2], ends[:, 2:]).square().sum().backward()
    assert field.grad is not None
    assert torch.isfinite(field.grad).all()


def test_the_analyzer_gives_ends_of_what_its_convolution_gives() -> None:
    features = torch.randn(1, 8, 4, 5)
    analyzer = MotionAnalyzer(8, output="path")
    assert torch.equal(analyzer(features).field, ends_of_path(analyzer.conv(features)))
    analyzer.output = "ends"
    assert torch.equal(analyzer(features).field, analyzer.conv(features))
