"""The blur probability counted once, so that mask, area and histogram are there at once for any threshold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.settings import THRESHOLD

STEPS = round((THRESHOLD.maximum - THRESHOLD.minimum) / THRESHOLD.step)
"""How many steps the threshold has; bar k of the histogram lies between steps k and k + 1."""

_THRESHOLDS = np.array([round(k * THRESHOLD.step, THRESHOLD.decimals) for k in range(STEPS + 1)], np.float32)


@dataclass(frozen=True, eq=False)
class BlurLevels:
    """For each pixel how many of the thresholds that can be set lie below its blur probability.

    `levels` (H, W) uint8 in 0..STEPS + 1: a pixel is blurred at step k where its level is above k. One byte is
    compared where the probability has four, which is what lets the mask follow a hand.
    """

    levels: NDArray[np.uint8]

    @classmethod
    def of(cls, probability: NDArray[np.float32]) -> BlurLevels:
        """Return the levels of a blur probability (H, W) in [0, 1]."""
        levels = np.empty(probability.shape, np.uint8)
        for row in range(0, len(levels), 256):  # in parts, so that what is in between stays in the cache
            part = np.asarray(probability[row : row + 256], np.float32)
            below = (part * np.float32(STEPS)).astype(np.uint8)
            # the product is rounded, so the two thresholds it may be mistaken about are asked for
            above = np.minimum(below + 1, STEPS)
            levels[row : row + 256] = below + (_THRESHOLDS[below] < part)
            levels[row : row + 256] += (_THRESHOLDS[above] < part) & (above > below)
        return cls(levels)

    def inside(self, selection: NDArray[np.bool_] | None) -> BlurLevels:
        """Return the levels inside a selection (H, W), nothing blurred outside; these themselves without one."""
        return self if selection is None else BlurLevels(self.levels * selection.view(np.uint8))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(STEPS + 2,): how many pixels have each level."""
        total = np.zeros(STEPS + 2, np.int64)
        for row in range(0, len(self.levels), 256):
            total += np.bincount(self.levels[row : row + 256].ravel(), minlength=STEPS + 2)
        return total

    @cached_property
    def bars(self) -> NDArray[np.int64]:
        """(STEPS,): the histogram, bar k from step k to step k + 1; probability 0 counts for the first."""
        bars = self.counts[1 : STEPS + 1].copy()
        bars[0] += self.counts[0]
        bars[-1] += self.counts[STEPS + 1]
        return bars

    def blurred_pixels(self, threshold: float) -> int:
        """Return how many pixels are blurred at a threshold that can be set."""
        return int(self._above[step_of(threshold)])

    def mask(self, threshold: float, out: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Return the mask (H, W) at a threshold that can be set, written into `out` where that is given."""
        mask: NDArray[np.bool_] = np.greater(self.levels, step_of(threshold), out=out)
        return mask

    @cached_property
    def _above(self) -> NDArray[np.int64]:
        above: NDArray[np.int64] = self.counts[::-1].cumsum()[::-1][1:]
        return above


def step_of(threshold: float) -> int:
    """Return the number of a threshold's step, the nearest one."""
    return round((threshold - THRESHOLD.minimum) / THRESHOLD.step)
