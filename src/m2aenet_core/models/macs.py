"""Multiply-adds of a network, counted from its layers."""

from __future__ import annotations

from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.ops.padding import round_up


def analyze_macs(model: M2AENet, height: int, width: int) -> int:
    """Give the convolution multiply-adds of `analyze` at the padded size."""
    config = model.config
    pixels, _ = _padded_pixels(config, height, width)
    total = 27 * config.width * pixels
    for scale, blocks in enumerate(config.encoder_blocks[:-1]):
        channels, here = config.width << scale, pixels >> (2 * scale)
        total += blocks * _block_macs(channels, here) + _down_macs(channels, here)
    channels, here = config.width << model.motion_scale, pixels >> (2 * model.motion_scale)
    predictor = 2 * channels**2 + channels**2 // 2 + channels**2 // 8 + channels // 2
    return total + here * (predictor + 36 * channels)


def restore_macs(model: M2AENet, height: int, width: int, kept: float, dilated: float) -> int:
    """Give the convolution multiply-adds of `restore` at the padded size.

    kept, dilated: share of blurred pixels at the motion scale, and of the same mask dilated by one pixel; both 1
    for dense evaluation. Looking up the taps of the motion-aware convolution is not counted, their sum is.
    """
    config = model.config
    pixels, scales = _padded_pixels(config, height, width)
    channels, here = config.width << model.motion_scale, pixels >> (2 * model.motion_scale)
    pruned = 2 * channels**2 * dilated + 18 * channels * kept
    always = 4 * channels**2 + 18 * channels
    total = config.encoder_blocks[-1] * (here * (pruned + always) + channels**2)
    total += _down_macs(channels, here)
    lowest = pixels >> (2 * scales)
    total += config.middle_blocks * _block_macs(config.width << scales, lowest)
    for step, blocks in enumerate(config.decoder_blocks):
        scale = scales - 1 - step
        channels, here = config.width << scale, pixels >> (2 * scale)
        # the 1x1 convolution before the pixel shuffle: 2C -> 4C at the smaller size
        total += 8 * channels**2 * (here // 4) + blocks * _block_macs(channels, here)
    return round(total + 27 * config.width * pixels)


def _padded_pixels(config: M2AENetConfig, height: int, width: int) -> tuple[int, int]:
    scales = len(config.encoder_blocks)
    return round_up(height, 2**scales) * round_up(width, 2**scales), scales


def _block_macs(channels: int, pixels: int) -> int:
    return pixels * (6 * channels**2 + 18 * channels) + channels**2


def _down_macs(channels: int, pixels: int) -> int:
    return 8 * channels**2 * (pixels // 4)
