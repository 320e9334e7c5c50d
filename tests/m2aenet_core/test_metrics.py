"""Metrics against another implementation and cases worked by hand."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from m2aenet_core.metrics import displacement_error, mask_iou, psnr


def test_psnr_agrees_with_scikit_image(rng: np.random.Generator) -> None:
    truth, prediction = rng.integers(0, 256, (2, 20, 30, 3), np.uint8)
    assert psnr(prediction, truth) == pytest.approx(peak_signal_noise_ratio(truth, prediction))


def test_psnr_in_a_mask_is_that_of_the_pixels_in_it(rng: np.random.Generator) -> None:
    truth, prediction = rng.integers(0, 256, (2, 20, 30, 3), np.uint8)
    mask = np.zeros((20, 30), bool)
    mask[3:9, 4:20] = True
    expected = peak_signal_noise_ratio(truth[3:9, 4:20], prediction[3:9, 4:20])
    assert psnr(prediction, truth, mask) == pytest.approx(expected)


def test_a_difference_of_one_level_is_48_decibels() -> None:
    truth = np.full((4, 4, 3), 100, np.uint8)
    # 10 log10(255^2); taken in uint8, 99 - 100 would wrap around
    assert psnr(truth - 1, truth) == pytest.approx(48.1308, abs=1e-4)


def test_equal_images_are_infinitely_close_and_an_empty_mask_has_no_psnr() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    assert psnr(image, image) == math.inf
    assert math.isnan(psnr(image, image, np.zeros((4, 4), bool)))


def test_overlap_of_two_masks() -> None:
    first, second = np.zeros((2, 4, 4), bool)
    first[:2] = True
    second[1:3] = True
    assert mask_iou(first, second) == pytest.approx(4 / 12)
    assert mask_iou(first, first) == 1
    assert mask_iou(first, ~first) == 0


def test_two_empty_masks_agree() -> None:
    nothing = np.zeros((4, 4), bool)
    assert mask_iou(nothing, nothing) == 1
    assert mask_iou(nothing, ~nothing) == 0


def fields(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    start, end = rng.normal(size=(2, 6, 7, 2)).astype(np.float32)
    return start, end


def test_the_mean_distance_of_both_ends_counts_in_the_mask_alone() -> None:
    true_end = np.zeros((6, 7, 2), np.float32)
    true_end[..., 1] = 10
    wrong_end = true_end + np.array([3, 4], np.float32)
    mask = np.zeros((6, 7), bool)
    mask[2, 3] = True
    far = wrong_end.copy()
    far[~mask] = 1000
    assert displacement_error(-true_end, far, -true_end, true_end, mask) == pytest.approx(5 / 2)


def test_each_pixel_may_run_backwards_in_time(rng: np.random.Generator) -> None:
    start, end = fields(rng)
    swap = rng.random((6, 7, 1)) > 0.5
    everywhere = np.ones((6, 7), bool)
    assert displacement_error(np.where(swap, end, start), np.where(swap, start, end), start, end, everywhere) == 0
    assert displacement_error(start, start, start, end, everywhere) > 0


def test_no_mask_no_error(rng: np.random.Generator) -> None:
    start, end = fields(rng)
    assert math.isnan(displacement_error(start, end, start, end, np.zeros((6, 7), bool)))
