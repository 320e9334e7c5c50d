"""Square windows of an image, straight or shifted by half: their pixels, their seams, their cells.

Shifted windows wrap around: what leaves at the right or the bottom comes in at the left or the top. Those of the
last row and column therefore hold pixels of opposite edges of the image, with a seam between them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.ops.resize import shrink_mask


class WindowGrid(NamedTuple):
    """How a batch of images is cut: windows of side x side pixels, numbered image by image, row by row.

    height and width are multiples of side; windows begin `shift` pixels below and right of the image's corner.
    """

    height: int
    width: int
    side: int
    shift: int

    @property
    def rows(self) -> int:
        """Rows of windows in an image."""
        return self.height // self.side

    @property
    def columns(self) -> int:
        """Columns of windows in an image."""
        return self.width // self.side


def window_pixels(grid: WindowGrid, windows: Tensor) -> Tensor:
    """Give the flat positions (b * H * W + y * W + x) of the pixels of windows (K), as (K, side * side)."""
    image, row, column = _places(grid, windows)
    step = torch.arange(grid.side, device=windows.device) + grid.shift
    y = (row.unsqueeze(1) * grid.side + step) % grid.height
    x = (column.unsqueeze(1) * grid.side + step) % grid.width
    top_left = image.view(-1, 1, 1) * (grid.height * grid.width)
    return (top_left + y.unsqueeze(2) * grid.width + x.unsqueeze(1)).flatten(1)


def window_seams(grid: WindowGrid, windows: Tensor) -> Tensor:
    """Give for shifted windows (K) which seam each holds: 0 none, 1 a horizontal one, 2 a vertical one, 3 both."""
    _, row, column = _places(grid, windows)
    return (row == grid.rows - 1).long() + 2 * (column == grid.columns - 1).long()


def _places(grid: WindowGrid, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give image, row and column of numbered windows."""
    in_image = windows % (grid.rows * grid.columns)
    return windows // (grid.rows * grid.columns), in_image // grid.columns, in_image % grid.columns


def across_seam(side: int, shift: int) -> Tensor:
    """Give for each kind of seam which pairs of a window's pixels it parts: (4, side^2, side^2) booleans."""
    beyond = torch.arange(side) >= side - shift
    below = beyond.view(side, 1).expand(side, side).flatten()
    right = beyond.expand(side, side).flatten()
    parted_y = below.unsqueeze(0) != below.unsqueeze(1)
    parted_x = right.unsqueeze(0) != right.unsqueeze(1)
    return torch.stack([torch.zeros_like(parted_y), parted_y, parted_x, parted_y | parted_x])


def window_mean(values: Tensor, side: int, shift: int) -> Tensor:
    """Give the mean of (B, C, H, W) over each window, (B, C, H / side, W / side)."""
    shifted = torch.roll(values, (-shift, -shift), (2, 3)) if shift else values
    return F.avg_pool2d(shifted, side)


def windows_of_cells(mask: Tensor, cells: int, *, is_shifted: bool) -> Tensor:
    """Give which windows hold a cell of a mask (B, 1, h, w): (B, 1, h / cells, w / cells).

    cells: along the side of a window. Shifted windows lie half a window further down and right.
    """
    if not is_shifted:
        return shrink_mask(mask, cells)
    # in halves of a cell, since half a window of one cell is half a cell
    halves = _enlarge(mask, 2)
    return shrink_mask(torch.roll(halves, (-cells, -cells), (2, 3)), 2 * cells)


def cells_of_windows(values: Tensor, cells: int, *, is_shifted: bool) -> Tensor:
    """Give values of windows (B, C, h, w) on their cells, (B, C, h * cells, w * cells).

    A cell that several shifted windows share gets their mean.
    """
    if not is_shifted:
        return _enlarge(values, cells)
    halves = torch.roll(_enlarge(values, 2 * cells), (cells, cells), (2, 3))
    return F.avg_pool2d(halves, 2)


def _enlarge(values: Tensor, factor: int) -> Tensor:
    return values.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)


def pixels_at_once(pixels: Tensor) -> int:
    """Give how many pixels (..., N, C) to take at a time, where each is computed on its own or in its window.

    With gradients all of them, as everything is kept anyway. Without, as many as stay in the caches of a CPU, where
    they take less than half of the time; or as keep a GPU busy, which bounds the memory.
    """
    count, channels = pixels.shape[-2:]
    if torch.is_grad_enabled():
        return count
    if pixels.device.type == "cpu":
        return torch.get_num_threads() * max(1024, 2**17 // channels)
    return max(1024, 2**24 // channels)
