"""Whether a result explains its photo: the restored photo, blurred again along its trajectories, against the photo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from m2aenet_core.analysis import DeblurResult
from m2aenet_core.deblurrer import ProgressCallback
from m2aenet_core.instants import MovingTile, MovingTiles, longest_displacement_px
from m2aenet_core.ops.light import to_linear, to_srgb
from m2aenet_core.pixels import Image, ValueRange, colours
from m2aenet_core.tiling import Box

_INSTANTS = (9, 65)
# a photo changed by less than half a step of eight bits: there is nothing to explain
_UNCHANGED_RMS = 0.5 / 255
# what is smaller is grain, or a corner of a region
_REGION_PX = 64
# so many rows are compared at a time, in double precision
_ROWS = 256


@dataclass(frozen=True)
class Explanation:
    """How well blurring again leads back to the photo, over some of its blurred pixels."""

    psnr_reblurred: float
    """PSNR in dB of the photo that was blurred again against the photo."""
    psnr_restored: float
    """PSNR in dB of the restored photo against the photo: what would be reached by not blurring again."""

    @property
    def explained(self) -> float | None:
        """The share of the change that the motion explains: 1 - squared error reblurred / squared error restored.

        1: blurring again gives the photo. 0: it is no closer to it than the restored photo is. Below 0: it is further
        from it. None where so little was changed that there is nothing to explain.
        """
        restored, reblurred = (10 ** (-psnr / 10) for psnr in (self.psnr_restored, self.psnr_reblurred))
        if not math.sqrt(restored) >= _UNCHANGED_RMS:
            return None
        return 1 - reblurred / restored


@dataclass(frozen=True)
class TrustRegion:
    """One connected blurred region, and how well it is explained."""

    box: Box
    area_px: int
    explanation: Explanation


@dataclass(frozen=True, eq=False)
class Trust:
    """A restored photo that was blurred again."""

    reblurred: Image
    """The photo's shape and dtype."""
    difference: NDArray[np.float32]
    """(H, W): distance to the photo, from 0 to 1 in units of its value range; the root mean square of the colours."""
    explanation: Explanation
    """Over all blurred pixels; NaN dB where there are none."""
    regions: tuple[TrustRegion, ...]
    """The connected blurred regions of 64 pixels or more, the largest first."""


def measure_trust(
    result: DeblurResult,
    *,
    instants: int | None = None,
    linear_light: bool | None = None,
    progress: ProgressCallback | None = None,
) -> Trust:
    """Blur a restored photo again along its trajectories, and tell how well that gives the photo.

    It is the mean of the exposure's instants (`exposure_film`), as light adds up on a sensor. Unlike eq. (11) of the
    paper, an object hides what it passes over. instants: by default one for each pixel of the longest path, 9 to 65.
    linear_light: whether the photo's values are in proportion to light; if not, they are taken as sRGB. By default
    they are where the analysis took them so, and in grey photos of more than 8 bits. progress(done, total) is called
    between tiles, and may raise Cancelled.

    Raises InputError where the network found no motion.
    """
    instants = _enough_instants(result) if instants is None else instants
    if linear_light is None:
        linear_light = result.analysis.linear_light or _holds_light(result.restored)
    reblurred = result.restored.copy()
    tiles = MovingTiles(result, instants)
    for index, tile in enumerate(tiles):
        if progress is not None:
            progress(index, len(tiles))
        mean, changed = _mean_of_instants(tile, result, instants, linear_light)
        target = colours(reblurred)[tile.box.top : tile.box.bottom, tile.box.left : tile.box.right]
        target[changed] = _in_dtype(mean, target.dtype)[changed]
    if progress is not None:
        progress(len(tiles), len(tiles))
    return _compare(result, reblurred)


def _mean_of_instants(
    tile: MovingTile, result: DeblurResult, instants: int, linear_light: bool
) -> tuple[Image, NDArray[np.bool_]]:
    """The mean of a tile's instants (h, w, C) in the photo's values, and where anything moved."""
    low, high = result.analysis.value_range
    still = (tile.still(result.restored) - low) / (high - low)
    light = still if linear_light else to_linear(still)
    total: Tensor | None = None
    changed = np.zeros((tile.box.height, tile.box.width), bool)
    for instant in range(instants):
        seen, share = tile.at(instant, light)
        total = seen if total is None else total.add_(seen)
        changed |= share.numpy() > 0
    assert total is not None
    mean = total / instants
    values = mean if linear_light else to_srgb(mean)
    return (values * (high - low) + low).permute(1, 2, 0).numpy(), changed


def _in_dtype(values: Image, dtype: np.dtype) -> Image:
    if dtype.kind not in "ui":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def _compare(result: DeblurResult, reblurred: Image) -> Trust:
    """Put the photo beside what was blurred again and what was restored."""
    photo, value_range = result.analysis.image, result.analysis.value_range
    labels, count = ndimage.label(result.mask, np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    errors = _squared_errors(reblurred, photo, value_range)
    sums = np.bincount(labels.ravel(), errors.ravel(), count + 1)
    errors_restored = _squared_errors(result.restored, photo, value_range)
    sums_restored = np.bincount(labels.ravel(), errors_restored.ravel(), count + 1)
    regions = [
        TrustRegion(_box(*slices), int(area), _explanation(error, restored, area))
        for slices, area, error, restored in zip(
            ndimage.find_objects(labels), areas[1:], sums[1:], sums_restored[1:], strict=True
        )
        if area >= _REGION_PX
    ]
    return Trust(
        reblurred=reblurred,
        difference=np.sqrt(errors),
        explanation=_explanation(sums[1:].sum(), sums_restored[1:].sum(), areas[1:].sum()),
        regions=tuple(sorted(regions, key=lambda region: -region.area_px)),
    )


def _squared_errors(picture: Image, photo: Image, value_range: ValueRange) -> NDArray[np.float32]:
    """The mean over the colours of the squared difference, (H, W), in units of the value range."""
    low, high = value_range
    errors = np.empty(photo.shape[:2], np.float32)
    for row in range(0, len(errors), _ROWS):
        rows = np.s_[row : row + _ROWS]
        difference = colours(picture[rows]).astype(np.float64) - colours(photo[rows])
        errors[rows] = ((difference / (high - low)) ** 2).mean(axis=2)
    return errors


def _explanation(error: float, error_restored: float, area: float) -> Explanation:
    return Explanation(_psnr(error, area), _psnr(error_restored, area))


def _psnr(error_sum: float, area: float) -> float:
    if not area:
        return math.nan
    return math.inf if error_sum == 0 else -10 * math.log10(error_sum / area)


def _box(rows: slice, columns: slice) -> Box:
    return Box(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)


def _enough_instants(result: DeblurResult) -> int:
    """An odd number, so that mid-exposure is one of them."""
    fewest, most = _INSTANTS
    return min(max(2 * longest_displacement_px(result) + 1, fewest), most)


def _holds_light(photo: Image) -> bool:
    """Micrographs are counts of light; photos are encoded for the eye."""
    return colours(photo).shape[2] == 1 and photo.dtype != np.uint8
