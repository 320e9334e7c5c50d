"""Multiply-adds of an M2AENet, counted from its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from m2aenet_core.models.layer_macs import (
    analyzer_macs,
    block_macs,
    down_macs,
    edge_macs,
    predictor_macs,
    surroundings_macs,
    up_macs,
)
from m2aenet_core.models.m2aenet_config import M2AENetConfig
from m2aenet_core.ops.resize import shrink_mask


@dataclass(frozen=True)
class MacCounter:
    """Counts convolution multiply-adds of a network of this config."""

    config: M2AENetConfig
    guided_scales: range
    """Scales whose encoder stage has masks or motion."""
    decides_along: bool
    """Whether middle and decoder have them too."""
    height: int
    """Of the padded image."""
    width: int
    """Of the padded image."""

    def analysis(self, masks: Sequence[Tensor]) -> int:
        """Give those of `analyze`; masks: of the scales that it decided on the way."""
        pixels = self.height * self.width
        total = float(edge_macs(self.config.width, pixels))
        stages = len(self.config.encoder_blocks)
        by_scale = dict(zip(self.guided_scales, masks, strict=False))
        for scale in range(stages):
            total += self._look_macs(scale)
            if scale < stages - 1:
                total += self._encoder_macs(scale, pixels, by_scale.get(scale))
        return round(total)

    def restoration(self, masks: Sequence[Tensor]) -> int:
        """Give those of `restore`; masks: of the guided scales, or none for dense."""
        pixels = self.height * self.width
        config, stages = self.config, len(self.config.encoder_blocks)
        by_scale = dict(zip(self.guided_scales, masks, strict=False))
        total = float(edge_macs(config.width, pixels))
        if self.decides_along:
            # nothing is kept from the analysis
            total += edge_macs(config.width, pixels) + sum(self._look_macs(scale) for scale in range(stages))
        if config.decision_encoder:
            total += edge_macs(config.width, pixels)
        for scale in range(0 if self.decides_along or config.decision_encoder else stages - 1, stages):
            total += self._encoder_macs(scale, pixels, by_scale.get(scale))
        total += deconvolution_macs(config, pixels)
        after = by_scale if self.decides_along else {}
        last = after.get(stages - 1)
        total += config.middle_blocks * self._block_macs(
            stages, pixels, self.decides_along, None if last is None else shrink_mask(last, 2)
        )
        for scale, blocks in enumerate(reversed(config.decoder_blocks)):
            total += up_macs(config.width << scale, pixels >> (2 * scale))
            total += blocks * self._block_macs(scale, pixels, self.decides_along, after.get(scale))
        return round(total)

    def _encoder_macs(self, scale: int, pixels: int, mask: Tensor | None) -> float:
        blocks = self.config.encoder_blocks[scale]
        down = down_macs(self.config.width << scale, pixels >> (2 * scale))
        return blocks * self._block_macs(scale, pixels, scale in self.guided_scales, mask) + down

    def _block_macs(self, scale: int, pixels: int, is_guided: bool, mask: Tensor | None) -> float:
        config, channels, here = self.config, self.config.width << scale, pixels >> (2 * scale)
        if not is_guided:
            return block_macs(channels, here)
        positions = config.mask_positions if config.use_mask else ()
        return block_macs(channels, here, positions, config.taps if config.use_motion else 0, mask)

    def _look_macs(self, scale: int) -> float:
        channels, size = self.config.width << scale, (self.height >> scale, self.width >> scale)
        here, total = size[0] * size[1], 0.0
        if scale in self.guided_scales and self.config.surroundings:
            total += surroundings_macs(channels, size, self.config.surroundings)
        if scale in self.guided_scales and self.config.use_motion and self.config.motion_surroundings:
            total += surroundings_macs(channels, size, self.config.motion_surroundings)
        if scale in self.guided_scales and self.config.motion_encoder:
            total += self._motion_encoder_macs(scale)
        if scale in self.guided_scales and self.config.use_mask:
            total += predictor_macs(channels, here, 2 if self.config.predictor == "lmdvit" else 1)
        if scale in self.guided_scales and self.config.use_motion:
            outputs = 2 * (self.config.taps if self.config.trajectory == "learnable" else 2)
            total += analyzer_macs(channels, here, outputs)
        return total

    def _motion_encoder_macs(self, scale: int) -> float:
        config, pixels = self.config, self.height * self.width
        stage, before = config.width << (scale - 1), config.width << (scale - 2)
        at_stage, at_blocks = pixels >> (2 * scale - 2), pixels >> (2 * scale)
        downs = down_macs(before, pixels >> (2 * scale - 4)) + down_macs(stage, at_stage)
        blocks = config.encoder_blocks[scale - 1] * block_macs(stage, at_stage)
        return downs + blocks + config.motion_encoder * block_macs(2 * stage, at_blocks)


def deconvolution_macs(config: M2AENetConfig, pixels: int) -> int:
    """Give those of the 1x1 convolutions of what was deconvolved: they are as many values at each scale."""
    kept = min(config.deconvolution, 2)
    return 3 * kept * pixels * sum(config.width << scale for scale in range(len(config.encoder_blocks)))
