"""Decoded pairs in memory."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from m2aenet_core.data.pair_cache import PairCache
from m2aenet_core.data.pair_pixels import PairPixels

Scene = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]
BYTES = 40 * 60 * 7


def assert_same(found: PairPixels | None, expected: PairPixels) -> None:
    assert found is not None
    for ours, theirs in zip(found, expected, strict=True):
        if theirs is None:
            assert ours is None
        else:
            assert ours is not None
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs)


def test_what_was_put_in_comes_out_with_and_without_a_mask(scene: Scene) -> None:
    cache = PairCache(3, 10 * BYTES)
    whole, without = PairPixels(*scene()), PairPixels(*scene(20, 30)[:2], None)
    cache.put(0, whole)
    cache.put(2, without)
    assert_same(cache.get(0), whole)
    assert_same(cache.get(2), without)
    assert cache.get(1) is None
    assert cache.used_bytes == BYTES + 20 * 30 * 6


def test_pixels_that_are_shared_cannot_be_written(scene: Scene) -> None:
    cache = PairCache(1, BYTES)
    cache.put(0, PairPixels(*scene()))
    found = cache.get(0)
    assert found is not None
    for pixels in found:
        with pytest.raises(ValueError, match="read-only"):
            pixels[:] = 0  # type: ignore[index]


def test_what_does_not_fit_is_not_kept_and_what_is_kept_stays(scene: Scene) -> None:
    cache = PairCache(3, 2 * BYTES + BYTES // 2)
    pairs = [PairPixels(*scene(number=number)) for number in range(3)]
    for number, pair in enumerate(pairs):
        cache.put(number, pair)
    assert cache.get(2) is None
    for number in range(2):
        assert_same(cache.get(number), pairs[number])
    assert cache.used_bytes == 2 * BYTES


def test_a_pair_takes_its_memory_once(scene: Scene) -> None:
    cache = PairCache(1, 5 * BYTES)
    for _ in range(3):
        cache.put(0, PairPixels(*scene()))
    assert cache.used_bytes == BYTES


def test_nothing_is_kept_while_the_machine_is_short_of_memory(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PairCache(1, 5 * BYTES)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=140, total=1000))
    cache.put(0, PairPixels(*scene()))
    assert cache.get(0) is None


@pytest.mark.parametrize("limits", [(0, 100), (3, 0)])
def test_a_cache_of_nothing_keeps_nothing(scene: Scene, limits: tuple[int, int]) -> None:
    cache = PairCache(*limits)
    cache.put(0, PairPixels(*scene()))
    assert cache.get(0) is None
    assert cache.used_bytes == 0


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_forked_processes_share_what_any_of_them_put_in(scene: Scene) -> None:
    cache = PairCache(4, 10 * BYTES)
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=cache.put, args=(number, PairPixels(*scene(number=number)))) for number in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    for number in range(4):
        assert_same(cache.get(number), PairPixels(*scene(number=number)))
    assert cache.used_bytes == 4 * BYTES


def test_a_copy_for_another_process_does_not_carry_the_memory_along(scene: Scene) -> None:
    cache = PairCache(1, BYTES)
    cache.put(0, PairPixels(*scene()))
    sent = pickle.dumps(cache)
    assert len(sent) < 200
    copy = pickle.loads(sent)
    copy.put(0, PairPixels(*scene()))
    assert copy.get(0) is None
