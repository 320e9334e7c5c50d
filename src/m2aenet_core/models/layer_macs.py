"""Multiply-adds of the parts that every network is made of.

Convolutions alone are counted, as the published figures do: biases, norms, gates and look-ups are not.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from m2aenet_core.ops.sparse import dilate


def block_macs(
    channels: int, pixels: int, mask_positions: Collection[int] = (), taps: int = 0, mask: Tensor | None = None
) -> float:
    """Give the multiply-adds of one block on so many pixels, with what a mask (B, 1, h, w) leaves of them.

    The 1x1 before a pruned 3x3 runs on the dilated mask. taps: of the motion-aware convolution, 0 for none; looking
    up what they read is not counted, their sum is.
    """
    kept, dilated = (1.0, 1.0) if mask is None else (float(mask.mean()), float(dilate(mask.float()).mean()))

    def share(position: int) -> float:
        return kept if position in mask_positions else 1.0

    first = 2 * channels**2 * (dilated if 1 in mask_positions else 1.0) + 18 * channels * share(1)
    rest = channels**2 * share(2) + 2 * channels**2 * share(3) + 2 * channels * taps + channels**2
    # the attention mixes one vector of means
    return pixels * (first + rest) + channels**2


def edge_macs(width: int, pixels: int) -> int:
    """Give those of the first or the last 3x3 convolution, between three channels and `width`."""
    return 27 * width * pixels


def down_macs(channels: int, pixels: int) -> int:
    """Give those of the 2x2 convolution from `channels` on so many pixels to twice the channels on a quarter."""
    return 8 * channels**2 * (pixels // 4)


def up_macs(channels: int, pixels: int) -> int:
    """Give those of the 1x1 convolution before a pixel shuffle that ends with `channels` on so many pixels."""
    return 8 * channels**2 * (pixels // 4)


def predictor_macs(channels: int, pixels: int, embedding_layers: int) -> int:
    """Give those of a mask predictor whose embedding has so many linear layers."""
    decide = channels**2 // 2 + channels**2 // 8 + channels // 2
    return pixels * (embedding_layers * channels**2 + decide)


def analyzer_macs(channels: int, pixels: int, outputs: int) -> int:
    """Give those of a motion analyzer with so many output channels."""
    return 9 * channels * outputs * pixels


def surroundings_macs(channels: int, size: tuple[int, int], blocks: int) -> float:
    """Give those of the surroundings of features of this height and width, with so many blocks at each step."""
    near_size = -(-size[0] // 2), -(-size[1] // 2)
    near = near_size[0] * near_size[1]
    far = -(-near_size[0] // 2) * -(-near_size[1] // 2)
    # the strided 3x3 and the 1x1 of the way back, at each of both scales
    ways = 10 * channels**2 * (near + far)
    return ways + blocks * (2 * block_macs(channels, near) + block_macs(channels, far))
