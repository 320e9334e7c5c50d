"""The peak of a block is what was held in it, whatever was held before or freed again."""

import math

import numpy as np
import pytest
import torch

from m2aenet_core import peak_memory
from m2aenet_core.peak_memory import held_bytes, watch_peak

CPU = torch.device("cpu")
MB = 2**20


@pytest.fixture(params=["high-water mark", "sampled"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems whose kernel keeps no mark take the second way."""
    if request.param == "sampled":
        monkeypatch.setattr(peak_memory, "_can_reset", lambda: False)


def grown_mb(megabytes: int) -> float:
    """What a block that fills and frees an array seems to need."""
    before = held_bytes(CPU)
    with watch_peak(CPU) as peak:
        array = np.ones(megabytes * MB, np.uint8)
        for _ in range(20):
            # long enough to be seen from a thread
            array += 1
        del array
    return (peak.bytes - before) / MB


@pytest.mark.usefixtures("_way")
def test_memory_that_was_freed_again_counts() -> None:
    assert grown_mb(100) == pytest.approx(100, abs=20)


@pytest.mark.usefixtures("_way")
def test_a_later_block_is_not_charged_with_an_earlier_peak() -> None:
    grown_mb(150)
    assert grown_mb(40) == pytest.approx(40, abs=20)


def test_what_is_held_before_is_not_freed_by_looking() -> None:
    array = np.ones(80 * MB, np.uint8)
    with_it = held_bytes(CPU)
    del array
    assert with_it - held_bytes(CPU) == pytest.approx(80 * MB, abs=20 * MB)


def test_a_device_that_does_not_tell_gives_no_number() -> None:
    device = torch.device("meta")
    with watch_peak(device) as peak:
        pass
    assert math.isnan(peak.bytes)
    assert math.isnan(held_bytes(device))
