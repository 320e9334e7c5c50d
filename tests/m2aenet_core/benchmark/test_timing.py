"""Pieces of work are timed in turn, and their memory is that of their own."""

from __future__ import annotations

import sys

import pytest
import torch

from m2aenet_core.benchmark import timing
from m2aenet_core.benchmark.timing import compare_times, peak_bytes

CPU = torch.device("cpu")


def test_work_is_done_in_turn() -> None:
    done: list[str] = []
    seconds = compare_times({name: lambda name=name: done.append(name) for name in "ab"}, 3, CPU)  # type: ignore[misc]
    assert done == list("abababab")
    assert seconds.keys() == {"a", "b"}


def test_the_median_counts_and_the_first_round_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    took = iter([100.0, 5.0, 1.0, 90.0, 3.0, 2.0])
    monkeypatch.setattr(timing, "_seconds", lambda work, device: next(took))
    assert compare_times({"work": lambda: None}, 5, CPU) == {"work": 3.0}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is sampled, and a short one may be missed")
def test_the_peak_is_what_the_work_takes_beyond_what_is_held() -> None:
    held = torch.ones(64 << 18)  # 64 MB, in use before and after
    taken = peak_bytes(lambda: torch.ones(32 << 18) + 1, CPU) / 2**20
    assert held.sum() > 0
    assert 60 < taken < 80
