"""How good a result is, inside the blur and outside it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.generic]
Mask = NDArray[np.bool_]


def psnr(prediction: Image, truth: Image, mask: Mask | None = None) -> float:
    """Give the peak signal-to-noise ratio in dB of uint8 images (H, W, 3), in the mask (H, W) or everywhere.

    Infinite for equal images, NaN for an empty mask.
    """
    error = (prediction.astype(np.float64) - truth.astype(np.float64)) ** 2
    if mask is not None:
        error = error[mask]
    if error.size == 0:
        return math.nan
    mean = float(error.mean())
    return math.inf if mean == 0 else 10 * math.log10(255**2 / mean)


def mask_iou(prediction: Mask, truth: Mask) -> float:
    """Give intersection over union of two masks; 1 where both are empty."""
    union = int((prediction | truth).sum())
    return 1.0 if union == 0 else int((prediction & truth).sum()) / union


def displacement_error(
    start: NDArray[np.float32], end: NDArray[np.float32], true_start: Image, true_end: Image, mask: Mask
) -> float:
    """Give the mean distance in pixels between displacements (H, W, 2) and their truth inside a mask.

    Start and end may be swapped at each pixel, since a photo does not show the direction of time. NaN for an
    empty mask.
    """
    if not mask.any():
        return math.nan

    def distance(first: Image, second: Image) -> NDArray[np.float64]:
        difference = first[mask].astype(np.float64) - second[mask].astype(np.float64)
        return np.asarray(np.sqrt((difference**2).sum(axis=-1)))

    forward = distance(start, true_start) + distance(end, true_end)
    backward = distance(start, true_end) + distance(end, true_start)
    return float(np.minimum(forward, backward).mean() / 2)
