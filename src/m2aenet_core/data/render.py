"""An exposure rendered: objects on quadratic paths over a scene, averaged in linear light, with its exact truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from m2aenet_core.data.layers import Layer, View, Window, average, find_views, union_of
from m2aenet_core.data.paths import Affine, Paths
from m2aenet_core.ops.light import to_linear, to_srgb
from m2aenet_core.ops.transfer import to_device

# an object covers a pixel of the exposure where its mean alpha is above this; what is below shows where something
# bright passed over something dark, at the outermost rim: what the photo shows counts as sharp there
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

    def layer(self) -> Layer:
        """Give them as a layer of linear light."""
        alpha = self.canvas[:, 3:]
        canvas = torch.cat([to_linear(self.canvas[:, :3]) * alpha, alpha], dim=1)
        return Layer.upright(canvas, Paths(*(values.detach().cpu().double().numpy() for values in self[1:])))


class Exposure(NamedTuple):
    """blur, sharp (B, 3, H, W) in [0, 1]; mask (B, 1, H, W); start, end (B, 2, H, W), (y, x) pixels."""

    blur: Tensor
    sharp: Tensor
    mask: Tensor
    start: Tensor
    end: Tensor


class _Truth(NamedTuple):
    mask: Tensor
    start: Tensor
    end: Tensor


def expose(background: Tensor, layers: Sequence[MovingObjects], instants: int) -> Exposure:
    """Render an exposure of objects, later ones in front, over a still background (B, 3, H, W); all in sRGB.

    `instants` is odd, and best above the longest path in pixels, so that no ghosting shows. The sharp image is
    the middle instant.
    """
    in_light = [each.layer() for each in layers]
    exposure = expose_light(to_linear(background), in_light, [instants] * len(background))
    return exposure._replace(blur=to_srgb(exposure.blur), sharp=to_srgb(exposure.sharp))


def expose_light(
    scene: Tensor, layers: Sequence[Layer], instants: Sequence[int], camera: Paths | None = None, margin: int = 0
) -> Exposure:
    """Render exposures in linear light; what is above 1 counts in the mean, and is clipped after it as by a sensor.

    It averages what it is given: encoded values give the mean of a video's frames, encoded.

    scene: (B, 3, H + 2 * margin, W + 2 * margin); the margin is what a moving camera sees beyond the image.
    layers: later ones in front. instants: for each sample, odd. camera: how points of the scene move in the image.
    """
    height, width = (side - 2 * margin for side in scene.shape[-2:])
    frame = Window(0, height, 0, width)
    image = scene[..., margin : margin + height, margin : margin + width]
    if camera is not None:
        layers = [_moving_scene(scene, frame), *layers]
    times, counts = _schedule(instants)
    views = find_views(layers, camera, times, frame)
    if not views:
        nothing = image.new_zeros(len(image), 5, height, width)
        return Exposure(image.clamp(0, 1), image.clamp(0, 1), *nothing.split((1, 2, 2), dim=1))
    window = union_of(views)
    blur = average(views, camera, times, counts)
    sharp = average(views, camera, np.zeros((len(image), 1)), np.ones(len(image)))
    truth = _find_truth(views, camera, blur.alphas, sharp.alphas, frame)
    return Exposure(_before(image, blur.light, window), _before(image, sharp.light, window), *truth)


def _schedule(instants: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Give times (B, N), evenly from -1 to 1 and then zeros, and how many of each sample count."""
    times = np.zeros((len(instants), max(instants)))
    for row, count in zip(times, instants, strict=True):
        row[:count] = np.linspace(-1, 1, count) if count > 1 else 0.0
    return times, np.array(instants, np.float64)


def _moving_scene(scene: Tensor, frame: Window) -> Layer:
    """Give the scene as the layer behind all others: it stands still, and the camera moves."""
    batch = len(scene)
    centre, still = np.array([(frame.bottom - 1) / 2, (frame.right - 1) / 2]), np.zeros((batch, 2))
    paths = Paths(np.tile(centre, (batch, 1)), still, still, still[:, 0], still[:, 0])
    return Layer.upright(torch.cat([scene, torch.ones_like(scene[:, :1])], dim=1), paths)


def _before(image: Tensor, light: Tensor, window: Window) -> Tensor:
    """Give the image with light (B, 4, h, w) in front of a window of it, as a sensor records it."""
    seen = image.clone()
    window.of(seen).mul_(1 - light[:, 3:]).add_(light[:, :3])
    return seen.clamp_(0, 1)


def _find_truth(
    views: Sequence[View], camera: Paths | None, alphas: Sequence[Tensor], middle: Sequence[Tensor], frame: Window
) -> _Truth:
    """Give mask and displacements, from each view's mean alpha and its alpha at mid-exposure."""
    device, batch = alphas[0].device, len(alphas[0])
    truth = _Truth(*(torch.zeros(batch, channels, *frame.shape, device=device) for channels in (1, 2, 2)))
    for view, alpha, alpha_middle in zip(views, alphas, middle, strict=True):
        start, end = displacements(view, camera, device)
        # an object may come back to where it began: the longest of the three distances decides
        distances = [field.square().sum(dim=1, keepdim=True) for field in (start, end, end - start)]
        path = torch.stack(distances).amax(dim=0).sqrt()
        moved = (alpha > MASK_ALPHA) & (path > MIN_PATH_PX)
        # what is in front hides what moves behind, also where it stands still itself
        hidden = alpha_middle > 0.5
        for total, own in zip(truth, (torch.ones_like(path), start, end), strict=True):
            part = view.window.of(total)
            part.copy_(torch.where(moved, own, torch.where(hidden, 0.0, part)))
    return truth


def displacements(view: View, camera: Paths | None, device: torch.device) -> tuple[Tensor, Tensor]:
    """Give the displacements (B, 2, h, w) from mid-exposure to start and end of points of the rigid thing."""
    moves = view.layer.moves(camera, np.tile([-1.0, 1.0], (len(view.layer.canvas), 1)))
    change = Affine(moves.matrix - np.eye(2), moves.offset)
    numbers = np.concatenate([change.matrix, change.offset[..., None]], axis=-1).astype(np.float32)
    by_row, by_column, offset = to_device(torch.from_numpy(numbers), device)[..., None, None].unbind(dim=3)
    row = torch.arange(view.window.top, view.window.bottom, device=device).view(-1, 1)
    column = torch.arange(view.window.left, view.window.right, device=device).view(1, -1)
    start, end = (by_row * row + by_column * column + offset).unbind(dim=1)
    return start, end
