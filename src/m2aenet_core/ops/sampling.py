"""Bilinear look-up along displacements, and the depthwise deformable convolution built on it.

This is the only module that would have to know the coordinate orders of other libraries.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class TapTable(NamedTuple):
    """Where each tap of a deformable convolution reads, prepared once and shared by all blocks of a stage.

    neighbours (B * H * W * K, 4): rows of the flattened (B * H * W, C) features, the four neighbours of each tap.
    weights (B * H * W * K, 4): their bilinear weights; 0 for neighbours outside the image.
    """

    neighbours: Tensor
    weights: Tensor


def tap_table(offsets: Tensor, kernel_size: int = 3) -> TapTable:
    """Prepare the look-up for taps at grid_k + offset_k.

    offsets (K, B, 2, H, W): displacement (y, x) in pixels added to tap k of the row-major kernel grid,
    K = kernel_size ** 2. Differentiable in the offsets through the weights.
    """
    taps, batch, _, height, width = offsets.shape
    if taps != kernel_size**2:
        raise ValueError(f"a {kernel_size}x{kernel_size} kernel has {kernel_size**2} taps, got offsets for {taps}")
    device, dtype = offsets.device, offsets.dtype
    reach = torch.arange(kernel_size, device=device, dtype=dtype) - kernel_size // 2
    grid_y, grid_x = torch.meshgrid(reach, reach, indexing="ij")
    # (B, H, W, K): the taps of one pixel lie side by side, as the convolution sums them
    y = offsets[:, :, 0].permute(1, 2, 3, 0) + grid_y.flatten()
    x = offsets[:, :, 1].permute(1, 2, 3, 0) + grid_x.flatten()
    y = y + torch.arange(height, device=device, dtype=dtype).view(1, height, 1, 1)
    x = x + torch.arange(width, device=device, dtype=dtype).view(1, 1, width, 1)
    # without NaN, which a network that overflows gives and which would become an address
    top, left = y.detach().floor().nan_to_num(), x.detach().floor().nan_to_num()
    fraction_y, fraction_x = y - top, x - left

    plane = (torch.arange(batch, device=device) * (height * width)).view(batch, 1, 1, 1)
    indices, weights = [], []
    for step_y in (0, 1):
        for step_x in (0, 1):
            row, column = top + step_y, left + step_x
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = (fraction_y if step_y else 1 - fraction_y) * (fraction_x if step_x else 1 - fraction_x)
            weights.append(torch.where(inside, weight, torch.zeros_like(weight)))
            indices.append(plane + row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long())
    return TapTable(torch.stack(indices, -1).view(-1, 4), torch.stack(weights, -1).view(-1, 4))


def deformable_depthwise(features: Tensor, kernel: Tensor, bias: Tensor | None, table: TapTable) -> Tensor:
    """Convolve each channel with its own kernel, its taps read where the table says.

    features (B, C, H, W); kernel (C, 1, k, k); bias (C). Returns (B, C, H, W). Outside the image counts as 0.
    Memory: k * k times the features for the looked-up taps, kept for the backward pass.
    """
    batch, channels, height, width = features.shape
    rows = features.permute(0, 2, 3, 1).reshape(-1, channels)
    weight = table.weights.to(rows.dtype)
    # embedding_bag sums the four neighbours without building them: no Python loop, no (4, ...) copy
    looked_up = F.embedding_bag(table.neighbours, rows, per_sample_weights=weight, mode="sum")
    taps = looked_up.view(batch * height * width, -1, channels)
    convolved = (taps * kernel.flatten(1).t()).sum(dim=1)
    if bias is not None:
        convolved = convolved + bias
    return convolved.view(batch, height, width, channels).permute(0, 3, 1, 2)
