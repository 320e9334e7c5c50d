"""The small parts that every block is made of."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2aenet_core.ops.fused import NORM_EPS, Affine, runs_fused
from m2aenet_core.ops.local_means import local_means, spread


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of each pixel (biased variance)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        # in channels_last memory the permuted view is contiguous, and the library's fused kernel runs as it is
        rows = features.permute(0, 2, 3, 1)
        if rows.dtype.itemsize < self.weight.dtype.itemsize:
            # autocast would bring all values to float32, where the kernel takes its sums in it anyway
            weight, bias = self.weight.to(rows.dtype), self.bias.to(rows.dtype)
            with torch.autocast(rows.device.type, enabled=False):
                return F.layer_norm(rows, (rows.shape[-1],), weight, bias, NORM_EPS).permute(0, 3, 1, 2)
        return F.layer_norm(rows, (rows.shape[-1],), self.weight, self.bias, NORM_EPS).permute(0, 3, 1, 2)

    @property
    def affine(self) -> Affine:
        """Scale and shift (C)."""
        return self.weight, self.bias


Attention = Literal["frame", "local"]
"""What the attention takes its means over: the whole frame, as the papers do, or the surroundings of each place."""

# a window of five cells of 48 pixels is about as large as the crops that networks learn from
_CELL_PX = 48


class ChannelAttention(nn.Module):
    """Simplified channel attention: scale each channel by a 1x1 convolution of its means.

    cell: side in pixels of the cells that local means are made of, or 0 for means over the frame.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)
        self.cell = 0

    def forward(self, features: Tensor) -> Tensor:
        """Attend over (B, C, H, W)."""
        scale = self.scale(features)
        if self.cell:
            scale = spread(scale, self.cell, (features.shape[-2], features.shape[-1]))
        return features * scale

    def scale(self, features: Tensor) -> Tensor:
        """Give the scale of each channel (B, C, 1, 1), or of each channel in each cell (B, C, h, w)."""
        means = local_means(features, self.cell) if self.cell else features.mean(dim=(2, 3), keepdim=True)
        scale: Tensor = self.mix(means)
        return scale


def cell_at(scale: int) -> int:
    """Give the side of the cells that local means are made of, in pixels of a scale."""
    return max(1, _CELL_PX >> scale)


def attend_locally(stage: nn.Module, scale: int) -> None:
    """Let the attention of all blocks of a stage at a scale take its means over the surroundings of each place."""
    for module in stage.modules():
        if isinstance(module, ChannelAttention):
            module.cell = cell_at(scale)


def affine(layer: nn.Conv2d) -> Affine:
    """Give a 1x1 convolution as weight (out, in) and bias."""
    assert layer.bias is not None
    return layer.weight.flatten(1), layer.bias


def scaled_convolution(features: Tensor, layer: nn.Conv2d, scale: Tensor) -> Tensor:
    """Give a 1x1 convolution's output times a scale of its channels (1, C, 1, 1), which is taken into its weights.

    The values of an image are then not touched again, on the way back neither, and under autocast stay as short as the
    convolution gives them.
    """
    assert layer.bias is not None
    return F.conv2d(features, layer.weight * scale.view(-1, 1, 1, 1), layer.bias * scale.flatten())


def downsample(channels: int) -> nn.Module:
    """Give the 2x2 stride-2 convolution between encoder stages: C -> 2C at half size."""
    return nn.Conv2d(channels, 2 * channels, 2, stride=2)


class Upsample(nn.Sequential):
    """The 1x1 convolution and pixel shuffle between decoder stages: C -> C/2 at twice the size."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.PixelShuffle(2))

    def forward(self, features: Tensor) -> Tensor:
        """Give (B, C / 2, 2 H, 2 W)."""
        if runs_fused(features):
            # a 1x1 without bias finds no quick convolution; a matrix product it is
            (convolution,) = (layer for layer in self if isinstance(layer, nn.Conv2d))
            rows = F.linear(features.permute(0, 2, 3, 1), convolution.weight.flatten(1))
            return F.pixel_shuffle(rows.permute(0, 3, 1, 2), 2)
        out: Tensor = super().forward(features)  # type: ignore[no-untyped-call]
        return out
