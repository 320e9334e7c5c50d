"""What lies around each place, for the decisions about it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from m2aenet_core.models.layers import attend_locally
from m2aenet_core.models.nafnet import nafblocks


class Surroundings(nn.Module):
    """Features that know what lies around them: a U-net of the two scales below theirs, added to them.

    Where decisions are taken, an encoder of few blocks has seen some dozens of pixels around each place, less than
    a path is long; and a smooth surface differs from a smeared one by what is next to it. Not part of the paper.
    The identity at initialisation, so that weights without it can go on with it.

    blocks: NAFNet's blocks on the way down and at the bottom, and on the way up, each; at half and at a quarter of
    the features' size.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.down_near, self.down_far = (nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(2))
        self.near, self.far, self.nearer = (nafblocks(channels, blocks) for _ in range(3))
        self.up_far, self.up_near = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        nn.init.zeros_(self.up_near.weight)
        assert self.up_near.bias is not None
        nn.init.zeros_(self.up_near.bias)

    def attend_locally(self, scale: int) -> None:
        """Let its attention take means over the surroundings of each place; scale: that of the features."""
        for stage, below in ((self.near, 1), (self.far, 2), (self.nearer, 1)):
            attend_locally(stage, scale + below)

    def forward(self, features: Tensor) -> Tensor:
        """Give (B, C, H, W) for features of that shape, of any height and width."""
        near = self.near(self.down_near(features))
        far = self.far(self.down_far(near))
        near = self.nearer(near + _twice(self.up_far(far), near))
        return features + _twice(self.up_near(near), features)


def _twice(features: Tensor, like: Tensor) -> Tensor:
    """Give features at twice the size, cut to that of others."""
    full = F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
    return full[..., : like.shape[-2], : like.shape[-1]]
