"""Pictures at another size as Pillow makes them, many at once and on any device."""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor


class Kernel(Enum):
    """How a pixel's neighbours count when a picture changes its size."""

    AREA = "area"
    """The mean of the area where the picture shrinks, linear between pixels where it grows."""
    LANCZOS = "lanczos"
    """Sharp: a sinc, windowed by one three times as wide."""


def axis_weights(source: Tensor, target: Tensor, offset: Tensor, rows: int, columns: int, kernel: Kernel) -> Tensor:
    """Give matrices (B, rows, columns) that resample along one axis.

    source, target (B) int: sizes before and after; the result starts at row `offset` (B), and rows around it are 0.
    columns: width of the padded source, of which the first `source` count. The weights are those of Pillow's resize.
    """
    source, target, offset = (values.view(-1, 1, 1) for values in (source, target, offset))
    row = torch.arange(rows, device=source.device).view(1, -1, 1) - offset
    column = torch.arange(columns, device=source.device).view(1, 1, -1)
    # in whole numbers up to the end: a pixel's centre often lies exactly on the edge of a box
    twice = (2 * column + 1) * target - (2 * row + 1) * source
    distance = twice.float() / (2 * torch.maximum(source, target))
    is_inside = (row >= 0) & (row < target) & (column < source)
    weights = torch.where(is_inside, _evaluate(kernel, distance, grows=target > source), 0.0)
    return weights / weights.sum(dim=2, keepdim=True).masked_fill_(~is_inside.any(dim=2, keepdim=True), 1.0)


def _evaluate(kernel: Kernel, distance: Tensor, grows: Tensor) -> Tensor:
    """Give weights at distances in pixels of the coarser size."""
    if kernel is Kernel.AREA:
        box = ((distance > -0.5) & (distance <= 0.5)).float()
        return torch.where(grows, (1 - distance.abs()).clamp_min(0), box)
    return torch.sinc(distance) * torch.sinc(distance / 3) * (distance.abs() < 3)


def resample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Give images (B, C, H, W) resampled by matrices (B, H2, H) and (B, W2, W)."""
    return rows.unsqueeze(1) @ resample_rows(images, columns)


def resample_levels(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Give images of levels 0 to 255 resampled, rounded after each direction as Pillow rounds those of 8 bits."""
    across = resample_rows(images, columns).round_().clamp_(0, 255)
    return (rows.unsqueeze(1) @ across).round_().clamp_(0, 255)


def resample_rows(images: Tensor, columns: Tensor) -> Tensor:
    """Give images (B, C, H, W) with every row resampled by matrices (B, W2, W)."""
    return images @ columns.transpose(1, 2).unsqueeze(1)
