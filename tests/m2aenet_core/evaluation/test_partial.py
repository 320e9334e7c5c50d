"""Figures that were kept are the figures that were scored."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from m2aenet_core.evaluation.contender import Contender
from m2aenet_core.evaluation.partial import PartialScores, ScoredPhoto, without_nan
from m2aenet_core.evaluation.scores import NO_SHARP_PHOTO, closeness, score_photo
from m2aenet_core.evaluation.truth import Truth


@pytest.fixture
def photo_scores(painter: Callable[..., Contender], truth: Truth) -> ScoredPhoto:
    contender = painter(truth.sharp, truth.mask.astype(np.float32))
    result = score_photo(contender, truth, closeness(truth.blur, truth), NO_SHARP_PHOTO, 0.5, (0.3,))
    assert result.counts is not None
    return ScoredPhoto(result.scores, result.sweep, {"painter": result.counts})


def same(first: object, second: object) -> bool:
    return first == second or (first != first and second != second)


def test_what_was_kept_comes_back_undefined_figures_included(photo_scores: ScoredPhoto, tmp_path: Path) -> None:
    partial = PartialScores(tmp_path, {"seed": 1})
    assert not partial.has(3)
    partial.add(3, photo_scores, b"a strip")
    again = PartialScores(tmp_path, {"seed": 1})
    assert again.has(3)
    assert again.count() == 1
    assert again.strip_path(3).read_bytes() == b"a strip"
    kept = again.read(3)
    assert any(isinstance(value, float) and math.isnan(value) for value in kept.scores[0])
    assert all(map(same, kept.scores[0], photo_scores.scores[0]))
    assert all(map(same, kept.sweep[0], photo_scores.sweep[0]))
    assert np.array_equal(kept.counts["painter"], photo_scores.counts["painter"])


def test_other_settings_begin_anew(photo_scores: ScoredPhoto, tmp_path: Path) -> None:
    PartialScores(tmp_path, {"seed": 1}).add(0, photo_scores, b"")
    assert not PartialScores(tmp_path, {"seed": 2}).has(0)


def test_nothing_stays_after_the_end(photo_scores: ScoredPhoto, tmp_path: Path) -> None:
    for seed in (1, 2):
        PartialScores(tmp_path, {"seed": seed}).add(0, photo_scores, b"")
    (tmp_path / "mine.txt").write_text("stays")
    PartialScores(tmp_path, {"seed": 1}).remove()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_null_stands_for_what_is_no_number() -> None:
    assert without_nan({"a": [math.nan, 1.0, (math.nan,)], "b": {"c": math.nan, "d": "nan"}}) == {
        "a": [None, 1.0, [None]],
        "b": {"c": None, "d": "nan"},
    }
