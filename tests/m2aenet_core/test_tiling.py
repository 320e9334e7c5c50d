"""Rectangles that cover a photo, and rectangles that hold its blur."""

import itertools

import numpy as np
import pytest

from m2aenet_core.tiling import Box, blurred_regions, feather, plan_tiles

MULTIPLE = 16


@pytest.mark.parametrize("tile", [192, 250, 256, 400])
@pytest.mark.parametrize("overlap", [0, 32, 96])
def test_tiles_cover_the_photo_aligned_and_no_larger_than_asked(tile: int, overlap: int) -> None:
    for height, width in itertools.product((16, 96, 320, 336, 1008), (16, 208, 464)):
        boxes = plan_tiles(height, width, tile, overlap, MULTIPLE)
        covered = np.zeros((height, width), int)
        for box in boxes:
            assert all(number % MULTIPLE == 0 for number in box)
            assert 0 <= box.top <= box.bottom <= height
            assert 0 <= box.left <= box.right <= width
            assert max(box.height, box.width) <= tile
            covered[box.top : box.bottom, box.left : box.right] += 1
        assert covered.min() == 1
        assert len(set(boxes)) == len(boxes)


@pytest.mark.parametrize("overlap", [32, 96])
@pytest.mark.parametrize("length", range(208, 1600, 112))
def test_neighbouring_tiles_overlap_by_at_least_what_was_asked(length: int, overlap: int) -> None:
    boxes = plan_tiles(length, 16, 208, overlap, MULTIPLE)
    for first, second in itertools.pairwise(boxes):
        assert first.bottom - second.top >= overlap


@pytest.mark.parametrize("multiple", [64, 128, 256])
def test_tiles_overlap_where_the_overlap_is_no_multiple_of_their_positions(multiple: int) -> None:
    for length in range(multiple, 40 * multiple, multiple):
        boxes = plan_tiles(length, multiple, 4 * multiple, 96, multiple)
        assert boxes[-1].bottom == length
        for first, second in itertools.pairwise(boxes):
            assert first.bottom - second.top >= 96


def test_a_photo_no_larger_than_a_tile_is_one_tile() -> None:
    assert plan_tiles(192, 256, 256, 96, 16) == [Box(0, 0, 192, 256)]


def test_a_tile_is_never_smaller_than_two_overlaps() -> None:
    boxes = plan_tiles(480, 16, 1, 96, 16)
    assert {box.height for box in boxes} == {192}


@pytest.mark.parametrize("overlap", [32, 96])
def test_feathered_weights_of_tiles_leave_no_hole_and_sum_to_one_where_two_overlap_exactly(overlap: int) -> None:
    height, width = 192 + (192 - overlap), 192
    boxes = plan_tiles(height, width, 192, overlap, 16)
    assert len(boxes) == 2
    total = np.zeros((height, width))
    for box in boxes:
        total[box.top : box.bottom, box.left : box.right] += feather(box, height, width, overlap)
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_weights_are_one_inside_and_at_the_photos_border_and_fall_towards_inner_edges() -> None:
    weight = feather(Box(0, 32, 64, 64), 64, 160, 16)
    assert weight.shape == (64, 64)
    assert weight.dtype == np.float32
    assert (weight[:, 16:48] == 1).all()  # top and bottom are the photo's own
    assert (np.diff(weight[0, :16]) > 0).all()
    assert (np.diff(weight[0, 48:]) < 0).all()
    assert 0 < weight.min() < 0.05


def far_masks() -> dict[str, np.ndarray]:
    masks = {name: np.zeros((40, 50), bool) for name in ("one", "two far", "two near", "corner", "diagonal", "ring")}
    masks["one"][20:23, 30:34] = True
    masks["two far"][3:5, 3:5] = masks["two far"][35:37, 44:47] = True
    masks["two near"][20:22, 20:22] = masks["two near"][20:22, 25:27] = True
    masks["corner"][0, 0] = masks["corner"][39, 49] = True
    masks["diagonal"][np.arange(40), np.arange(40)] = True
    masks["ring"][5:35, 5:45] = True
    masks["ring"][8:32, 8:42] = False
    masks["random"] = np.random.default_rng(0).random((40, 50)) > 0.98
    masks["full"] = np.ones((40, 50), bool)
    return masks


@pytest.mark.parametrize("name", far_masks())
def test_regions_hold_every_blurred_cell_with_its_halo(name: str) -> None:
    mask, cell, halo = far_masks()[name], 8, 32
    boxes = blurred_regions(mask, cell, halo, MULTIPLE)
    for y, x in np.argwhere(mask) * cell:
        top, left = max(0, y - halo), max(0, x - halo)
        bottom, right = min(40 * cell, y + cell + halo), min(50 * cell, x + cell + halo)
        assert any(box.top <= top and box.left <= left and box.bottom >= bottom and box.right >= right for box in boxes)
    for box in boxes:
        assert all(number % MULTIPLE == 0 for number in box)
        assert 0 <= box.top < box.bottom <= 40 * cell
        assert 0 <= box.left < box.right <= 50 * cell
        assert mask[box.top // cell : box.bottom // cell, box.left // cell : box.right // cell].any()


def test_blur_far_apart_makes_regions_of_their_own_and_blur_nearby_one() -> None:
    masks = far_masks()
    assert len(blurred_regions(masks["two far"], 8, 32, MULTIPLE)) == 2
    assert len(blurred_regions(masks["two near"], 8, 32, MULTIPLE)) == 1


def test_no_two_regions_would_be_cheaper_as_one() -> None:
    for mask in far_masks().values():
        for first, second in itertools.combinations(blurred_regions(mask, 8, 32, MULTIPLE), 2):
            height = max(first.bottom, second.bottom) - min(first.top, second.top)
            width = max(first.right, second.right) - min(first.left, second.left)
            assert height * width > first.area + second.area


def test_no_blur_no_regions() -> None:
    assert blurred_regions(np.zeros((10, 10), bool), 8, 32, MULTIPLE) == []


def test_a_box_knows_its_edges_and_its_area() -> None:
    box = Box(2, 3, 10, 20)
    assert (box.bottom, box.right, box.area) == (12, 23, 200)
