"""The depthwise deformable convolution on rows of pixels, as one operator that a compiler calls as it is.

Rows are pixels (N, C) with their channels side by side. A bag is a pixel and a tap: pixel * K + tap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.ops.passes import passes

CORNERS = 4
# looked-up taps of one pass and thread: measured, 1 MB is best at 64, 256 and 512 channels
_CACHE_BYTES = 1 << 20


def convolve_rows(
    rows: Tensor,
    kernel: Tensor,
    middle: Tensor | None,
    bias: Tensor,
    weights: Tensor,
    neighbours: Tensor,
    readers: Sequence[Tensor],
) -> Tensor:
    """Give bias + sum_k kernel_k * A_k rows, (N, C), with A_k the look-up of tap k.

    kernel (K, C); middle (C) or None, of a tap that stands still: a product of rows as they are; bias (C). weights and
    neighbours are a `TapTable`'s, readers its `Readers` or nothing. Differentiable, once, in the first five.

    The transpose, sum_k kernel_k * A_k^T gradient, has the same form, and the sorted table makes A_k^T a look-up too.
    Since <gradient, out> = sum_k <kernel_k * rows, A_k^T gradient>, all gradients can be had from A_k^T gradient.
    """
    out: Tensor = _convolve(rows, kernel, middle, bias, weights, neighbours, list(readers))
    return out


def convolved_passes(
    rows: Tensor, kernel: Tensor, middle: Tensor | None, bias: Tensor, weights: Tensor, neighbours: Tensor
) -> Iterator[tuple[int, int, Tensor]]:
    """Give what `convolve_rows` gives, pass by pass: (first, last, (last - first, C)). Each overwrites the last."""
    taps, channels = kernel.shape
    dtype = torch.promote_types(rows.dtype, kernel.dtype)
    spans = list(_passes(rows, taps))
    out = rows.new_empty(spans[0][1] if spans else 0, channels, dtype=dtype)
    for first, last in spans:
        bags = slice(first * taps, last * taps)
        weight = weights[bags].to(rows.dtype)
        # embedding_bag sums the four neighbours without building them
        looked_up = F.embedding_bag(neighbours[bags], rows, per_sample_weights=weight, mode="sum")
        some = out[: last - first]
        _mix(looked_up.view(-1, taps, channels).to(dtype), kernel, some).add_(bias)
        if middle is not None:
            some.addcmul_(rows[first:last], middle)
        yield first, last, some


def convolve_rows_plainly(
    rows: Tensor, kernel: Tensor, middle: Tensor | None, bias: Tensor, weights: Tensor, neighbours: Tensor
) -> Tensor:
    """Give the same in plain operations, which an export can write down and every device has."""
    neighbours = neighbours.view(-1, len(kernel), CORNERS)
    weights = weights.view(-1, len(kernel), CORNERS, 1).to(rows.dtype)
    convolved = bias if middle is None else bias + rows * middle
    for tap in range(len(kernel)):
        corners = rows.index_select(0, neighbours[:, tap].flatten()).view(-1, CORNERS, rows.shape[1])
        convolved = convolved + (corners * weights[:, tap]).sum(dim=1) * kernel[tap]
    return convolved


def sort_by_reader(neighbours: Tensor, taps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give the entries of a table in order of the row they read and of the tap they belong to, as `Readers`."""
    kernel = torch.arange(taps, device=neighbours.device, dtype=neighbours.dtype)
    read = (neighbours.view(-1, taps, CORNERS) * taps + kernel.view(taps, 1)).flatten()
    bags, entries = read.sort(stable=True)
    every = torch.arange(neighbours.shape[0] + 1, device=read.device, dtype=read.dtype)
    starts = torch.searchsorted(bags, every, out_int32=read.dtype == torch.int32)
    return entries, (entries // (taps * CORNERS)).to(read.dtype), bags, starts


def _passes(rows: Tensor, taps: int) -> Iterator[tuple[int, int]]:
    row_bytes = taps * rows.shape[1] * rows.element_size()
    return passes(len(rows), row_bytes, _CACHE_BYTES, rows.device)


def _mix(looked_up: Tensor, kernel: Tensor, out: Tensor) -> Tensor:
    """Write sum_k kernel_k * looked_up_k into `out`; looked_up (N, K, C), which is overwritten, kernel (K, C)."""
    return torch.sum(looked_up.mul_(kernel), dim=1, out=out)


def _dot_rows(bag_rows: Tensor, rows: Tensor, indices: Tensor, starts: Tensor, bags: Tensor) -> Tensor:
    """Give <bag_rows[bag], rows[index]> for each entry of a bag, which is the gradient of embedding_bag's weights."""
    # by its own name: asking autograd for it inside of a backward pass takes longer than computing it
    return torch.ops.aten._embedding_bag_per_sample_weights_backward(bag_rows, rows, indices, starts, bags, 0)


# -- the operator -----------------------------------------------------------------------------------------------------


def _forward(
    rows: Tensor,
    kernel: Tensor,
    middle: Tensor | None,
    bias: Tensor,
    weights: Tensor,
    neighbours: Tensor,
    readers: list[Tensor],
) -> Tensor:
    out = _like_result(rows, kernel)
    for first, last, convolved in convolved_passes(rows, kernel, middle, bias, weights, neighbours):
        out[first:last] = convolved
    return out


def _like_result(rows: Tensor, kernel: Tensor) -> Tensor:
    return rows.new_empty(rows.shape, dtype=torch.promote_types(rows.dtype, kernel.dtype))


def _backward(
    gradient: Tensor,
    rows: Tensor,
    kernel: Tensor,
    middle: Tensor | None,
    weights: Tensor,
    neighbours: Tensor,
    readers: list[Tensor],
    with_weights: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give the gradients of rows, kernel, middle and weights; those that are not wanted are empty."""
    taps, channels = kernel.shape
    entries, pixels, bags, starts = readers or sort_by_reader(neighbours, taps)
    shares = weights.view(-1)[entries].to(gradient.dtype)
    for_rows, for_kernel = torch.empty_like(gradient), torch.zeros_like(kernel, dtype=gradient.dtype)
    for_middle = gradient.new_zeros(0 if middle is None else channels)
    for_shares = torch.empty_like(shares) if with_weights else shares.new_empty(0)
    spans = list(_passes(rows, taps))
    begins = starts[:: spans[0][1] * taps].tolist() if spans else []
    products = gradient.new_empty(spans[0][1] if spans else 0, taps, channels)
    for (first, last), begin, end in zip(spans, begins, [*begins[1:], len(shares)], strict=False):
        some, product = rows[first:last].to(gradient.dtype), products[: last - first]
        own_pixels, own_starts = pixels[begin:end], starts[first * taps : last * taps + 1] - begin
        spread = F.embedding_bag(
            own_pixels,
            gradient,
            offsets=own_starts,
            per_sample_weights=shares[begin:end],
            mode="sum",
            include_last_offset=True,
        ).view(-1, taps, channels)
        if with_weights:
            bag_rows = torch.mul(some.unsqueeze(1), kernel, out=product).view(-1, channels)
            own_bags = bags[begin:end] - first * taps
            for_shares[begin:end] = _dot_rows(bag_rows, gradient, own_pixels, own_starts, own_bags)
        for_kernel += torch.mul(spread, some.unsqueeze(1), out=product).sum(dim=0)
        _mix(spread, kernel, for_rows[first:last])
        if middle is not None:
            for_middle += (gradient[first:last] * some).sum(dim=0)
            for_rows[first:last].addcmul_(gradient[first:last], middle)
    for_weights = torch.empty_like(weights) if with_weights else weights.new_empty(0)
    if with_weights:
        for_weights.view(-1)[entries] = for_shares.to(weights.dtype)
    return for_rows.to(rows.dtype), for_kernel.to(kernel.dtype), for_middle.to(kernel.dtype), for_weights


_ARGUMENTS = "Tensor rows, Tensor kernel, Tensor? middle"
_TABLE = "Tensor weights, Tensor neighbours, Tensor[] readers"
_convolve = torch.library.custom_op(
    "m2aenet::deformable_depthwise",
    _forward,
    mutates_args=(),
    schema=f"({_ARGUMENTS}, Tensor bias, {_TABLE}) -> Tensor",
)
_differentiate = torch.library.custom_op(
    "m2aenet::deformable_depthwise_backward",
    _backward,
    mutates_args=(),
    schema=f"(Tensor gradient, {_ARGUMENTS}, {_TABLE}, bool with_weights) -> (Tensor, Tensor, Tensor, Tensor)",
)


@_convolve.register_fake
def _(rows: Tensor, kernel: Tensor, *_: Any) -> Tensor:
    return _like_result(rows, kernel)


@_differentiate.register_fake
def _(gradient: Tensor, rows: Tensor, kernel: Tensor, middle: Tensor | None, weights: Tensor, *rest: Any) -> Any:
    for_middle = kernel.new_empty(0 if middle is None else kernel.shape[1])
    for_weights = torch.empty_like(weights) if rest[-1] else weights.new_empty(0)
    return torch.empty_like(rows), torch.empty_like(kernel), for_middle, for_weights


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    rows, kernel, middle, bias, weights, neighbours, readers = inputs
    ctx.bias_dtype = bias.dtype
    ctx.save_for_backward(rows, kernel, middle, weights, neighbours, *readers)


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    rows, kernel, middle, weights, neighbours, *readers = ctx.saved_tensors
    with_weights = ctx.needs_input_grad[4]
    gradient = gradient.contiguous()
    for_rows, for_kernel, for_middle, for_weights = _differentiate(
        gradient, rows, kernel, middle, weights, neighbours, readers, with_weights
    )
    for_bias = gradient.sum(dim=0).to(ctx.bias_dtype)
    return (
        for_rows,
        for_kernel,
        None if middle is None else for_middle,
        for_bias,
        for_weights if with_weights else None,
        None,
        [None] * len(readers),
    )


_convolve.register_autograd(_gradients, setup_context=_keep)
