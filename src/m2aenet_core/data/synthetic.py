"""Made blur: local motion blur made from sharp photos, with its exact truth.

Every sample has a number; (seed, number) decides it alone, whatever the batch it comes in.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from m2aenet_core.data.folder import Pixels
from m2aenet_core.data.render import MovingObjects, expose
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.shapes import resized_cutout, shaped_patch


@dataclass(frozen=True)
class MadeBlurConfig:
    """What made blur looks like."""

    crop_px: int = 128
    """Height and width of a sample."""
    path_px: tuple[float, float] = (4.0, 40.0)
    """Shortest and longest path of an object from start to end of the exposure, pixels."""
    object_px: tuple[int, int] = (48, 240)
    """Smallest and largest longer side of an object, pixels."""
    objects: int = 2
    """At most so many objects in a sample."""
    curvature: float = 0.25
    """Largest bend and speed-up: the quadratic part of a path as a share of its half length."""
    spin_deg: float = 6.0
    """Largest rotation from mid-exposure to either end, degrees."""
    growth: float = 0.03
    """Largest relative change of size from mid-exposure to either end."""
    cutout_share: float = 0.3
    """Share of objects that are cut-outs, where there are any; the others are random shapes of photo."""
    still_share: float = 0.1
    """Share of samples in which nothing moves: the objects stand still, and nothing is blurred."""
    noise: float = 0.012
    """Largest standard deviation of the noise added after the exposure, of the range."""
    jpeg_share: float = 0.3
    """Share of samples whose blurred image went through JPEG."""


class _Plan(NamedTuple):
    """The random draws of one sample."""

    background: Pixels
    canvases: list[Pixels]
    motions: list[_MotionDraw]
    noise: float
    jpeg_quality: int | None
    noise_seed: int


class _MotionDraw(NamedTuple):
    centre: tuple[float, float]
    velocity: tuple[float, float]
    acceleration: tuple[float, float]
    spin: float
    growth: float


class MadeBlur:
    """An endless, numbered source of samples made from photos and, if there are any, cut-outs."""

    def __init__(self, photos: Sequence[Pixels], cutouts: Sequence[Pixels] = (), config: MadeBlurConfig | None = None):
        """Keep photos (H, W, 3) and cut-outs (H, W, 4), both uint8."""
        if not photos:
            raise ValueError("made blur needs at least one photo")
        self.config = config or MadeBlurConfig()
        self.photos = photos
        self.cutouts = cutouts

    def batch(self, seed: int, first: int, count: int, device: torch.device | str = "cpu") -> Batch:
        """Give samples first .. first + count - 1 of a seed, rendered on a device."""
        target = torch.device(device)
        samples = [
            _render(self._plan(np.random.default_rng((seed, number))), target) for number in range(first, first + count)
        ]
        return Batch(*(torch.cat(tensors) for tensors in zip(*samples, strict=True)))

    def on_photo(self, photo: Pixels, rng: np.random.Generator, device: torch.device | str = "cpu") -> Batch:
        """Give a batch of one sample with a whole photo as its background."""
        return _render(self._plan(rng, photo), torch.device(device))

    def _plan(self, rng: np.random.Generator, photo: Pixels | None = None) -> _Plan:
        config = self.config
        background = self._background(rng) if photo is None else photo
        count = int(rng.integers(1, config.objects + 1))
        is_still = bool(rng.random() < config.still_share)
        sizes = [self._object_size(rng) for _ in range(count)]
        return _Plan(
            background=background,
            canvases=[self._object(rng, size) for size in sizes],
            motions=[self._motion(rng, background.shape[:2], is_still) for _ in sizes],
            noise=float(rng.uniform(0, config.noise)) if rng.random() < 0.7 else 0.0,
            jpeg_quality=int(rng.integers(80, 98)) if rng.random() < config.jpeg_share else None,
            noise_seed=int(rng.integers(2**31)),
        )

    def _background(self, rng: np.random.Generator) -> Pixels:
        photo, crop = self.photos[int(rng.integers(len(self.photos)))], self.config.crop_px
        height, width = photo.shape[:2]
        side = min(height, width, round(crop * (1.0 if rng.random() < 0.6 else rng.uniform(1.0, 2.0))))
        top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        patch = photo[top : top + side, left : left + side]
        if side != crop:
            patch = np.asarray(Image.fromarray(patch).resize((crop, crop), Image.Resampling.LANCZOS))
        return _flipped(rng, patch)

    def _object_size(self, rng: np.random.Generator) -> int:
        smallest, largest = self.config.object_px
        return 2 * round(float(np.exp(rng.uniform(np.log(smallest), np.log(largest)))) / 2)

    def _object(self, rng: np.random.Generator, size: int) -> Pixels:
        if len(self.cutouts) and rng.random() < self.config.cutout_share:
            cutout = resized_cutout(self.cutouts[int(rng.integers(len(self.cutouts)))], size)
        else:
            cutout = shaped_patch(rng, self.photos[int(rng.integers(len(self.photos)))], size)
        brightness = rng.uniform(0.75, 1.2)
        colours = np.clip(cutout[..., :3] * brightness, 0, 255).astype(np.uint8)
        return _flipped(rng, np.dstack([colours, cutout[..., 3]]))

    def _motion(self, rng: np.random.Generator, shape: tuple[int, ...], is_still: bool) -> _MotionDraw:
        config, (height, width) = self.config, shape[:2]
        margin = 0.1
        # a half makes canvas and image pixels coincide at mid-exposure, so that the truth is not softened
        centre = tuple(
            float(np.floor(rng.uniform(margin * side, (1 - margin) * side))) + 0.5 for side in (height, width)
        )
        half = rng.uniform(*config.path_px) / 2
        direction = rng.uniform(0, 2 * np.pi)
        bend = rng.uniform(-config.curvature, config.curvature, size=2) * half
        if is_still:
            half, bend = 0.0, bend * 0
        along, across = (
            np.array([np.sin(direction), np.cos(direction)]),
            np.array([np.cos(direction), -np.sin(direction)]),
        )
        acceleration = bend[0] * along + bend[1] * across
        turn = 0.0 if is_still else float(np.deg2rad(rng.uniform(-config.spin_deg, config.spin_deg)))
        growth = 0.0 if is_still else float(rng.uniform(-config.growth, config.growth))
        velocity = half * along
        return _MotionDraw(
            centre=(centre[0], centre[1]),
            velocity=(float(velocity[0]), float(velocity[1])),
            acceleration=(float(acceleration[0]), float(acceleration[1])),
            spin=turn,
            growth=growth,
        )


def _flipped(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    pixels = np.rot90(pixels, int(rng.integers(4))) if pixels.shape[0] == pixels.shape[1] else pixels
    return np.ascontiguousarray(pixels[:, ::-1] if rng.random() < 0.5 else pixels)


def _render(plan: _Plan, device: torch.device) -> Batch:
    # one sample at a time: its number of instants and objects, and so its pixels, do not depend on its neighbours
    background = _to_tensor(plan.background, device)
    layers = [_layer(canvas, draw, device) for canvas, draw in zip(plan.canvases, plan.motions, strict=True)]
    exposure = expose(background, layers, _instants(plan))
    # noise belongs to the photo, in the sharp truth too: taking blur away is not to mean taking grain away
    noise = _noise(plan, exposure.blur.shape[-2:]).to(device)
    blur = ((exposure.blur + noise).clamp(0, 1) * 255).round() / 255
    sharp = ((exposure.sharp + noise).clamp(0, 1) * 255).round() / 255
    blur = _compressed(blur, plan.jpeg_quality)
    # where nothing is blurred the truth is the photo as it came, compression included
    sharp = torch.where(exposure.mask > 0.5, sharp, blur)
    is_known = torch.ones(1, dtype=torch.bool, device=device)
    return Batch(blur, sharp, exposure.mask, exposure.start, exposure.end, is_known)


def _instants(plan: _Plan) -> int:
    """Give an odd number of instants no more than about a pixel apart on the longest path."""
    longest = max(2 * np.hypot(*draw.velocity) for draw in plan.motions)
    return 2 * int(np.ceil(longest / 2)) + 3


def _layer(canvas: Pixels, draw: _MotionDraw, device: torch.device) -> MovingObjects:
    return MovingObjects(
        canvas=_to_tensor(canvas, device),
        centre=torch.tensor([draw.centre], device=device),
        velocity=torch.tensor([draw.velocity], device=device),
        acceleration=torch.tensor([draw.acceleration], device=device),
        spin=torch.tensor([draw.spin], device=device),
        growth=torch.tensor([draw.growth], device=device),
    )


def _to_tensor(pixels: Pixels, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(pixels)).to(device).permute(2, 0, 1).unsqueeze(0).float() / 255


def _noise(plan: _Plan, shape: torch.Size) -> Tensor:
    generator = torch.Generator().manual_seed(plan.noise_seed)
    return torch.randn(1, 3, *shape, generator=generator) * plan.noise


def _compressed(image: Tensor, quality: int | None) -> Tensor:
    if quality is None:
        return image
    pixels = (image[0] * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    decoded = np.asarray(Image.open(buffer))
    return torch.from_numpy(decoded.copy()).to(image.device).permute(2, 0, 1).unsqueeze(0).float() / 255
