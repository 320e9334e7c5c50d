"""The curves of a run, or of several side by side, as figures that nobody else holds."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Columns = Mapping[str, NDArray[np.float64]]

_POINTS = 400  # of a curve of steps: more cannot be told apart
_COMPARED_POINTS = 25  # of one among others: the samples of a step differ more than runs do
_PANEL_IN = (5.0, 3.0)
_MARGIN_IN = 0.5
_DPI = 100
_NAME_IN, _NAMES_IN_A_ROW = 0.25, 5

# what is shown of the validations: column, title, unit
_VALIDATED = (
    ("psnr_db", "validation: PSNR", "dB"),
    ("gain_db", "gain inside the blur", "dB over the input"),
    ("outside_psnr_db", "to the input outside the blur", "dB"),
    ("mask_iou", "overlap of the masks", "IoU"),
    ("displacement_error_px", "error of the displacements", "px"),
)
_NO_TERMS = frozenset({"step", "loss", "psnr_db", "learning_rate"})


def columns_of(rows: Sequence[Mapping[str, str]]) -> Columns:
    """Give the columns of a CSV file's rows as numbers."""
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows[0] if rows else ())}


class RunCurves(NamedTuple):
    """What `losses.csv` and `metrics.csv` of a run hold, under the run's name."""

    name: str
    losses: Columns
    metrics: Columns


def curves_png(losses: Columns, metrics: Columns) -> bytes:
    """Give `curves_figure` as the bytes of a PNG file."""
    return _png(curves_figure(losses, metrics))


def compared_png(runs: Sequence[RunCurves]) -> bytes:
    """Give `compared_figure` as the bytes of a PNG file."""
    return _png(compared_figure(runs))


def compared_figure(runs: Sequence[RunCurves]) -> Figure:
    """Give the PSNR of the training samples and every validation over the steps, a line for each run.

    Losses are not compared: runs may minimise different ones. What no run has is left out.
    """
    shown = [item for item in _VALIDATED if any(_is_known(run.metrics, item[0]) for run in runs)]
    figure, panels = _new_figure(1 + len(shown), above_in=_NAME_IN * -(-len(runs) // _NAMES_IN_A_ROW))
    for number, run in enumerate(runs):
        # ten colours; what comes after them is dashed
        style: dict[str, Any] = {
            "color": f"C{number % 10}",
            "linestyle": "-" if number < 10 else "--",
            "label": run.name,
        }
        if "psnr_db" in run.losses:
            _plot_means(panels[0], run.losses, "psnr_db", _COMPARED_POINTS, **style)
        for axes, (name, _, _) in zip(panels[1:], shown, strict=False):
            if _is_known(run.metrics, name):
                axes.plot(run.metrics["step"], run.metrics[name], marker="o", markersize=3, **style)
    _label(panels[0], "training: PSNR", "dB")
    for axes, (_, title, unit) in zip(panels[1:], shown, strict=False):
        _label(axes, title, unit)
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="upper center", ncols=_NAMES_IN_A_ROW, fontsize=8, frameon=False)
    return figure


def _is_known(columns: Columns, name: str) -> bool:
    return name in columns and bool(np.isfinite(columns[name]).any())


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def _new_figure(count: int, above_in: float = 0.0) -> tuple[Figure, list[Axes]]:
    """Give a figure and at least so many panels in two columns, of which those beyond the number are empty.

    above_in: room above the panels, inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-count // 2)
    height = rows * _PANEL_IN[1] + above_in
    figure = Figure(figsize=(2 * _PANEL_IN[0], height))
    FigureCanvasAgg(figure)
    bottom, top = _MARGIN_IN / height, 1 - (_MARGIN_IN + above_in) / height
    space = {"left": 0.08, "right": 0.98, "bottom": bottom, "top": top, "wspace": 0.22, "hspace": 0.45}
    panels = list(figure.subplots(rows, 2, squeeze=False, gridspec_kw=space).flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels


def curves_figure(losses: Columns, metrics: Columns) -> Figure:
    """Give loss, its terms, PSNR of the training samples and learning rate over the steps, and every validation.

    Curves of steps are means over equal stretches. Figures that the run does not have are left out.
    """
    shown = [item for item in _VALIDATED if _is_known(metrics, item[0])]
    figure, panels = _new_figure(4 + len(shown))
    _loss_panels(panels[:4], losses)
    for axes, (name, title, unit) in zip(panels[4:], shown, strict=False):
        axes.plot(metrics["step"], metrics[name], marker="o", markersize=3)
        _label(axes, title, unit)
    return figure


def _loss_panels(panels: Sequence[Axes], losses: Columns) -> None:
    _plot_means(panels[0], losses, "loss", _POINTS)
    _label(panels[0], "loss", "")
    for name in losses:
        if name not in _NO_TERMS:
            _plot_means(panels[1], losses, name, _POINTS, label=name.replace("_", " "))
    panels[1].set_yscale("log")
    panels[1].legend(fontsize=8)
    _label(panels[1], "terms of the loss, weighted", "")
    _plot_means(panels[2], losses, "psnr_db", _POINTS)
    _label(panels[2], "training: PSNR", "dB")
    panels[3].plot(losses["step"], losses["learning_rate"])
    _label(panels[3], "learning rate", "")


def _plot_means(axes: Axes, columns: Columns, name: str, points: int, **style: Any) -> None:
    steps, values = columns["step"], columns[name]
    pieces = np.array_split(np.arange(len(steps)), min(points, len(steps)))
    axes.plot([steps[p].mean() for p in pieces], [values[p].mean() for p in pieces], **{"linewidth": 1, **style})


def _label(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(f"{title}, {unit}" if unit else title, fontsize=10)
    axes.set_xlabel("step", fontsize=9)
    axes.grid(alpha=0.3)
