"""How much of a long operator to do at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch

# on a graphics processor memory is saved, not its cache, and a short pass leaves it idle
_DEVICE_BYTES = 256 << 20


def passes(rows: int, row_bytes: int, cache_bytes: int, device: torch.device) -> Iterator[tuple[int, int]]:
    """Cut `rows` rows into passes (first, last + 1) whose intermediate values, `row_bytes` a row, stay few.

    On a CPU those of one pass take at most `cache_bytes` for each thread, so that they are still in its cache when they
    are used: writing them to memory and reading them again costs more than computing them.
    """
    budget = cache_bytes * torch.get_num_threads() if device.type == "cpu" else _DEVICE_BYTES
    length = max(1, budget // max(1, row_bytes))
    for first in range(0, rows, length):
        yield first, min(rows, first + length)
