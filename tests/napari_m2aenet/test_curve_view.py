from __future__ import annotations

import numpy as np
import pytest

from napari_m2aenet.curve_view import CurveGrid, PhotoView, curve_grid, seen_curves
from napari_m2aenet.settings import TRAJECTORY_SEGMENTS


class Still:
    """Nothing moves; where the curves are is what matters here."""

    def trajectory_at(self, points_yx: np.ndarray, n: int = 9) -> np.ndarray:
        return np.zeros((len(points_yx), n, 2), np.float32)


def view(top: int, left: int, side: int, screen_px: int = 600) -> PhotoView:
    return PhotoView(top, left, top + side, left + side, side / screen_px)


def everything(side: int = 2000) -> np.ndarray:
    return np.ones((side, side), bool)


def test_zooming_in_brings_curves_closer_together() -> None:
    steps = [curve_grid(view(0, 0, side), everything()).step for side in (2000, 800, 300, 100, 20)]
    assert steps == sorted(steps, reverse=True)
    assert len(set(steps)) == 5


@pytest.mark.parametrize("side", [5, 50, 333, 2000])
def test_the_budget_is_kept_at_every_zoom(side: int) -> None:
    mask = everything()
    grid = curve_grid(view(100, 300, side, screen_px=4000), mask)
    curves = seen_curves(Still(), mask, grid)
    assert 0 < len(curves.segments) <= TRAJECTORY_SEGMENTS


def test_small_blurred_areas_get_closer_curves_than_the_budget_would_give_the_whole_photo() -> None:
    mask = np.zeros((2000, 2000), bool)
    mask[500:560, 500:560] = True
    assert curve_grid(view(0, 0, 2000, 4000), mask).step < curve_grid(view(0, 0, 2000, 4000), everything()).step


def test_panning_moves_no_curve() -> None:
    mask = everything()
    first, second = (
        {tuple(point) for point in curve_grid(view(200, left, 300), mask).points(mask)} for left in (400, 437)
    )
    # what both show is the same
    assert {point for point in first if 440 <= point[1] < 690} == {point for point in second if 440 <= point[1] < 690}


def test_curves_stand_inside_the_mask_and_what_is_seen() -> None:
    mask = np.zeros((400, 400), bool)
    mask[100:200, 50:350] = True
    points = CurveGrid(6, 120, 40, 180, 200).points(mask)
    assert mask[points[:, 0], points[:, 1]].all()
    assert points.min(axis=0).tolist() >= [120, 50]
    assert points[:, 0].max() < 180
    assert points[:, 1].max() < 200
    assert set(np.diff(np.unique(points[:, 0]))) == {6}


def test_nothing_blurred_in_sight_is_one_segment_without_length() -> None:
    mask = np.zeros((400, 400), bool)
    curves = seen_curves(Still(), mask, curve_grid(view(0, 0, 100), mask))
    assert len(curves.segments) == len(curves.times) == 1
    assert not curves.segments.any()


def test_curves_are_as_wide_on_the_screen_at_every_zoom() -> None:
    far, near = view(0, 0, 2000), view(0, 0, 20)
    assert far.curve_width_px / far.px_per_screen_px == pytest.approx(near.curve_width_px / near.px_per_screen_px)
