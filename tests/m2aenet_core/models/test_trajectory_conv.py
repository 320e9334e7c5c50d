"""The motion-aware convolution: its taps follow the trajectory."""

import pytest
import torch
import torch.nn.functional as F

from m2aenet_core.models.motion_analyzer import MotionAnalyzer
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.models.trajectory_conv import TrajectoryConv, kernel_side, trajectory_taps


def test_without_motion_it_is_a_depthwise_convolution() -> None:
    conv, features = TrajectoryConv(6), torch.randn(2, 6, 7, 8)
    torch.nn.init.normal_(conv.weight)
    torch.nn.init.normal_(conv.bias)
    still = Motion.of(torch.zeros(2, 2, 7, 8), torch.zeros(2, 2, 7, 8))
    dense = F.conv2d(features, conv.weight, conv.bias, padding=1, groups=6)
    torch.testing.assert_close(conv(features, trajectory_taps(still)), dense, atol=1e-5, rtol=1e-5)


def test_tap_k_reads_where_the_object_was_at_instant_k() -> None:
    conv, features = TrajectoryConv(1), torch.randn(1, 1, 20, 20)
    start = torch.tensor([-4.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 20, 20)
    taps = trajectory_taps(Motion.of(start, -start))
    for tap in range(9):
        with torch.no_grad():
            conv.weight.zero_()
            conv.weight.view(-1)[tap] = 1
        # the grid's own step, and one of nine even instants between 4 pixels up and 4 down
        dy, dx = tap // 3 - 1 + tap - 4, tap % 3 - 1
        expected = features.roll((-dy, -dx), dims=(2, 3))
        torch.testing.assert_close(conv(features, taps)[..., 6:-6, 6:-6], expected[..., 6:-6, 6:-6])


def test_it_begins_near_the_identity() -> None:
    features = torch.randn(1, 64, 12, 12)
    still = Motion.of(torch.zeros(1, 2, 12, 12), torch.zeros(1, 2, 12, 12))
    change = TrajectoryConv(64)(features, trajectory_taps(still)) - features
    assert change.std() < 0.25 * features.std()


def test_the_analyzer_begins_with_nearly_no_motion() -> None:
    motion = MotionAnalyzer(32)(torch.randn(1, 32, 12, 12))
    assert motion.start.shape == motion.end.shape == (1, 2, 12, 12)
    assert 0 < motion.field.abs().mean() < 0.5


def test_constant_displacement_shifts_a_depthwise_convolution() -> None:
    """Every tap moved alike reads what lies that far away: the learnable form can hold such a trajectory."""
    conv, features = TrajectoryConv(4), torch.randn(1, 4, 16, 18)
    torch.nn.init.normal_(conv.weight)
    by = torch.tensor([2.0, -3.0]).repeat(9).view(1, 18, 1, 1).expand(1, 18, 16, 18)
    moved = conv(features, trajectory_taps(Motion(by, "learnable")))
    dense = F.conv2d(features, conv.weight, conv.bias, padding=1, groups=4)
    torch.testing.assert_close(moved[..., 4:-4, 4:-4], dense.roll((-2, 3), (2, 3))[..., 4:-4, 4:-4])


@pytest.mark.parametrize("taps", [1, 9, 25, 49])
def test_still_kernels_of_every_size_are_depthwise_convolutions(taps: int) -> None:
    conv, features = TrajectoryConv(4, taps), torch.randn(2, 4, 11, 9)
    torch.nn.init.normal_(conv.weight)
    still = Motion.of(torch.zeros(2, 2, 11, 9), torch.zeros(2, 2, 11, 9))
    dense = F.conv2d(features, conv.weight, conv.bias, padding=kernel_side(taps) // 2, groups=4)
    torch.testing.assert_close(conv(features, trajectory_taps(still, taps)), dense, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("taps", [0, 4, 8, 16, 27])
def test_taps_that_fill_no_odd_square_are_refused(taps: int) -> None:
    with pytest.raises(ValueError, match="do not fill a square kernel of odd side"):
        kernel_side(taps)
