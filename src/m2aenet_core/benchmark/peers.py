"""Other ways to compute the operators, plainly written, with autograd's gradients, to measure the chosen ones by.

Shapes and meanings are those of the operators in `m2aenet_core.ops`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.ops.sampling import TapTable
from m2aenet_core.ops.sparse import KeptPixels

# -- forward splatting: (B, C, H, W) along (N, B, 2, H, W), the sum divided by the sum of the weights -----------------


def reblur_by_rows(sharp: Tensor, offsets: Tensor) -> Tensor:
    """Add the rows of a (B * H * W, C + 1) image with `index_add`, corner by corner."""
    rows = _rows_with_weight(sharp)
    total = torch.zeros_like(rows)
    for offset in offsets:
        for index, weight in _corners(offset):
            total = total.index_add(0, index, rows * weight.unsqueeze(1))
    return _quotient(total, sharp.shape)


def reblur_by_planes(sharp: Tensor, offsets: Tensor) -> Tensor:
    """Add planes with `scatter_add`, corner by corner, and let autograd keep what it wants."""
    planes = _rows_with_weight(sharp).t().contiguous()
    total = torch.zeros_like(planes)
    for offset in offsets:
        for index, weight in _corners(offset):
            total = total.scatter_add(1, index.expand(len(planes), -1), planes * weight)
    return _quotient(total.t(), sharp.shape)


def reblur_at_once(sharp: Tensor, offsets: Tensor) -> Tensor:
    """Add the rows of all instants and corners with one accumulating `index_put`."""
    rows = _rows_with_weight(sharp)
    indices, weights = zip(*(corner for offset in offsets for corner in _corners(offset)), strict=True)
    values = (rows * torch.stack(weights).unsqueeze(2)).flatten(0, 1)
    total = torch.zeros_like(rows).index_put((torch.cat(indices),), values, accumulate=True)
    return _quotient(total, sharp.shape)


def reblur_by_sorting(sharp: Tensor, offsets: Tensor) -> Tensor:
    """Sort what falls by where it falls, and sum the runs with `embedding_bag`."""
    rows = _rows_with_weight(sharp)
    indices, weights = zip(*(corner for offset in offsets for corner in _corners(offset)), strict=True)
    in_order, order = torch.cat(indices).sort()
    starts = torch.searchsorted(in_order, torch.arange(len(rows) + 1, device=sharp.device))
    weight = torch.cat(weights)[order]
    total = F.embedding_bag(
        order % len(rows), rows, offsets=starts, per_sample_weights=weight, mode="sum", include_last_offset=True
    )
    return _quotient(total, sharp.shape)


def _rows_with_weight(image: Tensor) -> Tensor:
    return torch.cat([image, torch.ones_like(image[:, :1])], dim=1).permute(0, 2, 3, 1).flatten(0, 2)


def _quotient(total: Tensor, shape: torch.Size) -> Tensor:
    batch, channels, height, width = shape
    sums = total.view(batch, height, width, channels + 1).permute(0, 3, 1, 2)
    return sums[:, :channels] / sums[:, channels:].clamp_min(torch.finfo(total.dtype).eps)


def _corners(displacement: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Give flat positions and weights (B * H * W) of the four pixels around each displaced one."""
    batch, _, height, width = displacement.shape
    device = displacement.device
    y = displacement[:, 0] + torch.arange(height, device=device).view(height, 1)
    x = displacement[:, 1] + torch.arange(width, device=device)
    top, left = y.detach().floor(), x.detach().floor()
    plane = torch.arange(batch, device=device).view(batch, 1, 1) * (height * width)
    for row, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = plane + row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
            yield index.flatten(), (weight_y * weight_x * inside).flatten()


# -- bilinear look-up -------------------------------------------------------------------------------------------------


def look_up_by_gathers(image: Tensor, displacement: Tensor) -> Tensor:
    """Gather each of the four corners, plane by plane."""
    batch, channels, height, width = image.shape
    planes = image.transpose(0, 1).flatten(1)
    read = torch.stack([planes.index_select(1, index) * weight for index, weight in _corners(displacement)])
    return read.sum(dim=0).view(channels, batch, height, width).transpose(0, 1)


def look_up_by_bags(image: Tensor, displacement: Tensor) -> Tensor:
    """Sum the four corners with `embedding_bag`, over all channels at a time."""
    batch, channels, height, width = image.shape
    indices, weights = zip(*_corners(displacement), strict=True)
    rows = image.permute(0, 2, 3, 1).reshape(-1, channels)
    read = F.embedding_bag(torch.stack(indices, 1), rows, per_sample_weights=torch.stack(weights, 1), mode="sum")
    return read.view(batch, height, width, channels).permute(0, 3, 1, 2)


# -- depthwise deformable convolution ---------------------------------------------------------------------------------


def deformable_by_grid_samples(features: Tensor, kernel: Tensor, bias: Tensor, offsets: Tensor) -> Tensor:
    """Sample the features once for each tap."""
    height, width = features.shape[-2:]
    side = kernel.shape[-1]
    rows = torch.arange(height, device=features.device).view(height, 1)
    columns = torch.arange(width, device=features.device)
    convolved = bias.view(-1, 1, 1)
    for tap, offset in enumerate(offsets):
        y = rows + tap // side - side // 2 + offset[:, 0]
        x = columns + tap % side - side // 2 + offset[:, 1]
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
        sampled = F.grid_sample(features, grid, align_corners=False)
        convolved = convolved + sampled * kernel.flatten(1)[:, tap, None, None]
    return convolved


def deformable_by_one_bag(features: Tensor, kernel: Tensor, bias: Tensor, table: TapTable) -> Tensor:
    """Look up all taps of all pixels with one `embedding_bag`, then mix them."""
    rows = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
    taps = F.embedding_bag(table.neighbours, rows, per_sample_weights=table.weights, mode="sum")
    mixed = (taps.view(len(rows), -1, features.shape[1]) * kernel.flatten(1).t()).sum(dim=1) + bias
    return _from_rows(mixed, features.shape)


def deformable_by_gathers(features: Tensor, kernel: Tensor, bias: Tensor, table: TapTable) -> Tensor:
    """Gather the four neighbours of every pixel with `index_select` and sum them with `einsum`, tap by tap."""
    rows = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
    by_tap = kernel.flatten(1).t()
    neighbours, weights = (each.view(len(rows), len(by_tap), 4) for each in table[:2])
    mixed = bias
    for tap in range(len(by_tap)):
        read = rows.index_select(0, neighbours[:, tap].flatten()).view(len(rows), 4, -1)
        mixed = mixed + torch.einsum("njc,nj->nc", read, weights[:, tap]) * by_tap[tap]
    return _from_rows(mixed, features.shape)


def _from_rows(rows: Tensor, shape: torch.Size) -> Tensor:
    batch, channels, height, width = shape
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


# -- depthwise convolution at kept pixels -----------------------------------------------------------------------------


def depthwise_tap_by_tap(rows: Tensor, kernel: Tensor, bias: Tensor, pixels: KeptPixels) -> Tensor:
    """Gather and add the whole list of kept pixels for each tap."""
    padded, by_tap = torch.cat([rows, rows.new_zeros(1, rows.shape[1])]), kernel.flatten(1).t()
    convolved = bias.expand(len(pixels.kept), -1)
    for tap in range(len(by_tap)):
        convolved = torch.addcmul(convolved, padded.index_select(0, pixels.neighbours[tap]), by_tap[tap])
    return convolved


def depthwise_by_one_gather(rows: Tensor, kernel: Tensor, bias: Tensor, pixels: KeptPixels) -> Tensor:
    """Gather all nine taps at once, then sum."""
    padded, by_tap = torch.cat([rows, rows.new_zeros(1, rows.shape[1])]), kernel.flatten(1).t()
    return (padded[pixels.neighbours] * by_tap.unsqueeze(1)).sum(dim=0) + bias


def depthwise_inside_a_frame(
    rows: Tensor, kernel: Tensor, bias: Tensor, pixels: KeptPixels, size: tuple[int, int, int]
) -> Tensor:
    """Write the rows into an empty image (B, H, W), convolve all of it, and take the kept pixels out."""
    channels = rows.shape[1]
    batch, height, width = size
    image = rows.new_zeros(batch * height * width, channels).index_copy(0, pixels.dilated, rows)
    image = image.view(batch, height, width, channels).permute(0, 3, 1, 2)
    convolved = F.conv2d(image, kernel, bias, padding=1, groups=channels)
    return convolved.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, pixels.kept)
