"""The figures that a run writes, read as they grow. No Qt."""

from __future__ import annotations

import os
import time
from array import array
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_PACE_S = 120.0


class GrowingTable:
    """The numbers of a CSV file that another process writes, a column for each name."""

    def __init__(self, path: Path, *names: str) -> None:
        self._path, self._names = path, names
        self._read = 0
        self._file: int | None = None
        self._places: list[int] = []
        self.columns: dict[str, array[float]] = {}
        self._begin_anew()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def update(self) -> bool:
        """Read what was added since; say whether anything changed.

        A file that was replaced or became shorter, as when a run goes on, is read again from its start. A row that is
        not written to its end is left for the next time, and so is a file that is there and cannot be read now, as
        where a network drive is away for a moment.
        """
        try:
            with self._path.open("rb") as stream:
                state = os.fstat(stream.fileno())
                if (self._file is not None and state.st_ino != self._file) or state.st_size < self._read:
                    self._begin_anew()
                self._file = state.st_ino
                stream.seek(self._read)
                content = stream.read()
        except (FileNotFoundError, NotADirectoryError):
            had_rows = len(self) > 0
            self._begin_anew()
            return had_rows
        except OSError:
            return False
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        lines = whole.decode("utf-8", "replace").split("\n")[:-1]
        return sum(self._take(line.rstrip("\r").split(",")) for line in lines) > 0

    def _begin_anew(self) -> None:
        self._read, self._file, self._places = 0, None, []
        self.columns = {name: array("d") for name in self._names}

    def _take(self, cells: list[str]) -> bool:
        if not self._places:
            self._places = [cells.index(name) if name in cells else -1 for name in self._names]
            return False
        try:
            values = [float(cells[place] or "nan") if place >= 0 else float("nan") for place in self._places]
        except (ValueError, IndexError):
            return False
        for name, value in zip(self._names, values, strict=True):
            self.columns[name].append(value)
        return True


class Pace:
    """How many steps a second a run takes, from when its steps were seen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, step: int) -> None:
        """Note how far the run is now."""
        now = self._clock()
        if self._seen and step < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, step))
        while now - self._seen[0][0] > _PACE_S:
            self._seen.popleft()

    def seconds_for(self, steps: int) -> float | None:
        """Return how long so many steps take; None before there was one to judge by."""
        if not self._seen:
            return None
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return None if last <= first else steps * (ended - began) / (last - first)


def thinned(x: array[float], y: array[float], points: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return at most about so many points of a curve: means over neighbours, so that a noisy loss shows its course."""
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    group = -(-len(xs) // points) if points else 1
    if group <= 1:
        return xs.copy(), ys.copy()
    starts = np.arange(0, len(xs), group)
    counts = np.diff(np.append(starts, len(xs)))
    return np.add.reduceat(xs, starts) / counts, np.add.reduceat(ys, starts) / counts
