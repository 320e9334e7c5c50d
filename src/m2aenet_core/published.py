"""Checkpoints that the authors of NAFNet and LMD-ViT released, as our networks.

Their keys are translated to ours, and the size of the network is worked out from the shapes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from m2aenet_core.errors import InputError
from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import Network

State = Mapping[str, Tensor]
Names = tuple[tuple[str, str], ...]

# where training programs put the weights among other things
_WRAPPINGS = ("params", "params_ema", "state_dict", "model_state_dict", "model")

# regular expressions for their names, applied in order, and ours
_NAFNET_NAMES: Names = (
    (r"^middle_blks\.", "middle."),
    (r"\.conv1\.", ".expand1."),
    (r"\.conv2\.", ".depthwise."),
    (r"\.sca\.1\.", ".attention.mix."),
    (r"\.conv3\.", ".project1."),
    (r"\.conv4\.", ".expand2."),
    (r"\.conv5\.", ".project2."),
)
_LMDVIT_NAMES: Names = (
    (r"^input_proj\.proj\.0\.", "intro."),
    (r"^output_proj\.proj\.0\.", "ending."),
    (r"^dowsample_(\d+)\.conv\.0\.", r"downs.\1."),
    (r"^upsample_(\d+)\.deconv\.0\.", r"ups.\1."),
    (r"^encoderlayer_(\d+)\.", r"encoders.\1."),
    (r"^conv\.blocks\.", "middle.blocks."),
    (r"^decoderlayer_(\d+)\.", r"decoders.\1."),
    (r"\.blocks\.(\d+)\.score_predictor\.in_conv\.", r".predictors.\1.embed."),
    (r"\.blocks\.(\d+)\.score_predictor\.out_conv\.", r".predictors.\1.decide."),
    (r"\.attn\.qkv\.to_q\.", ".attention.query."),
    (r"\.attn\.qkv\.to_kv\.", ".attention.key_value."),
    (r"\.attn\.proj\.", ".attention.project."),
    (r"\.attn\.relative_position_bias_table$", ".attention.position_bias"),
    (r"\.mlp\.linear1\.0\.", ".feed_forward.expand."),
    (r"\.mlp\.dwconv\.0\.", ".feed_forward.depthwise."),
    (r"\.mlp\.linear2\.0\.", ".feed_forward.project."),
    (r"\.modulator\.weight$", ".modulator"),
)


def load_published(kind: str, state_dict: Mapping[str, Any]) -> Network:
    """Give our network with a released checkpoint's weights, in evaluation mode, its size worked out from them.

    kind: "nafnet" or "lmdvit". state_dict: the released keys, plain or wrapped (`params`, `state_dict`, `model`),
    with or without `module.` before each. Raises InputError for other kinds, keys and shapes.
    """
    if kind not in PUBLISHED:
        raise InputError(f"released checkpoints of {kind} are not known; give {' or '.join(PUBLISHED)}")
    return PUBLISHED[kind](_unwrapped(state_dict)).eval()


def read_published(path: str | Path, kind: str) -> Network:
    """Give our network with the weights of a released .pth file; only tensors are read from it, no code is run.

    Raises InputError for a file that is not there, holds more than tensors, or is of another kind.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise InputError(f"there is no file {path}; give the checkpoint that the authors of {kind} released")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a broken or foreign file raises is not said anywhere
        raise InputError(
            f"{path} is not a checkpoint of tensors alone; get it again from its authors ({_reason(error)})"
        ) from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, not named weights; give a released checkpoint")
    return load_published(kind, content)


def _reason(error: Exception) -> str:
    """Say in a line why a file was not read, without torch's advice to run the code that is in it."""
    _, found, reason = str(error).partition("WeightsUnpickler error:")
    lines = (reason if found else str(error)).split("\n")
    first = next((line.strip() for line in lines if line.strip()), type(error).__name__)
    return first.split(". ")[0]


def _unwrapped(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Give the tensors inside the wrappings, without `module.` before their names."""
    while inner := next((content[name] for name in _WRAPPINGS if isinstance(content.get(name), Mapping)), None):
        content = inner
    tensors = {}
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, Tensor | np.ndarray):
            tensors[re.sub(r"^(module\.)+", "", name)] = torch.as_tensor(value)
    return tensors


def _renamed(state: State, names: Names) -> dict[str, Tensor]:
    renamed = {}
    for name, value in state.items():
        for theirs, ours in names:
            name = re.sub(theirs, ours, name)
        renamed[name] = value
    return renamed


def _count(state: State, part: str) -> int:
    """Give how many numbered modules there are right below a part."""
    matches = (re.match(rf"{re.escape(part)}\.(\d+)\.", name) for name in state)
    return 1 + max((int(match[1]) for match in matches if match), default=-1)


def _filled(network: Network, state: State, name: str) -> Network:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"the checkpoint does not fit {name}: {str(error).splitlines()[-1].strip()}") from error
    return network


# -- NAFNet --------------------------------------------------------------------------------------------------------


def _load_nafnet(released: State) -> Network:
    state = _renamed(released, _NAFNET_NAMES)
    if "intro.weight" not in state:
        raise InputError("these are not the weights of a NAFNet; give a checkpoint released by its authors")
    stages = _count(state, "downs")
    network = NAFNet(
        width=state["intro.weight"].shape[0],
        encoder_blocks=[_count(state, f"encoders.{stage}") for stage in range(stages)],
        middle_blocks=_count(state, "middle"),
        decoder_blocks=[_count(state, f"decoders.{stage}") for stage in range(stages)],
    )
    return _filled(network, state, "a NAFNet")


# -- LMD-ViT -------------------------------------------------------------------------------------------------------


def _load_lmdvit(released: State) -> Network:
    state = _renamed(released, _LMDVIT_NAMES)
    try:
        config = _lmdvit_config(state)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError("these are not the weights of an LMD-ViT; give the checkpoint its authors released") from error
    ours = {}
    for name, value in state.items():
        if name.endswith(".relative_position_index"):
            _check_position_index(value, config.window)
        elif name.endswith(".position_bias"):
            ours[name] = value.t().reshape(-1, 2 * config.window - 1, 2 * config.window - 1)
        elif ".attention.query." in name:
            key_value = name.replace(".query.", ".key_value.")
            if key_value in state:
                ours[name.replace(".query.", ".query_key_value.")] = torch.cat([value, state[key_value]])
        elif ".attention.key_value." not in name:
            ours[name] = value
    return _filled(LMDViT(config), ours, "an LMD-ViT")


def _lmdvit_config(state: State) -> LMDViTConfig:
    """Work out the size. Raises KeyError, IndexError or ValueError where the shapes do not tell it."""
    scales = _count(state, "encoders")
    stages = [f"encoders.{n}" for n in range(scales)] + ["middle"] + [f"decoders.{n}" for n in range(scales)]
    tables = [state[f"{stage}.blocks.0.attention.position_bias"] for stage in stages]
    hidden, channels = state["middle.blocks.0.feed_forward.expand.weight"].shape
    return LMDViTConfig(
        width=state["intro.weight"].shape[0],
        window=(math.isqrt(len(tables[0])) + 1) // 2,
        depths=tuple(_count(state, f"{stage}.blocks") for stage in stages),
        heads=tuple(table.shape[1] for table in tables),
        mlp_ratio=hidden / channels,
    )


def _check_position_index(index: Tensor, window: int) -> None:
    """Raise InputError unless the table of biases is numbered as the released code does: by y, then x, ascending."""
    place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
    y, x = place.unsqueeze(2) - place.unsqueeze(1) + window - 1
    if not torch.equal(index.cpu(), y * (2 * window - 1) + x):
        raise InputError("the checkpoint numbers relative positions in another way than the LMD-ViT that was released")


PUBLISHED: dict[str, Callable[[State], Network]] = {"nafnet": _load_nafnet, "lmdvit": _load_lmdvit}
