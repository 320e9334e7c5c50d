"""The options of benchmarks, read so that nothing is measured for a file that cannot be written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from m2aenet_core.atomic import require_writable
from m2aenet_core.options import parse_options

Config = TypeVar("Config")


def parse_benchmark(
    kind: type[Config], name: str, about: str, argv: Sequence[str] | None, *, files: Sequence[str] = ("out",)
) -> Config:
    """Give the settings of `m2aenet benchmark NAME`, as `parse_options` does.

    files: the settings that name a file to write, or are empty. Raises InputError where one cannot be written.
    """
    config = parse_options(kind, f"m2aenet benchmark {name}", about, argv)
    for path in (getattr(config, each) for each in files):
        if path:
            require_writable(Path(path))
    return config
