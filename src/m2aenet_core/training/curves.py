"""The curves of a run, as a figure that nobody else holds."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Columns = Mapping[str, NDArray[np.float64]]

_POINTS = 400  # of a curve of steps: more cannot be told apart
_PANEL_IN = (5.0, 3.0)
_DPI = 100

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


def curves_png(losses: Columns, metrics: Columns) -> bytes:
    """Give `curves_figure` as the bytes of a PNG file."""
    buffer = io.BytesIO()
    curves_figure(losses, metrics).savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def curves_figure(losses: Columns, metrics: Columns) -> Figure:
    """Give loss, its terms, PSNR of the training samples and learning rate over the steps, and every validation.

    Curves of steps are means over equal stretches. Figures that the run does not have are left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [item for item in _VALIDATED if item[0] in metrics and np.isfinite(metrics[item[0]]).any()]
    rows = -(-(4 + len(shown)) // 2)
    figure = Figure(figsize=(2 * _PANEL_IN[0], rows * _PANEL_IN[1]))
    FigureCanvasAgg(figure)
    margin = 0.5 / figure.get_figheight()
    space = {"left": 0.08, "right": 0.98, "bottom": margin, "top": 1 - margin, "wspace": 0.22, "hspace": 0.45}
    panels = list(figure.subplots(rows, 2, squeeze=False, gridspec_kw=space).flat)
    _loss_panels(panels[:4], losses)
    for axes, (name, title, unit) in zip(panels[4:], shown, strict=False):
        axes.plot(metrics["step"], metrics[name], marker="o", markersize=3)
        _label(axes, title, unit)
    for axes in panels[4 + len(shown) :]:
        axes.set_axis_off()
    return figure


def _loss_panels(panels: Sequence[Axes], losses: Columns) -> None:
    _plot_means(panels[0], losses, "loss", None)
    _label(panels[0], "loss", "")
    for name in losses:
        if name not in _NO_TERMS:
            _plot_means(panels[1], losses, name, name.replace("_", " "))
    panels[1].set_yscale("log")
    panels[1].legend(fontsize=8)
    _label(panels[1], "terms of the loss, weighted", "")
    _plot_means(panels[2], losses, "psnr_db", None)
    _label(panels[2], "training: PSNR", "dB")
    panels[3].plot(losses["step"], losses["learning_rate"])
    _label(panels[3], "learning rate", "")


def _plot_means(axes: Axes, columns: Columns, name: str, label: str | None) -> None:
    steps, values = columns["step"], columns[name]
    pieces = np.array_split(np.arange(len(steps)), min(_POINTS, len(steps)))
    axes.plot([steps[p].mean() for p in pieces], [values[p].mean() for p in pieces], label=label, linewidth=1)


def _label(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(f"{title}, {unit}" if unit else title, fontsize=10)
    axes.set_xlabel("step", fontsize=9)
    axes.grid(alpha=0.3)
