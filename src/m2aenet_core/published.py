"""Released checkpoints of other authors, brought into our networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from m2aenet_core.errors import InputError
from m2aenet_core.models.nafnet import NAFNet

_WRAPPINGS = ("params", "state_dict")
_NAFNET_PARTS = {
    "norm1": "norm1",
    "conv1": "expand1",
    "conv2": "depthwise",
    "sca.1": "attention.mix",
    "conv3": "project1",
    "norm2": "norm2",
    "conv4": "expand2",
    "conv5": "project2",
}


def load_published(kind: str, state_dict: Mapping[str, Any]) -> NAFNet:
    """Give our NAFNet with a released checkpoint's weights, its size worked out from them.

    kind: "nafnet". state_dict: the released keys, plain or under `params` or `state_dict`, with or without
    `module.` before each. Raises InputError for other kinds and keys.
    """
    if kind != "nafnet":
        raise InputError(f"released checkpoints of {kind} are not known; give nafnet")
    for wrapping in _WRAPPINGS:
        state_dict = state_dict.get(wrapping, state_dict)
    named = {_our_name(name.removeprefix("module.")): value for name, value in state_dict.items()}
    if "intro.weight" not in named:
        raise InputError("these are not the weights of a NAFNet; give a checkpoint released by its authors")
    state = {name: torch.as_tensor(value) for name, value in named.items()}
    model = NAFNet(
        width=state["intro.weight"].shape[0],
        encoder_blocks=_blocks(state, "encoders"),
        middle_blocks=1 + max((int(m[1]) for m in (re.match(r"middle\.(\d+)\.", k) for k in state) if m), default=-1),
        decoder_blocks=_blocks(state, "decoders"),
    )
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"the checkpoint does not fit a NAFNet: {str(error).splitlines()[-1].strip()}") from error
    return model.eval()


def _our_name(name: str) -> str:
    name = name.replace("middle_blks.", "middle.")
    for theirs, ours in _NAFNET_PARTS.items():
        name = name.replace(f".{theirs}.", f".{ours}.")
    return name


def _blocks(state: Mapping[str, Tensor], part: str) -> tuple[int, ...]:
    stages = 1 + max((int(name.split(".")[1]) for name in state if name.startswith("downs.")), default=-1)
    return tuple(
        len({name.split(".")[2] for name in state if name.startswith(f"{part}.{stage}.")}) for stage in range(stages)
    )
