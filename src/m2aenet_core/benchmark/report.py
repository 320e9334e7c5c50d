"""Measurements for people and for programs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from m2aenet_core.atomic import encode_text
from m2aenet_core.machine import describe_machine, describe_versions


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a table in Markdown, in columns that line up: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    rule = ("-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:]))
    lines = ([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in (headings, rule, *rows))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def megabytes(size: float, digits: int = 1) -> str:
    """Give bytes as megabytes; nothing where a device cannot tell."""
    return "" if math.isnan(size) else f"{size / 2**20:.{digits}f}"


def percent(share: float) -> str:
    """Give a share of 1 as per cent, in as many digits as tell it from another."""
    return f"{100 * share:g}%"


def mean_of(measurements: Sequence[Any], name: str) -> float:
    """Give the mean of a figure where it is defined; NaN where it is nowhere. Nothing blurred has no gain, say."""
    values = [value for value in (getattr(each, name) for each in measurements) if math.isfinite(value)]
    return sum(values) / len(values) if values else math.nan


def encode_measurements(settings: Any, measurements: Sequence[Any], device: torch.device, **more: Any) -> bytes:
    """Give measurements as the bytes of a JSON file, with all that they depend on; null for what is no finite number.

    settings, measurements: dataclasses. more: what else the file is to hold, by name.
    """
    content = {
        "machine": describe_machine(device),
        "versions": describe_versions(),
        "settings": dataclasses.asdict(settings),
        "measurements": [_with_nulls(dataclasses.asdict(each)) for each in measurements],
        **more,
    }
    return encode_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _with_nulls(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if _is_no_number(value) else value for name, value in row.items()}


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
