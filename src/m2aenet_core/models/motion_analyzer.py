"""The intra-motion analyzer: how each pixel moved during the exposure (M2AENet, section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Motion(NamedTuple):
    """Displacement from mid-exposure to the start and to the end of the exposure.

    Each (B, 2, H, W) as (y, x), in pixels of the scale they were predicted at.
    """

    start: Tensor
    end: Tensor


class MotionAnalyzer(nn.Module):
    """One 3x3 convolution from features to the two displacements."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)
        # nearly no motion at first: the taps of the motion-aware convolution begin on their own grid
        nn.init.normal_(self.conv.weight, std=0.01)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, features: Tensor) -> Motion:
        """Give the displacements for features (B, C, H, W)."""
        start, end = self.conv(features).chunk(2, dim=1)
        return Motion(start, end)
