"""The motion-aware convolution: its taps follow the trajectory."""

import torch
import torch.nn.functional as F

from m2aenet_core.models.motion_analyzer import Motion, MotionAnalyzer
from m2aenet_core.models.trajectory_conv import TrajectoryConv, trajectory_taps


def test_without_motion_it_is_a_depthwise_convolution() -> None:
    conv, features = TrajectoryConv(6), torch.randn(2, 6, 7, 8)
    torch.nn.init.normal_(conv.weight)
    torch.nn.init.normal_(conv.bias)
    still = Motion(torch.zeros(2, 2, 7, 8), torch.zeros(2, 2, 7, 8))
    dense = F.conv2d(features, conv.weight, conv.bias, padding=1, groups=6)
    torch.testing.assert_close(conv(features, trajectory_taps(still)), dense, atol=1e-5, rtol=1e-5)


def test_tap_k_reads_where_the_object_was_at_instant_k() -> None:
    conv, features = TrajectoryConv(1), torch.randn(1, 1, 20, 20)
    start = torch.tensor([-4.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 20, 20)
    taps = trajectory_taps(Motion(start, -start))
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
    still = Motion(torch.zeros(1, 2, 12, 12), torch.zeros(1, 2, 12, 12))
    change = TrajectoryConv(64)(features, trajectory_taps(still)) - features
    assert change.std() < 0.25 * features.std()


def test_the_analyzer_begins_with_nearly_no_motion() -> None:
    start, end = MotionAnalyzer(32)(torch.randn(1, 32, 12, 12))
    assert start.shape == end.shape == (1, 2, 12, 12)
    assert 0 < start.abs().mean() < 0.5
