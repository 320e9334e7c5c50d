"""Which trajectories are drawn for the part of the photo that is seen: closer together the closer one looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.layer_data import Curves, KnowsTrajectories, curves_through
from napari_m2aenet.settings import TRAJECTORY_INSTANTS, TRAJECTORY_SEGMENTS

CURVE_GAP_SCREEN_PX = 16
"""Curves stand about so far apart on the screen, or further where the budget asks for it."""

CURVE_WIDTH_SCREEN_PX = 2.0
"""How wide a curve is on the screen, at any zoom."""

# so much more than what is seen is drawn, that a small pan shows no gap
_BEYOND = 0.1
# 1, 2, 3, 4, 6, 8, 12 ...: few enough that the grid mostly stays while one zooms
_STEPS = (1, 2, *(factor * 2**power for power in range(16) for factor in (3, 4)))


@dataclass(frozen=True)
class PhotoView:
    """The part of a photo that is seen: rows `top` to `bottom` and columns `left` to `right`, without the last.

    px_per_screen_px: how many of its pixels lie along one of the screen.
    """

    top: int
    left: int
    bottom: int
    right: int
    px_per_screen_px: float

    @property
    def curve_width_px(self) -> float:
        """How wide a curve is in pixels of the photo, to look the same at every zoom."""
        return CURVE_WIDTH_SCREEN_PX * self.px_per_screen_px


@dataclass(frozen=True)
class CurveGrid:
    """A part of the grid that curves pass through: at rows and columns that are multiples of `step` from half of it.

    The grid stands on the photo: panning moves no curve.
    """

    step: int
    top: int
    left: int
    bottom: int
    right: int

    def points(self, mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the grid's points (K, 2) inside the mask, (y, x)."""
        rows = np.arange(self._first(self.top), min(self.bottom, mask.shape[0]), self.step)
        columns = np.arange(self._first(self.left), min(self.right, mask.shape[1]), self.step)
        inside = np.argwhere(mask[np.ix_(rows, columns)])
        return np.stack([rows[inside[:, 0]], columns[inside[:, 1]]], axis=1)

    def _first(self, from_px: int) -> int:
        """The first row or column of the grid at or after a pixel."""
        start = self.step // 2
        return start + max(0, -(-(from_px - start) // self.step)) * self.step


def curve_grid(
    view: PhotoView,
    mask: NDArray[np.bool_],
    *,
    max_segments: int = TRAJECTORY_SEGMENTS,
    instants: int = TRAJECTORY_INSTANTS,
) -> CurveGrid:
    """Return the grid for what is seen, as close as the zoom asks for and the budget of segments allows."""
    wanted = CURVE_GAP_SCREEN_PX * view.px_per_screen_px
    steps = (step for step in _STEPS if step >= min(wanted, _STEPS[-1]))
    beyond = round(_BEYOND * max(view.bottom - view.top, view.right - view.left))
    around = (max(0, view.top - beyond), max(0, view.left - beyond), view.bottom + beyond, view.right + beyond)
    for step in steps:
        grid = CurveGrid(step, *around)
        if len(grid.points(mask)) * (instants - 1) <= max_segments:
            break
    return grid


def seen_curves(analysis: KnowsTrajectories, mask: NDArray[np.bool_], grid: CurveGrid) -> Curves:
    """Return the trajectories through the grid's points; one segment without length where it has none in the mask."""
    return curves_through(analysis, grid.points(mask))
