"""How much memory a piece of work takes at its highest."""

from __future__ import annotations

import ctypes
import math
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_SAMPLE_S = 0.002


@dataclass
class Peak:
    """Filled in when the block ends: the most bytes that were held meanwhile; NaN where a device does not tell."""

    bytes: float = math.nan


def held_bytes(device: torch.device) -> float:
    """Give the bytes held now: by this process on a CPU, by tensors on an NVIDIA GPU; NaN on other devices.

    On a CPU, memory that was freed but is kept for later is given back first, or the next piece of work would seem
    to need that much less.
    """
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return math.nan
    if sys.platform == "linux":
        # only GNU's C library has it
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
    return float(psutil.Process().memory_info().rss)


@contextmanager
def watch_peak(device: torch.device) -> Iterator[Peak]:
    """Measure the most bytes held during a block, in the sense of `held_bytes`.

    On Linux the kernel's own high-water mark is reset and read; on other systems a thread looks every few
    milliseconds, and may miss a short peak.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated(device)
    elif device.type != "cpu":
        yield peak
    elif _can_reset():
        yield peak
        peak.bytes = _high_water_bytes()
    else:
        with _sampled(peak):
            yield peak


def _can_reset() -> bool:
    try:
        # resets VmHWM (man 5 proc)
        _RESET.write_text("5")
        return _high_water_bytes() > 0
    except (OSError, ValueError):
        return False


def _high_water_bytes() -> float:
    line = next((line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return 1024.0 * int(line.split()[1])


@contextmanager
def _sampled(peak: Peak) -> Iterator[None]:
    """Look at the resident memory from a thread until the block ends."""
    process, is_over = psutil.Process(), threading.Event()
    seen = [float(process.memory_info().rss)]

    def look() -> None:
        while not is_over.wait(_SAMPLE_S):
            seen[0] = max(seen[0], float(process.memory_info().rss))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        peak.bytes = max(seen[0], float(process.memory_info().rss))
