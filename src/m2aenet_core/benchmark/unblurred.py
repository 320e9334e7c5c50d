"""Pictures without motion blur, in which a careful network finds nothing: made from sharp photos, drawn, or at hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from m2aenet_core.benchmark.screenshot import draw_screenshots
from m2aenet_core.data.camera_response import develop
from m2aenet_core.data.draws import NoiseDraw
from m2aenet_core.data.folder import Pixels, read_rgb
from m2aenet_core.data.optics import defocus
from m2aenet_core.errors import InputError
from m2aenet_core.ops.light import levels_to_linear
from m2aenet_core.pixels import to_uint8

_READ_SHARE = 0.1
# of the light that reaches the sensor by day
_NIGHT_LIGHT = 0.1
_SOFT_FACTOR = 3
_JPEG_QUALITY = 15
_SIZE = (480, 640)


class Picture(NamedTuple):
    """Pixels (H, W) or (H, W, 3) uint8, of a kind, under a name."""

    kind: str
    name: str
    pixels: Pixels


def pictures(photos: Sequence[Path], kinds: Sequence[str], seed: int = 0) -> Iterator[Picture]:
    """Give the pictures of some kinds: kind by kind, those made from each photo first.

    Raises InputError for kinds that do not exist, and for photos that cannot be read.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InputError(f"there is no kind of picture called {unknown[0]!r}; choose some of {', '.join(KINDS)}")
    for kind in (kind for kind in FROM_PHOTOS if kind in kinds):
        for number, path in enumerate(photos):
            yield Picture(kind, path.name, FROM_PHOTOS[kind](read_rgb(path), seed + number))
    for kind in (kind for kind in AT_HAND if kind in kinds):
        for name, pixels in AT_HAND[kind]().items():
            yield Picture(kind, name, pixels)


# -- made from a sharp photo (H, W, 3) uint8 and a seed -------------------------------------------------------------


def _as_it_is(photo: Pixels, seed: int) -> Pixels:
    return photo


def _grey(photo: Pixels, seed: int) -> Pixels:
    return np.asarray(Image.fromarray(photo).convert("L"))


def _noisy(deviation: float) -> Callable[[Pixels, int], Pixels]:
    """Add the noise of a sensor, of a standard deviation at mid-grey as a share of white."""
    return lambda photo, seed: _photographed(_light(photo), deviation, seed)


def _out_of_focus(radius_px: float) -> Callable[[Pixels, int], Pixels]:
    """Spread every point of light over a disc."""
    return lambda photo, seed: _photographed(defocus(_light(photo), [radius_px]), 0.0, seed)


def _soft(photo: Pixels, seed: int) -> Pixels:
    """Lose what a few times fewer pixels cannot hold."""
    image = Image.fromarray(photo)
    small = image.size[0] // _SOFT_FACTOR or 1, image.size[1] // _SOFT_FACTOR or 1
    return np.asarray(image.resize(small, Image.Resampling.LANCZOS).resize(image.size, Image.Resampling.BICUBIC))


def _at_night(photo: Pixels, seed: int) -> Pixels:
    """Let little light in: dark, and noisy for that."""
    return _photographed(_light(photo) * _NIGHT_LIGHT, 0.02, seed)


def _compressed(photo: Pixels, seed: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return np.asarray(Image.open(buffer))


def _light(photo: Pixels) -> Tensor:
    return levels_to_linear(torch.from_numpy(photo)).permute(2, 0, 1).unsqueeze(0)


def _photographed(light: Tensor, deviation: float, seed: int) -> Pixels:
    """Give linear light (1, 3, H, W) as eight bits, with shot and read noise."""
    noise = NoiseDraw(deviation, seed, _READ_SHARE)
    return to_uint8(develop(light, light, [0.0], [noise], [None], [None]).blur[0])


# -- at hand: pictures by name --------------------------------------------------------------------------------------


def _from_skimage(*names: str) -> Callable[[], dict[str, Pixels]]:
    """Take what comes with scikit-image itself, so that nothing has to be downloaded."""

    def load() -> dict[str, Pixels]:
        import skimage.data

        return {name: np.asarray(getattr(skimage.data, name)(), np.uint8) for name in names}

    return load


def _fundus() -> dict[str, Pixels]:
    """Give the back of an eye: a quarter of a large picture, or it would take longer than all others, and a detail."""
    found = _from_skimage("retina", "microaneurysms")()
    height, width = (side // 2 for side in found["retina"].shape[:2])
    return found | {"retina": np.ascontiguousarray(found["retina"][:height, :width])}


def _gradients() -> dict[str, Pixels]:
    """Give light that changes slowly: in steps of eight bits as a sky has them, and with the grain of a camera."""
    y, x = np.meshgrid(*(np.linspace(0, 1, side) for side in _SIZE), indexing="ij")
    sky = np.stack([90 + 120 * y, 140 + 80 * y, 200 + 40 * y], axis=2)
    lamp = np.repeat((220 * np.exp(-4 * ((y - 0.5) ** 2 + (x - 0.5) ** 2)))[..., None], 3, axis=2)
    grain = np.random.default_rng(0).normal(0, 2, (*_SIZE, 1))
    shades = {"ramp": 255 * x, "sky": sky, "sky with grain": sky + grain, "lamp": lamp}
    return {name: np.clip(np.rint(shade), 0, 255).astype(np.uint8) for name, shade in shades.items()}


def _empty() -> dict[str, Pixels]:
    return {
        name: np.full((*_SIZE, 3), level, np.uint8) for name, level in (("black", 0), ("grey", 128), ("white", 255))
    }


FROM_PHOTOS: Mapping[str, Callable[[Pixels, int], Pixels]] = {
    "sharp": _as_it_is,
    "grey": _grey,
    "noise": _noisy(0.02),
    "strong noise": _noisy(0.06),
    "defocus 2 px": _out_of_focus(2.0),
    "defocus 5 px": _out_of_focus(5.0),
    "soft": _soft,
    "night": _at_night,
    "strong JPEG": _compressed,
}
"""Kinds that are made from sharp photos."""

AT_HAND: Mapping[str, Callable[[], Mapping[str, Pixels]]] = {
    "screenshot": draw_screenshots,
    "page": _from_skimage("page", "text"),
    "microscopy": _from_skimage("cell", "immunohistochemistry"),
    "fundus": _fundus,
    "astronomy": _from_skimage("moon", "hubble_deep_field"),
    "texture": _from_skimage("brick", "grass", "gravel"),
    "gradient": _gradients,
    "empty": _empty,
}
"""Kinds that need no photos."""

KINDS = (*FROM_PHOTOS, *AT_HAND)
"""All kinds, in the order of the tables."""
