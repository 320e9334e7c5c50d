"""Masks and displacements across scales."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_displacement(displacement: Tensor, size: tuple[int, int]) -> Tensor:
    """Give displacements (B, 2 * K, H, W), (y, x) pairs, at another size, their length in that size's pixels.

    Bilinear between pixel centres when it grows, area mean when it shrinks.
    """
    before = (displacement.shape[-2], displacement.shape[-1])
    return displacement if before == size else in_pixels_of(resize_image(displacement, size), before, size)


def in_pixels_of(displacement: Tensor, before: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Give displacements (B, 2 * K, H, W), (y, x) pairs, in an image's pixels at one size in those at another."""
    pairs = displacement.shape[1] // 2
    ratio = displacement.new_tensor([size[0] / before[0], size[1] / before[1]] * pairs).view(1, 2 * pairs, 1, 1)
    return displacement * ratio


def resize_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Give (B, C, H, W) at another size: bilinear when it grows, area mean when it shrinks."""
    if tuple(image.shape[-2:]) == size:
        return image
    if size[0] >= image.shape[-2] and size[1] >= image.shape[-1]:
        return F.interpolate(image, size=size, mode="bilinear", align_corners=False)
    return F.interpolate(image, size=size, mode="area")


def shrink_mask(mask: Tensor, factor: int) -> Tensor:
    """Give a mask (B, 1, H, W) at 1/factor of its size: 1 where any pixel of the cell is 1.

    Height and width must be multiples of `factor`.
    """
    return F.max_pool2d(mask, kernel_size=factor)
