"""The intra-motion analyzer: how each pixel moved during the exposure (M2AENet, section 3.2)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from m2aenet_core.models.trajectory import Motion, TrajectoryForm

MotionOutput = Literal["ends", "path"]

# keeps the angle of a path of no length finite, and its gradient
_NO_LENGTH = 1e-6
# to the right and a little down: things move across and up and down more often than aslant, so that neighbours
# whose angles differ a little seldom lie on both sides of where the direction of time changes
_FORWARDS = math.radians(30)


class MotionAnalyzer(nn.Module):
    """One 3x3 convolution from features to displacements.

    Two of them, start and end, for the quadratic and the linear trajectory; one for each tap for the learnable one.
    output: "ends" gives start and end as the paper does; "path" gives what a photo can tell, `ends_of_path`.
    """

    def __init__(
        self, channels: int, form: TrajectoryForm = "quadratic", taps: int = 9, output: MotionOutput = "ends"
    ) -> None:
        super().__init__()
        self.form: TrajectoryForm = form
        self.output: MotionOutput = output
        self.conv = nn.Conv2d(channels, 2 * (taps if form == "learnable" else 2), 3, padding=1)
        # nearly no motion at first: the taps of the motion-aware convolution begin on their own grid
        nn.init.normal_(self.conv.weight, std=0.01)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, features: Tensor) -> Motion:
        """Give the motion for features (B, C, H, W), in pixels of their scale."""
        field = self.conv(features)
        return Motion(ends_of_path(field) if self.output == "path" else field, self.form)


def path_of_ends(start: Tensor, end: Tensor) -> Tensor:
    """Give a path (B, 4, H, W) that is the same in both directions of time, from displacements (B, 2, H, W), (y, x).

    The first two are the chord, from start to end, its angle doubled and its length kept; the others the bend, which
    is the mean of both ends. Where time runs backwards, start and end change places, the chord turns by half a circle
    and its doubled angle by a whole one.
    """
    y, x = (end - start).unbind(dim=1)
    length = (y.square() + x.square() + _NO_LENGTH).sqrt()
    chord = torch.stack([(x.square() - y.square()) / length, 2 * x * y / length], dim=1)
    return torch.cat([chord, (start + end) / 2], dim=1)


def ends_of_path(path: Tensor) -> Tensor:
    """Give the displacements (B, 4, H, W), start before end, of a path as `path_of_ends` gives it.

    Of the two directions of time, the one nearer to `_FORWARDS`.
    """
    cosine, sine, bend = path[:, :1], path[:, 1:2], path[:, 2:]
    length = (cosine.square() + sine.square() + _NO_LENGTH).sqrt()
    # the doubled angle from the preferred direction, whose half lies within a quarter turn of it
    turned_cosine = cosine * math.cos(2 * _FORWARDS) + sine * math.sin(2 * _FORWARDS)
    turned_sine = sine * math.cos(2 * _FORWARDS) - cosine * math.sin(2 * _FORWARDS)
    angle = torch.atan2(turned_sine, turned_cosine + _NO_LENGTH) / 2 + _FORWARDS
    half = torch.cat([angle.sin(), angle.cos()], dim=1) * length / 2
    return torch.cat([bend - half, bend + half], dim=1)
