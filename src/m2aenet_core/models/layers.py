"""The small parts that every block is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2aenet_core.ops.fused import NORM_EPS, Affine, runs_fused


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
        return F.layer_norm(rows, (rows.shape[-1],), self.weight, self.bias, NORM_EPS).permute(0, 3, 1, 2)

    @property
    def affine(self) -> Affine:
        """Scale and shift (C)."""
        return self.weight, self.bias


class ChannelAttention(nn.Module):
    """Simplified channel attention: scale each channel by a 1x1 convolution of the global means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Attend over (B, C, H, W)."""
        scale: Tensor = self.mix(features.mean(dim=(2, 3), keepdim=True))
        return features * scale


def affine(layer: nn.Conv2d) -> Affine:
    """Give a 1x1 convolution as weight (out, in) and bias."""
    assert layer.bias is not None
    return layer.weight.flatten(1), layer.bias


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
