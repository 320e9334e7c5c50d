"""Bilinear look-up along displacements, and the depthwise deformable convolution built on it.

This is the only module that knows the coordinate orders of other libraries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.ops.deformable import (
    CORNERS,
    convolve_rows,
    convolve_rows_plainly,
    convolved_passes,
    sort_by_reader,
)
from m2aenet_core.ops.exported import is_exported
from m2aenet_core.ops.padding import pad_to_power_of_two

# elsewhere embedding_bag is missing or falls back to the CPU
_HAS_BAGS = ("cpu", "cuda")


def look_up(image: Tensor, displacement: Tensor) -> Tensor:
    """Give the image read at each position + displacement: bilinear, 0 outside.

    image (B, C, H, W); displacement (B, 2, h, w) as (y, x) in pixels, from the pixels of the image's top left (h, w).
    Returns (B, C, h, w). Differentiable in both. Whole displacements are exact; others are off by less than 1e-4
    pixels at sides up to 1024 in float32, as coordinates are.

    Memory: the result and twice the displacement; at sides that are no powers of two a padded copy of the image.
    """
    padded, grid = _with_grid(image, displacement)
    return F.grid_sample(padded, grid, padding_mode="zeros", align_corners=False)


def look_up_slope(image: Tensor, displacement: Tensor, upstream: Tensor) -> Tensor:
    """Give the gradient (B, 2, h, w) of <upstream, look_up(image, displacement)> by the displacement.

    It is what autograd gives; operators that compute their own gradients cannot ask it.
    """
    padded, grid = _with_grid(image, displacement)
    bilinear = zeros = 0
    _, for_grid = torch.ops.aten.grid_sampler_2d_backward(
        upstream.to(padded.dtype), padded, grid, bilinear, zeros, False, [False, True]
    )
    # a grid from -1 to 1 is two sides long
    for_x, for_y = (for_grid * (2 / grid.new_tensor([padded.shape[-1], padded.shape[-2]]))).unbind(dim=-1)
    return torch.stack([for_y, for_x], dim=1).to(displacement.dtype)


def _with_grid(image: Tensor, displacement: Tensor) -> tuple[Tensor, Tensor]:
    """Give the image and the positions to read as the library wants them."""
    height, width = displacement.shape[-2:]
    y = displacement[:, 0] + torch.arange(height, device=image.device, dtype=displacement.dtype).view(height, 1)
    x = displacement[:, 1] + torch.arange(width, device=image.device, dtype=displacement.dtype)
    # its coordinates are shares of the side: exact, and so on the right side of whole pixels, for these sides alone
    padded = pad_to_power_of_two(image)
    # (x, y), with -1 and 1 at the outer edges of the outer pixels
    grid = torch.stack([(2 * x + 1) / padded.shape[-1] - 1, (2 * y + 1) / padded.shape[-2] - 1], dim=-1)
    dtype = torch.promote_types(image.dtype, grid.dtype)
    return padded.to(dtype), grid.to(dtype)


def read_at(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Give the image (B, C, H, W) read at rows (h) and columns (w), as (B, C, h, w): bicubic, its border repeated.

    Rows and columns may lie between pixels, whose centres are whole numbers, and beyond the image.
    """
    y, x = ((2 * at + 1) / side - 1 for at, side in zip((rows, columns), image.shape[-2:], strict=True))
    grid = torch.stack([x.expand(len(y), -1), y.unsqueeze(1).expand(-1, len(x))], dim=-1).to(image.dtype)
    grid = grid.expand(len(image), -1, -1, -1)
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False)


def look_up_near(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Give the image (B, C, H, W) read at rows and columns (B, P), as (B, C, P): bilinear, its border repeated.

    Coordinates are off by less than 1e-4 pixels at sides up to 1024 in float32.
    """
    y, x = ((2 * at + 1) / side - 1 for at, side in zip((rows, columns), image.shape[-2:], strict=True))
    grid = torch.stack([x, y], dim=-1).unsqueeze(1)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)[:, :, 0]


class Readers(NamedTuple):
    """A table seen from the rows that are read: which taps read a row, the taps of a kernel position together.

    entries (B * H * W * K * 4): positions in the flattened `TapTable.weights`, in order of row and kernel position.
    pixels (B * H * W * K * 4): the pixel each of them belongs to.
    bags (B * H * W * K * 4): row * K + kernel position of each of them, in ascending order.
    starts (B * H * W * K + 1): where each row and kernel position begins in them.
    """

    entries: Tensor
    pixels: Tensor
    bags: Tensor
    starts: Tensor


class TapTable(NamedTuple):
    """Where each tap of a deformable convolution reads, prepared once and shared by all blocks of a stage.

    K is the number of taps that move: all, or all but the middle one, which then reads its own pixel.
    neighbours (B * H * W * K, 4): rows of the flattened (B * H * W, C) features, the four neighbours of each tap.
    weights (B * H * W * K, 4): their bilinear weights; 0 for neighbours outside the image.
    readers: the same look-up for the backward pass; None where no gradient was wanted when the table was made.
    """

    neighbours: Tensor
    weights: Tensor
    readers: Readers | None = None


def tap_table(offsets: Tensor, kernel_size: int = 3, *, middle_is_still: bool = False) -> TapTable:
    """Prepare the look-up for taps at grid_k + offset_k.

    offsets (kernel_size ** 2, B, 2, H, W): displacement (y, x) in pixels added to tap k of the row-major kernel grid.
    Differentiable in the offsets through the weights. middle_is_still: the middle tap has no displacement, and nothing
    has to be looked up for it.

    Memory: 32 bytes for each tap of each pixel, 72 while it is made. With gradients 120, which serve the backward
    passes of all blocks together, and 196 while it is made.
    """
    taps, batch, _, height, width = offsets.shape
    if taps != kernel_size**2:
        raise ValueError(f"a {kernel_size}x{kernel_size} kernel has {kernel_size**2} taps, got offsets for {taps}")
    kernel = torch.arange(taps, device=offsets.device)
    if middle_is_still:
        offsets, kernel, taps = _without_middle(offsets), _without_middle(kernel), taps - 1
    # (B, H, W, K): the taps of one pixel lie side by side, as the convolution sums them
    y = offsets[:, :, 0].permute(1, 2, 3, 0) + (kernel // kernel_size - kernel_size // 2)
    x = offsets[:, :, 1].permute(1, 2, 3, 0) + (kernel % kernel_size - kernel_size // 2)
    y = y + torch.arange(height, device=offsets.device).view(height, 1, 1)
    x = x + torch.arange(width, device=offsets.device).view(width, 1)
    index_type = _index_type(batch * height * width * taps * CORNERS)  # the largest that `sort_by_reader` makes
    rows, weights_y = _two_neighbours(y, height, index_type)
    columns, weights_x = _two_neighbours(x, width, index_type)
    plane = torch.arange(batch, device=offsets.device, dtype=index_type).view(batch, 1, 1, 1, 1) * (height * width)
    neighbours = ((plane + rows * width).unsqueeze(-1) + columns.unsqueeze(-2)).view(-1, CORNERS)
    weights = (weights_y.unsqueeze(-1) * weights_x.unsqueeze(-2)).view(-1, CORNERS)
    wanted = torch.is_grad_enabled() and not is_exported()
    return TapTable(neighbours, weights, Readers(*sort_by_reader(neighbours, taps)) if wanted else None)


def _without_middle(taps: Tensor) -> Tensor:
    """Give (K, ...) without the middle one of the odd number K."""
    return torch.cat([taps[: len(taps) // 2], taps[len(taps) // 2 + 1 :]])


def _index_type(largest: int) -> torch.dtype:
    """Give the index type that holds a number: half the bytes where they do, and a sort of half the time."""
    # a compiler would have to ask the size each time, to choose
    small = not torch.compiler.is_compiling() and largest < torch.iinfo(torch.int32).max
    return torch.int32 if small else torch.int64


def _two_neighbours(position: Tensor, size: int, index_type: torch.dtype) -> tuple[Tensor, Tensor]:
    """Give the pixels before and after each position (..., 2), inside [0, size), and their linear weights."""
    # without NaN, which a network that overflows gives and which would become an address
    before = position.detach().floor().nan_to_num()
    share = position - before
    both = torch.stack([before, before + 1], dim=-1)
    weights = torch.stack([1 - share, share], dim=-1)
    outside = (both < 0) | (both >= size)
    return both.clamp(0, size - 1).to(index_type), weights.masked_fill(outside, 0)


def deformable_depthwise(features: Tensor, kernel: Tensor, bias: Tensor | None, table: TapTable) -> Tensor:
    """Convolve each channel with its own kernel, its taps read where the table says.

    features (B, C, H, W), fastest in channels_last memory; kernel (C, 1, k, k); bias (C). Returns (B, C, H, W) in
    channels_last memory. Outside the image counts as 0. Differentiable, once, in the features, the kernel, the bias
    and the table's weights.

    Memory: the result, and 2 MB for each thread. For the backward pass nothing is kept but the features and the table:
    it looks up again, and takes the gradients and 3 MB for each thread. Features in other than channels_last memory are
    copied first. A compiler calls it as it is.
    """
    batch, channels, height, width = features.shape
    rows = features.permute(0, 2, 3, 1).reshape(-1, channels).contiguous()
    by_tap, middle = _by_tap(kernel, len(rows), table)
    bias = by_tap.new_zeros(channels) if bias is None else bias
    if is_exported() or rows.device.type not in _HAS_BAGS:
        convolved = convolve_rows_plainly(rows, by_tap, middle, bias, table.weights, table.neighbours)
    else:
        readers = table.readers or ()
        convolved = convolve_rows(rows, by_tap, middle, bias, table.weights, table.neighbours, readers)
    return convolved.view(batch, height, width, channels).permute(0, 3, 1, 2)


def deformable_passes(rows: Tensor, kernel: Tensor, bias: Tensor, table: TapTable) -> Iterator[tuple[int, int, Tensor]]:
    """Give what `deformable_depthwise` gives for rows (B * H * W, C), pass by pass: (first, last, (last - first, C)).

    For inference on a CPU, where what follows is to find the values in its cache. Each pass overwrites the one before.
    """
    by_tap, middle = _by_tap(kernel, len(rows), table)
    return convolved_passes(rows, by_tap, middle, bias, table.weights, table.neighbours)


def _by_tap(kernel: Tensor, pixels: int, table: TapTable) -> tuple[Tensor, Tensor | None]:
    """Give the kernel (C, 1, k, k) as (K, C) of the taps in the table, and that of a middle tap that stands still."""
    by_tap, middle = kernel.flatten(1).t().contiguous(), None
    if len(table.neighbours) == pixels * (len(by_tap) - 1):
        middle, by_tap = by_tap[len(by_tap) // 2], _without_middle(by_tap)
    if len(table.neighbours) != pixels * len(by_tap):
        raise ValueError(f"the table holds {len(table.neighbours)} taps, but {pixels} pixels have {len(by_tap)} each")
    return by_tap, middle
