"""An exposure rendered: objects on quadratic paths over a background, averaged in linear light."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# an object covers a pixel of the exposure where its mean alpha is above this; below, no eye and no 8-bit file shows it
MASK_ALPHA = 0.02
# motion over a shorter distance than this, in pixels, is not blur
MIN_PATH_PX = 1.5


class MovingObjects(NamedTuple):
    """One object for each sample of a batch, and its motion over the exposure, times s in [-1, 1].

    canvas (B, 4, S, S): sRGB and alpha in [0, 1], straight; at s = 0 one canvas pixel is one image pixel.
    centre (B, 2): canvas centre at mid-exposure, (y, x) in image pixels.
    velocity, acceleration (B, 2): position(s) = centre + velocity * s + acceleration * s^2, pixels.
    spin, growth (B): rotation in radians and relative growth, both times s.
    """

    canvas: Tensor
    centre: Tensor
    velocity: Tensor
    acceleration: Tensor
    spin: Tensor
    growth: Tensor


class Exposure(NamedTuple):
    """blur, sharp (B, 3, H, W) sRGB in [0, 1]; mask (B, 1, H, W); start, end (B, 2, H, W), (y, x) pixels."""

    blur: Tensor
    sharp: Tensor
    mask: Tensor
    start: Tensor
    end: Tensor


def to_linear(srgb: Tensor) -> Tensor:
    """Give linear light in [0, 1] from sRGB in [0, 1] (IEC 61966-2-1)."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: Tensor) -> Tensor:
    """Give sRGB in [0, 1] from linear light in [0, 1]."""
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055)


def expose(background: Tensor, layers: list[MovingObjects], instants: int) -> Exposure:
    """Render an exposure of objects, later ones in front, over a still background (B, 3, H, W) in sRGB.

    `instants` is odd, and best above the longest path in pixels, so that no ghosting shows. The sharp image is
    the middle instant. Memory: `instants` frames of the batch.
    """
    batch, _, height, width = background.shape
    frames = to_linear(background).unsqueeze(2).expand(batch, 3, instants, height, width)
    mask = background.new_zeros(batch, 1, height, width)
    start = background.new_zeros(batch, 2, height, width)
    end = torch.zeros_like(start)
    times = torch.linspace(-1, 1, instants, device=background.device)
    for layer in layers:
        colour, alpha = _object_frames(layer, times, height, width)
        frames = colour + (1 - alpha) * frames
        covered = alpha.mean(dim=2)
        layer_start, layer_end = object_displacement(layer, height, width)
        # an object may come back to where it began: the longest of the three distances decides
        distances = [layer_start, layer_end, layer_end - layer_start]
        path = torch.stack([field.square().sum(dim=1, keepdim=True).sqrt() for field in distances]).amax(dim=0)
        moved = (covered > MASK_ALPHA) & (path > MIN_PATH_PX)
        # what is in front hides what moves behind, also where it stands still itself
        hidden = alpha[:, :, instants // 2] > 0.5
        mask = torch.where(moved, 1.0, torch.where(hidden, 0.0, mask))
        start = torch.where(moved, layer_start, torch.where(hidden, 0.0, start))
        end = torch.where(moved, layer_end, torch.where(hidden, 0.0, end))
    middle = frames[:, :, instants // 2]
    return Exposure(to_srgb(frames.mean(dim=2)), to_srgb(middle), mask, start, end)


def _object_frames(layer: MovingObjects, times: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Give premultiplied linear colour (B, 3, N, H, W) and alpha (B, 1, N, H, W) of an object at each time."""
    size = layer.canvas.shape[-1]
    alpha = layer.canvas[:, 3:]
    canvas = torch.cat([to_linear(layer.canvas[:, :3]) * alpha, alpha], dim=1)
    y, x = _from_centre(layer, height, width)  # (B, H, W) each
    s = times.view(1, -1, 1, 1)
    y = y.unsqueeze(1) - _motion(layer, 0, s)
    x = x.unsqueeze(1) - _motion(layer, 1, s)
    angle, scale = _spread(layer.spin) * s, 1 + _spread(layer.growth) * s
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    # inverse rotation: from the image back onto the canvas, in grid_sample's [-1, 1] and (x, y) order
    grid = torch.stack([cos * x + sin * y, cos * y - sin * x], dim=-1) * (2 / size)
    batch, instants = grid.shape[:2]
    # instants side by side along the height: one call, and the canvas is never copied for each instant
    flat = F.grid_sample(canvas, grid.view(batch, instants * height, width, 2), align_corners=False)
    frames = flat.view(batch, 4, instants, height, width)
    return frames[:, :3], frames[:, 3:]


def object_displacement(layer: MovingObjects, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Give the displacement (B, 2, H, W) from mid-exposure to start and end of a point of the rigid object."""
    y, x = _from_centre(layer, height, width)
    fields = []
    for s in (-1.0, 1.0):
        angle, scale = _spread(layer.spin)[:, 0] * s, 1 + _spread(layer.growth)[:, 0] * s
        cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
        time = torch.full((1, 1, 1, 1), s, device=y.device)
        dy = _motion(layer, 0, time)[:, 0] + cos * y + sin * x - y
        dx = _motion(layer, 1, time)[:, 0] + cos * x - sin * y - x
        fields.append(torch.stack([dy, dx], dim=1))
    return fields[0], fields[1]


def _from_centre(layer: MovingObjects, height: int, width: int) -> tuple[Tensor, Tensor]:
    device = layer.centre.device
    rows = torch.arange(height, device=device).view(1, height, 1) - layer.centre[:, 0].view(-1, 1, 1)
    columns = torch.arange(width, device=device).view(1, 1, width) - layer.centre[:, 1].view(-1, 1, 1)
    shape = (len(layer.centre), height, width)
    return rows.expand(shape), columns.expand(shape)


def _motion(layer: MovingObjects, axis: int, s: Tensor) -> Tensor:
    return _spread(layer.velocity[:, axis]) * s + _spread(layer.acceleration[:, axis]) * s**2


def _spread(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
