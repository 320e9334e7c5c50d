from __future__ import annotations

import numpy as np
import pytest

from napari_m2aenet.motion_wheel import motion_colours, motion_overview, usual_limit_px, wheel_picture


@pytest.mark.parametrize(
    ("motion", "colour"),
    [
        ((0, 9), (255, 0, 0)),  # right is red
        ((-9, 0), (128, 255, 0)),  # up, a quarter of the wheel further
        ((0, -9), (0, 255, 255)),  # left
        ((9, 0), (128, 0, 255)),  # down
    ],
)
def test_the_hue_says_where(motion: tuple[float, float], colour: tuple[int, int, int]) -> None:
    np.testing.assert_allclose(motion_colours(np.array(motion, float), 9.0)[:3], colour, atol=2)


def test_the_strength_says_how_far() -> None:
    lengths = np.array([[0, 0], [0, 2], [0, 5], [0, 10], [0, 40]], float)
    colours = motion_colours(lengths, 10.0).astype(int)
    assert list(colours[:, 1]) == sorted(colours[:, 1], reverse=True)  # less white
    assert list(colours[:, 3]) == sorted(colours[:, 3])  # more cover
    np.testing.assert_array_equal(colours[3], colours[4])
    assert tuple(colours[0, :3]) == (255, 255, 255)


def test_the_legend_shows_each_direction_where_it_points() -> None:
    wheel = wheel_picture(129)
    for (y, x), motion in {(64, 127): (0, 1), (1, 64): (-1, 0), (64, 1): (0, -1), (127, 64): (1, 0)}.items():
        np.testing.assert_allclose(
            wheel[y, x, :3].astype(int), motion_colours(np.array(motion, float), 1.0)[:3], atol=9
        )
    assert wheel[0, 0, 3] == 0


def test_only_the_mask_is_coloured() -> None:
    end = np.zeros((20, 30, 2), np.float32)
    end[..., 1] = 4
    mask = np.zeros((20, 30), bool)
    mask[5:10, 5:10] = True
    overview = motion_overview(-end, end, mask)
    assert overview.limit_px == 8
    assert (overview.colours[~mask] == 0).all()
    np.testing.assert_array_equal(overview.colours[mask], np.broadcast_to((255, 0, 0, 255), (25, 4)))


def test_large_areas_are_coloured_more_coarsely_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_m2aenet.motion_wheel._COLOURED", 200)
    end = np.zeros((40, 60, 2), np.float32)
    end[..., 1] = 4
    mask = np.zeros((40, 60), bool)
    mask[12:30, 10:52] = True
    overview = motion_overview(-end, end, mask)
    assert (overview.step, overview.corner) == (2, (1, 1))
    np.testing.assert_array_equal(overview.colours[..., 3] > 0, mask[1::2, 1::2])


def test_the_full_colour_is_a_round_length_that_most_stay_within() -> None:
    motion = np.zeros((1000, 2), np.float32)
    motion[:, 1] = 21.3
    motion[:20, 1] = 500  # mistakes at a border
    assert usual_limit_px(motion) == 30
    assert usual_limit_px(motion / 100) == 1
    assert usual_limit_px(motion[:0]) == 1
