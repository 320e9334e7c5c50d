from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_m2aenet.placement import Placement

SPATIAL = {"scale": (3.0, 0.5, 0.25), "translate": (10.0, -2.0, 7.0), "shear": (0.1, 0.2, 0.3)}
AFFINE = np.array([[1, 0.2, 0, 4], [0, 1, 0, 0], [0, 0.1, 2, -3], [0, 0, 0, 1]])


def stack_layer() -> Image:
    return Image(
        np.zeros((5, 6, 7)),
        rotate=(20, 30, 40),
        affine=AFFINE,
        units=("s", "um", "um"),
        axis_labels=("t", "y", "x"),
        **SPATIAL,
    )


def test_a_copy_with_the_keywords_lies_where_the_layer_lies() -> None:
    layer = stack_layer()
    copy = Image(np.zeros((5, 6, 7)), **Placement.of_layer(layer).keywords())
    assert copy.units == layer.units
    assert copy.axis_labels == layer.axis_labels
    np.testing.assert_allclose(copy.affine.affine_matrix, layer.affine.affine_matrix)
    for point in np.eye(3):
        np.testing.assert_allclose(copy.data_to_world(point), layer.data_to_world(point))


@pytest.mark.parametrize("frame", [0, 1, 4])
def test_a_frame_lies_where_it_lies_in_its_stack(frame: int) -> None:
    stack = stack_layer()
    single = Image(np.zeros((1, 6, 7)), **Placement.of_layer(stack, (frame,)).keywords())
    for y, x in [(0, 0), (5, 0), (2, 6)]:
        np.testing.assert_allclose(single.data_to_world((0, y, x)), stack.data_to_world((frame, y, x)), atol=1e-9)


def test_a_thinned_part_of_a_frame_lies_where_its_pixels_lie() -> None:
    stack = stack_layer()
    part = Image(np.zeros((1, 2, 2)), **Placement.of_layer(stack, (2,)).keywords(corner=(1, 3), step=2))
    for y, x in [(0, 0), (1, 0), (0, 1)]:
        np.testing.assert_allclose(
            part.data_to_world((0, y, x)), stack.data_to_world((2, 1 + 2 * y, 3 + 2 * x)), atol=1e-9
        )


def test_a_film_of_a_frame_lies_where_the_frame_lies() -> None:
    stack = stack_layer()
    film = Image(np.zeros((9, 1, 6, 7)), **Placement.of_layer(stack, (2,)).keywords_with_axis("exposure"))
    assert film.axis_labels == ("exposure", "t", "y", "x")
    assert film.units[1:] == stack.units
    for y, x in [(0, 0), (5, 0), (2, 6)]:
        place = film.data_to_world((4, 0, y, x))
        assert place[0] == 4
        np.testing.assert_allclose(place[1:], stack.data_to_world((2, y, x)), atol=1e-9)


def test_a_place_in_the_world_is_a_pixel_of_its_frame_only() -> None:
    stack = stack_layer()
    placement = Placement.of_layer(stack, (2,))
    for y, x in [(0, 0), (5, 0), (2, 6)]:
        assert placement.pixel_at(stack.data_to_world((2, y, x))) == (y, x)
        assert placement.pixel_at((7.0, *stack.data_to_world((2, y, x)))) == (y, x)
        assert placement.pixel_at(stack.data_to_world((3, y, x))) is None


def test_steps_in_pixels_are_steps_in_the_world() -> None:
    stack = stack_layer()
    steps = Placement.of_layer(stack, (2,)).world_steps(np.array([(1.0, 0.0), (0.0, 1.0)]))
    origin = np.array(stack.data_to_world((2, 0, 0)))
    np.testing.assert_allclose(steps[0], stack.data_to_world((2, 1, 0)) - origin, atol=1e-9)
    np.testing.assert_allclose(steps[1], stack.data_to_world((2, 0, 1)) - origin, atol=1e-9)


def test_the_unit_is_that_of_the_picture() -> None:
    assert Placement.of_layer(stack_layer()).unit == "µm"
    assert Placement.of_layer(Image(np.zeros((4, 4)))).unit == ""
    assert Placement.of_layer(Image(np.zeros((4, 4)), units=("um", "mm"))).unit == ""


def test_the_point_of_a_frame_shows_that_frame_and_what_else_is_shown() -> None:
    stack = stack_layer()
    placement = Placement.of_layer(stack, (2,))
    np.testing.assert_allclose(placement.point((0.0, 0.0, 0.0)), stack.data_to_world((2, 0, 0)))
    np.testing.assert_allclose(placement.point((7.0, 0.0, 0.0, 0.0)), (7.0, *stack.data_to_world((2, 0, 0))))


def test_a_placement_follows_its_layer_and_keeps_the_frame() -> None:
    stack = stack_layer()
    placement = Placement.of_layer(stack, (2,))
    assert not placement.follow(stack)
    stack.scale, stack.rotate = (3, 2, 2), (0, 0, 70)
    assert placement.follow(stack)
    single = Image(np.zeros((1, 6, 7)), **placement.keywords())
    np.testing.assert_allclose(single.data_to_world((0, 5, 6)), stack.data_to_world((2, 5, 6)))
    assert not placement.follow(stack)
    assert not placement.follow(Image(np.zeros((6, 7))))  # of another number of axes now
