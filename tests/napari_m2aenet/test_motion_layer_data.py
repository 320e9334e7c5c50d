"""The layers about motion, as napari takes them: of a frame of a stack, where that frame lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Points

from napari_m2aenet.layer_data import LayerData
from napari_m2aenet.motion_layer_data import (
    POINT_SCREEN_PX,
    MotionRole,
    difference_layer,
    film_layer,
    overview_layer,
    pins_layer,
    probe_layer,
    reblurred_layer,
)
from napari_m2aenet.motion_wheel import Overview
from napari_m2aenet.probes import Pin, Probe
from napari_m2aenet.source import Source, source_of_layer

FRAME = 2


@pytest.fixture
def stack() -> Image:
    data = np.random.default_rng(0).integers(300, 4000, (5, 20, 30)).astype(np.uint16)
    return Image(data, name="cells", scale=(3, 0.5, 0.5), translate=(1, 2, 3), units=("s", "um", "um"))


@pytest.fixture
def source(stack: Image) -> Source:
    return source_of_layer(stack, stack.data_to_world((FRAME, 0, 0)))


def probe(source: Source) -> Probe:
    positions = np.stack([np.full(9, 5), np.linspace(2, 10, 9)], axis=1).astype(np.float32)
    return Probe("cells", source.key, source.placement.frame, 5, 6, positions, 0.9, None, "")


def made(layer: LayerData) -> Any:
    return {"image": Image, "points": Points}[layer.kind](layer.data, **layer.keywords)


def test_pictures_lie_where_the_frame_lies(stack: Image, source: Source) -> None:
    pictures = [
        overview_layer(source, Overview(np.zeros((20, 30, 4), np.uint8), 5.0)),
        reblurred_layer(source, stack.data[FRAME]),
        difference_layer(source, np.zeros((20, 30), np.float32)),
    ]
    for picture in map(made, pictures):
        np.testing.assert_allclose(picture.data_to_world((0, 7, 9)), stack.data_to_world((FRAME, 7, 9)))
        assert picture.units == stack.units
    assert made(pictures[1]).contrast_limits == stack.contrast_limits
    assert not made(pictures[1]).visible


def test_a_coarse_overview_covers_the_photo(stack: Image, source: Source) -> None:
    coarse = made(overview_layer(source, Overview(np.zeros((7, 10, 4), np.uint8), 5.0, step=3)))
    np.testing.assert_allclose(coarse.data_to_world((0, 2, 4)), stack.data_to_world((FRAME, 7, 13)))


def test_a_film_keeps_the_frame_and_gets_an_axis_of_its_own(stack: Image, source: Source) -> None:
    frames = np.repeat(stack.data[FRAME][None], 9, axis=0)
    film = made(film_layer(source, frames, {"film": {"instants": 9}}))
    assert (film.data.shape, film.data.dtype) == ((9, 1, 20, 30), np.uint16)
    assert film.axis_labels[0] == "exposure"
    assert film.contrast_limits == stack.contrast_limits
    place = film.data_to_world((6, 0, 7, 9))
    assert place[0] == 6
    np.testing.assert_allclose(place[1:], stack.data_to_world((FRAME, 7, 9)))


def test_where_there_is_no_difference_the_picture_is_seen(source: Source) -> None:
    layer = made(difference_layer(source, np.zeros((20, 30), np.float32)))
    clear, _, _, strong = layer.colormap.map(np.array([0, 0.3, 0.6, 1.0]))
    assert clear[3] == 0
    assert strong[3] == 1


def test_probes_are_points_on_the_frame_coloured_by_time(stack: Image, source: Source) -> None:
    points = made(probe_layer(source, probe(source), px_per_screen_px=2.0))
    np.testing.assert_allclose(points.data_to_world((0, 5, 6)), stack.data_to_world((FRAME, 5, 6)))
    np.testing.assert_allclose(points.data[:, 1:], probe(source).positions)
    np.testing.assert_allclose(points.face_color[[0, -1], :3], [(0, 1, 1), (1, 0, 1)])
    assert (points.size == 2 * POINT_SCREEN_PX[MotionRole.PROBE]).all()


def test_pins_carry_their_numbers_in_the_middle(source: Source) -> None:
    points = made(pins_layer(source, [Pin(3, probe(source)), Pin(12, probe(source))], 1.0))
    assert len(points.data) == 18
    assert list(points.text.values) == [*([""] * 4), "3", *([""] * 8), "12", *([""] * 4)]
