"""The figures that a run leaves: of each step, of each validation, and both for TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from m2aenet_core.atomic import explain_write_error, write_atomic
from m2aenet_core.data.folder import Pixels
from m2aenet_core.errors import InputError

LOSSES, METRICS = "losses.csv", "metrics.csv"

Row = dict[str, str]


class RunLog:
    """Writes the figures of steps and of validations.

    losses.csv grows by a row with each step, so that what a run computed can be compared with what another did;
    metrics.csv has a row for each validation. Rows after the step that a run goes on from are of an abandoned stretch,
    and are dropped.

    losses_since_validation: of the steps that were kept, those after the last validation.
    """

    def __init__(self, folder: Path, step: int, *, points_every: int = 50) -> None:
        """Go on with the logs of a folder after a step.

        points_every: steps between points in TensorBoard. Raises InputError where the folder cannot be written.
        """
        self._folder = folder
        self._points_every = points_every
        self._metrics = _rows_until(folder / METRICS, step)
        rows = self._cut_losses(step)
        self._losses_header = list(rows[0]) if rows else []
        validated = int(self._metrics[-1]["step"]) if self._metrics else 0
        self.losses_since_validation = [float(row["loss"]) for row in rows if int(row["step"]) > validated]
        self._since_point: list[Mapping[str, float]] = []
        with _explained(folder / LOSSES):
            self._losses = (folder / LOSSES).open("a", newline="")
        with _explained(folder):
            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # on a full disk both fail once more, after the sentence that says so
        with suppress(OSError):
            self._losses.close()
        with suppress(OSError):
            self._writer.close()

    @property
    def last_validation(self) -> Row | None:
        """The row of the last validation."""
        return self._metrics[-1] if self._metrics else None

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Write the figures of a step; all steps of a run have the same ones."""
        with _explained(self._folder / LOSSES):
            if not self._losses_header:
                self._losses_header = ["step", *figures]
                self._losses.write(",".join(self._losses_header) + "\n")
            # nine digits tell every float32 apart
            self._losses.write(",".join([str(step), *(f"{value:.9g}" for value in figures.values())]) + "\n")
            self._losses.flush()
        self._since_point.append(figures)
        if step % self._points_every == 0:
            self._write_points(step, {f"train/{name}": value for name, value in _means(self._since_point).items()})
            self._since_point = []

    def validated(self, step: int, figures: Mapping[str, float], picture: Pixels) -> None:
        """Write the figures of a validation, and keep its picture (H, W, 3) for TensorBoard."""
        self._metrics.append({"step": str(step), **{name: f"{value:.6g}" for name, value in figures.items()}})
        write_atomic(self._folder / METRICS, _csv(self._metrics).encode())
        self._write_points(step, {f"validation/{name}": value for name, value in figures.items()})
        with _explained(self._folder / "tensorboard"):
            self._writer.add_image("validation", picture, step, dataformats="HWC")
            self._writer.flush()

    def _write_points(self, step: int, figures: Mapping[str, float]) -> None:
        with _explained(self._folder / "tensorboard"):
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)

    def _cut_losses(self, step: int) -> list[Row]:
        """Drop the rows after a step, and one that was cut short; give the others."""
        path = self._folder / LOSSES
        rows = _rows_until(path, step)
        if rows:
            write_atomic(path, _csv(rows).encode())
        else:
            with _explained(path):
                path.unlink(missing_ok=True)
        return rows


def read_rows(path: Path) -> list[Row]:
    """Give the whole rows of a CSV file; nothing where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="") as stream:
        # a row that was cut short, or runs into the next one, lacks columns or has too many
        return [row for row in csv.DictReader(stream) if None not in row and None not in row.values()]


def _rows_until(path: Path, step: int) -> list[Row]:
    return [row for row in read_rows(path) if row.get("step", "").isdigit() and int(row["step"]) <= step]


def _csv(rows: Sequence[Row]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[-1]), restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def _means(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([figures[name] for figures in steps])) for name in steps[-1]}


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a refusal of the system into a sentence."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(explain_write_error(error, path)) from error
