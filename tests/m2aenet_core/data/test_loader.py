"""Batches in order, whoever makes them."""

import errno
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.process import BaseProcess

import numpy as np
import pytest
import torch

from m2aenet_core.data.loader import DEATH_OF_WORKER, batches
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.synthetic import MadeBlur, MadeBlurConfig


@pytest.fixture
def source(photo: np.ndarray) -> MadeBlur:
    return MadeBlur([photo], config=MadeBlurConfig(crop_px=16, object_px=(8, 16), path_px=(4, 8)))


def assert_same(ours: list[Batch], theirs: list[Batch]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        for tensor, expected in zip(one, other, strict=True):
            assert torch.equal(tensor, expected)


def test_batches_are_the_sources_own_in_order(source: MadeBlur) -> None:
    made = list(batches(source, seed=1, size=2, first=0, last=3))
    assert_same(made, [source.batch(1, 2 * number, 2) for number in range(3)])


def test_a_worker_process_makes_the_same_batches_in_the_same_order(source: MadeBlur) -> None:
    ours = list(batches(source, seed=1, size=2, first=0, last=5, workers=0))
    assert_same(list(batches(source, seed=1, size=2, first=0, last=5, workers=1)), ours)


def test_starting_later_gives_the_rest(source: MadeBlur) -> None:
    whole = list(batches(source, seed=1, size=2, first=0, last=4))
    assert_same(list(batches(source, seed=1, size=2, first=2, last=4)), whole[2:])


def test_ranks_side_by_side_are_one_larger_batch(source: MadeBlur) -> None:
    whole = list(batches(source, seed=1, size=4, first=0, last=2))
    ranks = [list(batches(source, seed=1, size=2, first=0, last=2, rank=rank, ranks=2)) for rank in range(2)]
    side_by_side = [
        Batch(*(torch.cat(pair) for pair in zip(first, second, strict=True)))
        for first, second in zip(*ranks, strict=True)
    ]
    assert_same(side_by_side, whole)


def test_there_is_nothing_after_the_last(source: MadeBlur) -> None:
    assert list(batches(source, seed=1, size=2, first=3, last=3)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_reaches_all_processes_of_a_run_leaves_its_workers(
    number: signal.Signals, source: MadeBlur
) -> None:
    making = batches(source, seed=1, size=2, first=0, last=40, workers=1)
    made = [next(making)]
    for worker in multiprocessing.active_children():
        assert worker.pid is not None
        os.kill(worker.pid, number)
    made += making
    assert_same(made, list(batches(source, seed=1, size=2, first=0, last=40)))


def kill_and_go_on(worker: BaseProcess, number: int, making: Iterator[Batch]) -> None:
    """Torch tells of it in the middle of whatever is being done."""
    assert worker.pid is not None
    os.kill(worker.pid, number)
    list(making)


@pytest.mark.parametrize("number", [signal.SIGKILL, None])
def test_no_worker_is_left_when_one_is_killed_or_the_run_ends_early(number: int | None, source: MadeBlur) -> None:
    making = batches(source, seed=1, size=2, first=0, last=400, workers=2)
    next(making)
    workers = multiprocessing.active_children()
    if number is None:
        making.close()
    else:
        with pytest.raises(RuntimeError, match=DEATH_OF_WORKER):
            kill_and_go_on(workers[0], number, making)
    for worker in workers:
        worker.join(timeout=20)
        assert worker.exitcode is not None


def test_a_connection_that_breaks_with_its_worker_is_told_as_its_death(
    source: MadeBlur, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(iterator: object) -> None:
        # what comes of a worker that is killed while it sends, where the system has not told of its end yet
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    making = batches(source, seed=1, size=2, first=0, last=40, workers=1)
    next(making)
    monkeypatch.setattr("torch.utils.data.dataloader._MultiProcessingDataLoaderIter._try_get_data", break_off)
    with pytest.raises(RuntimeError, match=f"^{DEATH_OF_WORKER}"):
        list(making)
    assert multiprocessing.active_children() == []
