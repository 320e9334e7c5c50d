"""The figures of a photo, where they can be worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from m2aenet_core.evaluation.contender import AsItCame, Contender
from m2aenet_core.evaluation.scores import (
    NO_SHARP_PHOTO,
    PSNR_CEILING_DB,
    PhotoScores,
    Score,
    closeness,
    restore_sharp_photo,
    score_photo,
)
from m2aenet_core.evaluation.truth import TrueMotion, Truth

Painter = Callable[..., Contender]


def scored(contender: Contender, truth: Truth, sweep: tuple[float, ...] = (), threshold: float = 0.5) -> PhotoScores:
    sharp = restore_sharp_photo(contender, truth.photo, threshold)
    return score_photo(contender, truth, closeness(truth.blur, truth), sharp, threshold, sweep)


def test_a_perfect_restoration_reaches_the_ceiling(painter: Painter, truth: Truth) -> None:
    score = scored(painter(truth.sharp, truth.mask.astype(np.float32), truth.motion), truth).scores[0]
    assert score.psnr == score.psnr_w == score.sharp_to_input == score.outside_to_input == PSNR_CEILING_DB
    assert score.ssim == score.ssim_w == pytest.approx(1)
    assert score.mask_iou == score.mask_precision == score.mask_recall == score.mask_auc == 1
    assert score.displacement_error_px == 0
    assert score.blurred_share == score.density == 0.1


def test_each_figure_is_that_worked_by_hand(painter: Painter, truth: Truth) -> None:
    # half of the error inside is left, and two levels are added outside
    painted = truth.sharp + 2
    painted[truth.mask] = 110
    probability = np.full((40, 50), 0.1, np.float32)
    probability[15:25, 25:45] = 0.9
    start = np.zeros((40, 50, 2), np.float32)
    score = scored(painter(painted, probability, TrueMotion(start, start)), truth).scores[0]
    assert score.input_psnr == pytest.approx(10 * math.log10(255**2 / (0.1 * 400)))
    assert score.input_psnr_w == pytest.approx(10 * math.log10(255**2 / 400))
    assert score.psnr == pytest.approx(10 * math.log10(255**2 / (0.1 * 100 + 0.9 * 4)))
    assert score.psnr_w == pytest.approx(10 * math.log10(255**2 / 100))
    assert score.gain_w == pytest.approx(20 * math.log10(2))
    assert score.gain == pytest.approx(10 * math.log10(40 / 13.6))
    assert score.outside_to_input == pytest.approx(10 * math.log10(255**2 / 4))
    # 200 pixels found, 200 blurred, 100 of them in common
    assert (score.mask_iou, score.mask_precision, score.mask_recall) == (100 / 300, 0.5, 0.5)
    # a blurred pixel has 0.9 in a half of the cases, a sharp one in 100 of 1800
    assert score.mask_auc == pytest.approx(0.5 * (1700 / 1800) + 0.5 * 0.5)
    # it finds no motion, where the truth is 3 pixels either way
    assert score.displacement_error_px == pytest.approx(3)
    assert score.density == 0.1
    assert score.sharp_called_blurred == 0.1
    assert score.gmacs == 3
    assert (score.seconds, score.analyze_s, score.restore_s, score.peak_mb) == (1, 0.25, 0.75, 60)


def test_time_may_run_backwards(painter: Painter, truth: Truth) -> None:
    assert truth.motion is not None
    backwards = TrueMotion(truth.motion.end, truth.motion.start)
    assert scored(painter(truth.sharp, None, backwards), truth).scores[0].displacement_error_px == 0


def test_the_photo_as_it_came_gains_nothing_and_harms_nothing(truth: Truth) -> None:
    (score,) = scored(AsItCame(), truth).scores
    assert score.model == "input"
    assert score.gain == score.gain_w == score.gmacs == score.seconds == score.density == 0
    assert score.psnr == score.input_psnr
    assert score.ssim_w == score.input_ssim_w < 1
    assert score.outside_to_input == score.sharp_to_input == PSNR_CEILING_DB
    assert math.isnan(score.mask_iou)
    assert math.isnan(score.sharp_called_blurred)


def test_a_network_that_finds_no_blur_has_no_figures_of_masks(painter: Painter, truth: Truth) -> None:
    result = scored(painter(truth.sharp, None), truth, sweep=(0.2, 0.8))
    score = result.scores[0]
    undefined = {name for name, value in score._asdict().items() if isinstance(value, float) and math.isnan(value)}
    assert undefined == {
        "mask_iou",
        "mask_precision",
        "mask_recall",
        "mask_auc",
        "displacement_error_px",
        "sharp_called_blurred",
    }
    assert score.density == 1
    assert result.counts is None
    assert result.sweep == []


@pytest.mark.parametrize("mask", [None, np.zeros((40, 50), bool)])
def test_without_a_blurred_pixel_weighted_figures_are_not_defined(
    painter: Painter, truth: Truth, mask: np.ndarray | None
) -> None:
    probability = np.zeros((40, 50), np.float32)
    score = scored(painter(truth.sharp, probability, truth.motion), truth._replace(mask=mask)).scores[0]
    assert score.psnr == PSNR_CEILING_DB
    assert score.ssim == pytest.approx(1)
    for name in ("psnr_w", "ssim_w", "input_psnr_w", "gain_w", "mask_auc", "mask_recall", "displacement_error_px"):
        assert math.isnan(getattr(score, name)), name
    # nothing is blurred, and nothing was found; where the mask is not known, that cannot be said
    assert math.isnan(score.mask_iou) if mask is None else score.mask_iou == 1
    assert math.isnan(score.blurred_share) if mask is None else score.blurred_share == 0


def test_where_all_is_blurred_there_is_no_sharp_region(painter: Painter, truth: Truth) -> None:
    everything = np.ones((40, 50), bool)
    score = scored(painter(truth.sharp, everything.astype(np.float32)), truth._replace(mask=everything)).scores[0]
    assert math.isnan(score.outside_to_input)
    assert score.psnr_w == score.psnr
    assert score.mask_iou == 1


def test_without_known_motion_there_is_no_error_of_it(painter: Painter, truth: Truth) -> None:
    score = scored(painter(truth.sharp, None, truth.motion), truth._replace(motion=None)).scores[0]
    assert math.isnan(score.displacement_error_px)


def test_sharp_photos_may_be_left_out(painter: Painter, truth: Truth) -> None:
    contender = painter(truth.sharp, truth.mask.astype(np.float32))
    came = closeness(truth.blur, truth)
    (score,) = score_photo(contender, truth, came, NO_SHARP_PHOTO, 0.5, ()).scores
    assert math.isnan(score.sharp_called_blurred)
    assert math.isnan(score.sharp_to_input)


def test_every_execution_gets_a_row(painter: Painter, truth: Truth) -> None:
    contender = painter(truth.sharp, truth.mask.astype(np.float32), executions=("exact", "adaptive"))
    result = scored(contender, truth, sweep=(0.2, 0.4, 0.8))
    assert [score.execution for score in result.scores] == ["exact", "adaptive"]
    assert [(point.execution, point.threshold) for point in result.sweep] == [
        (execution, threshold) for execution in ("exact", "adaptive") for threshold in (0.2, 0.4, 0.8)
    ]


def test_a_sweep_says_what_each_threshold_finds(painter: Painter, truth: Truth) -> None:
    probability = np.linspace(0, 1, 2000, dtype=np.float32).reshape(40, 50)
    points = scored(painter(truth.blur, probability), truth, sweep=(0.25, 0.75)).sweep
    assert [point.density for point in points] == [0.75, 0.25]
    assert [point.sharp_called_blurred for point in points] == [0.75, 0.25]
    # rows 15 to 24 lie between both thresholds
    assert points[0].mask_iou == pytest.approx(200 / 1500, abs=0.01)
    assert points[1].mask_iou == 0
    assert all(point.gain_w == 0 and point.outside_to_input == PSNR_CEILING_DB for point in points)


def test_a_row_has_no_figure_twice() -> None:
    assert len(set(Score._fields)) == len(Score._fields)
