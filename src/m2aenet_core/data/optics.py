"""What a lens and bright lamps do to light before it is averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.data.draws import DefocusDraw, HighlightDraw
from m2aenet_core.ops.transfer import to_device

# discs of these shares of the largest radius are mixed where the radius varies over the image
_STEPS = 3


def defocus(light: Tensor, radii: Sequence[float]) -> Tensor:
    """Give light (B, C, H, W) with every point spread over a disc, of a radius in pixels for each sample.

    The border is mirrored. A radius up to half a pixel changes nothing.
    """
    return _convolved(_mirrored(light, max(radii)), [radii], light.shape)[0]


def defocus_scenes(light: Tensor, draws: Sequence[DefocusDraw]) -> Tensor:
    """Give scenes (B, 3, H, W) out of focus, wholly or along a ramp from sharp to the full radius."""
    radii = [each.radius for each in draws]
    if all(each.ramp is None for each in draws):
        return defocus(light, radii)
    shares = [(step + 1) / _STEPS for step in range(_STEPS)]
    discs = [[radius * share for radius in radii] for share in shares]
    levels = [light, *_convolved(_mirrored(light, max(radii)), discs, light.shape)]
    place = _ramps(draws, light) * _STEPS
    # between two neighbouring discs, as much of each as the place is near to it
    return torch.stack([level * (1 - (place - index).abs()).clamp_min(0) for index, level in enumerate(levels)]).sum(0)


def _ramps(draws: Sequence[DefocusDraw], light: Tensor) -> Tensor:
    """Give how much of the full radius each place has, (B, 1, H, W) in [0, 1]."""
    # a ramp far off the image leaves all of it at the full radius
    ramps = [each.ramp or (0.0, -1e3, 1.0) for each in draws]
    numbers = [(math.sin(angle), math.cos(angle), middle, width) for angle, middle, width in ramps]
    sin, cos, middle, width = to_device(torch.tensor(numbers).T.contiguous(), light.device).view(4, -1, 1, 1, 1)
    y, x = (torch.linspace(-1, 1, side, device=light.device) for side in light.shape[-2:])
    return ((y.view(-1, 1) * sin + x * cos - middle) / width + 0.5).clamp(0, 1)


def _mirrored(light: Tensor, radius: float) -> Tensor:
    room = min(math.ceil(radius) + 1, light.shape[-2] - 1, light.shape[-1] - 1)
    return F.pad(light, (room, room, room, room), mode="reflect")


def _convolved(framed: Tensor, discs: Sequence[Sequence[float]], shape: torch.Size) -> list[Tensor]:
    """Give an image for each list of radii: framed images (B, C, ...) under discs, cut to their middle."""
    height, width = framed.shape[-2:]
    top, left = (height - shape[-2]) // 2, (width - shape[-1]) // 2
    y, x = (_wrapped(side, framed.device) for side in (height, width))
    distance = torch.hypot(y.view(-1, 1), x.view(1, -1))
    spectrum = torch.fft.rfft2(framed)
    images = []
    for radii in discs:
        radius = to_device(torch.tensor(radii), framed.device).view(-1, 1, 1, 1)
        # no disc is smaller than a pixel
        disc = (radius.clamp_min(0.5) - distance + 0.5).clamp(0, 1)
        disc = disc / disc.sum(dim=(-2, -1), keepdim=True)
        image = torch.fft.irfft2(spectrum * torch.fft.rfft2(disc), s=(height, width))
        images.append(image[..., top : top + shape[-2], left : left + shape[-1]].clamp_min(0))
    return images


def _wrapped(side: int, device: torch.device) -> Tensor:
    """Give distances from the corner, around which a transform wraps."""
    steps = torch.arange(side, device=device)
    return torch.minimum(steps, side - steps).float()


def brighten_highlights(light: Tensor, draws: Sequence[HighlightDraw]) -> Tensor:
    """Give light (B, 3 or 4, H, W) whose brightest parts are as bright as the scene was, not as the sensor clipped it.

    What is at 1 becomes 1 + gain, what is below the threshold stays, smoothly in between. A fourth channel is alpha.
    """
    threshold, gain = to_device(torch.tensor(draws).T.contiguous(), light.device).view(2, -1, 1, 1, 1)
    colours = light[:, :3]
    share = ((colours.amax(dim=1, keepdim=True) - threshold) / (1 - threshold)).clamp(0, 1)
    return torch.cat([colours * (1 + gain * share**2), light[:, 3:]], dim=1)
