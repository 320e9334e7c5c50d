"""Canvases of moving objects, made on their device: cut-outs, and random shapes filled with a piece of a photo."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from m2aenet_core.data.draws import InPlaceDraw, LightDraw, ObjectDraw, ShapeDraw
from m2aenet_core.data.optics import brighten_highlights, defocus
from m2aenet_core.data.pixel_bank import PixelBank
from m2aenet_core.ops.light import levels_to_linear
from m2aenet_core.ops.resample import Kernel, axis_weights, resample, resample_levels
from m2aenet_core.ops.transfer import to_device


def object_canvases(
    draws: Sequence[ObjectDraw | None], photos: PixelBank, cutouts: PixelBank, device: torch.device
) -> Tensor:
    """Give canvases (B, 4, S, S) of linear light times alpha, and alpha; None is an object that is not there.

    S is even and holds the largest object; all are centred.
    """
    present = {row: each for row, each in enumerate(draws) if each is not None}
    # a disc of light reaches beyond the object it comes from
    side = max(each.size + 2 * math.ceil(each.defocus_px) for each in present.values())
    canvases = torch.zeros(len(draws), 4, side, side, device=device)
    for make, bank, is_cutout in ((_pieces, photos, False), (_resized_cutouts, cutouts, True)):
        rows = [row for row, each in present.items() if (each.shape is None) == is_cutout]
        if rows:
            index = to_device(torch.tensor(rows), device)
            canvases[index] = make([present[row] for row in rows], bank, side, device)
    return _through_lens(canvases, present)


def _through_lens(canvases: Tensor, present: Mapping[int, ObjectDraw]) -> Tensor:
    """Give canvases with bright highlights and lamps, and those out of focus spread over discs."""
    bright = {row: each.highlights for row, each in present.items() if each.highlights}
    if bright:
        index = to_device(torch.tensor(list(bright)), canvases.device)
        canvases[index] = brighten_highlights(canvases[index], list(bright.values()))
    for row, each in present.items():
        for light in each.lights:
            _add_light(canvases[row], light, each.size)
    soft = {row: each.defocus_px for row, each in present.items() if each.defocus_px}
    if soft:
        index = to_device(torch.tensor(list(soft)), canvases.device)
        canvases[index] = defocus(canvases[index], list(soft.values()))
    return canvases


def _pieces(draws: Sequence[ObjectDraw], photos: PixelBank, side: int, device: torch.device) -> Tensor:
    """Give random shapes filled with squares of photos."""
    boxes = photos.boxes([each.box for each in draws], device).float()
    numbers = [(each.box.height, each.size, (side - each.size) // 2) for each in draws]
    source, target, offset = to_device(torch.tensor(numbers).T.contiguous(), device)
    weights = axis_weights(source, target, offset, side, boxes.shape[-1], Kernel.LANCZOS)
    alpha = shape_alphas([each.shape for each in draws if each.shape], target, side)
    return _in_light(resample_levels(boxes, weights, weights), alpha, draws)


def shape_alphas(shapes: Sequence[ShapeDraw], sizes: Tensor, side: int) -> Tensor:
    """Give the alphas (B, 1, side, side) of outlines of their sizes (B), centred, in steps of 1/255.

    Edges are about one pixel soft, as those of a photographed object.
    """
    device = sizes.device
    numbers = [(each.turn, each.aspect, each.power, each.radius, each.softness_px) for each in shapes]
    turn, aspect, power, radius, softness_px = to_device(torch.tensor(numbers).T.contiguous(), device).view(5, -1, 1, 1)
    ripples = to_device(torch.tensor([each.ripples for each in shapes]), device)
    size = sizes.view(-1, 1, 1)
    # from -1 to 1 over the object's own square
    axis = (torch.arange(side, device=device) - (side - size) // 2 + 0.5) / size * 2 - 1
    y, x = axis.transpose(1, 2), axis
    angle, distance = torch.atan2(y, x) + turn, torch.hypot(x, y)
    u, v = distance * torch.cos(angle), distance * torch.sin(angle) / aspect
    away = (u.abs() ** power + v.abs() ** power) ** (1 / power)
    outline = radius
    for index in range(ripples.shape[1]):
        amplitude, phase = ripples[:, index, 0].view(-1, 1, 1), ripples[:, index, 1].view(-1, 1, 1)
        outline = outline + amplitude * torch.cos((index + 2) * angle + phase)
    alpha = ((outline - away) / (softness_px * 2 / size) + 0.5).clamp(0, 1)
    # nothing may touch the square's border, or the shape would end in a straight cut
    border = ((1 - torch.maximum(x.abs(), y.abs())) * size / 4).clamp(0, 1)
    return ((alpha * border * 255).round() / 255).unsqueeze(1)


def outline_alpha(outline: InPlaceDraw, size: tuple[int, int], device: torch.device) -> Tensor:
    """Give the alpha (1, H, W) of an outline that stands still in an image of a size (H, W)."""
    own = shape_alphas([outline.shape], torch.tensor([outline.size], device=device), outline.size)[0]
    placed = torch.zeros(1, *size, device=device)
    # even squares about the middle between two pixels
    top, left = (round(at - (outline.size - 1) / 2) for at in outline.centre)
    bottom, right = min(top + outline.size, size[0]), min(left + outline.size, size[1])
    inside = own[:, max(0, -top) : bottom - top, max(0, -left) : right - left]
    placed[:, max(0, top) : bottom, max(0, left) : right] = inside
    return placed


def _resized_cutouts(draws: Sequence[ObjectDraw], cutouts: PixelBank, side: int, device: torch.device) -> Tensor:
    """Give cut-outs with their longer side at their size."""
    boxes = cutouts.boxes([each.box for each in draws], device).float()
    # premultiplied while resizing, or the hidden colours behind the edge would bleed into it
    planes = torch.cat([boxes[:, :3] * (boxes[:, 3:] / 255), boxes[:, 3:]], dim=1)
    matrices = []
    for source, columns in (([each.box.height for each in draws], 2), ([each.box.width for each in draws], 3)):
        target = [_shrunk(own, each) for own, each in zip(source, draws, strict=True)]
        start = [(side - each.size) // 2 + (each.size - own) // 2 for own, each in zip(target, draws, strict=True)]
        before, after, offset = to_device(torch.tensor([source, target, start]), device)
        matrices.append(axis_weights(before, after, offset, side, planes.shape[columns], Kernel.AREA))
    small = resample(planes, *matrices)
    alpha = small[:, 3:].clamp(0, 255)
    levels = (small[:, :3] / (alpha / 255).clamp_min(1e-3)).clamp(0, 255).round()
    return _in_light(levels, alpha.round() / 255, draws)


def _shrunk(own: int, draw: ObjectDraw) -> int:
    return max(1, round(own * draw.size / max(draw.box.height, draw.box.width)))


def _in_light(levels: Tensor, alpha: Tensor, draws: Sequence[ObjectDraw]) -> Tensor:
    """Give canvases of linear light from levels (B, 3, S, S) and alpha (B, 1, S, S)."""
    brightness = to_device(torch.tensor([each.brightness for each in draws]), levels.device).view(-1, 1, 1, 1)
    light = levels_to_linear((levels * brightness).clamp_(0, 255).floor_()) * alpha
    return torch.cat([light, alpha], dim=1)


def _add_light(canvas: Tensor, light: LightDraw, size: int) -> None:
    """Put a lamp onto a canvas (4, S, S), where the object is."""
    middle = (canvas.shape[-1] - 1) / 2
    axis = torch.arange(canvas.shape[-1], device=canvas.device) - middle
    distance = torch.hypot(axis.view(-1, 1) - light.centre[0] * size / 2, axis.view(1, -1) - light.centre[1] * size / 2)
    share = (light.radius - distance + 0.5).clamp(0, 1) * canvas[3]
    for channel, strength in zip(canvas[:3], light.colour, strict=True):
        channel.mul_(1 - share).add_(strength * share)
