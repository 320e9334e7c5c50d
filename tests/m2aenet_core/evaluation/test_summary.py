"""Means over photos, and the tables made of them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from m2aenet_core.evaluation.contender import AsItCame, Contender
from m2aenet_core.evaluation.partial import ScoredPhoto
from m2aenet_core.evaluation.report import Measured, encode_json, encode_rows, to_markdown
from m2aenet_core.evaluation.scores import NO_SHARP_PHOTO, Score, closeness, score_photo
from m2aenet_core.evaluation.summary import pooled_roc, summarize, summarize_sweep
from m2aenet_core.evaluation.truth import Truth

MEASURED = Measured(
    created="2020-01-01",
    command=["m2aenet", "evaluate", "--data", "my photos"],
    data="3 pairs",
    machine={"device": "cpu", "processor": "abacus", "threads": "1 of 1 cores", "system": "none"},
    versions={"numpy": "1"},
    settings={"precision": "auto", "threshold": 0.5},
)


@pytest.fixture
def contenders(painter: Callable[..., Contender], truth: Truth) -> list[Contender]:
    """The photo as it came, one that restores well and one that adds 40 levels everywhere."""
    probability = truth.mask.astype(np.float32) * 0.6
    good = painter(truth.sharp, probability, truth.motion, "good", ("exact", "adaptive"))
    return [AsItCame(), good, painter(truth.blur + 40, None, None, "bad")]


@pytest.fixture
def scored(contenders: list[Contender], truth: Truth) -> list[ScoredPhoto]:
    """Three photos: two with a mask and one without."""
    photos = []
    for number, mask in enumerate((truth.mask, truth.mask, None)):
        one = truth._replace(name=f"{number}.png", mask=mask)
        came = closeness(one.blur, one)
        results = [score_photo(each, one, came, NO_SHARP_PHOTO, 0.5, (0.8, 0.4)) for each in contenders]
        counts = {
            each.label: result.counts
            for each, result in zip(contenders, results, strict=True)
            if result.counts is not None
        }
        rows = [row for result in results for row in result.scores]
        photos.append(ScoredPhoto(rows, [point for result in results for point in result.sweep], counts))
    return photos


def test_a_mean_is_over_the_photos_that_have_the_figure(scored: list[ScoredPhoto], contenders: list[Contender]) -> None:
    rows = {(row.model, row.execution): row for row in summarize(scored, contenders)}
    assert list(rows) == [("input", ""), ("good", "exact"), ("good", "adaptive"), ("bad", "exact")]
    came, good, bad = rows["input", ""], rows["good", "exact"], rows["bad", "exact"]
    assert good.photos == 3
    assert good.counts["psnr"] == 3
    assert good.counts["psnr_w"] == good.counts["mask_iou"] == 2
    assert good.means["mask_iou"] == 1
    assert good.means["gain_w"] == pytest.approx(80 - 10 * math.log10(255**2 / 400))
    assert came.counts["mask_iou"] == 0
    assert math.isnan(came.means["mask_iou"])
    assert (good.parameters, good.weights_sha256) == (7, "abc")
    assert good.highest_peak_mb == 60
    assert (came.share_made_worse, good.share_made_worse, bad.share_made_worse) == (0, 0, 1)
    assert bad.lowest_gain == min(photo.scores[-1].gain for photo in scored) < -5


def test_worse_by_little_is_worse_but_not_visibly(scored: list[ScoredPhoto], contenders: list[Contender]) -> None:
    gains = (-0.05, -0.2, 0.3)
    changed = [
        ScoredPhoto([photo.scores[0]._replace(gain=gain)], [], {}) for photo, gain in zip(scored, gains, strict=True)
    ]
    (row,) = summarize(changed, contenders[:1])
    assert row.share_made_worse == pytest.approx(2 / 3)
    assert row.share_visibly_worse == pytest.approx(1 / 3)
    assert row.lowest_gain == -0.2


def test_a_sweep_is_averaged_by_threshold(scored: list[ScoredPhoto]) -> None:
    points = summarize_sweep(scored)
    assert [(point.model, point.execution, point.threshold) for point in points] == [
        ("good", "exact", 0.4),
        ("good", "exact", 0.8),
        ("good", "adaptive", 0.4),
        ("good", "adaptive", 0.8),
    ]
    # the probability is 0.6 in the blur
    assert [point.means["density"] for point in points[:2]] == [pytest.approx(0.1), 0]
    assert [point.means["mask_iou"] for point in points[:2]] == [1, 0]


def test_the_pooled_curve_is_over_all_pixels(scored: list[ScoredPhoto], contenders: list[Contender]) -> None:
    curves = pooled_roc(scored, contenders)
    assert list(curves) == ["good"]
    assert curves["good"].area == 1
    assert pooled_roc([scored[2]], contenders) == {}


def test_json_holds_every_figure_and_null_for_the_undefined(
    scored: list[ScoredPhoto], contenders: list[Contender]
) -> None:
    rows = summarize(scored, contenders)
    content = json.loads(encode_json(MEASURED, rows, summarize_sweep(scored), pooled_roc(scored, contenders)))
    assert content["measured"]["command"][-1] == "my photos"
    assert [model["model"] for model in content["models"]] == ["input", "good", "good", "bad"]
    assert content["models"][0]["means"]["mask_iou"] is None
    assert content["models"][1]["means"]["psnr"] == rows[1].means["psnr"]
    assert len(content["sweep"]) == 4
    assert content["roc"]["good"]["area"] == 1
    assert len(content["roc"]["good"]["false_positive_rate"]) == len(content["roc"]["good"]["true_positive_rate"])


def test_a_table_has_a_row_for_each_model_and_the_best_in_bold(
    scored: list[ScoredPhoto], contenders: list[Contender]
) -> None:
    text = to_markdown(MEASURED, summarize(scored, contenders))
    lines = text.splitlines()
    close = lines[lines.index("## How close to the sharp photo") + 2 :][:6]
    heads = [cell.strip() for cell in close[0].strip("|").split("|")]
    assert heads == ["model", "PSNR", "SSIM", "PSNR_w", "SSIM_w", "gain", "gain in the blur"]
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.strip("|").split("|")] for line in close[2:]}
    assert cells["good, exact"][1] == "**80.000**"
    assert cells["good, adaptive"][1] == "**80.000**"
    assert "**" not in "".join(cells["input"] + cells["bad, exact"])
    assert "| input | – |" in text
    assert "m2aenet evaluate --data 'my photos'" in text
    assert "psnr_w over 2 of 3" in text


def test_the_report_says_which_means_are_over_fewer_photos(
    scored: list[ScoredPhoto], painter: Callable[..., Contender], truth: Truth
) -> None:
    """Where nothing is found there is no precision: the mean of a model that seldom finds anything is over few."""
    sharp = np.zeros(truth.mask.shape, np.float32)
    good, shy = (painter(truth.sharp, sharp, None, name) for name in ("good", "shy"))
    photos = []
    for number, photo in enumerate(scored[:2]):
        score = photo.scores[1]
        found_nothing = score._replace(model="shy", execution="exact", mask_precision=math.nan if number else 1.0)
        photos.append(
            ScoredPhoto([score._replace(outside_to_input=math.nan if number else 80.0), found_nothing], [], {})
        )
    text = to_markdown(MEASURED, summarize(photos, [good, shy]))
    assert "outside_to_input over 1 of 2 (good, exact)" in text
    assert "mask_precision over 1 of 2 (shy, exact)" in text
    assert "mask_recall" not in text


def test_columns_and_tables_that_nobody_fills_are_left_out(
    scored: list[ScoredPhoto], contenders: list[Contender]
) -> None:
    text = to_markdown(MEASURED, summarize([scored[2]], [contenders[0], contenders[2]]))
    # the photo has no mask, and no contender finds one
    assert "PSNR_w |" not in text
    assert "How well found" not in text
    assert "| PSNR | SSIM | gain |" in text


def test_a_csv_file_has_empty_cells_for_the_undefined(scored: list[ScoredPhoto]) -> None:
    text = encode_rows(Score._fields, [score for photo in scored for score in photo.scores]).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 12
    assert rows[0]["mask_iou"] == ""
    assert rows[1]["mask_iou"] == "1.0"
    assert float(rows[1]["psnr"]) == 80
    assert "nan" not in text
