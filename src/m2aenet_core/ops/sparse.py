"""Pixel-pruned convolution: compute at kept pixels only, equal to dense evaluation there."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_NEIGHBOURS = 9


class KeptPixels(NamedTuple):
    """Which pixels a pruned convolution computes, prepared once and shared by all blocks of a stage.

    kept (K): flat positions (b * H * W + y * W + x) of the pixels whose output is wanted.
    dilated (D): positions of the kept pixels and their 3x3 neighbours inside the image.
    neighbours (K, 9): for each kept pixel, its 3x3 neighbours as positions within `dilated`, row-major;
    D stands for "outside the image".
    """

    kept: Tensor
    dilated: Tensor
    neighbours: Tensor


def dilate(mask: Tensor) -> Tensor:
    """Give the mask (B, 1, H, W) grown by one pixel in all eight directions."""
    return F.max_pool2d(mask, kernel_size=3, stride=1, padding=1)


def kept_pixels(mask: Tensor) -> KeptPixels:
    """Prepare the positions for a hard mask (B, 1, H, W) of 0 and 1."""
    batch, _, height, width = mask.shape
    is_kept = mask.flatten() > 0.5
    is_dilated = dilate(mask.float()).flatten() > 0.5
    kept = is_kept.nonzero().squeeze(1)
    dilated = is_dilated.nonzero().squeeze(1)
    rank = torch.full((batch * height * width,), len(dilated), device=mask.device)
    rank[dilated] = torch.arange(len(dilated), device=mask.device)
    # a frame of "outside" around each image, so that neighbours across a border are never taken
    framed = F.pad(rank.view(batch, height, width), (1, 1, 1, 1), value=len(dilated)).flatten()
    image, position = kept // (height * width), kept % (height * width)
    y, x = position // width, position % width
    top_left = image * ((height + 2) * (width + 2)) + y * (width + 2) + x
    step = torch.arange(3, device=mask.device)
    steps = (step.view(3, 1) * (width + 2) + step).flatten()
    return KeptPixels(kept, dilated, framed[top_left.unsqueeze(1) + steps])


def gather(features: Tensor, positions: Tensor) -> Tensor:
    """Give the features (B, C, H, W) at flat positions as rows (N, C)."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1]).index_select(0, positions)


def scatter(features: Tensor, positions: Tensor, rows: Tensor) -> Tensor:
    """Give a copy of the features (B, C, H, W) with rows (N, C) written at flat positions."""
    batch, channels, height, width = features.shape
    flat = features.permute(0, 2, 3, 1).reshape(-1, channels).index_copy(0, positions, rows)
    return flat.view(batch, height, width, channels).permute(0, 3, 1, 2)


def depthwise_at_kept(rows: Tensor, kernel: Tensor, bias: Tensor, pixels: KeptPixels) -> Tensor:
    """Convolve with a depthwise 3x3 kernel at the kept pixels.

    rows (D, C): values at the dilated positions; kernel (C, 1, 3, 3); bias (C). Returns (K, C).
    Outside the image counts as 0, as zero padding does.
    """
    padded = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])
    taps = kernel.flatten(1).t()
    convolved = bias.expand(len(pixels.kept), -1)
    for tap in range(_NEIGHBOURS):
        convolved = torch.addcmul(convolved, padded.index_select(0, pixels.neighbours[:, tap]), taps[tap])
    return convolved
