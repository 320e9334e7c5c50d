"""How good a result is: the restored image, the mask that was found, and the motion.

Images are uint8 (H, W, 3), since predictions are clamped and rounded before they are scored (LBAG's protocol, which
ReLoBlur's tables follow); masks are bool (H, W), True = blurred. What is not defined, such as a mean over an empty
mask, is NaN.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

Image = NDArray[np.generic]
Mask = NDArray[np.bool_]

# SSIM's window reaches this far, so its map is that much smaller than the image on each side
SSIM_BORDER_PX = 5
_SSIM_SIGMA_PX = 1.5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2

# probabilities are counted in so many bins for ROC curves
ROC_BINS = 1000


def psnr(prediction: Image, truth: Image, mask: Mask | None = None) -> float:
    """Give the peak signal-to-noise ratio in dB of uint8 images (H, W, 3), in the mask (H, W) or everywhere.

    In a mask m this is PSNR_w = 10 log10(1 / (sum (p - g)^2 m / (3 sum m))). Infinite for equal images, NaN for an
    empty mask.
    """
    error = (prediction.astype(np.float64) - truth.astype(np.float64)) ** 2
    if mask is not None:
        error = error[mask]
    if error.size == 0:
        return math.nan
    mean = float(error.mean())
    return math.inf if mean == 0 else 10 * math.log10(255**2 / mean)


def ssim_map(prediction: Image, truth: Image) -> NDArray[np.float64]:
    """Give the structural similarity of uint8 images (H, W, 3) at each pixel, (H - 10, W - 10, 3).

    11x11 Gaussian of sigma 1.5 where it lies inside the image, C1 = 0.01^2, C2 = 0.03^2, each channel by itself. Empty
    for images lower or narrower than 11 pixels.
    """
    x, y = (image.astype(np.float64) / 255 for image in (prediction, truth))
    mean_x, mean_y = _gaussian_mean(x), _gaussian_mean(y)
    variance_x = _gaussian_mean(x * x) - mean_x**2
    variance_y = _gaussian_mean(y * y) - mean_y**2
    covariance = _gaussian_mean(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + _SSIM_C1) * (2 * covariance + _SSIM_C2)
    return similarity / ((mean_x**2 + mean_y**2 + _SSIM_C1) * (variance_x + variance_y + _SSIM_C2))


def ssim_in(similarity: NDArray[np.float64], mask: Mask | None = None) -> float:
    """Give the mean of an `ssim_map`, or SSIM_w: its mean in a mask (H, W) of the image's size. NaN for no pixel."""
    if mask is not None:
        border = SSIM_BORDER_PX
        similarity = similarity[mask[border : mask.shape[0] - border, border : mask.shape[1] - border]]
    return float(similarity.mean()) if similarity.size else math.nan


def _gaussian_mean(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the weighted mean around each pixel whose window lies inside the image."""
    border = SSIM_BORDER_PX
    if min(image.shape[:2]) <= 2 * border:
        return np.zeros((max(0, image.shape[0] - 2 * border), max(0, image.shape[1] - 2 * border), *image.shape[2:]))
    distance = np.arange(-border, border + 1)
    weights = np.exp(-(distance**2) / (2 * _SSIM_SIGMA_PX**2))
    weights /= weights.sum()
    rows = correlate1d(image, weights, axis=0)[border:-border]
    return np.asarray(correlate1d(rows, weights, axis=1)[:, border:-border])


class MaskScores(NamedTuple):
    """Overlap of a mask with the truth; precision: share of the found that is blurred; recall: of the blurred, found.

    Precision is NaN where nothing was found, recall where nothing is blurred.
    """

    iou: float
    precision: float
    recall: float


def mask_scores(prediction: Mask, truth: Mask) -> MaskScores:
    """Give overlap, precision and recall of a mask."""
    both, found, blurred = int((prediction & truth).sum()), int(prediction.sum()), int(truth.sum())
    return MaskScores(
        iou=mask_iou(prediction, truth),
        precision=both / found if found else math.nan,
        recall=both / blurred if blurred else math.nan,
    )


def mask_iou(prediction: Mask, truth: Mask) -> float:
    """Give intersection over union of two masks; 1 where both are empty."""
    union = int((prediction | truth).sum())
    return 1.0 if union == 0 else int((prediction & truth).sum()) / union


class RocCurve(NamedTuple):
    """Share of the sharp pixels called blurred, and of the blurred ones found, from threshold 1 down to 0."""

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Area under the curve: the chance that a blurred pixel has a higher probability than a sharp one."""
        heights = (self.true_positive_rate[1:] + self.true_positive_rate[:-1]) / 2
        return float((np.diff(self.false_positive_rate) * heights).sum())


def count_probabilities(probability: NDArray[np.float32], mask: Mask) -> NDArray[np.int64]:
    """Give histograms of the blur probability over sharp and over blurred pixels, (2, ROC_BINS); they may be added."""
    pixels = (probability[~mask], probability[mask])
    return np.array([np.histogram(values, bins=ROC_BINS, range=(0.0, 1.0))[0] for values in pixels], np.int64)


def roc_curve(counts: NDArray[np.int64]) -> RocCurve:
    """Give the curve of `count_probabilities`; NaN everywhere when there is no blurred or no sharp pixel."""
    above = np.cumsum(counts[:, ::-1], axis=1).astype(np.float64)
    totals = above[:, -1:]
    rates = np.divide(above, totals, out=np.full_like(above, math.nan), where=totals > 0)
    # nothing is above threshold 1
    rates = np.concatenate([rates[:, :1] * 0, rates], axis=1)
    return RocCurve(rates[0], rates[1])


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
