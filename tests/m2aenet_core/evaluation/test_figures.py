"""Curves and ROC: what is drawn is what was measured."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from m2aenet_core.evaluation import figures
from m2aenet_core.evaluation.figures import curves_png, roc_png
from m2aenet_core.evaluation.summary import ModelSummary, SweepSummary
from m2aenet_core.metrics import RocCurve

FIGURES = ("psnr_w", "psnr", "outside_to_input", "mask_iou", "sharp_called_blurred", "density", "gmacs", "seconds")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were drawn on the way to their PNG."""
    kept: list[Figure] = []
    encode = figures.encode_figure

    def keep(figure: Figure) -> bytes:
        kept.append(figure)
        return encode(figure)

    monkeypatch.setattr(figures, "encode_figure", keep)
    return kept


def row(model: str, execution: str, value: float, names: tuple[str, ...] = FIGURES) -> ModelSummary:
    means = {name: value if name in names else float("nan") for name in FIGURES}
    return ModelSummary(model, execution, 0.5, None, 1, 1, means, {}, 0.0, 0.0, 0.0, 0.0)


def sweep_of(model: str, execution: str, slope: float, names: tuple[str, ...] = FIGURES) -> list[SweepSummary]:
    return [
        SweepSummary(model, execution, each, {n: slope * each if n in names else float("nan") for n in FIGURES})
        for each in (0.1, 0.5, 0.9)
    ]


def test_each_model_has_a_curve_or_a_level_in_each_panel(drawn: list[Figure]) -> None:
    rows = [row("input", "", 1.0), row("a", "exact", 2.0), row("a", "adaptive", 2.0), row("nafnet", "exact", 3.0)]
    png = curves_png(rows, [*sweep_of("a", "exact", 10), *sweep_of("a", "adaptive", 20)])
    assert Image.open(io.BytesIO(png)).width > 2000
    panels = {axes.get_title(): axes for axes in drawn[0].axes}
    assert len(panels) == 8
    lines = {line.get_label(): line for line in panels["PSNR in the blur, dB"].lines}
    assert list(lines) == ["input", "a, exact", "a, adaptive", "nafnet, exact"]
    np.testing.assert_allclose(lines["a, adaptive"].get_xydata(), [(0.1, 2), (0.5, 10), (0.9, 18)])
    assert set(lines["nafnet, exact"].get_ydata()) == {3.0}
    # shares are shown in percent, and the photo as it came only where it competes
    share = {line.get_label(): line for line in panels["density, %"].lines}
    assert list(share) == ["a, exact", "a, adaptive", "nafnet, exact"]
    np.testing.assert_allclose(share["a, exact"].get_ydata(), [100, 500, 900])
    # a model keeps its colour, an execution its line
    assert lines["a, exact"].get_color() == lines["a, adaptive"].get_color() != lines["nafnet, exact"].get_color()
    assert lines["a, exact"].get_linestyle() == lines["nafnet, exact"].get_linestyle()
    assert lines["a, exact"].get_linestyle() != lines["a, adaptive"].get_linestyle()
    (legend,) = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == list(lines)


def test_panels_that_nobody_fills_are_left_out(drawn: list[Figure]) -> None:
    known = ("psnr", "density", "gmacs", "seconds", "sharp_called_blurred")
    curves_png([row("a", "exact", 2.0, known)], sweep_of("a", "exact", 1, known))
    shown = [axes.get_title() for axes in drawn[0].axes if axes.get_visible()]
    assert shown == ["PSNR, dB", "sharp photo called blurred, %", "density, %", "GMACs", "seconds"]
    # five panels in two lines of three
    assert len(drawn[0].axes) == 6


def test_the_roc_curve_has_a_dot_at_the_threshold(drawn: list[Figure]) -> None:
    # from threshold 1 down to 0 in four steps
    curve = RocCurve(np.array([0, 0.1, 0.2, 0.5, 1]), np.array([0, 0.6, 0.9, 1, 1]))
    roc_png({"a": curve}, [row("input", "", 0.0), row("a", "exact", 2.0)])
    lines = drawn[0].axes[0].lines
    (drawn_curve,) = (line for line in lines if "area" in str(line.get_label()))
    assert drawn_curve.get_label() == f"a (area {curve.area:.3f})"
    np.testing.assert_allclose(drawn_curve.get_xydata(), np.transpose(curve))
    np.testing.assert_allclose(lines[-1].get_xydata(), [(0.2, 0.9)])
