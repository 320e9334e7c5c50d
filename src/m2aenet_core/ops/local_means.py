"""Means over the surroundings of each place instead of over the whole frame.

A network that learned from crops knows means over a crop. In a photo, means over about as much give what it knows
(Chu et al., Improving Image Restoration by Revisiting Global Information Aggregation, ECCV 2022). They are taken over
square cells, over windows of cells, and are bilinear between the middles of cells.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW_CELLS = 5


def local_means(features: Tensor, cell: int) -> Tensor:
    """Give the means (B, C, h, w) of (B, C, H, W) over the window of 5 x 5 cells around each cell of `cell` pixels.

    Beyond the frame its border cells repeat. The last cells of a row and of a column may be cut.
    """
    means = _cell_means(features, cell)
    reach = WINDOW_CELLS // 2
    return F.avg_pool2d(F.pad(means, (reach,) * 4, mode="replicate"), WINDOW_CELLS, stride=1)


def spread(coarse: Tensor, cell: int, size: tuple[int, int]) -> Tensor:
    """Give values of cells (B, C, h, w) for each pixel (B, C, H, W) of a frame of this size, bilinear between cells."""
    if _learns_on_gpu(coarse):
        return _spread_by_products(coarse, cell, size)
    full = F.interpolate(coarse, scale_factor=float(cell), mode="bilinear", align_corners=False)
    return full[..., : size[0], : size[1]]


def _learns_on_gpu(values: Tensor) -> bool:
    """Whether gradients are wanted on a GPU, where those of pooling and of interpolation take longer than all else."""
    return values.device.type == "cuda" and torch.is_grad_enabled() and values.requires_grad


def _cell_means(features: Tensor, cell: int) -> Tensor:
    if _learns_on_gpu(features) and not (features.shape[-2] % cell or features.shape[-1] % cell):
        return _means_of_whole_cells(features, cell)
    return F.avg_pool2d(features, cell, ceil_mode=True, count_include_pad=False)


def _means_of_whole_cells(features: Tensor, cell: int) -> Tensor:
    """Give the means of cells (B, C, H, W) as a reduction, whose gradient is a mere expansion."""
    rows = features.permute(0, 2, 3, 1).unflatten(2, (-1, cell)).unflatten(1, (-1, cell))
    return rows.mean(dim=(2, 4)).permute(0, 3, 1, 2)


def _spread_by_products(coarse: Tensor, cell: int, size: tuple[int, int]) -> Tensor:
    """Give the same as `spread` as two products of matrices, one for each direction, in channels_last memory."""
    counts = zip(coarse.shape[-2:], size, strict=True)
    down, across = (_bilinear(count, cell, coarse.device, coarse.dtype)[:side] for count, side in counts)
    rows = coarse.permute(0, 2, 3, 1)
    tall = (down @ rows.flatten(2)).unflatten(2, rows.shape[2:])
    return (across @ tall).permute(0, 3, 1, 2)


@cache
def _bilinear(count: int, cell: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Give the shares (count * cell, count) that cells have in the pixels of a row."""
    # a tensor of inference mode could not be used for gradients later
    with torch.inference_mode(False):
        each = torch.eye(count, device=device).unsqueeze(0)
        shares = F.interpolate(each, scale_factor=float(cell), mode="linear", align_corners=False)
        return shares[0].t().to(dtype).contiguous()


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
