"""Curves of an evaluation: quality and cost against the threshold, and how well blur is told from sharpness."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from m2aenet_core.evaluation.contender import INPUT
from m2aenet_core.evaluation.summary import ModelSummary, SweepSummary
from m2aenet_core.figures import encode_figure
from m2aenet_core.metrics import RocCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# apart in hue and in lightness, also for people who see fewer colours
_COLOURS = ("#0b62a4", "#d95f02", "#1b9e77", "#b3258e", "#7a5a00", "#5aa9e6", "#e7298a")
_INPUT_COLOUR = "0.45"
_LINES = ("-", "--", ":")
_PANEL_IN = (4.2, 3.0)
_PANELS_IN_A_LINE = 4


class Panel(NamedTuple):
    """What a panel of the curves shows: a figure of the sweep, its name, and what it is multiplied with.

    is_compared: whether the photo as it came belongs into it.
    """

    figure: str
    title: str
    factor: float = 1.0
    is_compared: bool = False


_PANELS = (
    Panel("psnr_w", "PSNR in the blur, dB", is_compared=True),
    Panel("psnr", "PSNR, dB", is_compared=True),
    Panel("outside_to_input", "sharp region to the photo, dB"),
    Panel("mask_iou", "mask IoU"),
    Panel("sharp_called_blurred", "sharp photo called blurred, %", 100),
    Panel("density", "density, %", 100),
    Panel("gmacs", "GMACs"),
    Panel("seconds", "seconds"),
)


def curves_png(rows: Sequence[ModelSummary], sweep: Sequence[SweepSummary]) -> bytes:
    """Give quality and cost against ε as PNG: a curve for each sweep, a level for models without a threshold."""
    panels = [panel for panel in _PANELS if any(not math.isnan(point.means[panel.figure]) for point in sweep)]
    lines = math.ceil(len(panels) / _PANELS_IN_A_LINE)
    columns = math.ceil(len(panels) / lines)
    figure = _new_figure(columns * _PANEL_IN[0], lines * _PANEL_IN[1] + 0.5)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        _draw_panel(axes, panel, rows, sweep)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    handles, names = grid[0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.5 / figure.get_figheight(), 1, 1))
    figure.legend(handles, names, loc="lower center", ncols=min(6, len(names)), frameon=False)
    return encode_figure(figure)


def roc_png(curves: Mapping[str, RocCurve], rows: Sequence[ModelSummary]) -> bytes:
    """Give the ROC curves as PNG, with a dot at the threshold that was scored."""
    figure = _new_figure(5.2, 4.8)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.75", linewidth=1)
    colours = _colours(rows)
    for label, curve in curves.items():
        colour = colours[label]
        axes.plot(*curve, color=colour, linewidth=1.6, label=f"{label} (area {curve.area:.3f})")
        threshold = next(row.threshold for row in rows if row.model == label)
        at = round((1 - threshold) * (len(curve.true_positive_rate) - 1))
        axes.plot(curve.false_positive_rate[at], curve.true_positive_rate[at], "o", color=colour, markersize=5)
    axes.set_xlabel("sharp pixels called blurred, share")
    axes.set_ylabel("blurred pixels found, share")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False, title="● the threshold that was scored")
    return encode_figure(figure)


def _draw_panel(axes: Axes, panel: Panel, rows: Sequence[ModelSummary], sweep: Sequence[SweepSummary]) -> None:
    colours = _colours(rows)
    executions = list(dict.fromkeys(row.execution for row in rows if row.model != INPUT))
    for row in rows:
        if row.model == INPUT:
            if panel.is_compared:
                axes.axhline(row.means[panel.figure], linewidth=1.0, color=_INPUT_COLOUR, label=INPUT)
            continue
        label = f"{row.model}, {row.execution}" if row.execution else row.model
        colour, line = colours[row.model], _LINES[executions.index(row.execution) % len(_LINES)]
        points = [(each.threshold, each.means[panel.figure]) for each in sweep if _is_of(each, row)]
        if points:
            epsilon, values = np.array(points).T
            axes.plot(epsilon, panel.factor * values, line, marker="o", markersize=3, color=colour, label=label)
        else:
            level = panel.factor * row.means[panel.figure]
            axes.axhline(level, linewidth=1.0, color=colour, linestyle=line, label=label)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel("ε")
    axes.grid(alpha=0.3)


def _is_of(point: SweepSummary, row: ModelSummary) -> bool:
    return (point.model, point.execution) == (row.model, row.execution)


def _colours(rows: Sequence[ModelSummary]) -> dict[str, str]:
    """Give each network its colour, the same in all figures."""
    models = dict.fromkeys(row.model for row in rows if row.model != INPUT)
    return {model: _COLOURS[index % len(_COLOURS)] for index, model in enumerate(models)}


def _new_figure(width_in: float, height_in: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure
