"""Weights in and out: safetensors with the model's config inside. Nothing here unpickles.

A weights file's metadata hold `model` (the kind), `config` (JSON), `version` (of this package) and what the
writer adds, such as the training summary.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from m2aenet_core import __version__
from m2aenet_core.atomic import write_atomic
from m2aenet_core.errors import InputError
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.nafnet import NAFNet

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
DEFAULT_MODEL = "small"

_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


def embedded_weights() -> dict[str, Path]:
    """Give the names and files of the weights that come with the package."""
    return {path.stem: path for path in sorted(WEIGHTS_FOLDER.glob("*.safetensors"))}


def weights_path(name_or_path: str | Path) -> Path:
    """Give the file of embedded weights ("default", "small") or of a path.

    Raises InputError for an unknown name and a file that is not there.
    """
    embedded = embedded_weights()
    name = DEFAULT_MODEL if str(name_or_path) == "default" else str(name_or_path)
    if name in embedded:
        return embedded[name]
    path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(["default", *embedded])
        raise InputError(f"there are no weights called {name_or_path}; give one of {names}, or a .safetensors file")
    return path


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_model(
    model: nn.Module, path: str | Path, metadata: Mapping[str, str] | None = None, *, half: bool = False
) -> None:
    """Write an M2AENet with its config to a .safetensors file, whole or not at all.

    metadata: further strings to keep. half: store float16, half the size; it is loaded as float32 again.
    """
    if not isinstance(model, M2AENet):
        raise InputError(f"only an M2AENet can be saved with its config, not a {type(model).__name__}")
    tensors = {
        name: (tensor.half() if half else tensor).detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    description = {
        "model": "M2AENet",
        "config": json.dumps(dataclasses.asdict(model.config)),
        "version": __version__,
        **(metadata or {}),
    }
    write_atomic(path, save(tensors, metadata=description))


def read_metadata(path: str | Path) -> dict[str, str]:
    """Give the metadata of a weights file. Raises InputError for files that are no such weights."""
    with _open(Path(path)) as weights:
        return dict(weights.metadata() or {})


def load_model(name_or_path: str | Path) -> M2AENet:
    """Give the network of embedded weights or of a .safetensors file, in evaluation mode.

    Raises InputError for a pickle, a file that was cut short and the weights of another model.
    """
    path = weights_path(name_or_path)
    with _open(path) as weights:
        metadata = weights.metadata() or {}
        if metadata.get("model") != "M2AENet" or "config" not in metadata:
            raise InputError(f"{path} holds the weights of another model; give a file written by this package")
        state = {name: weights.get_tensor(name).float() for name in weights.keys()}  # noqa: SIM118 - not a mapping
    return _build(path, metadata["config"], state)


def _open(path: Path) -> Any:
    with path.open("rb") as stream:
        start = stream.read(4)
    if start.startswith(_PICKLE_STARTS):
        raise InputError(
            f"{path} is a pickle, which can run code when it is opened; convert it to .safetensors and give that file"
        )
    try:
        return safetensors.safe_open(path, framework="pt")
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is not a whole .safetensors file; get it again ({error})") from error


def _build(path: Path, config: str, state: dict[str, Tensor]) -> M2AENet:
    try:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(config).items()}
        model = M2AENet(M2AENetConfig(**values))
        model.load_state_dict(state)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        summary = str(error).splitlines()[0]
        raise InputError(f"{path} does not fit the network its config describes ({summary}); get it again") from error
    return model.eval()


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
