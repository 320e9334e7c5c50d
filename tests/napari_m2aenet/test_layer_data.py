from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels, Vectors
from numpy.typing import NDArray

from napari_m2aenet.layer_data import (
    grid_points,
    mask_layer,
    probability_layer,
    restored_layer,
    trajectories_layer,
    trajectory_curves,
)
from napari_m2aenet.source import Source, source_of_layer


class Moving:
    """Every pixel moves along a straight or bent path: o(s) = bend s² + half s, s in [-1, 1]."""

    def __init__(self, half: tuple[float, float], bend: tuple[float, float] = (0.0, 0.0)) -> None:
        self.half, self.bend = np.array(half), np.array(bend)

    def trajectory_at(self, points_yx: NDArray[np.intp], n: int = 9) -> NDArray[np.float32]:
        s = np.linspace(-1, 1, n)[:, None]
        path = self.bend * s**2 + self.half * s
        return np.repeat(path[None], len(points_yx), axis=0).astype(np.float32)


def disc(height: int = 200, width: int = 300) -> NDArray[np.bool_]:
    y, x = np.mgrid[:height, :width]
    return (y - 100) ** 2 + (x - 150) ** 2 < 60**2


def source(shape: tuple[int, ...] = (200, 300)) -> Source:
    return source_of_layer(Image(np.zeros(shape), name="ball"), (2,) * len(shape))


def test_a_ball_that_moves_right_gives_vectors_that_point_right() -> None:
    curves = trajectory_curves(Moving(half=(0.0, 7.0)), disc())
    starts, steps = curves.segments[:, 0], curves.segments[:, 1]
    assert np.all(steps[:, 0] == 0)
    np.testing.assert_allclose(steps[:, 1], 14 / 8, rtol=1e-4)
    first = starts[curves.times < -0.8]
    last = starts[curves.times > 0.8] + steps[curves.times > 0.8]
    np.testing.assert_allclose(last - first, [[0, 14]] * len(first), atol=1e-4)


def test_the_napari_layer_shows_the_ball_moving_right_too() -> None:
    made = trajectories_layer(source(), (200, 300), trajectory_curves(Moving(half=(0.0, 7.0)), disc()))
    layer = Vectors(made.data, **made.keywords)
    assert np.all(layer.data[:, 1, 0] == 0)
    assert np.all(layer.data[:, 1, 1] > 0)
    late, early = (
        layer.edge_color[np.argmax(layer.features["time"])],
        layer.edge_color[np.argmin(layer.features["time"])],
    )
    np.testing.assert_allclose(early[:3], (0, 1, 1), atol=0.1)  # cyan is the start
    np.testing.assert_allclose(late[:3], (1, 0, 1), atol=0.1)  # magenta is the end


def test_a_bent_path_passes_through_the_pixel_at_mid_exposure() -> None:
    curves = trajectory_curves(Moving(half=(0.0, 7.0), bend=(3.0, 0.0)), disc())
    middle = curves.segments[3::8, 0] + curves.segments[3::8, 1]
    np.testing.assert_allclose(middle, np.rint(middle), atol=1e-4)
    y, x = np.rint(middle).astype(int).T
    assert disc()[y, x].all()


@pytest.mark.parametrize("shape", [(200, 300), (1436, 2152)])
def test_curves_stay_in_the_budget_and_inside_the_mask(shape: tuple[int, int]) -> None:
    everything = np.ones(shape, dtype=bool)
    curves = trajectory_curves(Moving(half=(0.0, 0.0)), everything)
    assert 1_000 < len(curves.segments) <= 10_000
    points = grid_points(disc(), 1250)
    assert disc()[tuple(points.T)].all()
    assert len(points) > 100


def test_a_small_budget_is_kept_too() -> None:
    assert 1 <= len(grid_points(np.ones((500, 40), bool), 7)) <= 7


def test_a_region_between_the_grid_points_is_shown_by_one_curve() -> None:
    mask = np.zeros((200, 300), bool)
    mask[100:102, 101:103] = True
    points = grid_points(mask, 1250)
    assert len(points) == 1
    assert mask[tuple(points[0])]


def test_nothing_blurred_gives_a_layer_that_shows_nothing_but_can_be_filled_later() -> None:
    none = trajectory_curves(Moving(half=(0.0, 7.0)), np.zeros((200, 300), bool))
    made = trajectories_layer(source(), (200, 300), none)
    layer = Vectors(made.data, **made.keywords)
    assert len(layer.data) == 1
    assert not layer.data.any()


def test_the_layers_of_a_frame_have_the_axes_of_their_stack() -> None:
    frame = source((5, 200, 300))
    curves = trajectory_curves(Moving(half=(0.0, 7.0)), disc())
    made = [
        restored_layer(frame, np.zeros((200, 300)), {}),
        probability_layer(frame, np.zeros((200, 300), np.float32)),
        mask_layer(frame, disc()),
    ]
    assert [layer.data.shape for layer in made] == [(1, 200, 300)] * 3
    vectors = trajectories_layer(frame, (200, 300), curves)
    assert vectors.data.shape[1:] == (2, 3)
    assert not vectors.data[..., 0].any()
    assert Vectors(vectors.data, **vectors.keywords).translate[0] == 2


def test_every_keyword_is_one_that_napari_takes() -> None:
    picture = source()
    restored = restored_layer(picture, np.zeros((200, 300)), {"model": "x"})
    assert Image(restored.data, **restored.keywords).metadata == {"m2aenet": {"model": "x"}}
    probability = probability_layer(picture, np.zeros((200, 300), np.float32))
    assert not Image(probability.data, **probability.keywords).visible
    mask = mask_layer(picture, disc())
    labels = Labels(mask.data, **mask.keywords)
    assert labels.name == "blur mask: ball"
    assert set(np.unique(labels.data)) == {0, 1}
