"""What a run keeps between steps, and its checkpoint: whole, or as it was before."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from m2aenet_core.atomic import write_atomic
from m2aenet_core.errors import InputError
from m2aenet_core.models.network import Network


@dataclass
class TrainState:
    """What a checkpoint keeps; samples and draws follow from the seed and the step, and need no keeping."""

    model: nn.Module
    """The network that learns."""
    ema: Network
    """Its averaged weights, which are validated and saved."""
    optimizer: torch.optim.Optimizer
    step: int = 0
    """Steps taken."""
    best_psnr_db: float = -math.inf
    """Best validation so far."""
    seconds: float = 0.0
    """Time that the run took so far, all its stretches together."""


def save_checkpoint(path: Path, state: TrainState, fabric: Fabric) -> None:
    """Write a state, whole or not at all. Raises InputError where the disk refuses."""
    content = {
        "model": state.model.state_dict(),
        "ema": state.ema.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scaler": fabric.strategy.precision.state_dict(),
        "step": state.step,
        "best_psnr_db": state.best_psnr_db,
        "seconds": state.seconds,
    }
    # through memory: torch's own writer hides that a disk is full
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path, state: TrainState, fabric: Fabric) -> None:
    """Bring a state to where a checkpoint was written; nothing happens where there is none.

    Raises InputError for a damaged file and for another network's, and in all processes where not all see the same.
    """
    if path.is_file():
        _load(path, state, fabric)
    steps = fabric.all_gather(torch.tensor(state.step, device=fabric.device))
    assert isinstance(steps, Tensor)
    if steps.min() != steps.max():
        raise InputError(f"not all machines find the same run in {path.parent}; give an --out that all of them share")


def _load(path: Path, state: TrainState, fabric: Fabric) -> None:
    try:
        content: dict[str, Any] = torch.load(path, map_location=fabric.device, weights_only=True)
    except Exception as error:  # a damaged file raises whatever it leads the reader to
        raise InputError(f"{path} is damaged or no checkpoint; remove it, or choose another --out") from error
    try:
        state.model.load_state_dict(content["model"])
        state.ema.load_state_dict(content["ema"])
        state.optimizer.load_state_dict(content["optimizer"])
        if content["scaler"]:
            fabric.strategy.precision.load_state_dict(content["scaler"])
        state.step, state.best_psnr_db, state.seconds = (content[n] for n in ("step", "best_psnr_db", "seconds"))
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is not a checkpoint of this network ({reason}); choose another --out") from error
