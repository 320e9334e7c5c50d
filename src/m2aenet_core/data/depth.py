"""Photos of any depth brought to the 8 bits that samples are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.pixels import ValueRange, colours, value_range_of


def eight_bits(pixels: NDArray[Any], value_range: ValueRange | None = None) -> NDArray[np.uint8]:
    """Give an image of any depth as uint8, its black and white (by default `value_range_of`) brought to 0 and 255."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = value_range_of(pixels) if value_range is None else value_range
    scaled = (pixels.astype(np.float64) - low) / (high - low)
    return np.asarray((scaled.clip(0, 1) * 255).round(), np.uint8)


def alike_in_eight_bits(images: Sequence[NDArray[Any]]) -> list[NDArray[np.uint8]]:
    """Give images of one scene as uint8, all by one range, so that what is equally bright stays so.

    Those of 8 bits are as they should be, and integers and floats share no range: each kind has its own.
    """
    ranges = {
        is_float: range_of_all(deep)
        for is_float in (False, True)
        if (deep := [each for each in images if each.dtype != np.uint8 and (each.dtype.kind == "f") == is_float])
    }
    return [eight_bits(each, ranges.get(each.dtype.kind == "f")) for each in images]


def range_of_all(images: Sequence[NDArray[Any]]) -> ValueRange:
    """Give black and white of images of one kind: `value_range_of` the darkest and the brightest value of all."""
    values = [colours(image) for image in images]
    return value_range_of(np.array([[min(each.min() for each in values), max(each.max() for each in values)]]))


def three_channels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give (H, W) or (H, W, 3) as (H, W, 3)."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else np.ascontiguousarray(pixels)
