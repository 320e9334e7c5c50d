"""Decoded pairs kept in memory that worker processes share, since decoding is most of the work of a sample."""

from __future__ import annotations

import mmap
import multiprocessing
import threading
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from m2aenet_core.data.pair_pixels import PairPixels

# what others on the machine start later has to find memory too
_ALWAYS_FREE_SHARE = 0.15
_EMPTY, _BEING_WRITTEN = 0, -1


class PairCache:
    """Keeps pairs, by their numbers, until its memory is full; nothing is thrown out.

    Every pair is asked for equally often, so no choice of what to keep is better than the first that came. Processes
    forked from the one that made the cache share it, whoever decoded; in a process started otherwise it keeps nothing.
    """

    def __init__(self, pairs: int, limit_bytes: int) -> None:
        """Reserve addresses for so many bytes; memory is taken as pairs come."""
        self._limit = 0
        if not pairs or not limit_bytes:
            return
        try:
            self._memory = mmap.mmap(-1, limit_bytes)
        except OSError:  # a system that promises no more than it has
            return
        self._limit = limit_bytes
        # of each pair: 1 + offset in memory (or _EMPTY, _BEING_WRITTEN), height, width, whether there is a mask;
        # one row more, whose first number is the memory taken
        self._table = np.frombuffer(mmap.mmap(-1, (pairs + 1) * 32), np.int64).reshape(pairs + 1, 4)
        can_fork = "fork" in multiprocessing.get_all_start_methods()
        self._lock: Any = multiprocessing.get_context("fork").Lock() if can_fork else threading.Lock()

    def __reduce__(self) -> tuple[type[PairCache], tuple[int, int]]:
        return PairCache, (0, 0)

    @property
    def used_bytes(self) -> int:
        """Memory taken so far."""
        return int(self._table[-1, 0]) if self._limit else 0

    def get(self, number: int) -> PairPixels | None:
        """Give a pair that was kept, read-only, or None."""
        if not self._limit:
            return None
        with self._lock:
            place, height, width, has_mask = map(int, self._table[number])
        if place in (_EMPTY, _BEING_WRITTEN):
            return None
        pixels = height * width
        parts = np.frombuffer(self._memory, np.uint8, pixels * (7 if has_mask else 6), place - 1)
        parts.flags.writeable = False
        photos = parts[: pixels * 6].reshape(2, height, width, 3)
        mask = parts[pixels * 6 :].view(np.bool_).reshape(height, width) if has_mask else None
        return PairPixels(photos[0], photos[1], mask)

    def put(self, number: int, pair: PairPixels) -> None:
        """Keep a pair, if there is room."""
        parts: list[NDArray[Any]] = [pair.blur, pair.sharp, *([] if pair.mask is None else [pair.mask])]
        place = self._reserve(number, sum(part.nbytes for part in parts))
        if place is None:
            return
        at = place
        for part in parts:
            np.frombuffer(self._memory, part.dtype, part.size, at)[:] = part.reshape(-1)
            at += part.nbytes
        with self._lock:
            self._table[number] = (place + 1, *pair.blur.shape[:2], pair.mask is not None)

    def _reserve(self, number: int, size: int) -> int | None:
        if not self._limit or self.used_bytes + size > self._limit:
            return None
        memory = psutil.virtual_memory()
        if memory.available - size < _ALWAYS_FREE_SHARE * memory.total:
            return None
        with self._lock:
            place = self.used_bytes
            if self._table[number, 0] != _EMPTY or place + size > self._limit:
                return None
            self._table[number, 0] = _BEING_WRITTEN
            self._table[-1, 0] = place + size
        return place
