from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points

from m2aenet_core.errors import InputError
from napari_m2aenet.source import frame_at, shown_range, source_of_layer


def test_a_plain_picture_is_taken_whole(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    source = source_of_layer(Image(pixels, name="street", rgb=True))
    assert (source.name, source.rgb, source.placement.frame, source.value_range) == ("street", True, (), None)
    np.testing.assert_array_equal(source.read(), pixels)


def test_what_was_read_does_not_change_when_the_layer_does() -> None:
    layer = Image(np.zeros((4, 4)))
    pixels = source_of_layer(layer).read()
    layer.data[:] = 1
    assert not pixels.any()


@pytest.mark.parametrize("frame", [0, 2, 4])
def test_the_frame_that_is_shown_is_taken(frame: int) -> None:
    viewer = ViewerModel()
    stack = np.arange(5)[:, None, None] * np.ones((5, 6, 7))
    layer = viewer.add_image(stack, scale=(2.0, 1.0, 1.0), translate=(30.0, 0.0, 0.0))
    viewer.dims.set_point(0, 30.0 + 2.0 * frame)
    source = source_of_layer(layer, viewer.dims.point)
    assert source.placement.frame == (frame,)
    assert np.unique(source.read()) == [frame]


def test_a_frame_of_a_stack_with_two_leading_axes_and_colour(rng: np.random.Generator) -> None:
    viewer = ViewerModel()
    stack = rng.integers(0, 256, (2, 3, 8, 9, 3), dtype=np.uint8)
    layer = viewer.add_image(stack, rgb=True)
    viewer.dims.current_step = (1, 2, 0, 0)
    source = source_of_layer(layer, viewer.dims.point)
    np.testing.assert_array_equal(source.read(), stack[1, 2])


def test_where_a_stack_shows_nothing_the_sentence_says_so() -> None:
    layer = Image(np.zeros((5, 6, 7)), name="film")
    with pytest.raises(InputError, match=r"“film” shows nothing here; move the slider .* 5 frames"):
        frame_at(layer, (9, 0, 0))


def test_only_the_shown_frame_of_a_dask_array_is_computed() -> None:
    computed: list[int] = []

    def load(block_info: dict) -> np.ndarray:
        frame = block_info[None]["chunk-location"][0]
        computed.append(frame)
        return np.full((1, 4, 5), frame, dtype=np.uint8)

    lazy = da.map_blocks(load, chunks=((1,) * 6, (4,), (5,)), dtype=np.uint8, meta=np.zeros((0, 0, 0), np.uint8))
    layer = Image(lazy, contrast_limits=(0, 255))
    source = source_of_layer(layer, (3, 0, 0))
    computed.clear()
    assert np.unique(source.read()) == [3]
    assert computed == [3]


def test_the_finest_level_of_a_pyramid_is_taken(rng: np.random.Generator) -> None:
    finest = rng.random((16, 20))
    layer = Image([finest, finest[::2, ::2]], multiscale=True)
    np.testing.assert_array_equal(source_of_layer(layer).read(), finest)


@pytest.mark.parametrize(
    "layer", [Labels(np.zeros((4, 4), np.uint8), name="cells"), Points(np.zeros((1, 2)), name="cells")]
)
def test_a_layer_that_is_no_image_is_refused_in_a_sentence(layer: object) -> None:
    with pytest.raises(InputError, match="“cells” is not an image layer; choose an image layer"):
        source_of_layer(layer)


def test_an_empty_layer_is_refused_in_a_sentence() -> None:
    layer = Image(np.zeros((0, 6, 7)), name="nothing", contrast_limits=(0, 1))
    with pytest.raises(InputError, match=r"“nothing” is empty \(0 × 6 × 7\); choose a layer that holds a picture"):
        source_of_layer(layer)


def test_a_micrograph_is_seen_as_it_is_shown() -> None:
    dim = Image(np.full((4, 4), 300, np.uint16), contrast_limits=(100, 900))
    assert shown_range(dim) == (100.0, 900.0)
    assert shown_range(Image(np.zeros((4, 4), np.uint8), contrast_limits=(10, 20))) is None
    assert shown_range(Image(np.zeros((4, 4, 3), np.uint16), rgb=True)) is None


def test_another_frame_of_the_same_layer_is_another_picture() -> None:
    layer = Image(np.zeros((5, 6, 7)))
    first, again, second = (source_of_layer(layer, (frame, 0, 0)) for frame in (1, 1, 2))
    assert first.is_same_picture(again)
    assert not first.is_same_picture(second)
    assert not first.is_same_picture(None)
