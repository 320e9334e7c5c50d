"""What was done to pictures without motion blur, for people: tables, and the worst of each kind."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from m2aenet_core.analysis import DeblurResult
from m2aenet_core.benchmark.harm_figures import Harm, KindHarm
from m2aenet_core.benchmark.report import markdown_table
from m2aenet_core.data.folder import Pixels
from m2aenet_core.evaluation.sheet import SheetRow, heat, sheet_png, side_by_side_png

_CHANGE_FACTOR = 8
_TITLES = ("input", "blur probability", "restored", f"change, {_CHANGE_FACTOR} times")
_HEADINGS = (
    "kind",
    "images",
    "called blurred, %",
    "worst, %",
    "over 1 %, % of images",
    "to the input, dB",
    "worst, dB",
    "check: doubtful, %",
    "check: trusted, %",
)


def to_markdown(rows: Sequence[KindHarm]) -> str:
    """Give a table for the first threshold and, where there are several, one of what the others buy."""
    thresholds = list(dict.fromkeys(row.threshold for row in rows))
    first = [row for row in rows if row.threshold == thresholds[0]]
    parts = [f"ε = {thresholds[0]:g}", markdown_table(_HEADINGS, [_line(row) for row in first])]
    if len(thresholds) > 1:
        parts += ["What another ε buys", _by_threshold(rows, thresholds)]
    return "\n\n".join(parts)


def _line(row: KindHarm) -> tuple[str, ...]:
    return (
        row.kind,
        str(row.images),
        _percent(row.called_blurred),
        _percent(row.called_blurred_worst),
        _percent(row.marked, 0),
        f"{row.to_input:.1f}",
        f"{row.to_input_worst:.1f}",
        _percent(row.doubtful, 0),
        _percent(row.trusted, 0),
    )


def _by_threshold(rows: Sequence[KindHarm], thresholds: Sequence[float]) -> str:
    by_kind: dict[str, list[KindHarm]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    headings = ["kind"]
    headings += [f"called blurred, % at {each:g}" for each in thresholds]
    headings += [f"over 1 %, % of images at {each:g}" for each in thresholds]
    headings += [f"worst, dB at {each:g}" for each in thresholds]
    lines = []
    for kind, same in by_kind.items():
        shares = [_percent(row.called_blurred) for row in same] + [_percent(row.marked, 0) for row in same]
        lines.append([kind, *shares, *(f"{row.to_input_worst:.1f}" for row in same)])
    return markdown_table(headings, lines)


def _percent(share: float, digits: int = 2) -> str:
    return "" if math.isnan(share) else f"{100 * share:.{digits}f}"


def worst_strip(harm: Harm, result: DeblurResult) -> SheetRow:
    """Give the line of a picture in `worst_png`: it, its probability, its result, and the change around grey."""
    before, after = result.analysis.image, result.restored
    change = _CHANGE_FACTOR * (after.astype(np.int16) - before) + 128
    shown: list[Pixels] = [before, heat(result.analysis.blur_probability), after, change.clip(0, 255).astype(np.uint8)]
    checked = "" if harm.check == "not asked" else f", check: {harm.check}"
    caption = (
        f"{harm.kind}: {harm.image}    {_percent(harm.called_blurred)} % called blurred, "
        f"{harm.to_input:.1f} dB to the input{checked}"
    )
    return SheetRow(side_by_side_png(shown), caption)


def worst_png(rows: Sequence[SheetRow]) -> bytes:
    """Give a contact sheet of `worst_strip`s."""
    return sheet_png(_TITLES, rows)
