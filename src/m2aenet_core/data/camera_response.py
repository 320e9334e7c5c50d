"""From linear light to the file of a camera: noise, tone, sharpening, eight bits, JPEG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.data.draws import JpegDraw, NoiseDraw, ToneDraw
from m2aenet_core.ops.jpeg import compress_as_jpeg
from m2aenet_core.ops.light import to_srgb
from m2aenet_core.ops.transfer import to_device

# linear light of sRGB 0.5, and the slope of sRGB over light there
_MID_GREY, _MID_SLOPE = 0.2140411, 1.0825


class Developed(NamedTuple):
    """blur, sharp (B, 3, H, W) sRGB in whole steps of 1/255."""

    blur: Tensor
    sharp: Tensor


def develop(
    blur: Tensor,
    sharp: Tensor,
    softness_px: Sequence[float],
    noises: Sequence[NoiseDraw],
    tones: Sequence[ToneDraw | None],
    jpegs: Sequence[JpegDraw | None],
) -> Developed:
    """Give the photos (B, 3, H, W) that a camera makes of blurred and of sharp linear light in [0, 1].

    Softness, noise and tone are the same in both: what is called sharp is what the camera would have given without
    motion, and taking blur away is not to mean taking grain away. Only the blurred photo is compressed.
    """
    both = torch.stack([blur, sharp])  # (2, B, 3, H, W)
    grain = _grain(noises, blur)
    both = _with_sensor_noise(both, grain, noises)
    both = _softened(both, softness_px)
    both = _with_gains(both, tones)
    photos = to_srgb(both)
    photos = _with_even_noise(photos, grain, noises)
    photos = _graded(photos, tones)
    blur, sharp = ((photos.clamp_(0, 1) * 255).round_() / 255).unbind(dim=0)
    return Developed(_compressed(blur, jpegs), sharp)


def _grain(noises: Sequence[NoiseDraw], like: Tensor) -> Tensor:
    """Give standard normal noise of each sample's own generator: equal on equal devices, whatever the batch."""
    fields = []
    for each in noises:
        generator = torch.Generator(like.device).manual_seed(each.seed)
        fields.append(torch.randn(like.shape[1:], generator=generator, device=like.device))
    return torch.stack(fields)


def _with_even_noise(photos: Tensor, grain: Tensor, noises: Sequence[NoiseDraw]) -> Tensor:
    deviations = [each.deviation if each.read is None else 0.0 for each in noises]
    if not any(deviations):
        return photos
    return photos + grain * _column(deviations, grain.device)


def _with_sensor_noise(both: Tensor, grain: Tensor, noises: Sequence[NoiseDraw]) -> Tensor:
    """Add shot noise, whose variance grows with the light, and read noise, which is the same everywhere."""
    rows = [row for row, each in enumerate(noises) if each.read is not None and each.deviation]
    if not rows:
        return both
    index = to_device(torch.tensor(rows), both.device)
    chosen = [noises[row] for row in rows]
    variance = _column([(each.deviation / _MID_SLOPE) ** 2 for each in chosen], both.device)
    read = _column([each.read or 0.0 for each in chosen], both.device)
    light = both[:, index]
    deviation = (variance * ((1 - read) * light / _MID_GREY + read)).sqrt()
    return both.index_copy(1, index, (light + deviation * grain[index]).clamp_(0, 1))


def _softened(both: Tensor, widths_px: Sequence[float]) -> Tensor:
    rows = [row for row, width in enumerate(widths_px) if width]
    if not rows:
        return both
    index = to_device(torch.tensor(rows), both.device)
    widths = to_device(torch.tensor([widths_px[row] for row in rows]), both.device).repeat(len(both))
    chosen = both[:, index]
    return both.index_copy(1, index, _gaussian(chosen.flatten(0, 1), widths).view_as(chosen))


def _with_gains(both: Tensor, tones: Sequence[ToneDraw | None]) -> Tensor:
    rows = [row for row, each in enumerate(tones) if each is not None]
    if not rows:
        return both
    index = to_device(torch.tensor(rows), both.device)
    gains = to_device(torch.tensor([each.gains for each in tones if each is not None]), both.device)
    return both.index_copy(1, index, (both[:, index] * gains[..., None, None]).clamp_(0, 1))


def _graded(photos: Tensor, tones: Sequence[ToneDraw | None]) -> Tensor:
    """Give sRGB photos (2, B, 3, H, W) with their tone curve, saturation and sharpening."""
    chosen = [each for each in tones if each is not None]
    if not chosen:
        return photos
    index = to_device(torch.tensor([row for row, each in enumerate(tones) if each is not None]), photos.device)
    numbers = [(each.gamma, each.contrast, each.saturation, each.sharpening, each.sharpening_px) for each in chosen]
    columns = to_device(torch.tensor(numbers).T.contiguous(), photos.device)
    gamma, contrast, saturation, sharpening = columns[:4].view(4, -1, 1, 1, 1)
    curve = photos[:, index].clamp(1e-6, 1) ** gamma
    curve = curve + contrast * curve * (1 - curve) * (2 * curve - 1)
    red, green, blue = curve.split(1, dim=2)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    colours = (grey + saturation * (curve - grey)).clamp_(0, 1)
    soft = _gaussian(colours.flatten(0, 1), columns[4].repeat(len(photos))).view_as(colours)
    return photos.index_copy(1, index, colours + sharpening * (colours - soft))


def _gaussian(images: Tensor, sigmas: Tensor) -> Tensor:
    """Give images (B, C, H, W) under a Gaussian of a width for each, in pixels; the border is repeated."""
    batch, channels, height = images.shape[:3]
    reach = 4
    steps = torch.arange(-reach, reach + 1, device=images.device)
    kernel = torch.exp(-((steps / sigmas.view(-1, 1)) ** 2) / 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    # every plane is a channel of its own, so that every image has its own kernel
    planes = F.pad(images, (reach,) * 4, mode="replicate").view(1, batch * channels, height + 2 * reach, -1)
    across = F.conv2d(planes, kernel.view(-1, 1, 1, 2 * reach + 1), groups=batch * channels)
    return F.conv2d(across, kernel.view(-1, 1, 2 * reach + 1, 1), groups=batch * channels).view(images.shape)


def _compressed(blur: Tensor, jpegs: Sequence[JpegDraw | None]) -> Tensor:
    for halve_colour in (False, True):
        rows = [row for row, each in enumerate(jpegs) if each is not None and each.halve_colour == halve_colour]
        if rows:
            index = to_device(torch.tensor(rows), blur.device)
            quality = [each.quality for each in jpegs if each is not None and each.halve_colour == halve_colour]
            blur = blur.index_copy(0, index, compress_as_jpeg(blur[index], quality, halve_colour))
    return blur


def _column(values: Sequence[float], device: torch.device) -> Tensor:
    return to_device(torch.tensor(values), device).view(-1, 1, 1, 1)
