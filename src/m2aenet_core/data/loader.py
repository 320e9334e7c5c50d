"""Batches of a source, in order, made ahead of the training loop."""

from __future__ import annotations

import signal
from collections.abc import Generator

import torch
from torch.utils.data import DataLoader, Dataset

from m2aenet_core.data.sample import Batch, Source
from m2aenet_core.errors import InputError

DEATH_OF_WORKER = "DataLoader worker"
"""What torch's errors about worker processes that were killed begin with; they have no type of their own."""


class _NumberedBatches(Dataset[Batch | InputError]):
    """Batch number i of a rank holds `size` samples, next to those of the other ranks."""

    def __init__(self, source: Source, seed: int, size: int, rank: int, ranks: int) -> None:
        self.source, self.seed, self.size, self.rank, self.ranks = source, seed, size, rank, ranks

    def __getitem__(self, number: int) -> Batch | InputError:
        try:
            return self.source.batch(self.seed, (number * self.ranks + self.rank) * self.size, self.size)
        except InputError as error:
            return error  # raised in a worker process, its sentence would drown in a traceback


def _leave_signals_to_the_run(worker: int) -> None:
    """Let a worker outlive Ctrl-C and SIGTERM, which reach all processes of a run at once: the run ends it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def batches(
    source: Source,
    *,
    seed: int,
    size: int,
    first: int,
    last: int,
    rank: int = 0,
    ranks: int = 1,
    workers: int = 0,
    pinned: bool = False,
) -> Generator[Batch]:
    """Give batches first .. last - 1 of a seed, in order, whatever the number of worker processes.

    size: samples for this rank. The ranks' batches of one number, side by side, are the batch that one rank with
    ranks * size samples would get. pinned: in memory that a GPU copies from by itself. Raises InputError as the source
    does, RuntimeError with a text that begins with DEATH_OF_WORKER where a worker process was killed: from here or, by
    torch's signal handler, in the middle of whatever is being done.
    """
    dataset = _NumberedBatches(source, seed, size, rank, ranks)
    loader: DataLoader[Batch | InputError] = DataLoader(
        dataset,
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        # memory that a GPU fetches from by itself, while the next step is prepared
        pin_memory=pinned,
        worker_init_fn=_leave_signals_to_the_run,
        # forked workers share the source's photos and cache; where fork is missing, photos are copied once
        multiprocessing_context="fork" if workers and "fork" in torch.multiprocessing.get_all_start_methods() else None,
    )
    iterator = iter(loader)
    try:
        for batch in iterator:
            if isinstance(batch, InputError):
                raise batch
            yield batch
    except (ConnectionError, EOFError) as error:
        # samples come over a connection that breaks with its worker, now and then before the system tells torch of it
        raise RuntimeError(f"{DEATH_OF_WORKER} ended in the middle of a batch") from error
    finally:
        # the traceback of an error keeps the iterator, and with it the workers, who heed no signal: Python would never
        # end, as it waits for them
        if workers:
            iterator._shutdown_workers()  # type: ignore[attr-defined]
