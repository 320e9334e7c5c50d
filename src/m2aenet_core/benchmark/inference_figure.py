"""The figure of `m2aenet benchmark inference`: time against density, time against area, the share of each part."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from m2aenet_core.benchmark.inference import InferenceMeasurement, Measured


def draw(measured: Measured) -> bytes:
    """Give the figure as a PNG file."""
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    first, second, third = figure.subplots(1, 3, width_ratios=(1, 0.8, 1.3))
    _draw_densities(first, measured.table)
    _draw_areas(second, measured)
    _draw_shares(third, measured)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _draw_densities(axes: Axes, rows: list[InferenceMeasurement]) -> None:
    for form in dict.fromkeys(row.form for row in rows if row.form):
        some = sorted((row.density, row.seconds) for row in rows if row.form == form)
        axes.plot([100 * density for density, _ in some], [seconds for _, seconds in some], marker="o", label=form)
    for index, row in enumerate(row for row in rows if not row.form):
        axes.axhline(row.seconds, color="0.45", linestyle=("-", "--", "-.", ":", (0, (1, 4)))[index % 5], label=row.way)
    axes.set(xlabel="blurred, % of the photo", ylabel="seconds", title="Time against blur", ylim=(0, None))
    axes.legend(fontsize=8)


def _draw_areas(axes: Axes, measured: Measured) -> None:
    # the table is the whole photo's: the largest area
    ways = {row.way for row in measured.areas}
    rows = [*measured.areas, *(row for row in measured.table if row.way in ways)]
    axes.set(xlabel="megapixels", ylabel="seconds", title="Time against area")
    for way in dict.fromkeys(row.way for row in rows):
        some = sorted((row.height * row.width / 1e6, row.seconds) for row in rows if row.way == way)
        if not way.startswith("NAFNet, eager, "):
            axes.plot([area for area, _ in some], [seconds for _, seconds in some], marker="o", label=way)
    if rows:
        axes.set(xlim=(0, None), ylim=(0, None))
        axes.legend(fontsize=8)
    else:
        axes.set_axis_off()


def _draw_shares(axes: Axes, measured: Measured) -> None:
    names = list(measured.shares)
    parts = dict.fromkeys(part for each in measured.shares.values() for part in each)
    colours = matplotlib.colormaps["tab20"]
    left = [0.0] * len(names)
    for index, part in enumerate(parts):
        values = [100 * measured.shares[name].get(part, 0.0) for name in names]
        axes.barh(names, values, left=left, label=part, color=colours(index % 20))
        left = [start + value for start, value in zip(left, values, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="% of the time", title="Share of each part", xlim=(0, 100))
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
