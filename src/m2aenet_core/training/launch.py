"""Devices, machines and precision of a run, through Lightning Fabric."""

from __future__ import annotations

import os
import time
from typing import Any

import psutil
import torch
from lightning_fabric import Fabric

from m2aenet_core.errors import InputError
from m2aenet_core.training.config import TrainConfig

# tensor cores for bfloat16 and for float16 came with these compute capabilities
_BF16_CAPABILITY, _FP16_CAPABILITY = 8, 7
# for a thread that only waits for the interpreter to be free for a moment
_SETTLE_S = 0.5


def launch(config: TrainConfig) -> Fabric:
    """Give Fabric with all its processes running.

    Under `torchrun` and `fabric run` the processes are there already: how many there are is theirs to say.

    Raises InputError where there are no such devices, or they cannot share a batch evenly.
    """
    try:
        fabric = Fabric(**requested(config))
    except (ValueError, RuntimeError) as error:
        raise InputError(f"there are no such devices ({error}); change accelerator, devices or precision") from error
    if not _is_fabric_run():
        fabric.launch()
    parts = fabric.world_size * config.accumulate
    if config.batch_size % parts:
        among = f"{fabric.world_size} devices" + (f" in {config.accumulate} parts" if config.accumulate > 1 else "")
        raise InputError(f"batch_size {config.batch_size} cannot be shared evenly between {among}; change one")
    return fabric


def leave(fabric: Fabric) -> None:
    """Let go of the other processes: one that ends with the group's threads still running may be aborted.

    A thread of gloo that has just done its last work lets go of Python's tensors, for which it needs the interpreter's
    lock. Whoever destroys the group holds that lock and waits for the thread: without a pause both wait for ever.
    """
    if fabric.world_size > 1 and torch.distributed.is_initialized():
        time.sleep(_SETTLE_S)
        torch.distributed.destroy_process_group()


def _is_fabric_run() -> bool:
    return bool(int(os.environ.get("LT_CLI_USED", "0")))


def requested(config: TrainConfig) -> dict[str, Any]:
    """Give what Fabric is asked for: what a config says, as far as `torchrun` or `fabric run` leave it to say."""
    if _is_fabric_run():
        is_chosen = "LT_PRECISION" in os.environ
        return {} if is_chosen else {"precision": chosen_precision(config)}
    nodes, devices = config.num_nodes, config.devices
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    return {
        "accelerator": config.accelerator,
        "devices": devices,
        "num_nodes": nodes,
        "strategy": "ddp" if nodes * devices > 1 else "auto",
        "precision": chosen_precision(config),
    }


def chosen_precision(config: TrainConfig) -> str:
    """Give the precision for Fabric: what was asked for, or with "auto" what the GPU is quick with."""
    if config.precision != "auto":
        return config.precision
    if config.accelerator not in ("auto", "cuda") or not torch.cuda.is_available():
        return "32-true"
    capability, _ = torch.cuda.get_device_capability()
    if capability >= _BF16_CAPABILITY:
        return "bf16-mixed"
    return "16-mixed" if capability >= _FP16_CAPABILITY else "32-true"


def world_max(fabric: Fabric, value: bool) -> bool:
    """Say whether a claim holds in any process. All processes have to ask."""
    if fabric.world_size == 1:
        return value
    total = fabric.all_reduce(torch.tensor(float(value), device=fabric.device), reduce_op="sum")
    return float(total) > 0  # type: ignore[arg-type]


def memory_for_pairs(config: TrainConfig) -> int:
    """Give the bytes of memory that this process may keep decoded pairs in: its part of half of what is free."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", config.devices))
    return int(psutil.virtual_memory().available) // 2 // max(1, processes)
