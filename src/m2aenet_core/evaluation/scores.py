"""The figures of one photo: how close, how careful, how well found, at what cost."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.data.folder import Pixels
from m2aenet_core.evaluation.contender import Contender, Found, Outcome
from m2aenet_core.evaluation.truth import Truth
from m2aenet_core.metrics import (
    Mask,
    MaskScores,
    count_probabilities,
    displacement_error,
    mask_scores,
    psnr,
    roc_curve,
    ssim_in,
    ssim_map,
)

# an exact copy counts as this many dB, so that means stay finite
PSNR_CEILING_DB = 80.0


class Score(NamedTuple):
    """A row of scores.csv: a photo, restored by a model in an execution. NaN where a figure is not defined.

    psnr and gains are dB, against the sharp photo; `_w` inside the blur; outside_to_input outside of it, against the
    blurred photo. input_ : of the photo as it came. sharp_ : of the sharp photo, analyzed and restored as it is.
    density: share of the photo that counted as blurred. gmacs (multiply-adds / 10^9), seconds: from photo to restored
    photo.
    """

    model: str
    execution: str
    threshold: float
    image: str
    sample: int
    height: int
    width: int
    blurred_share: float
    psnr: float
    ssim: float
    psnr_w: float
    ssim_w: float
    input_psnr: float
    input_ssim: float
    input_psnr_w: float
    input_ssim_w: float
    gain: float
    gain_w: float
    outside_to_input: float
    mask_iou: float
    mask_precision: float
    mask_recall: float
    mask_auc: float
    displacement_error_px: float
    sharp_called_blurred: float
    sharp_to_input: float
    density: float
    gmacs: float
    seconds: float
    analyze_s: float
    restore_s: float
    peak_mb: float


class SweepPoint(NamedTuple):
    """A row of sweep.csv: what one threshold made of a photo; figures as in `Score`."""

    model: str
    execution: str
    threshold: float
    image: str
    sample: int
    psnr: float
    psnr_w: float
    gain_w: float
    outside_to_input: float
    mask_iou: float
    sharp_called_blurred: float
    density: float
    gmacs: float
    seconds: float


class Closeness(NamedTuple):
    """How close a photo is to its sharp version, everywhere and inside the blur."""

    psnr: float
    ssim: float
    psnr_w: float
    ssim_w: float


class SharpFigures(NamedTuple):
    """What became of the sharp photo as it is: its blur probability, and PSNR to itself for each execution."""

    probability: NDArray[np.float32] | None
    to_input: dict[str, float]


NO_SHARP_PHOTO = SharpFigures(None, {})


class PhotoScores(NamedTuple):
    """All figures of a photo and a contender; counts: of `count_probabilities`; outcomes: in the executions' order."""

    scores: list[Score]
    sweep: list[SweepPoint]
    counts: NDArray[np.int64] | None
    found: Found
    outcomes: list[Outcome]


def score_photo(
    contender: Contender, truth: Truth, came: Closeness, sharp: SharpFigures, threshold: float, sweep: tuple[float, ...]
) -> PhotoScores:
    """Analyze a photo once, restore it in each execution at each threshold, and score that.

    came: of the photo as it came; sharp: of `restore_sharp_photo`. Without a mask no threshold changes anything, and
    the sweep is left out.
    """
    found = contender.analyze(truth.blur)
    counts = None
    if found.probability is not None and truth.mask is not None:
        counts = count_probabilities(found.probability, truth.mask)
    scores, points, outcomes = [], [], []
    for execution in contender.executions:
        outcome = contender.restore(found, threshold, execution)
        outcomes.append(outcome)
        scores.append(_score(contender, execution, threshold, truth, came, found, outcome, counts, sharp))
        for limit in sweep if contender.has_mask else ():
            again = contender.restore(found, limit, execution)
            points.append(_sweep_point(contender, execution, limit, truth, came, again, sharp))
    return PhotoScores(scores, points, counts, found, outcomes)


def closeness(photo: Pixels, truth: Truth) -> Closeness:
    """Compare a photo with the sharp version; the weighted figures are NaN where the mask is empty or not known."""
    similarity = ssim_map(photo, truth.sharp)
    whole = Closeness(_capped(psnr(photo, truth.sharp)), ssim_in(similarity), math.nan, math.nan)
    if truth.mask is None:
        return whole
    inside = _capped(psnr(photo, truth.sharp, truth.mask))
    return whole._replace(psnr_w=inside, ssim_w=ssim_in(similarity, truth.mask))


def restore_sharp_photo(contender: Contender, photo: Pixels, threshold: float) -> SharpFigures:
    """Analyze and restore a sharp photo as it is: nothing should be found, and nothing changed."""
    found = contender.analyze(photo)
    restored = {each: contender.restore(found, threshold, each).restored for each in contender.executions}
    return SharpFigures(found.probability, {each: _capped(psnr(image, photo)) for each, image in restored.items()})


def _score(
    contender: Contender,
    execution: str,
    threshold: float,
    truth: Truth,
    came: Closeness,
    found: Found,
    outcome: Outcome,
    counts: NDArray[np.int64] | None,
    sharp: SharpFigures,
) -> Score:
    close = closeness(outcome.restored, truth)
    overlap = _overlap(outcome.mask, truth.mask)
    return Score(
        model=contender.label,
        execution=execution,
        threshold=threshold,
        image=truth.name,
        sample=truth.sample,
        height=truth.blur.shape[0],
        width=truth.blur.shape[1],
        blurred_share=math.nan if truth.mask is None else float(truth.mask.mean()),
        psnr=close.psnr,
        ssim=close.ssim,
        psnr_w=close.psnr_w,
        ssim_w=close.ssim_w,
        input_psnr=came.psnr,
        input_ssim=came.ssim,
        input_psnr_w=came.psnr_w,
        input_ssim_w=came.ssim_w,
        gain=close.psnr - came.psnr,
        gain_w=close.psnr_w - came.psnr_w,
        outside_to_input=_outside_to_input(outcome.restored, truth),
        mask_iou=overlap.iou,
        mask_precision=overlap.precision,
        mask_recall=overlap.recall,
        mask_auc=math.nan if counts is None else roc_curve(counts).area,
        displacement_error_px=_displacement_error(found, truth),
        sharp_called_blurred=_share_above(sharp, threshold),
        sharp_to_input=sharp.to_input.get(execution, math.nan),
        density=outcome.density,
        gmacs=outcome.macs / 1e9,
        seconds=outcome.seconds,
        analyze_s=outcome.analyze_s,
        restore_s=outcome.restore_s,
        peak_mb=outcome.peak_mb,
    )


def _sweep_point(
    contender: Contender,
    execution: str,
    threshold: float,
    truth: Truth,
    came: Closeness,
    outcome: Outcome,
    sharp: SharpFigures,
) -> SweepPoint:
    inside = math.nan if truth.mask is None else _capped(psnr(outcome.restored, truth.sharp, truth.mask))
    return SweepPoint(
        model=contender.label,
        execution=execution,
        threshold=threshold,
        image=truth.name,
        sample=truth.sample,
        psnr=_capped(psnr(outcome.restored, truth.sharp)),
        psnr_w=inside,
        gain_w=inside - came.psnr_w,
        outside_to_input=_outside_to_input(outcome.restored, truth),
        mask_iou=_overlap(outcome.mask, truth.mask).iou,
        sharp_called_blurred=_share_above(sharp, threshold),
        density=outcome.density,
        gmacs=outcome.macs / 1e9,
        seconds=outcome.seconds,
    )


def _overlap(found: Mask | None, truth: Mask | None) -> MaskScores:
    return MaskScores(*[math.nan] * 3) if found is None or truth is None else mask_scores(found, truth)


def _outside_to_input(restored: Pixels, truth: Truth) -> float:
    return math.nan if truth.mask is None else _capped(psnr(restored, truth.blur, ~truth.mask))


def _displacement_error(found: Found, truth: Truth) -> float:
    if found.motion is None or truth.motion is None or truth.mask is None:
        return math.nan
    return displacement_error(*found.motion, *truth.motion, truth.mask)


def _share_above(sharp: SharpFigures, threshold: float) -> float:
    return math.nan if sharp.probability is None else float((sharp.probability > threshold).mean())


def _capped(decibels: float) -> float:
    """Give at most the ceiling; NaN stays."""
    return PSNR_CEILING_DB if decibels > PSNR_CEILING_DB else decibels
