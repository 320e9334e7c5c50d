"""From the first step to the last, or to where something stops the run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

from lightning_fabric import Fabric

from m2aenet_core.data.loader import DEATH_OF_WORKER, batches
from m2aenet_core.data.sample import Batch, Source
from m2aenet_core.data.synthetic import MadeBlur
from m2aenet_core.errors import InputError
from m2aenet_core.training.config import TrainConfig
from m2aenet_core.training.launch import world_max
from m2aenet_core.training.run_folder import RunFolder
from m2aenet_core.training.state import TrainState
from m2aenet_core.training.step import take_step
from m2aenet_core.training.stopping import Stopping
from m2aenet_core.training.watch import Watch

# steps between questions whether another process wants to stop: each makes all of them wait for each other
_ASK_OTHERS_EVERY = 10


def fit(
    fabric: Fabric, config: TrainConfig, state: TrainState, source: Source, folder: RunFolder, stopping: Stopping
) -> None:
    """Take steps until the last one, the end of the time or an interruption; the folder then holds a checkpoint.

    A request to stop is granted between two steps, when model, average, optimizer and count belong together.
    """
    watch = Watch(fabric.device)
    is_to_stop = False
    with _death_of_workers_told(), closing(_samples(fabric, config, state.step, source)) as stream:
        # one step at least, or a run whose time is short would never get anywhere
        while state.step < config.steps and not is_to_stop:
            watch.mark()
            batch = _next(stream, stopping)
            if batch is None:
                break
            batch = fabric.to_device(batch)
            watch.mark()
            figures = take_step(fabric, config, state, batch)
            state.step += 1
            watch.mark()
            folder.add(figures, watch)
            is_to_stop = _is_to_stop(fabric, state.step, stopping)
    folder.finish()


def _is_to_stop(fabric: Fabric, step: int, stopping: Stopping) -> bool:
    """Say whether any process wants to stop; all find the same answer at the same step."""
    if fabric.world_size > 1 and step % _ASK_OTHERS_EVERY:
        return False
    return world_max(fabric, stopping.is_wanted)


def _next(stream: Iterator[Batch], stopping: Stopping) -> Batch | None:
    """Give the next batch; None where the process that makes them was told to stop as well."""
    try:
        return next(stream)
    except RuntimeError:
        if not stopping.is_wanted:
            raise
        return None


@contextmanager
def _death_of_workers_told() -> Iterator[None]:
    """Raise InputError where a process that makes samples was killed, as happens where memory runs out."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(DEATH_OF_WORKER):
            raise
        raise InputError(
            f"a process that makes samples has died, perhaps for want of memory ({str(error).strip()}); give fewer "
            "--workers, and the same command goes on from the last checkpoint"
        ) from error


def _samples(fabric: Fabric, config: TrainConfig, step: int, source: Source) -> Generator[Batch]:
    """Give this process's share of each step's batch, from a step on."""
    size, rank, ranks = config.batch_size // fabric.world_size, fabric.global_rank, fabric.world_size
    is_gpu = fabric.device.type == "cuda"
    if is_gpu and isinstance(source, MadeBlur) and config.workers <= 1:
        # rendered where it is needed: nothing travels, and no process has to make samples ahead
        numbers = range(step, config.steps)
        return (source.batch(config.seed, (number * ranks + rank) * size, size, fabric.device) for number in numbers)
    return batches(
        source,
        seed=config.seed,
        size=size,
        rank=rank,
        ranks=ranks,
        first=step,
        last=config.steps,
        workers=config.workers,
        pinned=is_gpu,
    )
