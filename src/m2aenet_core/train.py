"""Train a network: `python -m m2aenet_core.train`, or `m2aenet train`.

A run lives in its folder. Started again with the same folder, it goes on where it stopped.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from m2aenet_core.atomic import write_atomic
from m2aenet_core.options import parse_options, recipe_names, to_yaml
from m2aenet_core.training.config import TrainConfig, check_config, check_resumable
from m2aenet_core.training.launch import launch, leave, memory_for_pairs
from m2aenet_core.training.loop import fit
from m2aenet_core.training.occupied import occupied
from m2aenet_core.training.report import write_report
from m2aenet_core.training.run_folder import CHECKPOINT, FINAL, LAST, RunFolder, save_weights
from m2aenet_core.training.sources import Sources, make_sources
from m2aenet_core.training.start import first_network, in_channels_last
from m2aenet_core.training.state import TrainState, load_checkpoint
from m2aenet_core.training.step import make_optimizer
from m2aenet_core.training.stopping import Stopping

__all__ = ["TrainConfig", "main", "parse", "train"]


def train(config: TrainConfig) -> Path:
    """Run to the last step, to max_time_s or to an interruption, and give the written weights file.

    Raises InputError for what the user can mend; KeyboardInterrupt after an interruption, when all is written.
    """
    check_config(config)
    out = Path(config.out)
    if (out / CHECKPOINT).is_file():
        check_resumable(out, config)
    # processes that only help train in the folder of the first one
    with occupied(out) if is_first_process() else nullcontext():
        return _train(config)


def _train(config: TrainConfig) -> Path:
    """Read what is needed, run, and give the written weights file; raises as `train`."""
    out = Path(config.out)
    # before other processes are started: what is wrong with the data is said once
    sources = make_sources(config, cache_bytes=memory_for_pairs(config), show_progress=is_first_process())
    fabric = launch(config)
    try:
        state = _setup(fabric, config)
        load_checkpoint(out / CHECKPOINT, state, fabric)
        with Stopping(config.max_time_s) as stopping:
            weights = _run(fabric, config, state, sources, stopping)
    finally:
        leave(fabric)
    if stopping.is_interrupted:
        raise KeyboardInterrupt
    return weights


def _run(fabric: Fabric, config: TrainConfig, state: TrainState, sources: Sources, stopping: Stopping) -> Path:
    """Take the steps, and leave weights and a report."""
    out = Path(config.out)
    if fabric.is_global_zero:
        # not before: a run that cannot begin leaves the folder of another as it was
        write_atomic(out / "config.yaml", to_yaml(config).encode())
    with RunFolder(fabric, config, state, sources.validation) as folder:
        fit(fabric, config, state, sources.training, folder, stopping)
    weights = out / (FINAL if state.step >= config.steps else LAST)
    if fabric.is_global_zero:
        save_weights(weights, state, config)
        write_report(fabric, config, state, sources.notes)
    return weights


def _setup(fabric: Fabric, config: TrainConfig) -> TrainState:
    torch.manual_seed(config.seed)
    goes_on = (Path(config.out) / CHECKPOINT).is_file()
    # what a run that goes on began with need not be there any more
    network = in_channels_last(first_network(replace(config, init_from=None) if goes_on else config))
    ema = copy.deepcopy(network).eval().requires_grad_(False).to(fabric.device)
    model, optimizer = fabric.setup(network, make_optimizer(config, network))
    return TrainState(model, ema, optimizer)


def is_first_process() -> bool:
    """Say whether this is the process that speaks for all that share the batches."""
    # those that Fabric starts itself are told by LOCAL_RANK, in a job of Slurm too, whose numbers they all inherit
    if "RANK" in os.environ:
        return os.environ["RANK"] == "0"
    if "LOCAL_RANK" not in os.environ and SLURMEnvironment.detect():
        return os.environ["SLURM_PROCID"] == "0"
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"


def parse(argv: Sequence[str] | None = None) -> TrainConfig:
    """Give the config of a command line: recipe, then YAML file, then flags."""
    about = (
        "Train a network on blur made from sharp photos, on pairs of blurred and sharp photos, or on both. "
        f"--recipe NAME stands for the --config of a built-in recipe: {', '.join(recipe_names())}."
    )
    return parse_options(TrainConfig, "m2aenet train", about, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the command line says."""
    from m2aenet_core.cli import EXIT_INTERRUPTED, run_command

    def run() -> None:
        config = parse(argv)
        try:
            weights = train(config)
        except KeyboardInterrupt:
            if not is_first_process():
                raise SystemExit(EXIT_INTERRUPTED) from None
            if (Path(config.out) / CHECKPOINT).is_file():
                print(f"{config.out} holds the run so far; the same command goes on with it", file=sys.stderr)
            raise
        if is_first_process():
            print(f"weights written to {weights}; {Path(config.out) / 'report.md'} tells how the run went")

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
