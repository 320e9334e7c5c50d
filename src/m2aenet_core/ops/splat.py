"""Forward bilinear splatting: each source pixel is dropped where its displacement takes it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from m2aenet_core.ops.padding import pad_to_power_of_two
from m2aenet_core.ops.sampling import look_up, look_up_slope

# what leaves the image falls into a frame of so many pixels around it, which is cut off in the end
_FRAME = 2


def splat(image: Tensor, displacement: Tensor) -> tuple[Tensor, Tensor]:
    """Give the sum of splatted values and the sum of bilinear weights that fell on each pixel.

    image (B, C, H, W); displacement (B, 2, H, W) as (y, x) in pixels. Returns (B, C, H, W) and (B, 1, H, W).
    What falls outside the image is lost. Differentiable, once, in both arguments.

    Memory: 3 C + 12 values for each pixel, the result among them. For the backward pass the arguments alone are kept;
    it takes as much beside the gradients, and at sides that are no powers of two a padded copy of the result's.
    """
    values, weights = _splat(image, displacement.unsqueeze(0))
    return values, weights


def reblur(sharp: Tensor, offsets: Tensor) -> Tensor:
    """Blur a sharp image (B, C, H, W) again along its trajectory: eq. (11) with one global normalisation.

    offsets (N, B, 2, H, W): displacement (y, x) in pixels at N instants. The sum over instants of the splatted
    image is divided by the sum of the splatted weights. Zero displacement gives the image itself; at an odd number of
    instants the middle one has zero displacement, so no pixel stays without weight. At an even number one may, and is
    0, where neighbouring instants lie further apart than a pixel. Differentiable, once, in both arguments.

    Memory: 3 C + 16 values for each pixel, whatever the number of instants. For the backward pass the arguments alone
    are kept; it takes 5 C + 10 beside the gradients, and at sides that are no powers of two a padded copy as `splat`.
    """
    values, weights = _splat(sharp, offsets)
    return values / weights.clamp_min(torch.finfo(values.dtype).eps)


def _add_up(image: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Give the sums of values and of weights over displacements (N, B, 2, H, W)."""
    batch, channels, height, width = image.shape
    framed_height, framed_width = height + 2 * _FRAME, width + 2 * _FRAME
    planes = _with_weights(image).to(torch.promote_types(image.dtype, offsets.dtype))
    total = planes.new_zeros(channels + 1, batch * framed_height * framed_width)
    for displacement in offsets:
        corner, share_y, share_x = _top_left(displacement)
        # a plane for each channel: one index serves all of them, and threads share them out
        index = corner.expand(channels + 1, -1)
        for step_y, weight_y in ((0, 1 - share_y), (framed_width, share_y)):
            for step_x, weight_x in ((0, 1 - share_x), (1, share_x)):
                total[:, step_y + step_x :].scatter_add_(1, index, planes * (weight_y * weight_x))
    inside = slice(_FRAME, -_FRAME)
    total = total.view(channels + 1, batch, framed_height, framed_width)[:, :, inside, inside].transpose(0, 1)
    return total[:, :channels].contiguous(), total[:, channels:].contiguous()


def _with_weights(image: Tensor) -> Tensor:
    """Give the image (B, C, H, W) as planes (C + 1, B * H * W), the last of them 1: what the weights are sums of."""
    return torch.cat([image, torch.ones_like(image[:, :1])], dim=1).transpose(0, 1).flatten(1)


def _top_left(displacement: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give the first of the four pixels that each source pixel falls on, in flat framed planes, and its shares (y, x).

    Each is (B * H * W). The others are one to the right, one row below, and both.
    """
    batch, _, height, width = displacement.shape
    device, dtype = displacement.device, displacement.dtype
    y = displacement[:, 0] + torch.arange(height, device=device, dtype=dtype).view(height, 1)
    x = displacement[:, 1] + torch.arange(width, device=device, dtype=dtype)
    # without NaN, which a network that overflows gives and which would become an address
    top, left = y.detach().floor().nan_to_num(), x.detach().floor().nan_to_num()
    row, column = top.clamp(-_FRAME, height).long() + _FRAME, left.clamp(-_FRAME, width).long() + _FRAME
    plane = torch.arange(batch, device=device).view(batch, 1, 1) * (height + 2 * _FRAME)
    corner = (plane + row) * (width + 2 * _FRAME) + column
    return corner.flatten(), (y - top).flatten(), (x - left).flatten()


# -- the operator, which a compiler calls as it is --------------------------------------------------------------------


def _differentiate(
    for_values: Tensor, for_weights: Tensor, image: Tensor, offsets: Tensor, with_offsets: bool
) -> tuple[Tensor, Tensor]:
    """Give the gradients of the image and of the offsets, which are empty when they are not wanted.

    Splatting is the transpose of looking up: <gradient, splat(image, d)> = <look_up(gradient, d), image>. So the
    gradient of the image is a look-up, and that of the displacement is the look-up's own.
    """
    # padded once, for all instants
    gradient = pad_to_power_of_two(torch.cat([for_values, for_weights], dim=1))
    source = torch.cat([image, torch.ones_like(image[:, :1])], dim=1).to(gradient.dtype)
    for_image = torch.zeros_like(for_values)
    for_offsets = torch.empty_like(offsets) if with_offsets else offsets.new_empty(0)
    for instant, displacement in enumerate(offsets):
        for_image += look_up(gradient, displacement)[:, :-1]
        if with_offsets:
            for_offsets[instant] = look_up_slope(gradient, displacement, source)
    return for_image.to(image.dtype), for_offsets


_splat = torch.library.custom_op(
    "m2aenet::splat", _add_up, mutates_args=(), schema="(Tensor image, Tensor offsets) -> (Tensor, Tensor)"
)
_splat_backward = torch.library.custom_op(
    "m2aenet::splat_backward",
    _differentiate,
    mutates_args=(),
    schema="(Tensor for_values, Tensor for_weights, Tensor image, Tensor offsets, bool with_offsets)"
    " -> (Tensor, Tensor)",
)


@_splat.register_fake
def _(image: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    values = image.new_empty(image.shape, dtype=torch.promote_types(image.dtype, offsets.dtype))
    return values, values.new_empty(image.shape[0], 1, *image.shape[2:])


@_splat_backward.register_fake
def _(
    for_values: Tensor, for_weights: Tensor, image: Tensor, offsets: Tensor, with_offsets: bool
) -> tuple[Tensor, Tensor]:
    return image.new_empty(image.shape), torch.empty_like(offsets) if with_offsets else offsets.new_empty(0)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, for_values: Tensor, for_weights: Tensor) -> tuple[Tensor, Tensor | None]:
    with_offsets = ctx.needs_input_grad[1]
    for_image, for_offsets = _splat_backward(for_values, for_weights, *ctx.saved_tensors, with_offsets)
    return for_image, for_offsets if with_offsets else None


_splat.register_autograd(_gradients, setup_context=_keep)
