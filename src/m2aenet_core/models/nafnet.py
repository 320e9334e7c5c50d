"""NAFNet, the backbone (Chen et al., Simple Baselines for Image Restoration, ECCV 2022)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from m2aenet_core.errors import InputError
from m2aenet_core.models.layer_macs import block_macs, down_macs, edge_macs, up_macs
from m2aenet_core.models.layers import (
    Attention,
    ChannelAttention,
    LayerNorm2d,
    Upsample,
    affine,
    attend_locally,
    downsample,
    scaled_convolution,
)
from m2aenet_core.models.network import Decision, Encoded, Network, Restored
from m2aenet_core.ops.fused import Affine, add_halves, gated_convolution, pixel_rows, runs_fused, scaled
from m2aenet_core.ops.gates import simple_gate
from m2aenet_core.ops.local_means import scale_rows
from m2aenet_core.ops.padding import pad_to_multiple

# float32 values alive at once per pixel and channel of width: 11 to 13.5 measured over a whole run, and room
LIVE_VALUES = 16
# the same on a CPU, where blocks are computed in passes: 4.4 measured
FUSED_LIVE_VALUES = 5


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
        return self._in_passes(features) if runs_fused(features) else self.by_layers(features)

    def by_layers(self, features: Tensor) -> Tensor:
        """Give the same, one layer after the other."""
        expanded = self.depthwise(self.expand1(self.norm1(features)))
        middle = features + scaled_convolution(self.attention(simple_gate(expanded)), self.project1, self.beta)
        expanded = self.expand2(self.norm2(middle))
        return middle + scaled_convolution(simple_gate(expanded), self.project2, self.gamma)

    def _in_passes(self, features: Tensor) -> Tensor:
        gated = self._gated_fused(features)
        self._add_halves(features, gated)
        return gated.permute(0, 3, 1, 2)

    def _add_halves(self, features: Tensor, gated: Tensor) -> None:
        """Add both halves to the features (B, C, H, W), into their gate (B, H, W, C)."""
        second = self.norm2.affine, affine(self.expand2), self._projected2()
        for rows, out, projected in zip(pixel_rows(features), gated.flatten(1, 2), self._attended(gated), strict=True):
            add_halves(rows, out, projected, *second)

    def _gated_fused(self, features: Tensor) -> Tensor:
        """Give the gate of the first half, (B, H, W, C)."""
        kernel = self.depthwise.weight, self.depthwise.bias
        return gated_convolution(features, self.norm1.affine, affine(self.expand1), kernel)  # type: ignore[arg-type]

    def _attended(self, gated: Tensor) -> list[Affine]:
        """Give the 1x1 of the first half for each image of (B, H, W, C), with beta and the frame's attention in it.

        Local attention cannot be part of the weights: it is multiplied into `gated`.
        """
        scale, beta, project = (
            self.attention.scale(gated.permute(0, 3, 1, 2)),
            self.beta.flatten(),
            affine(self.project1),
        )
        if not self.attention.cell:
            return [scaled(project, beta, inputs=each.flatten()) for each in scale]
        for image, coarse in zip(gated, scale.unsqueeze(1), strict=True):
            scale_rows(image, coarse, self.attention.cell)
        return [scaled(project, beta)] * len(gated)

    def _projected2(self) -> Affine:
        return scaled(affine(self.project2), self.gamma.flatten())


def nafblocks(channels: int, count: int) -> nn.Sequential:
    """Give `count` blocks in a row."""
    return nn.Sequential(*(NAFBlock(channels) for _ in range(count)))


def walk_down(
    features: Tensor, encoders: Iterable[nn.Module], downs: Iterable[nn.Module]
) -> tuple[Tensor, list[Tensor]]:
    """Go through encoder stages; give the input of the stage that follows, and the output of each of them."""
    skips = []
    for encoder, down in zip(encoders, downs, strict=True):
        features = encoder(features)
        skips.append(features)
        features = down(features)
    return features, skips


def attend_locally_at_scales(encoders: nn.ModuleList, middle: nn.Module, decoders: nn.ModuleList) -> None:
    """Let all blocks of a network take the means of their attention over the surroundings of each place."""
    for scale, stage in enumerate((*encoders, middle)):
        attend_locally(stage, scale)
    for scale, stage in enumerate(reversed(decoders)):
        attend_locally(stage, scale)


def check_blocks(encoder_blocks: Sequence[int], decoder_blocks: Sequence[int]) -> None:
    """Raise InputError unless encoder and decoder have the same number of stages."""
    if len(encoder_blocks) != len(decoder_blocks):
        raise InputError("encoder_blocks and decoder_blocks need one number for each scale")


@dataclass(frozen=True)
class NAFNetConfig:
    """Size of a NAFNet. The defaults are the published GoPro network of 17,111,907 parameters."""

    width: int = 32
    """Channels at full resolution; doubled at each scale below."""
    encoder_blocks: tuple[int, ...] = (1, 1, 1, 28)
    """Blocks of each encoder stage."""
    middle_blocks: int = 1
    """Blocks at the lowest resolution."""
    decoder_blocks: tuple[int, ...] = (1, 1, 1, 1)
    """Blocks of each decoder stage, from the lowest resolution up."""
    attention: Attention = "frame"
    """What the attention takes its means over: the whole frame, or the surroundings of each place."""


class NAFNet(Network):
    """The U-shaped restoration network (B, 3, H, W) -> (B, 3, H, W), images in [0, 1].

    Any height and width: zero-padded at the bottom and the right, cropped at the end. It knows neither mask nor
    motion: everything counts as blurred.
    """

    has_mask = False
    has_motion = False

    def __init__(
        self,
        width: int = 32,
        encoder_blocks: Sequence[int] = (1, 1, 1, 28),
        middle_blocks: int = 1,
        decoder_blocks: Sequence[int] = (1, 1, 1, 1),
        attention: Attention = "frame",
    ) -> None:
        super().__init__()
        check_blocks(encoder_blocks, decoder_blocks)
        self.config = NAFNetConfig(width, tuple(encoder_blocks), middle_blocks, tuple(decoder_blocks), attention)
        scales = len(encoder_blocks)
        channels = [width * 2**scale for scale in range(scales + 1)]
        self.size_multiple = self.cell_px = 2**scales
        self.live_values = LIVE_VALUES * width
        self.fused_live_values = FUSED_LIVE_VALUES * width
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoders = nn.ModuleList(
            nafblocks(c, count) for c, count in zip(channels[:-1], encoder_blocks, strict=True)
        )
        self.downs = nn.ModuleList(downsample(c) for c in channels[:-1])
        self.middle = nafblocks(channels[-1], middle_blocks)
        self.ups = nn.ModuleList(Upsample(c) for c in channels[:0:-1])
        self.decoders = nn.ModuleList(
            nafblocks(c, count) for c, count in zip(channels[-2::-1], decoder_blocks, strict=True)
        )
        self.ending = nn.Conv2d(width, 3, 3, padding=1)
        # the network begins as the identity, as the others here do: restored = blur + 0
        nn.init.zeros_(self.ending.weight)
        assert self.ending.bias is not None
        nn.init.zeros_(self.ending.bias)
        if attention == "local":
            attend_locally_at_scales(self.encoders, self.middle, self.decoders)

    @classmethod
    def from_config(cls, config: NAFNetConfig) -> NAFNet:
        """Give the network of a config."""
        blocks = config.encoder_blocks, config.middle_blocks, config.decoder_blocks
        return cls(config.width, *blocks, config.attention)

    def forward(self, blur: Tensor) -> Tensor:
        """Give the restored image."""
        height, width = blur.shape[-2:]
        padded = pad_to_multiple(blur, self.size_multiple)
        return self._restored(padded)[..., :height, :width]

    def _restored(self, image: Tensor) -> Tensor:
        features, skips = walk_down(self.intro(image), self.encoders, self.downs)
        features = self.middle(features)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            features = decoder(up(features).add_(skip))
        restored: Tensor = self.ending(features) + image
        return restored

    def analyze(self, image: Tensor) -> Encoded:
        """Give the image: there is nothing to find out about it."""
        return Encoded(image, None, None)

    def restore(self, encoded: Encoded, decision: Decision, *, pruned: bool = False) -> Restored:
        """Restore the whole image, whatever the decision."""
        return Restored(self._restored(encoded.image), ())

    def analyze_macs(self, height: int, width: int, masks: Sequence[Tensor] = ()) -> int:
        """Give 0: analysis computes nothing."""
        return 0

    def decision_grids(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Give nothing: there are no masks."""
        return ()

    def restore_macs(self, height: int, width: int, masks: Sequence[Tensor] | None = None) -> int:
        """Give the convolution multiply-adds of the network at a padded size."""
        config, pixels = self.config, height * width
        scales = len(config.encoder_blocks)
        total = 2.0 * edge_macs(config.width, pixels)
        for scale, (down, up) in enumerate(zip(config.encoder_blocks, reversed(config.decoder_blocks), strict=True)):
            channels, here = config.width << scale, pixels >> (2 * scale)
            total += (down + up) * block_macs(channels, here) + down_macs(channels, here) + up_macs(channels, here)
        total += config.middle_blocks * block_macs(config.width << scales, pixels >> (2 * scales))
        return round(total)
