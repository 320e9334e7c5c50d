"""Look at how training runs went, side by side: `m2aenet curves --run runs/a runs/b --out curves.png`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from m2aenet_core.atomic import write_atomic
from m2aenet_core.errors import InputError
from m2aenet_core.options import parse_options
from m2aenet_core.training.curves import RunCurves, columns_of, compared_png, curves_png
from m2aenet_core.training.log import LOSSES, METRICS, read_rows


@dataclass(frozen=True)
class CurvesConfig:
    """Which runs, and where to."""

    run: tuple[str, ...]
    """Folders of runs, finished or not; of one run its loss is shown too."""
    out: str = "curves.png"
    """PNG file for the curves."""


def draw_curves(config: CurvesConfig) -> Path:
    """Write the curves, and give their file.

    Raises InputError for a folder without a run, or one that is named twice, and for a file that is no PNG.
    """
    out = Path(config.out)
    if out.suffix.lower() != ".png":
        raise InputError(f"{out} is no PNG file; give --out a name that ends in .png")
    folders = [Path(folder) for folder in config.run]
    if not folders:
        raise InputError("there is no run to show; give --run with the folders of some")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("a run is named twice; name each once")
    runs = [_read(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    write_atomic(out, compared_png(runs) if len(runs) > 1 else curves_png(runs[0].losses, runs[0].metrics))
    return out


def _read(folder: Path, name: str) -> RunCurves:
    losses = read_rows(folder / LOSSES)
    if not losses:
        raise InputError(f"{folder} holds no step of a run; give the folder that a run was told as --out")
    return RunCurves(name, columns_of(losses), columns_of(read_rows(folder / METRICS)))


def _names(folders: Sequence[Path]) -> list[str]:
    """Give each run the name of its folder, or the whole path where two have the same."""
    short = [folder.resolve().name for folder in folders]
    return [name if short.count(name) == 1 else str(folder) for name, folder in zip(short, folders, strict=True)]


def main(argv: Sequence[str] | None = None) -> int:
    """Draw as the command line says."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Show how training runs went: one by its losses and validations, several side by side."
        print(draw_curves(parse_options(CurvesConfig, "m2aenet curves", about, argv)))

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
