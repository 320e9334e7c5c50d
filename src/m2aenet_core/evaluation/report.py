"""The files of an evaluation: tables as a paper has them, the same as JSON, and a row for each photo."""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from m2aenet_core.atomic import encode_text
from m2aenet_core.evaluation.contender import INPUT
from m2aenet_core.evaluation.partial import without_nan
from m2aenet_core.evaluation.scores import PSNR_CEILING_DB, Score, SweepPoint
from m2aenet_core.evaluation.summary import VISIBLE_DB, ModelSummary, SweepSummary
from m2aenet_core.metrics import RocCurve


@dataclass(frozen=True)
class Measured:
    """How the figures came about."""

    created: str
    command: Sequence[str]
    data: str
    """What was scored, in words."""
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, object]


class Column(NamedTuple):
    """A column of a table: its head, how a row's value is found and shown, and which end is better (0: neither)."""

    head: str
    value: Callable[[ModelSummary], float]
    form: str
    better: int


def _mean_of(name: str) -> Callable[[ModelSummary], float]:
    return lambda row: row.means[name]


def _percent_of(name: str) -> Callable[[ModelSummary], float]:
    return lambda row: 100 * row.means[name]


_CLOSE = (
    Column("PSNR", _mean_of("psnr"), ".3f", 1),
    Column("SSIM", _mean_of("ssim"), ".4f", 1),
    Column("PSNR_w", _mean_of("psnr_w"), ".3f", 1),
    Column("SSIM_w", _mean_of("ssim_w"), ".4f", 1),
    Column("gain", _mean_of("gain"), "+.3f", 1),
    Column("gain in the blur", _mean_of("gain_w"), "+.3f", 1),
)
_CAREFUL = (
    Column("sharp region to the photo, dB", _mean_of("outside_to_input"), ".2f", 1),
    Column("made worse, %", lambda row: 100 * row.share_made_worse, ".1f", -1),
    Column(f"worse by over {VISIBLE_DB} dB, %", lambda row: 100 * row.share_visibly_worse, ".1f", -1),
    Column("lowest gain, dB", lambda row: row.lowest_gain, "+.3f", 1),
    Column("sharp photo called blurred, %", _percent_of("sharp_called_blurred"), ".2f", -1),
    Column("sharp photo to itself, dB", _mean_of("sharp_to_input"), ".2f", 1),
)
_FOUND = (
    Column("mask IoU", _mean_of("mask_iou"), ".3f", 1),
    Column("precision", _mean_of("mask_precision"), ".3f", 1),
    Column("recall", _mean_of("mask_recall"), ".3f", 1),
    Column("ROC area", _mean_of("mask_auc"), ".3f", 1),
    Column("displacement error, px", _mean_of("displacement_error_px"), ".2f", -1),
)
_COST = (
    Column("parameters, M", lambda row: row.parameters / 1e6, ".2f", 0),
    Column("density, %", _percent_of("density"), ".1f", 0),
    Column("GMACs", _mean_of("gmacs"), ".2f", -1),
    Column("seconds", _mean_of("seconds"), ".3f", -1),
    Column("peak memory, MB", lambda row: row.highest_peak_mb, ".0f", -1),
)
# figures of the tables; the gain in the blur is defined where psnr_w is
_NOT_ALWAYS_DEFINED = (
    "ssim",
    "psnr_w",
    "ssim_w",
    "outside_to_input",
    "mask_iou",
    "mask_precision",
    "mask_recall",
    "mask_auc",
    "displacement_error_px",
)
_TABLES = {
    "How close to the sharp photo": _CLOSE,
    "How careful": _CAREFUL,
    "How well found": _FOUND,
    "At what cost": _COST,
}


def encode_json(
    measured: Measured,
    rows: Sequence[ModelSummary],
    sweep: Sequence[SweepSummary],
    curves: Mapping[str, RocCurve],
) -> bytes:
    """Give summary.json; what is not defined is null."""
    content = {
        "measured": asdict(measured),
        "models": [asdict(row) for row in rows],
        "sweep": [asdict(point) for point in sweep],
        "roc": {label: _roc_points(curve) for label, curve in curves.items()},
    }
    return encode_text(json.dumps(without_nan(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _roc_points(curve: RocCurve) -> dict[str, object]:
    """Give the area of all pixels taken together, and every tenth point."""
    points = {name: [round(rate, 6) for rate in rates[::10].tolist()] for name, rates in curve._asdict().items()}
    return {"area": curve.area, **points}


def encode_rows(fields: Sequence[str], rows: Sequence[Score] | Sequence[SweepPoint]) -> bytes:
    """Give a CSV file; what is not defined is empty."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([["" if _is_nan(value) else value for value in row] for row in rows])
    return encode_text(table.getvalue())


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def to_markdown(measured: Measured, rows: Sequence[ModelSummary]) -> str:
    """Give summary.md: tables with a row for each model, the best of each column bold, and how it was measured."""
    parts = ["# Scores", ""]
    for title, columns in _TABLES.items():
        table = _table(columns, rows)
        if table:
            parts += [f"## {title}", "", *table, ""]
    return "\n".join([*parts, "## How it was measured", "", *_how_measured(measured, rows), ""])


def _table(columns: Sequence[Column], rows: Sequence[ModelSummary]) -> list[str]:
    """Give the lines of a table without the columns that no row has; none at all where no column is left."""
    known = [column for column in columns if any(not math.isnan(column.value(row)) for row in rows)]
    if not known:
        return []
    cells = [[_cell(column, row, rows) for column in known] for row in rows]
    heads = ["model", *(column.head for column in known)]
    lines = [heads, ["---", *("---:" for _ in known)]]
    lines += [[_name(row), *line] for row, line in zip(rows, cells, strict=True)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _name(row: ModelSummary) -> str:
    return f"{row.model}, {row.execution}" if row.execution else row.model


def _cell(column: Column, row: ModelSummary, rows: Sequence[ModelSummary]) -> str:
    value = column.value(row)
    if math.isnan(value):
        return "–"
    text = format(value, column.form)
    # the photo as it came competes in closeness alone: it does nothing wrong, and costs nothing
    others = [column.value(other) for other in rows if other.model != INPUT]
    shown = [format(other, column.form) for other in others if not math.isnan(other)]
    if not column.better or row.model == INPUT or len(set(shown)) < 2:
        return text
    best = max(shown, key=lambda each: column.better * float(each))
    return f"**{text}**" if text == best else text


def _how_measured(measured: Measured, rows: Sequence[ModelSummary]) -> list[str]:
    settings, machine = measured.settings, measured.machine
    lines = [
        f"{measured.data}. Means over the photos; a figure that is not defined for a photo is left out of its mean.",
        f"Threshold {settings['threshold']:g}, for networks that find blur.",
        f"Measured {measured.created} on {machine['device']} ({machine['processor']}, {machine['threads']}, "
        f"{machine['system']}), precision {settings['precision']}, with "
        + ", ".join(f"{name} {version}" for name, version in measured.versions.items())
        + ".",
        "PSNR and SSIM as in ReLoBlur's tables, on 8-bit pixels; _w: in the blur alone. "
        f"An exact copy counts as {PSNR_CEILING_DB:g} dB.",
        *_missing(rows),
    ]
    command = f"```bash\n{shlex.join(measured.command)}\n```"
    return ["\n".join(lines), "", command]


def _missing(rows: Sequence[ModelSummary]) -> list[str]:
    """Say over how many photos a mean is, where it is not over all."""
    short: list[str] = []
    for name in _NOT_ALWAYS_DEFINED:
        having = [row for row in rows if row.counts[name]]
        differ = len({row.counts[name] for row in having}) > 1
        said = {
            f"{name} over {row.counts[name]} of {row.photos}{f' ({_name(row)})' if differ else ''}": None
            for row in having
            if row.counts[name] < row.photos
        }
        short += said
    return [f"Means over fewer photos: {', '.join(short)}."] if short else []
