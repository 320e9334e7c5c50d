"""Means over the photos, for each model and execution."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from m2aenet_core.evaluation.contender import Contender
from m2aenet_core.evaluation.partial import ScoredPhoto
from m2aenet_core.evaluation.scores import Score, SweepPoint
from m2aenet_core.metrics import RocCurve, roc_curve

Row = TypeVar("Row", Score, SweepPoint)

_KEYS = ("model", "execution", "threshold", "image", "sample")
# a change below this cannot be seen, and rounding alone may make it
VISIBLE_DB = 0.1


@dataclass(frozen=True)
class ModelSummary:
    """A row of the tables."""

    model: str
    execution: str
    threshold: float
    weights_sha256: str | None
    parameters: int
    photos: int
    """How many were scored."""
    means: dict[str, float]
    """Of each figure of `Score`, over the photos that have it; NaN where none has."""
    counts: dict[str, int]
    """Over how many photos each mean is."""
    share_made_worse: float
    """Share of photos whose PSNR is lower than as they came."""
    share_visibly_worse: float
    """Share of photos that lost more than `VISIBLE_DB`."""
    lowest_gain: float
    """PSNR gained by the photo that fared worst, dB."""
    highest_peak_mb: float
    """Most memory that any photo took."""


@dataclass(frozen=True)
class SweepSummary:
    """Means at one threshold of a sweep."""

    model: str
    execution: str
    threshold: float
    means: dict[str, float]


def summarize(photos: Sequence[ScoredPhoto], contenders: Iterable[Contender]) -> list[ModelSummary]:
    """Give a row for each model and execution, in the order of the contenders."""
    scores = [score for photo in photos for score in photo.scores]
    return [
        _summarize(_of(scores, contender.label, execution), contender)
        for contender in contenders
        for execution in contender.executions
    ]


def summarize_sweep(photos: Sequence[ScoredPhoto]) -> list[SweepSummary]:
    """Give a row for each model, execution and threshold, in the order they came in, thresholds ascending."""
    points = [point for photo in photos for point in photo.sweep]
    names = dict.fromkeys((point.model, point.execution) for point in points)
    rows = []
    for model, execution in names:
        own = _of(points, model, execution)
        for threshold in sorted({point.threshold for point in own}):
            means = _means([point for point in own if point.threshold == threshold])
            rows.append(SweepSummary(model, execution, threshold, means))
    return rows


def pooled_roc(photos: Sequence[ScoredPhoto], contenders: Iterable[Contender]) -> dict[str, RocCurve]:
    """Give a curve over the pixels of all photos for each model that finds blur, where the truth is known."""
    curves = {}
    for contender in contenders:
        counts = [photo.counts[contender.label] for photo in photos if contender.label in photo.counts]
        if counts:
            curve = roc_curve(np.sum(counts, axis=0))
            if not math.isnan(curve.area):
                curves[contender.label] = curve
    return curves


def _summarize(scores: Sequence[Score], contender: Contender) -> ModelSummary:
    gains = [score.gain for score in scores]
    return ModelSummary(
        model=contender.label,
        execution=scores[0].execution,
        threshold=scores[0].threshold,
        weights_sha256=contender.weights_sha256,
        parameters=contender.parameters,
        photos=len(scores),
        means=_means(scores),
        counts=_counts(scores),
        share_made_worse=float(np.mean([gain < 0 for gain in gains])),
        share_visibly_worse=float(np.mean([gain < -VISIBLE_DB for gain in gains])),
        lowest_gain=min(gains),
        highest_peak_mb=max(score.peak_mb for score in scores),
    )


def _of(rows: Sequence[Row], model: str, execution: str) -> list[Row]:
    return [row for row in rows if (row.model, row.execution) == (model, execution)]


def _figures(rows: Sequence[Score] | Sequence[SweepPoint]) -> list[str]:
    return [name for name in rows[0]._fields if name not in _KEYS]


def _means(rows: Sequence[Score] | Sequence[SweepPoint]) -> dict[str, float]:
    return {name: _mean(_defined(rows, name)) for name in _figures(rows)}


def _counts(rows: Sequence[Score]) -> dict[str, int]:
    return {name: len(_defined(rows, name)) for name in _figures(rows)}


def _defined(rows: Sequence[Score] | Sequence[SweepPoint], name: str) -> list[float]:
    return [value for row in rows if not math.isnan(value := getattr(row, name))]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
