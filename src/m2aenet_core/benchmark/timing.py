"""How long pieces of work take beside each other, and how much memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

from m2aenet_core.peak_memory import held_bytes, watch_peak


def compare_times(works: Mapping[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, float]:
    """Give the median seconds of each piece of work.

    They run in turn, round by round, so that what else the machine does disturbs all of them alike; the first round
    is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            took = _seconds(work, device)
            if turn:
                seconds[name].append(took)
    return {name: statistics.median(each) for name, each in seconds.items()}


def peak_bytes(work: Callable[[], object], device: torch.device) -> float:
    """Give the bytes that a piece of work takes at its highest beyond what is held before; NaN if a device cannot tell.

    Call it after the work has run once: what a library loads the first time is not the work's.
    """
    before = held_bytes(device)
    with watch_peak(device) as peak:
        result = work()
        wait_for(device)
    del result
    return max(0.0, peak.bytes - before)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    wait_for(device)
    start = time.perf_counter()
    result = work()
    wait_for(device)
    took = time.perf_counter() - start
    del result  # giving memory back is not part of the work, but part of the next one if it is left to it
    return took


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was told: it works on while the program goes on."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
