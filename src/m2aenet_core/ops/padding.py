"""Sizes to multiples, and back."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


def round_up(size: int, multiple: int) -> int:
    """Give the smallest multiple of `multiple` that is at least `size`."""
    return -(-size // multiple) * multiple


def pad_to_multiple(image: Tensor, multiple: int, mode: str = "constant") -> Tensor:
    """Pad (B, C, H, W) at the bottom and the right until both sides are multiples.

    `mode` is "constant" (zeros, as the released NAFNet does) or "replicate".
    """
    height, width = image.shape[-2:]
    bottom, right = round_up(height, multiple) - height, round_up(width, multiple) - width
    if not (bottom or right):
        return image
    return F.pad(image, (0, right, 0, bottom), mode=mode)


class Padding(NamedTuple):
    """Pixels added on each side of an image."""

    top: int
    left: int
    bottom: int
    right: int

    def add(self, image: Tensor) -> Tensor:
        """Give (B, C, H, W) with zeros around it; a padded mask counts as sharp there."""
        return F.pad(image, (self.left, self.right, self.top, self.bottom)) if any(self) else image

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Give the size of an image of this size after padding."""
        return height + self.top + self.bottom, width + self.left + self.right

    def remove(self, image: Tensor) -> Tensor:
        """Give a padded (B, C, H, W) without what was added."""
        height, width = image.shape[-2:]
        return image[..., self.top : height - self.bottom, self.left : width - self.right]


NO_PADDING = Padding(0, 0, 0, 0)


def corner_padding(height: int, width: int, multiple: int) -> Padding:
    """Give the padding to multiples at the bottom and the right, as `pad_to_multiple` does."""
    return Padding(0, 0, round_up(height, multiple) - height, round_up(width, multiple) - width)


def centre_padding(height: int, width: int, multiple: int) -> Padding:
    """Give the padding to multiples on all four sides, as the released LMD-ViT does.

    Where a side needs an odd number, the one more is at the bottom or the right.
    """
    rows, columns = round_up(height, multiple) - height, round_up(width, multiple) - width
    return Padding(rows // 2, columns // 2, rows - rows // 2, columns - columns // 2)


def pad_to_power_of_two(image: Tensor) -> Tensor:
    """Pad (B, C, H, W) with zeros at the bottom and the right until both sides are powers of two."""
    height, width = image.shape[-2:]
    bottom, right = _power_of_two(height) - height, _power_of_two(width) - width
    return F.pad(image, (0, right, 0, bottom)) if bottom or right else image


def _power_of_two(size: int) -> int:
    power = 1
    while power < size:  # a compiler knows sizes as symbols, which have no bit_length
        power *= 2
    return power
