"""Forward bilinear splatting: each source pixel is dropped where its displacement takes it."""

from __future__ import annotations

import torch
from torch import Tensor


def splat(image: Tensor, displacement: Tensor) -> tuple[Tensor, Tensor]:
    """Give the sum of splatted values and the sum of bilinear weights that fell on each pixel.

    image (B, C, H, W); displacement (B, 2, H, W) as (y, x) in pixels. Returns (B, C, H, W) and (B, 1, H, W).
    What falls outside the image is lost. Differentiable in both arguments. Memory: four index maps and
    (C + 1) values for each of the four corners, one corner at a time.
    """
    batch, channels, height, width = image.shape
    rows = torch.arange(height, device=image.device, dtype=displacement.dtype).view(1, height, 1)
    columns = torch.arange(width, device=image.device, dtype=displacement.dtype).view(1, 1, width)
    y, x = rows + displacement[:, 0], columns + displacement[:, 1]
    # without NaN, which a network that overflows gives and which would become an address
    top, left = y.detach().floor().nan_to_num(), x.detach().floor().nan_to_num()
    fraction_y, fraction_x = y - top, x - left

    values = torch.cat([image, torch.ones_like(image[:, :1])], dim=1).flatten(2).transpose(1, 2)
    plane = (torch.arange(batch, device=image.device) * (height * width)).view(batch, 1, 1)
    total = values.new_zeros(batch * height * width, channels + 1)
    for step_y in (0, 1):
        for step_x in (0, 1):
            row, column = top + step_y, left + step_x
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = (fraction_y if step_y else 1 - fraction_y) * (fraction_x if step_x else 1 - fraction_x)
            weight = torch.where(inside, weight, torch.zeros_like(weight))
            index = plane + row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
            total = total.index_add(0, index.flatten(), (values * weight.flatten(1).unsqueeze(-1)).flatten(0, 1))
    total = total.view(batch, height, width, channels + 1).permute(0, 3, 1, 2)
    return total[:, :channels], total[:, channels:]


def reblur(sharp: Tensor, offsets: Tensor) -> Tensor:
    """Blur a sharp image (B, C, H, W) again along its trajectory: eq. (8) with one global normalisation.

    offsets (N, B, 2, H, W): displacement (y, x) in pixels at N instants. The sum over instants of the splatted
    image is divided by the sum of the splatted weights. Zero displacement gives the image itself; the instant
    at mid-exposure has zero displacement, so no pixel stays without weight.
    """
    value_sum, weight_sum = splat(sharp, offsets[0])
    for offset in offsets[1:]:
        value, weight = splat(sharp, offset)
        value_sum, weight_sum = value_sum + value, weight_sum + weight
    return value_sum / weight_sum.clamp_min(torch.finfo(sharp.dtype).eps)
