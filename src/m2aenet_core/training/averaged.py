"""The averaged weights of a run that may still go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch

from m2aenet_core.errors import InputError
from m2aenet_core.models.network import Network
from m2aenet_core.options import parse_options
from m2aenet_core.training.config import TrainConfig
from m2aenet_core.training.run_folder import CHECKPOINT
from m2aenet_core.training.start import new_network


class Averaged(NamedTuple):
    """A network with the averaged weights of a step, in evaluation mode on the CPU."""

    network: Network
    step: int


def newest_averaged(folder: str | Path) -> Averaged:
    """Give the averaged weights of a run's newest checkpoint.

    Raises:
        InputError: the folder holds no run, or none that has saved yet, or its files are damaged.
    """
    folder = Path(folder)
    path = folder / CHECKPOINT
    if not path.is_file():
        raise InputError(f"{folder} holds no checkpoint yet; wait until the run has saved one")
    network = new_network(read_config(folder))
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        network.load_state_dict(content["ema"])
        return Averaged(network.eval(), int(content["step"]))
    except Exception as error:  # a damaged file raises whatever it leads the reader to
        raise InputError(f"{path} is damaged or of another network; choose another run") from error


def read_config(folder: str | Path) -> TrainConfig:
    """Give the settings of the run in a folder. Raises InputError where there are none that can be read."""
    path = Path(folder) / "config.yaml"
    if not path.is_file():
        raise InputError(f"{folder} holds no run; choose the folder of one")
    try:
        return parse_options(TrainConfig, "m2aenet train", "", ["--config", str(path)])
    except SystemExit as error:
        raise InputError(f"{path} holds settings that this version does not know; train again") from error
