"""Pixel-pruned convolution: compute at kept pixels only, equal to dense evaluation there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.ops.passes import passes

_NEIGHBOURS = 9
# the values of one tap of one pass and thread: measured, 256 kB is best at 256 and 512 channels
_CACHE_BYTES = 1 << 18


class KeptPixels(NamedTuple):
    """Which pixels a pruned convolution computes, prepared once and shared by all blocks of a stage.

    kept (K): flat positions (b * H * W + y * W + x) of the pixels whose output is wanted.
    dilated (D): positions of the kept pixels and their 3x3 neighbours inside the image.
    neighbours (9, K): for each tap of a 3x3 kernel, row-major, and each kept pixel, the position within `dilated` that
    it reads; D stands for "outside the image".
    """

    kept: Tensor
    dilated: Tensor
    neighbours: Tensor


def dilate(mask: Tensor) -> Tensor:
    """Give the mask (B, 1, H, W) grown by one pixel in all eight directions."""
    return F.max_pool2d(mask, kernel_size=3, stride=1, padding=1)


def pruning_pays(mask: Tensor) -> bool:
    """Tell whether a convolution is quicker at the kept pixels of a hard mask (B, 1, H, W) alone than everywhere.

    A 1x1 convolution runs at the dilated pixels, and gathering, mixing and writing back cost about as much again at the
    kept ones: it pays where both together are fewer than all pixels. On a CPU that is the break-even with 32 channels;
    with 256 it lies at 1.35 times all pixels. Compact regions may cover nearly half of the image, scattered pixels a
    tenth.
    """
    return bool(mask.sum() + dilate(mask.float()).sum() < mask.numel())


def kept_pixels(mask: Tensor) -> KeptPixels:
    """Prepare the positions for a hard mask (B, 1, H, W) of 0 and 1.

    Memory: 80 bytes for each kept pixel and 8 for each of the dilated ones; while it is made, 100 more for each kept
    pixel and 30 for every pixel. How many there are depends on the data: torch.compile takes this in without a break
    when `torch._dynamo.config.capture_dynamic_output_shape_ops` is set.
    """
    batch, _, height, width = mask.shape
    is_kept = mask.flatten() > 0.5
    is_dilated = dilate(mask.float()).flatten() > 0.5
    kept = is_kept.nonzero().squeeze(1)
    dilated = is_dilated.nonzero().squeeze(1)
    # counted, so that a compiler has no size to ask for before it knows the mask
    rank = torch.where(is_dilated, is_dilated.cumsum(0) - 1, -1)
    # a frame of "outside" around each image, so that neighbours across a border are never taken
    framed = F.pad(rank.view(batch, height, width), (1, 1, 1, 1), value=-1).flatten()
    image, position = kept // (height * width), kept % (height * width)
    y, x = position // width, position % width
    top_left = image * ((height + 2) * (width + 2)) + y * (width + 2) + x
    step = torch.arange(3, device=mask.device)
    steps = (step.view(3, 1) * (width + 2) + step).flatten()
    neighbours = framed[steps.unsqueeze(1) + top_left]
    return KeptPixels(kept, dilated, neighbours.where(neighbours >= 0, dilated.shape[0]))


def gather(features: Tensor, positions: Tensor) -> Tensor:
    """Give the features (B, C, H, W) at flat positions as rows (N, C).

    Memory: the rows; a copy of the features too, unless they are in channels_last memory.
    """
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1]).index_select(0, positions)


def scatter(features: Tensor, positions: Tensor, rows: Tensor) -> Tensor:
    """Give a copy of the features (B, C, H, W) with rows (N, C) written at flat positions.

    Memory: the result; a second copy unless the features are in channels_last memory.
    """
    batch, channels, height, width = features.shape
    flat = features.permute(0, 2, 3, 1).reshape(-1, channels).index_copy(0, positions, rows)
    return flat.view(batch, height, width, channels).permute(0, 3, 1, 2)


def depthwise_at_kept(rows: Tensor, kernel: Tensor, bias: Tensor, pixels: KeptPixels) -> Tensor:
    """Convolve with a depthwise 3x3 kernel at the kept pixels.

    rows (D, C): values at the dilated positions; kernel (C, 1, 3, 3); bias (C). Returns (K, C).
    Outside the image counts as 0, as zero padding does. Differentiable, once, in the first three.

    Memory: the result, a copy of the rows, and 512 kB for each thread. For the backward pass the arguments alone are
    kept; it takes the gradient of the rows, a copy of them, and 512 kB for each thread.
    """
    by_tap = kernel.flatten(1).t().contiguous()
    out: Tensor = _convolve(rows, by_tap, bias, pixels.neighbours)
    return out


def _with_outside(rows: Tensor) -> Tensor:
    """Give the rows with one more, of zeros, for what lies outside the image."""
    return torch.cat([rows, rows.new_zeros(1, rows.shape[1])])


def _passes(rows: Tensor, count: int) -> Iterator[tuple[int, int]]:
    return passes(count, rows.shape[1] * rows.element_size(), _CACHE_BYTES, rows.device)


# -- the operator, which a compiler calls as it is --------------------------------------------------------------------


def _forward(rows: Tensor, kernel: Tensor, bias: Tensor, neighbours: Tensor) -> Tensor:
    padded = _with_outside(rows)
    out = _like_result(rows, kernel, neighbours)
    for first, last in _passes(rows, len(out)):
        some = out[first:last]
        read = rows.new_empty(some.shape)
        for tap in range(_NEIGHBOURS):
            torch.index_select(padded, 0, neighbours[tap, first:last], out=read)
            torch.addcmul(some if tap else bias, read, kernel[tap], out=some)
    return out


def _like_result(rows: Tensor, kernel: Tensor, neighbours: Tensor) -> Tensor:
    dtype = torch.promote_types(rows.dtype, kernel.dtype)
    return rows.new_empty(neighbours.shape[1], rows.shape[1], dtype=dtype)


def _backward(gradient: Tensor, rows: Tensor, kernel: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
    """Give the gradients of rows and kernel: read again, and add to what was read."""
    padded = _with_outside(rows.to(gradient.dtype))
    for_rows, for_kernel = torch.zeros_like(padded), torch.zeros_like(kernel, dtype=gradient.dtype)
    for first, last in _passes(gradient, len(gradient)):
        some = gradient[first:last]
        product = torch.empty_like(some)
        for tap in range(_NEIGHBOURS):
            read = neighbours[tap, first:last]
            for_rows.index_add_(0, read, torch.mul(some, kernel[tap], out=product))
            torch.index_select(padded, 0, read, out=product)
            for_kernel[tap] += product.mul_(some).sum(dim=0)
    # a copy: what an operator gives is its own
    return for_rows[:-1].to(rows.dtype, copy=True), for_kernel.to(kernel.dtype)


_convolve = torch.library.custom_op(
    "m2aenet::depthwise_at_kept",
    _forward,
    mutates_args=(),
    schema="(Tensor rows, Tensor kernel, Tensor bias, Tensor neighbours) -> Tensor",
)
_differentiate = torch.library.custom_op(
    "m2aenet::depthwise_at_kept_backward",
    _backward,
    mutates_args=(),
    schema="(Tensor gradient, Tensor rows, Tensor kernel, Tensor neighbours) -> (Tensor, Tensor)",
)


@_convolve.register_fake
def _(rows: Tensor, kernel: Tensor, bias: Tensor, neighbours: Tensor) -> Tensor:
    return _like_result(rows, kernel, neighbours)


@_differentiate.register_fake
def _(gradient: Tensor, rows: Tensor, kernel: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
    return rows.new_empty(rows.shape), kernel.new_empty(kernel.shape)


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    rows, kernel, bias, neighbours = inputs
    ctx.bias_dtype = bias.dtype
    ctx.save_for_backward(rows, kernel, neighbours)


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    gradient = gradient.contiguous()
    for_rows, for_kernel = _differentiate(gradient, *ctx.saved_tensors)
    return for_rows, for_kernel, gradient.sum(dim=0).to(ctx.bias_dtype), None


_convolve.register_autograd(_gradients, setup_context=_keep)
