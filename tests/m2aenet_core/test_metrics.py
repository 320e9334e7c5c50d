"""Metrics against another implementation and cases worked by hand."""

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from m2aenet_core.metrics import (
    ROC_BINS,
    count_probabilities,
    displacement_error,
    mask_iou,
    mask_scores,
    psnr,
    roc_curve,
    ssim_in,
    ssim_map,
)


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


def test_psnr_w_is_the_published_formula(rng: np.random.Generator) -> None:
    truth, prediction = rng.integers(0, 256, (2, 20, 30, 3), np.uint8)
    mask = rng.random((20, 30)) > 0.7
    p, g, m = prediction / 255, truth / 255, mask[..., None].astype(float)
    formula = 10 * math.log10(1 / (((p - g) ** 2 * m).sum() / (3 * m.sum())))
    assert psnr(prediction, truth, mask) == pytest.approx(formula)


def photos(rng: np.random.Generator, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A photo and a noisy copy."""
    truth = photo[:90, :120]
    return np.clip(truth + rng.normal(0, 20, truth.shape), 0, 255).astype(np.uint8), truth


def test_ssim_and_its_map_agree_with_scikit_image(rng: np.random.Generator, photo: np.ndarray) -> None:
    prediction, truth = photos(rng, photo)
    mean, full = structural_similarity(
        truth / 255,
        prediction / 255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
    )
    similarity = ssim_map(prediction, truth)
    assert similarity.shape == (80, 110, 3)
    np.testing.assert_allclose(similarity, full[5:-5, 5:-5], atol=1e-9)
    assert ssim_in(similarity) == pytest.approx(mean)


def test_ssim_of_one_window_is_the_textbook_formula(rng: np.random.Generator) -> None:
    first, second = rng.integers(0, 256, (2, 11, 11, 3), np.uint8)
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = np.outer(axis, axis)[..., None]
    weights /= weights.sum()
    x, y = first / 255, second / 255
    mean_x, mean_y = ((weights * image).sum(axis=(0, 1)) for image in (x, y))
    variance_x, variance_y = (
        (weights * (image - mean) ** 2).sum(axis=(0, 1)) for image, mean in ((x, mean_x), (y, mean_y))
    )
    covariance = (weights * (x - mean_x) * (y - mean_y)).sum(axis=(0, 1))
    expected = ((2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)) / (
        (mean_x**2 + mean_y**2 + 1e-4) * (variance_x + variance_y + 9e-4)
    )
    np.testing.assert_allclose(ssim_map(first, second)[0, 0], expected)


def test_ssim_of_two_plain_colours_is_worked_by_hand() -> None:
    black, grey = np.zeros((15, 15, 3), np.uint8), np.full((15, 15, 3), 51, np.uint8)
    # no variance: (2 * 0 * 0.2 + 0.0001) / (0 + 0.04 + 0.0001)
    np.testing.assert_allclose(ssim_map(grey, black), 0.0001 / 0.0401)
    assert ssim_in(ssim_map(grey, grey)) == pytest.approx(1)


def test_ssim_w_is_the_mean_of_the_map_in_the_mask_without_its_border(
    rng: np.random.Generator, photo: np.ndarray
) -> None:
    similarity = ssim_map(*photos(rng, photo))
    mask = np.zeros((90, 120), bool)
    mask[:8, :20] = True
    # rows 5 to 7 and columns 5 to 19 of the image are rows 0 to 2 and columns 0 to 14 of the map
    assert ssim_in(similarity, mask) == pytest.approx(similarity[:3, :15].mean())
    assert ssim_in(similarity, np.ones((90, 120), bool)) == pytest.approx(ssim_in(similarity))


def test_a_mask_that_lies_in_the_border_alone_has_no_ssim(rng: np.random.Generator, photo: np.ndarray) -> None:
    mask = np.zeros((90, 120), bool)
    mask[:5] = True
    similarity = ssim_map(*photos(rng, photo))
    assert math.isnan(ssim_in(similarity, mask))
    assert math.isnan(ssim_in(similarity, np.zeros((90, 120), bool)))


@pytest.mark.parametrize("size", [(10, 40), (40, 10), (3, 3)])
def test_an_image_smaller_than_the_window_has_no_ssim(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    assert math.isnan(ssim_in(ssim_map(image, image)))
    assert math.isnan(ssim_in(ssim_map(image, image), np.ones(size, bool)))


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


def test_precision_and_recall_are_counted() -> None:
    found, truth = np.zeros((2, 4, 4), bool)
    found[0], truth[:2, :2] = True, True
    # 4 found, 4 blurred, 2 of them in common
    assert mask_scores(found, truth) == (2 / 6, 2 / 4, 2 / 4)
    assert mask_scores(truth, truth) == (1, 1, 1)


def test_precision_needs_something_found_and_recall_something_blurred() -> None:
    nothing, everything = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    iou, precision, recall = mask_scores(nothing, everything)
    assert (iou, recall) == (0, 0)
    assert math.isnan(precision)
    iou, precision, recall = mask_scores(everything, nothing)
    assert (iou, precision) == (0, 0)
    assert math.isnan(recall)


def test_the_area_under_the_curve_is_the_mann_whitney_statistic(rng: np.random.Generator) -> None:
    # in the middles of the bins, so that counting loses nothing
    probability = ((rng.integers(0, ROC_BINS, (40, 50)) + 0.5) / ROC_BINS).astype(np.float32)
    mask = rng.random((40, 50)) < probability
    statistic = mannwhitneyu(probability[mask], probability[~mask]).statistic
    area = roc_curve(count_probabilities(probability, mask)).area
    assert area == pytest.approx(statistic / (mask.sum() * (~mask).sum()))


def test_a_roc_curve_by_hand() -> None:
    probability = np.array([[0.9, 0.8, 0.3, 0.1]], np.float32)
    mask = np.array([[True, False, True, False]])
    curve = roc_curve(count_probabilities(probability, mask))
    assert curve.area == pytest.approx(3 / 4)
    corners = set(zip(curve.false_positive_rate, curve.true_positive_rate, strict=True))
    assert corners == {(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)}


def test_a_perfect_finder_has_area_one_and_a_constant_one_a_half() -> None:
    mask = np.arange(100).reshape(10, 10) < 30
    assert roc_curve(count_probabilities(mask.astype(np.float32), mask)).area == 1
    assert roc_curve(count_probabilities(1 - mask.astype(np.float32), mask)).area == 0
    assert roc_curve(count_probabilities(np.full((10, 10), 0.7, np.float32), mask)).area == pytest.approx(0.5)


@pytest.mark.parametrize("value", [True, False])
def test_there_is_no_curve_without_both_kinds_of_pixels(value: bool) -> None:
    mask = np.full((10, 10), value)
    assert math.isnan(roc_curve(count_probabilities(np.full((10, 10), 0.7, np.float32), mask)).area)


def test_counts_of_several_photos_add_up(rng: np.random.Generator) -> None:
    probability = rng.random((2, 30, 30), np.float32)
    mask = rng.random((2, 30, 30)) > 0.4
    apart = sum(count_probabilities(probability[index], mask[index]) for index in range(2))
    assert np.array_equal(apart, count_probabilities(probability, mask))


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
