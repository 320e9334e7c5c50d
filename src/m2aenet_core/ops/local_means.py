"""Means over the surroundings of each place instead of over the whole frame.

A network that learned from crops knows means over a crop. In a photo, means over about as much give what it knows
(Chu et al., Improving Image Restoration by Revisiting Global Information Aggregation, ECCV 2022). They are taken over
square cells, over windows of cells, and are bilinear between the middles of cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW_CELLS = 5


def local_means(features: Tensor, cell: int) -> Tensor:
    """Give the means (B, C, h, w) of (B, C, H, W) over the window of 5 x 5 cells around each cell of `cell` pixels.

    Beyond the frame its border cells repeat. The last cells of a row and of a column may be cut.
    """
    means = F.avg_pool2d(features, cell, ceil_mode=True, count_include_pad=False)
    reach = WINDOW_CELLS // 2
    return F.avg_pool2d(F.pad(means, (reach,) * 4, mode="replicate"), WINDOW_CELLS, stride=1)


def spread(coarse: Tensor, cell: int, size: tuple[int, int]) -> Tensor:
    """Give values of cells (B, C, h, w) for each pixel (B, C, H, W) of a frame of this size, bilinear between cells."""
    full = F.interpolate(coarse, scale_factor=float(cell), mode="bilinear", align_corners=False)
    return full[..., : size[0], : size[1]]


def scale_rows(image: Tensor, coarse: Tensor, cell: int) -> None:
    """Multiply an image (H, W, C) by the `spread` of (1, C, h, w) in place, some rows at a time."""
    height, width, channels = image.shape
    rows, columns = coarse.shape[-2:]
    across = F.interpolate(coarse, size=(rows, columns * cell), mode="bilinear", align_corners=False)
    across = across[0, :, :, :width].permute(1, 2, 0).contiguous()
    # shares of whole numbers: in float32 those of far rows would be off
    position = ((torch.arange(height, device=image.device, dtype=torch.float64) + 0.5) / cell - 0.5).clamp(0, rows - 1)
    above = position.floor().long()
    below, share = (above + 1).clamp(max=rows - 1), (position - above).to(image.dtype).view(-1, 1, 1)
    step = max(1, (1 << 18) // (width * channels))
    for top in range(0, height, step):
        some = slice(top, top + step)
        image[some] *= torch.lerp(across[above[some]], across[below[some]], share[some])
