"""The mask- and motion-aware simple block (M2AENet, section 3.3, Figure 2b and 2c)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2aenet_core.models.layers import ChannelAttention, LayerNorm2d, simple_gate
from m2aenet_core.models.trajectory_conv import TrajectoryConv
from m2aenet_core.ops.sampling import TapTable
from m2aenet_core.ops.sparse import KeptPixels, depthwise_at_kept, gather, scatter


class M2ASBlock(nn.Module):
    """NAFBlock whose first convolutions skip sharp pixels and whose second half follows the motion.

    beta and gamma, which eq. (5) and (6) leave out, are kept from NAFNet: the published parameter count holds
    with them, and the block is the identity at initialisation.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.expand1 = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.attention = ChannelAttention(channels)
        self.project1 = nn.Conv2d(channels, channels, 1)
        self.norm2 = LayerNorm2d(channels)
        self.expand2 = nn.Conv2d(channels, 2 * channels, 1)
        self.trajectory_conv = TrajectoryConv(2 * channels)
        self.project2 = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, features: Tensor, mask: Tensor, taps: TapTable, kept: KeptPixels | None = None) -> Tensor:
        """Give the features (B, C, H, W) after both halves, eq. (5) and (6).

        mask (B, 1, H, W): 1 = blurred. With `kept` (made from the same mask) the first half computes at blurred
        pixels alone; without, everywhere, multiplied by the mask. Both are equal up to rounding.
        """
        normed = self.norm1(features)
        gated = self._gated_dense(normed, mask) if kept is None else self._gated_pruned(normed, kept)
        middle: Tensor = features + self.beta * self.project1(self.attention(gated))
        moved = self.trajectory_conv(self.expand2(self.norm2(middle)), taps)
        out: Tensor = middle + self.gamma * self.project2(simple_gate(moved))
        return out

    def _gated_dense(self, normed: Tensor, mask: Tensor) -> Tensor:
        convolved = simple_gate(self.depthwise(self.expand1(normed)))
        # Rep(f1) gated is f1 * f1; gating before mixing is the same, since the mask is 0 or 1
        return convolved * mask + normed.square() * (1 - mask)

    def _gated_pruned(self, normed: Tensor, kept: KeptPixels) -> Tensor:
        # the 1x1 runs on the dilated mask: the depthwise kernel reads its neighbours
        rows = F.linear(gather(normed, kept.dilated), self.expand1.weight.flatten(1), self.expand1.bias)
        assert self.depthwise.bias is not None
        convolved = depthwise_at_kept(rows, self.depthwise.weight, self.depthwise.bias, kept)
        return scatter(normed.square(), kept.kept, simple_gate(convolved))


class M2ASStage(nn.Module):
    """M2AS blocks in a row that share one mask, one set of taps and one list of kept pixels."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(M2ASBlock(channels) for _ in range(count))

    def forward(self, features: Tensor, mask: Tensor, taps: TapTable, kept: KeptPixels | None = None) -> Tensor:
        """Give the features (B, C, H, W) after all blocks."""
        for block in self.blocks:
            features = block(features, mask, taps, kept)
        return features
