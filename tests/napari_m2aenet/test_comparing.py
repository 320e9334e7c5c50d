from __future__ import annotations

import math

import numpy as np
import pytest

from m2aenet_core.metrics import psnr, ssim_in, ssim_map
from napari_m2aenet.comparing import (
    LEAST_CONTRAST,
    Box,
    DifferenceKind,
    Likeness,
    Line,
    Piece,
    difference,
    line_segments,
    photo_side,
    reference_scores,
    rescaled,
    table_html,
)

RNG = np.random.default_rng(3)
PHOTO = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)


def painted(piece: Piece | None, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels that a piece covers, as the viewer would draw it: each pixel a square of `step`."""
    canvas = np.zeros(shape[:2], bool)
    if piece is not None:
        top, left = (round(at - (piece.step - 1) / 2) for at in piece.corner)
        rows, columns = (count * piece.step for count in piece.pixels.shape[:2])
        canvas[top : top + rows, left : left + columns] = True
    return canvas


@pytest.mark.parametrize("cut", [0, 1, 17, 60])
def test_at_rest_the_photo_side_is_every_pixel_before_an_upright_line(cut: int) -> None:
    piece = photo_side(PHOTO, Line.UPRIGHT, cut)
    assert painted(piece, PHOTO.shape).sum() == 40 * cut
    if piece is not None:
        np.testing.assert_array_equal(piece.pixels, PHOTO[:, :cut])


def test_a_level_line_has_the_photo_above_it() -> None:
    piece = photo_side(PHOTO, Line.LEVEL, 11)
    assert piece is not None
    np.testing.assert_array_equal(piece.pixels, PHOTO[:11])


@pytest.mark.parametrize("cut", [13, 23, 24, 41])
def test_while_the_line_moves_few_pixels_stand_for_what_is_seen_and_none_crosses_the_line(cut: int) -> None:
    box = Box(4, 6, 36, 58)
    piece = photo_side(PHOTO, Line.UPRIGHT, cut, box, max_pixels=100)
    assert piece is not None
    assert piece.pixels.shape[0] * piece.pixels.shape[1] <= 100
    covered = painted(piece, PHOTO.shape)
    assert not covered[:, cut:].any()
    assert covered[4 : 36 - piece.step, 6 : cut - piece.step].all()
    middle = (piece.step - 1) // 2
    np.testing.assert_array_equal(piece.pixels[0, 0], PHOTO[4 + middle, 6 + middle])


def test_the_pixels_of_a_moving_piece_keep_their_places() -> None:
    corners = {photo_side(PHOTO, Line.UPRIGHT, cut, Box(0, 0, 40, 60), 200)[1:] for cut in range(20, 60)}  # type: ignore[index]
    assert len(corners) == 1


def test_the_line_lies_between_two_pixels_and_spans_the_photo() -> None:
    upright = line_segments((40, 60), Line.UPRIGHT, 17, 2)
    np.testing.assert_array_equal(upright[0], [[-0.5, 16.5], [40, 0]])
    level = line_segments((40, 60), Line.LEVEL, 17, 2)
    np.testing.assert_array_equal(level[0], [[16.5, -0.5], [0, 60]])


def test_a_signed_difference_is_even_around_zero_and_a_magnitude_starts_there() -> None:
    photo = np.full((8, 8, 3), 100, np.uint8)
    restored = photo.copy()
    restored[2, 3] = [130, 100, 100]
    signed = difference(photo, restored, DifferenceKind.SIGNED, (0, 255))
    assert signed.values[2, 3] == 10
    assert signed.limits == (-10, 10)
    size = difference(photo, restored, DifferenceKind.MAGNITUDE, (0, 255))
    assert (size.values[2, 3], size.values.sum(), size.limits) == (30, 30, (0, 30))


def test_a_difference_of_a_rounding_is_not_stretched_to_full_colour() -> None:
    photo = np.full((8, 8), 1000, np.uint16)
    restored = photo + np.uint16(1)
    limits = difference(photo, restored, DifferenceKind.SIGNED, (0, 4095)).limits
    assert limits[1] == pytest.approx(LEAST_CONTRAST * 4095)
    assert difference(photo, photo, DifferenceKind.MAGNITUDE, (0, 4095)).limits[1] > 0


def test_the_figures_are_those_of_the_metrics() -> None:
    reference = np.clip(PHOTO.astype(int) + RNG.integers(-9, 9, PHOTO.shape), 0, 255).astype(np.uint8)
    restored = np.where(RNG.random(PHOTO.shape) < 0.5, PHOTO, reference)
    mask = np.zeros(PHOTO.shape[:2], bool)
    mask[5:30, 10:40] = True
    scores = reference_scores(PHOTO, restored, reference, mask, (0, 255))
    for regions, region in ((scores.everywhere, None), (scores.inside, mask), (scores.outside, ~mask)):
        for found, image in ((regions.photo, PHOTO), (regions.restored, restored)):
            assert found == Likeness(psnr(image, reference, region), ssim_in(ssim_map(image, reference), region))


def test_an_empty_mask_and_an_equal_picture_can_be_told_too() -> None:
    scores = reference_scores(PHOTO, PHOTO, PHOTO, np.zeros(PHOTO.shape[:2], bool), (0, 255))
    assert math.isnan(scores.inside.photo.psnr_db)
    assert scores.outside.restored.psnr_db == math.inf
    assert "∞" in table_html(scores)
    assert "–" in table_html(scores)


def test_a_reference_of_another_type_is_brought_to_the_photos_values() -> None:
    grey = np.array([[0, 255]], np.uint8)
    np.testing.assert_array_equal(rescaled(grey, None, (100, 610)), [[100, 610]])
