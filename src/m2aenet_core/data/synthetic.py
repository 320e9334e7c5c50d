"""Made blur: local motion blur made from sharp photos, with its exact truth.

Every sample has a number; (seed, number) decides it alone, whatever the batch it comes in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from m2aenet_core.data.blur_config import MadeBlurConfig
from m2aenet_core.data.camera_response import develop
from m2aenet_core.data.draw_sample import Pool, draw_sample
from m2aenet_core.data.draws import Box, ObjectDraw, RigidPath, SampleDraw
from m2aenet_core.data.folder import Pixels
from m2aenet_core.data.layers import Layer
from m2aenet_core.data.optics import brighten_highlights, defocus_scenes
from m2aenet_core.data.paths import Paths, turned
from m2aenet_core.data.pixel_bank import PixelBank
from m2aenet_core.data.render import MASK_ALPHA, Exposure, expose_light
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.shapes import object_canvases, outline_alpha
from m2aenet_core.ops.light import levels_to_linear, to_linear, to_srgb
from m2aenet_core.ops.resample import Kernel, axis_weights, resample_levels
from m2aenet_core.ops.transfer import to_device
from m2aenet_core.ops.turn import Turn

__all__ = ["MadeBlur", "MadeBlurConfig"]


class MadeBlur:
    """An endless, numbered source of samples made from photos and, if there are any, cut-outs.

    On a CPU samples are rendered one at a time, which is what its caches like, and a sample is the same bit for bit
    in any batch. On a GPU those of a batch are rendered together: the same batch is the same bit for bit, and a
    sample in another batch differs by rounding alone. Devices draw their noise from generators of their own.
    """

    def __init__(
        self,
        photos: Sequence[Pixels],
        cutouts: Sequence[Pixels] = (),
        config: MadeBlurConfig | None = None,
        budget_mb: float = 4000.0,
    ) -> None:
        """Keep photos (H, W, 3) and cut-outs (H, W, 4), both uint8; a GPU holds those that fit into the budget."""
        if not photos:
            raise ValueError("made blur needs at least one photo")
        self.config = config or MadeBlurConfig()
        self.photos = PixelBank(photos, budget_mb)
        self.cutouts = PixelBank(cutouts, budget_mb)

    def batch(self, seed: int, first: int, count: int, device: torch.device | str = "cpu") -> Batch:
        """Give samples first .. first + count - 1 of a seed, rendered on a device."""
        target = torch.device(device)
        draws = [self.draw(np.random.default_rng((seed, number))) for number in range(first, first + count)]
        together = [[draw] for draw in draws] if target.type == "cpu" else [draws]
        return Batch(*map(torch.cat, zip(*(self.render(each, target) for each in together), strict=True)))

    def on_photo(self, photo: Pixels, rng: np.random.Generator, device: torch.device | str = "cpu") -> Batch:
        """Give a batch of one sample with a whole photo as its background; a moving camera costs it its border."""
        draw = self.draw(rng, (photo.shape[0], photo.shape[1]))
        return self.render([draw], torch.device(device), photo)

    def draw(self, rng: np.random.Generator, photo_size: tuple[int, int] | None = None) -> SampleDraw:
        """Draw a sample on a crop of one of the photos, or on the whole of another photo of a size (H, W)."""
        return draw_sample(rng, self.config, Pool(self.photos.sizes, self.cutouts.sizes), photo_size)

    def render(self, draws: Sequence[SampleDraw], device: torch.device, photo: Pixels | None = None) -> Batch:
        """Give samples of one size as they were drawn; those on a whole photo need it here."""
        backgrounds = self.photos if photo is None else PixelBank([photo], 0.0)
        layers = self._layers(draws, device)
        groups = _alike(draws)
        exposures = [
            _exposed([draws[row] for row in rows], [layer.of(rows) for layer in layers], backgrounds, device)
            for rows in groups
        ]
        exposure = _in_order(exposures, [row for rows in groups for row in rows])
        photos = develop(
            _where_encoded(to_linear, exposure.blur, draws),
            _where_encoded(to_linear, exposure.sharp, draws),
            [draw.softness_px for draw in draws],
            [draw.noise for draw in draws],
            [draw.tone for draw in draws],
            [draw.jpeg for draw in draws],
        )
        # where nothing is blurred the truth is the photo as it came, compression included
        sharp = torch.where(exposure.mask > 0.5, photos.sharp, photos.blur)
        is_known = torch.ones(len(draws), dtype=torch.bool, device=device)
        return Batch(photos.blur, sharp, exposure.mask, exposure.start, exposure.end, is_known)

    def _layers(self, draws: Sequence[SampleDraw], device: torch.device) -> list[Layer]:
        """Give the objects, the rearmost of each sample first."""
        depth = max(len(draw.objects) for draw in draws)
        columns = [
            [draw.objects[level] if level < len(draw.objects) else None for draw in draws] for level in range(depth)
        ]
        canvases = (object_canvases(column, self.photos, self.cutouts, device) for column in columns)
        return [
            _layer(column, _where_encoded(_as_frames, each, draws))
            for column, each in zip(columns, canvases, strict=True)
        ]


def _layer(draws: Sequence[ObjectDraw | None], canvases: Tensor) -> Layer:
    nothing = ObjectDraw(Box(0, 0, 0, 0, 0), 0, None, 1.0, Turn(0, is_mirrored=False))
    things = [each or nothing for each in draws]
    return Layer(
        canvases,
        Paths.of([each.centre for each in things], [each.path for each in things]),
        np.stack([turned(each.turn) for each in things]),
        np.array([each.is_followed for each in things]),
        np.array([each.size / 2 + math.ceil(each.defocus_px) for each in things]),
    )


def _exposed(
    draws: Sequence[SampleDraw], layers: Sequence[Layer], backgrounds: PixelBank, device: torch.device
) -> Exposure:
    """Give the exposures of samples that are alike."""
    scenes = _where_encoded(_as_frames, _scenes(draws, backgrounds, device), draws)
    instants = [draw.instants for draw in draws]
    return _in_outlines(expose_light(scenes, layers, instants, _scene_paths(draws), draws[0].margin), draws)


def _in_outlines(exposure: Exposure, draws: Sequence[SampleDraw]) -> Exposure:
    """Give exposures in which what moves within an outline is seen in it alone."""
    if all(draw.in_place is None for draw in draws):
        return exposure
    device = exposure.blur.device
    everywhere = torch.ones_like(exposure.mask[0])
    alpha = torch.stack(
        [outline_alpha(draw.in_place, draw.size, device) if draw.in_place else everywhere for draw in draws]
    )
    mask = exposure.mask * (alpha > MASK_ALPHA)
    return Exposure(
        torch.lerp(exposure.sharp, exposure.blur, alpha),
        exposure.sharp,
        mask,
        exposure.start * mask,
        exposure.end * mask,
    )


def _where_encoded(change: Callable[[Tensor], Tensor], images: Tensor, draws: Sequence[SampleDraw]) -> Tensor:
    """Give images (B, ...), changed where a sample is the mean of encoded frames."""
    rows = [row for row, draw in enumerate(draws) if draw.is_encoded]
    if not rows:
        return images
    index = to_device(torch.tensor(rows), images.device)
    return images.index_copy(0, index, change(images[index]))


def _as_frames(light: Tensor) -> Tensor:
    """Give pictures (B, 3, H, W) of light, or (B, 4, H, W) of light times alpha and alpha, as a video's frames do.

    What is averaged then are these values instead of light.
    """
    colours, alpha = light[:, :3], light[:, 3:]
    if not alpha.shape[1]:
        return to_srgb(colours.clamp(0, 1))
    straight = to_srgb((colours / alpha.clamp_min(1e-6)).clamp(0, 1))
    return torch.cat([straight * alpha, alpha], dim=1)


def _scene_paths(draws: Sequence[SampleDraw]) -> Paths | None:
    """Give how the background moves in the image: with the camera, or in place."""
    if not any(draw.camera or draw.in_place for draw in draws):
        return None
    moves = [
        (draw.in_place.centre, draw.in_place.path)
        if draw.in_place
        else (((draw.size[0] - 1) / 2, (draw.size[1] - 1) / 2), draw.camera or RigidPath())
        for draw in draws
    ]
    return Paths.of([centre for centre, _ in moves], [path for _, path in moves])


def _scenes(draws: Sequence[SampleDraw], bank: PixelBank, device: torch.device) -> Tensor:
    """Give backgrounds (B, 3, H + 2 * margin, W + 2 * margin) in linear light, as the lens shows them."""
    scenes = levels_to_linear(_backgrounds(draws, bank, device))
    bright = {row: draw.highlights for row, draw in enumerate(draws) if draw.highlights}
    if bright:
        index = to_device(torch.tensor(list(bright)), device)
        scenes[index] = brighten_highlights(scenes[index], list(bright.values()))
    soft = {row: draw.defocus for row, draw in enumerate(draws) if draw.defocus}
    if soft:
        index = to_device(torch.tensor(list(soft)), device)
        scenes[index] = defocus_scenes(scenes[index], list(soft.values()))
    return scenes


def _backgrounds(draws: Sequence[SampleDraw], bank: PixelBank, device: torch.device) -> Tensor:
    """Give the boxes of the photos in levels, at the size of the scenes."""
    boxes = [draw.background for draw in draws]
    levels = bank.boxes(boxes, device)
    height, width = (side + 2 * draws[0].margin for side in draws[0].size)
    if any((box.height, box.width) != (height, width) for box in boxes):
        matrices = []
        for source, target in (([box.height for box in boxes], height), ([box.width for box in boxes], width)):
            before = to_device(torch.tensor(source), device)
            after, offset = torch.full_like(before, target), torch.zeros_like(before)
            matrices.append(axis_weights(before, after, offset, target, max(source), Kernel.LANCZOS))
        levels = resample_levels(levels.float(), *matrices)
    return torch.stack([draw.turn.of(each) for each, draw in zip(levels, draws, strict=True)])


def _alike(draws: Sequence[SampleDraw]) -> list[list[int]]:
    """Give groups of rows with scenes of one size, and numbers of instants within a factor of four."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for row, draw in enumerate(draws):
        # a background that moves takes frames of the whole image: those samples keep to themselves
        key = (draw.size, draw.margin, draw.camera is None and draw.in_place is None, draw.instants.bit_length() // 2)
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _in_order(parts: Sequence[Exposure], rows: Sequence[int]) -> Exposure:
    """Give exposures side by side, those of a sequence of rows as 0, 1, 2 ..."""
    if len(parts) == 1:
        return parts[0]
    order = to_device(torch.tensor(np.argsort(rows)), parts[0].blur.device)
    return Exposure(*(torch.cat(tensors)[order] for tensors in zip(*parts, strict=True)))
