"""NAFNet, the backbone (Chen et al., Simple Baselines for Image Restoration, ECCV 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from m2aenet_core.models.layers import ChannelAttention, LayerNorm2d, downsample, simple_gate, upsample
from m2aenet_core.ops.padding import pad_to_multiple


class NAFBlock(nn.Module):
    """A block without nonlinear activations; the identity at initialisation, since beta and gamma are 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.expand1 = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.attention = ChannelAttention(channels)
        self.project1 = nn.Conv2d(channels, channels, 1)
        self.norm2 = LayerNorm2d(channels)
        self.expand2 = nn.Conv2d(channels, 2 * channels, 1)
        self.project2 = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Give the features (B, C, H, W) after the spatial and the channel half."""
        expanded = self.depthwise(self.expand1(self.norm1(features)))
        middle: Tensor = features + self.beta * self.project1(self.attention(simple_gate(expanded)))
        expanded = self.expand2(self.norm2(middle))
        out: Tensor = middle + self.gamma * self.project2(simple_gate(expanded))
        return out


def nafblocks(channels: int, count: int) -> nn.Sequential:
    """Give `count` blocks in a row."""
    return nn.Sequential(*(NAFBlock(channels) for _ in range(count)))


class NAFNet(nn.Module):
    """The U-shaped restoration network (B, 3, H, W) -> (B, 3, H, W), images in [0, 1].

    Any height and width: zero-padded at the bottom and the right, cropped at the end. Width 32 with the default
    blocks is the published GoPro network of 17,111,907 parameters.
    """

    def __init__(
        self,
        width: int = 32,
        encoder_blocks: Sequence[int] = (1, 1, 1, 28),
        middle_blocks: int = 1,
        decoder_blocks: Sequence[int] = (1, 1, 1, 1),
    ) -> None:
        super().__init__()
        if len(encoder_blocks) != len(decoder_blocks):
            raise ValueError("encoder_blocks and decoder_blocks need one number for each scale")
        scales = len(encoder_blocks)
        channels = [width * 2**scale for scale in range(scales + 1)]
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoders = nn.ModuleList(
            nafblocks(c, count) for c, count in zip(channels[:-1], encoder_blocks, strict=True)
        )
        self.downs = nn.ModuleList(downsample(c) for c in channels[:-1])
        self.middle = nafblocks(channels[-1], middle_blocks)
        self.ups = nn.ModuleList(upsample(c) for c in channels[:0:-1])
        self.decoders = nn.ModuleList(
            nafblocks(c, count) for c, count in zip(channels[-2::-1], decoder_blocks, strict=True)
        )
        self.ending = nn.Conv2d(width, 3, 3, padding=1)
        self.size_multiple = 2**scales

    def forward(self, blur: Tensor) -> Tensor:
        """Give the restored image."""
        height, width = blur.shape[-2:]
        padded = pad_to_multiple(blur, self.size_multiple)
        features = self.intro(padded)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            features = encoder(features)
            skips.append(features)
            features = down(features)
        features = self.middle(features)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            features = decoder(up(features) + skip)
        restored: Tensor = self.ending(features) + padded
        return restored[..., :height, :width]
