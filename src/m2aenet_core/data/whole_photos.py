"""Made blur on whole photos, one moving object each, for scoring rather than for training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from m2aenet_core.data.folder import Pixels, evenly_spread, list_images, read_cutouts, read_rgb
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.synthetic import MadeBlur, MadeBlurConfig
from m2aenet_core.errors import InputError

_ATTEMPTS = 20
# photos that objects are cut from; published figures are of sets of fewer, where these are all
_TEXTURES = 64


@dataclass(frozen=True)
class WholePhotosConfig:
    """Which photos, and what blur is made on them."""

    data: str
    """Folder of sharp photos."""
    cutouts: str | None = None
    """Folder of cut-out objects; without it, random shapes of photo move."""
    manifest: str | None = None
    """CSV file with the columns file and clear_licence; only photos and cut-outs marked yes are used."""
    path_px: tuple[float, float] = (8.0, 34.0)
    """Shortest and longest path from start to end of the exposure, pixels."""
    area: tuple[float, float] = (0.02, 0.2)
    """Smallest and largest blurred share of a photo."""
    encoded: bool = False
    """Whether the blur is a mean of encoded frames, as in sets made of video, rather than of light, as by a sensor."""
    samples: int = 2
    """Samples made of each photo."""
    seed: int = 0
    """Decides the samples."""

    def __post_init__(self) -> None:
        """Raise InputError for what no samples can be drawn from."""
        if self.samples < 1:
            raise InputError(f"samples is {self.samples}; give at least 1")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; give 0 or more")
        shortest, longest = self.path_px
        if not 0 < shortest <= longest:
            raise InputError(f"path_px is {list(self.path_px)}; give the shortest path, above 0, and the longest")
        smallest, largest = self.area
        if not 0 < smallest <= largest <= 1:
            raise InputError(f"area is {list(self.area)}; give the smallest share of a photo, above 0, and the largest")


class BlurredPhoto(NamedTuple):
    """A photo as it is, (H, W, 3) uint8, and with made blur on it (a batch of one)."""

    path: Path
    photo: Pixels
    sample: Batch


def count_blurred_photos(config: WholePhotosConfig, *, without: str | Path | None = None) -> int:
    """Give how many `blurred_photos` will come."""
    return len(list_images(config.data, config.manifest, without=without)) * config.samples


def blurred_photos(config: WholePhotosConfig, *, without: str | Path | None = None) -> Iterator[BlurredPhoto]:
    """Give made blur on each photo, its objects cut from the other photos or taken from the cut-outs.

    Of more than 64 photos, objects are cut from 64, evenly spread; each photo is read when its turn comes. without: a
    folder of results, whose pictures are no photos.
    """
    paths = list_images(config.data, config.manifest, without=without)
    cutouts = read_cutouts(config.cutouts, config.manifest, without=without) if config.cutouts else []
    textures = {path: read_rgb(path) for path in evenly_spread(paths, _TEXTURES)}
    for index, path in enumerate(paths):
        photo = textures[path] if path in textures else read_rgb(path)
        others = [other for name, other in textures.items() if name != path] or [photo]
        for number in range(config.samples):
            rng = np.random.default_rng((config.seed, index, number))
            yield BlurredPhoto(path, photo, blurred_sample(config, photo, others, cutouts, rng))


def blurred_sample(
    config: WholePhotosConfig,
    photo: Pixels,
    others: Sequence[Pixels],
    cutouts: Sequence[Pixels],
    rng: np.random.Generator,
) -> Batch:
    """Make one object blur a share of the photo that is drawn evenly from the range."""
    # an object fills about half of its square
    side = math.sqrt(rng.uniform(*config.area) * photo.shape[0] * photo.shape[1] / 0.5)
    blur = MadeBlurConfig(
        path_px=config.path_px,
        object_px=(round(side), round(side)),
        objects=1,
        still_share=0.0,
        cutout_share=0.5,
        noise=0.008,
        encoded_share=float(config.encoded),
    )
    source = MadeBlur(others, cutouts, blur)
    # a thin object, or one half outside, may miss the range: it is drawn again; the last draw counts if none fits
    for _ in range(_ATTEMPTS):
        sample = source.on_photo(photo, rng)
        if config.area[0] <= float(sample.mask.mean()) <= config.area[1]:
            break
    return sample
