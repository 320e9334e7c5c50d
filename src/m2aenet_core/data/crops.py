"""Where a sample is cut out of a photo: at the blur as often as wanted, and mirrored and turned at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.errors import InputError


@dataclass(frozen=True)
class CropConfig:
    """How samples are cut out of pairs."""

    crop_px: int = 256
    """Height and width of a sample."""
    blur_centred_share: float = 0.5
    """Share of samples centred on a blurred pixel, where there is one; the others may lie anywhere."""
    quarter_turns: bool = True
    """Whether samples are turned by quarter turns as well as mirrored."""


class Crop(NamedTuple):
    """A square of a photo, and how it is mirrored and turned; the same for all images of a pair."""

    top: int
    left: int
    side: int
    is_mirrored: bool
    is_upside_down: bool
    quarter_turns: int

    def of(self, image: NDArray[Any]) -> NDArray[Any]:
        """Cut the square out of (H, W, ...); a view."""
        cut = image[self.top : self.top + self.side, self.left : self.left + self.side]
        cut = cut[:: -1 if self.is_upside_down else 1, :: -1 if self.is_mirrored else 1]
        return np.rot90(cut, self.quarter_turns)


def draw_crop(
    rng: np.random.Generator, shape: tuple[int, ...], mask: NDArray[np.bool_] | None, config: CropConfig
) -> Crop:
    """Draw a crop of a photo of a shape (H, W, ...).

    In a set share of draws it is centred on a random blurred pixel, as far as the photo's edge lets it; else, and
    where nothing or everything is blurred (mask None), it lies anywhere with the same probability.

    Raises:
        InputError: the photo is smaller than the crop.
    """
    side = config.crop_px
    largest = (shape[0] - side, shape[1] - side)
    if min(largest) < 0:
        raise InputError(f"is {shape[1]}x{shape[0]}, smaller than the crop of {side}; choose a smaller crop_px")
    centre = _blurred_pixel(rng, mask) if rng.random() < config.blur_centred_share else None
    if centre is None:
        top, left = (int(rng.integers(most + 1)) for most in largest)
    else:
        top, left = (min(max(at - side // 2, 0), most) for at, most in zip(centre, largest, strict=True))
    is_mirrored, is_upside_down = (bool(flip) for flip in rng.integers(2, size=2))
    return Crop(top, left, side, is_mirrored, is_upside_down, int(rng.integers(4)) if config.quarter_turns else 0)


def _blurred_pixel(rng: np.random.Generator, mask: NDArray[np.bool_] | None) -> tuple[int, int] | None:
    blurred = np.flatnonzero(mask) if mask is not None else np.empty(0, np.intp)
    # where all is blurred, centring would only favour the photo's edges, where crops are stopped
    if mask is None or len(blurred) in (0, mask.size):
        return None
    row, column = divmod(int(blurred[rng.integers(len(blurred))]), mask.shape[1])
    return row, column
