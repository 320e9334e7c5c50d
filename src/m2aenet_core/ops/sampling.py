"""Bilinear look-up along displacements, and the depthwise deformable convolution built on it.

This is the only module that knows the coordinate orders of other libraries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from m2aenet_core.ops.padding import pad_to_power_of_two
from m2aenet_core.ops.passes import passes

_CORNERS = 4
# looked-up taps of one pass and thread: measured, 1 MB is best at 64, 256 and 512 channels
_CACHE_BYTES = 1 << 20
# elsewhere embedding_bag is missing or falls back to the CPU
_HAS_BAGS = ("cpu", "cuda")


def look_up(image: Tensor, displacement: Tensor) -> Tensor:
    """Give the image read at each position + displacement: bilinear, 0 outside.

    image (B, C, H, W); displacement (B, 2, h, w) as (y, x) in pixels, from the pixels of the image's top left (h, w).
    Returns (B, C, h, w). Differentiable in both. Whole displacements are exact; others are off by less than 1e-4
    pixels at sides up to 1024 in float32, as coordinates are.

    Memory: the result and twice the displacement; at sides that are no powers of two a padded copy of the image.
    """
    height, width = displacement.shape[-2:]
    y = displacement[:, 0] + torch.arange(height, device=image.device, dtype=displacement.dtype).view(height, 1)
    x = displacement[:, 1] + torch.arange(width, device=image.device, dtype=displacement.dtype)
    # the library's coordinates are shares of the side: exact, and so on the right side of whole pixels, for these alone
    padded = pad_to_power_of_two(image)
    # (x, y), with -1 and 1 at the outer edges of the outer pixels
    grid = torch.stack([(2 * x + 1) / padded.shape[-1] - 1, (2 * y + 1) / padded.shape[-2] - 1], dim=-1)
    dtype = torch.promote_types(image.dtype, grid.dtype)
    return F.grid_sample(padded.to(dtype), grid.to(dtype), padding_mode="zeros", align_corners=False)


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
    index_type = _index_type(batch * height * width * taps * _CORNERS)  # the largest that `_readers` makes
    rows, weights_y = _two_neighbours(y, height, index_type)
    columns, weights_x = _two_neighbours(x, width, index_type)
    plane = torch.arange(batch, device=offsets.device, dtype=index_type).view(batch, 1, 1, 1, 1) * (height * width)
    neighbours = ((plane + rows * width).unsqueeze(-1) + columns.unsqueeze(-2)).view(-1, _CORNERS)
    weights = (weights_y.unsqueeze(-1) * weights_x.unsqueeze(-2)).view(-1, _CORNERS)
    wanted = torch.is_grad_enabled() and not torch.compiler.is_compiling()
    return TapTable(neighbours, weights, _readers(neighbours, taps) if wanted else None)


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


def _readers(neighbours: Tensor, taps: int) -> Readers:
    """Sort a table's entries by what they read."""
    bags = len(neighbours)
    kernel = torch.arange(taps, device=neighbours.device, dtype=neighbours.dtype)
    read = (neighbours.view(-1, taps, _CORNERS) * taps + kernel.view(taps, 1)).flatten()
    in_order, entries = read.sort(stable=True)
    every = torch.arange(bags + 1, device=read.device, dtype=read.dtype)
    starts = torch.searchsorted(in_order, every, out_int32=read.dtype == torch.int32)
    return Readers(entries, (entries // (taps * _CORNERS)).to(read.dtype), in_order, starts)


def deformable_depthwise(features: Tensor, kernel: Tensor, bias: Tensor | None, table: TapTable) -> Tensor:
    """Convolve each channel with its own kernel, its taps read where the table says.

    features (B, C, H, W), fastest in channels_last memory; kernel (C, 1, k, k); bias (C). Returns (B, C, H, W) in
    channels_last memory. Outside the image counts as 0. Differentiable, once, in the features, the kernel, the bias
    and the table's weights.

    Memory: the result, and 2 MB for each thread. For the backward pass nothing is kept but the features and the table:
    it looks up again, and takes the gradients and 3 MB for each thread. Features in other than channels_last memory are
    copied first. Compiled, looked-up taps are not stored in inference; what is kept for the backward pass is the
    compiler's choice.
    """
    batch, channels, height, width = features.shape
    rows = features.permute(0, 2, 3, 1).reshape(-1, channels).contiguous()
    by_tap = kernel.flatten(1).t().contiguous()
    middle = None
    if len(table.neighbours) == len(rows) * (len(by_tap) - 1):
        middle, by_tap = by_tap[len(by_tap) // 2], _without_middle(by_tap)
    if len(table.neighbours) != len(rows) * len(by_tap):
        raise ValueError(
            f"the table holds {len(table.neighbours)} taps, but {len(rows)} pixels have {len(by_tap)} each"
        )
    bias = by_tap.new_zeros(channels) if bias is None else bias
    if torch.compiler.is_compiling() or rows.device.type not in _HAS_BAGS:
        convolved = _convolve_fused(rows, by_tap, middle, bias, table)
    else:
        convolved = _DeformableDepthwise.apply(  # type: ignore[no-untyped-call]
            rows, by_tap, middle, bias, table.weights, table.neighbours, table.readers
        )
    return convolved.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _convolve_fused(rows: Tensor, kernel: Tensor, middle: Tensor | None, bias: Tensor, table: TapTable) -> Tensor:
    """Convolve in plain operations, which a compiler fuses into one loop and an export can write down."""
    neighbours = table.neighbours.view(-1, len(kernel), _CORNERS)
    weights = table.weights.view(-1, len(kernel), _CORNERS, 1).to(rows.dtype)
    convolved = bias if middle is None else bias + rows * middle
    for tap in range(len(kernel)):
        corners = rows.index_select(0, neighbours[:, tap].flatten()).view(-1, _CORNERS, rows.shape[1])
        convolved = convolved + (corners * weights[:, tap]).sum(dim=1) * kernel[tap]
    return convolved


def _passes(rows: Tensor, taps: int) -> Iterator[tuple[int, int]]:
    row_bytes = taps * rows.shape[1] * rows.element_size()
    return passes(len(rows), row_bytes, _CACHE_BYTES, rows.device)


def _mix(looked_up: Tensor, kernel: Tensor, out: Tensor) -> Tensor:
    """Write sum_k kernel_k * looked_up_k into `out`; looked_up (N, K, C), which is overwritten, kernel (K, C)."""
    return torch.sum(looked_up.mul_(kernel), dim=1, out=out)


class _DeformableDepthwise(torch.autograd.Function):
    """Convolve rows (N, C) with a kernel (K, C), some pixels at a time; look up again for the backward pass.

    A tap that stands still, middle (C) or None, needs no look-up: it is a product of rows as they are.

    With A_k the look-up of tap k and w_k its kernel, out = sum_k w_k * A_k rows. The transpose,
    sum_k w_k * A_k^T gradient, has the same form, and the sorted table makes A_k^T a look-up too. Since
    <gradient, out> = sum_k <w_k * rows, A_k^T gradient>, all other gradients can be had from A_k^T gradient as well.
    """

    @staticmethod
    def forward(
        rows: Tensor,
        kernel: Tensor,
        middle: Tensor | None,
        bias: Tensor,
        weights: Tensor,
        neighbours: Tensor,
        readers: Readers | None,
    ) -> Tensor:
        taps, channels = kernel.shape
        out = kernel.new_empty(rows.shape, dtype=torch.promote_types(rows.dtype, kernel.dtype))
        for first, last in _passes(rows, taps):
            bags = slice(first * taps, last * taps)
            weight = weights[bags].to(rows.dtype)
            # embedding_bag sums the four neighbours without building them
            looked_up = F.embedding_bag(neighbours[bags], rows, per_sample_weights=weight, mode="sum")
            _mix(looked_up.view(-1, taps, channels).to(out.dtype), kernel, out[first:last]).add_(bias)
            if middle is not None:
                out[first:last].addcmul_(rows[first:last], middle)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.readers = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, kernel, middle, bias, weights, neighbours = ctx.saved_tensors
        taps, channels = kernel.shape
        readers: Readers = ctx.readers or _readers(neighbours, taps)
        gradient = gradient.contiguous()
        shares = weights.view(-1)[readers.entries].to(gradient.dtype)
        for_rows, for_kernel = torch.empty_like(gradient), torch.zeros_like(kernel, dtype=gradient.dtype)
        for_middle = None if middle is None else torch.zeros_like(middle, dtype=gradient.dtype)
        for_shares = torch.empty_like(shares) if ctx.needs_input_grad[4] else None
        spans = list(_passes(rows, taps))
        begins = readers.starts[:: spans[0][1] * taps].tolist() if spans else []
        products = gradient.new_empty(spans[0][1] if spans else 0, taps, channels)
        for (first, last), begin, end in zip(spans, begins, [*begins[1:], len(shares)], strict=False):
            bags = slice(first * taps, last * taps)
            pixels, starts = readers.pixels[begin:end], readers.starts[bags.start : bags.stop + 1] - begin
            spread = F.embedding_bag(
                pixels,
                gradient,
                offsets=starts,
                per_sample_weights=shares[begin:end],
                mode="sum",
                include_last_offset=True,
            )
            some, product = rows[first:last].to(gradient.dtype), products[: last - first]
            if for_shares is not None:
                torch.mul(some.unsqueeze(1), kernel, out=product)
                own_bags = readers.bags[begin:end] - bags.start
                for_shares[begin:end] = _dot_rows(product.view(-1, channels), gradient, pixels, starts, own_bags)
            spread = spread.view(-1, taps, channels)
            for_kernel += torch.mul(spread, some.unsqueeze(1), out=product).sum(dim=0)
            _mix(spread, kernel, for_rows[first:last])
            if middle is not None and for_middle is not None:
                for_middle += (gradient[first:last] * some).sum(dim=0)
                for_rows[first:last].addcmul_(gradient[first:last], middle)
        for_weights = None
        if for_shares is not None:
            for_weights = torch.empty_like(weights)
            for_weights.view(-1)[readers.entries] = for_shares.to(weights.dtype)
        for_bias = gradient.sum(dim=0).to(bias.dtype)
        for_middle = None if middle is None or for_middle is None else for_middle.to(middle.dtype)
        return for_rows.to(rows.dtype), for_kernel.to(kernel.dtype), for_middle, for_bias, for_weights, None, None


def _dot_rows(bag_rows: Tensor, rows: Tensor, indices: Tensor, starts: Tensor, bags: Tensor) -> Tensor:
    """Give <bag_rows[bag], rows[index]> for each entry of a bag, which is the gradient of embedding_bag's weights."""
    # by its own name: asking autograd for it inside of a backward pass takes longer than computing it
    return torch.ops.aten._embedding_bag_per_sample_weights_backward(bag_rows, rows, indices, starts, bags, 0)
