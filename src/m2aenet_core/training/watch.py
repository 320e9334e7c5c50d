"""How long steps take, and how much of that they wait for samples."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

Mark = Any


class StepTime(NamedTuple):
    """Seconds from asking for samples to the end of the step, and the part in which the network had none."""

    seconds: float
    waiting_s: float


class Watch:
    """Takes the time of steps on the device that computes them, without making it wait.

    On a GPU both times are the device's own: what it spends on rendering samples, and on being idle because none has
    come, counts as waiting.
    """

    def __init__(self, device: torch.device) -> None:
        self._now, self._between = _gpu_clock() if device.type == "cuda" else _wall_clock()
        self._marks: list[Mark] = []
        self._steps: list[tuple[Mark, Mark, Mark]] = []

    def mark(self) -> None:
        """Note the moment: before samples are asked for, when they are there, and when the step is done."""
        self._marks.append(self._now())
        if len(self._marks) == 3:
            asked, began, ended = self._marks
            self._steps.append((asked, began, ended))
            self._marks = []

    def take(self) -> list[StepTime]:
        """Give the times of the steps since the last call; the device has to have finished them."""
        times = [
            StepTime(self._between(asked, ended), self._between(asked, began)) for asked, began, ended in self._steps
        ]
        self._steps = []
        return times


def _wall_clock() -> tuple[Callable[[], Mark], Callable[[Mark, Mark], float]]:
    return time.perf_counter, lambda first, second: second - first


def _gpu_clock() -> tuple[Callable[[], Mark], Callable[[Mark, Mark], float]]:
    def now() -> Mark:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    return now, lambda first, second: first.elapsed_time(second) / 1000
