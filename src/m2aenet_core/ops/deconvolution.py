"""Deconvolution along trajectories, after Richardson (1972) and Lucy (1974): each pixel has a kernel of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from m2aenet_core.ops.exported import is_exported
from m2aenet_core.ops.sampling import look_up_near

# blur adds up light, of which sRGB's values are about this root
_GAMMA = 2.2
# darker than this noise alone is left, which a quotient would blow up
_BLACK = 1e-3


def deconvolve(photo: Tensor, ends: Tensor, moving: Tensor, kept: Sequence[int], instants: int = 11) -> list[Tensor]:
    """Give estimates of the sharp image after so many iterations, (B, 3, H, W) in [0, 1], sRGB.

    photo (B, 3, H, W) in [0, 1], sRGB; ends (B, 4, H, W): displacement (y, x) in pixels from mid-exposure to start and
    end of a quadratic trajectory; moving (B, 1, H, W): 1 where to compute, 0 where the photo stays as it is; kept: the
    iterations, ascending; instants: places along the path that blur is taken to be the mean of.

    What lies at x + o(s) when it is seen at x moved there along o: each pixel is taken to have seen the mean of the
    sharp image along its own trajectory turned round, x - o(s), and its light to have gone along the trajectory: right
    where neighbours move alike, not at the border of a moving object. No gradients.
    """
    with torch.no_grad():
        # pixels are found by their number, whatever the memory format that the photo came in
        light = photo.float().clamp(0, 1).pow(_GAMMA).clamp_min(_BLACK).contiguous()
        if is_exported() or light.device.type != "cpu":
            # a GPU is quicker with all pixels of a batch than with those of each image that move
            estimates = _everywhere(light, ends.float(), moving, kept, instants)
        else:
            images = zip(light.split(1), ends.float().split(1), moving.split(1), strict=True)
            each = [_where_moving(*image, kept, instants) for image in images]
            estimates = [torch.cat(of_all) for of_all in zip(*each, strict=True)]
        return [estimate.clamp(0, 1).pow(1 / _GAMMA) for estimate in estimates]


def _everywhere(light: Tensor, ends: Tensor, moving: Tensor, kept: Sequence[int], instants: int) -> list[Tensor]:
    """Compute at all pixels: in few operations, which can be written down for any size, or in little memory."""
    path = _Path(ends, instants)
    mean_along = _mean_at_once if is_exported() else _mean_in_turn
    estimates, estimate = [], light
    for number in range(1, kept[-1] + 1):
        quotient = 1 + moving * (light / mean_along(estimate, path, -1).clamp_min(_BLACK) - 1)
        estimate = estimate * (1 + moving * (mean_along(quotient, path, 1) - 1))
        if number in kept:
            estimates.append(estimate)
    return estimates


def _mean_at_once(image: Tensor, path: _Path, sign: int) -> Tensor:
    """Give the means (B, 3, H, W) along the paths of all pixels, all instants in one look-up."""
    y, x = (torch.stack(each).flatten(0, 1) for each in zip(*path.displacements(sign), strict=True))
    repeated = image.repeat(path.instants, 1, 1, 1)
    return _look_up_from_pixels(repeated, y, x).unflatten(0, (path.instants, -1)).mean(dim=0)


def _mean_in_turn(image: Tensor, path: _Path, sign: int) -> Tensor:
    """Give the same, one instant after the other: all of them would take a dozen times the image."""
    total = torch.zeros_like(image)
    for y, x in path.displacements(sign):
        total += _look_up_from_pixels(image, y, x)
    return total / path.instants


def _look_up_from_pixels(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Give the image (B, 3, H, W) read at each pixel + (y, x), both (B, H, W)."""
    rows = torch.arange(image.shape[-2], device=image.device, dtype=image.dtype).view(-1, 1)
    columns = torch.arange(image.shape[-1], device=image.device, dtype=image.dtype)
    return look_up_near(image, (rows + y).flatten(1), (columns + x).flatten(1)).view_as(image)


def _where_moving(light: Tensor, ends: Tensor, moving: Tensor, kept: Sequence[int], instants: int) -> list[Tensor]:
    """Compute at the moving pixels of one image (1, 3, H, W) alone."""
    channels, width = light.shape[1], light.shape[-1]
    pixels = moving.flatten().nonzero().flatten()
    if not len(pixels):
        return [light] * len(kept)
    # look-ups share the images of a batch among the threads: the pixels are made into one
    parts = torch.get_num_threads() if light.device.type == "cpu" else 1
    padded = pixels[torch.arange(-(-len(pixels) // parts) * parts, device=pixels.device) % len(pixels)].view(parts, -1)
    rows, columns = padded // width, padded % width
    path = _Path(ends.flatten(2)[0, :, padded].transpose(0, 1), instants)

    def mean_along(image: Tensor, sign: int) -> Tensor:
        """Give the means (C, P) along the pixels' paths."""
        total = torch.zeros(parts, channels, rows.shape[1], device=image.device)
        for y, x in path.displacements(sign):
            total += look_up_near(image.expand(parts, -1, -1, -1), rows + y, columns + x)
        return (total / instants).transpose(0, 1).flatten(1)[:, : len(pixels)]

    begun, estimate, estimates = light.flatten(2)[0, :, pixels], light.clone(), []
    quotient = torch.ones_like(light)
    for number in range(1, kept[-1] + 1):
        quotient.view(channels, -1)[:, pixels] = begun / mean_along(estimate, -1).clamp_min(_BLACK)
        estimate.view(channels, -1)[:, pixels] *= mean_along(quotient, 1)
        if number in kept:
            estimates.append(estimate.clone())
    return estimates


class _Path:
    """Quadratic trajectories, one displacement at a time: all of them would be many values for each pixel."""

    def __init__(self, ends: Tensor, instants: int) -> None:
        """Ends (B, 4, ...): displacement (y, x) from mid-exposure to start and end."""
        self.instants = instants
        start, end = ends.chunk(2, dim=1)
        self._half, self._bend = (end - start) / 2, (end + start) / 2
        self._times = [2 * instant / (instants - 1) - 1 for instant in range(instants)]

    def displacements(self, sign: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give y and x (B, ...) at each instant, times `sign`."""
        for time in self._times:
            y, x = (sign * (self._half * time + self._bend * time**2)).unbind(dim=1)
            yield y, x
