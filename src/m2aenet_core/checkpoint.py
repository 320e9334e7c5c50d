"""Weights in and out: safetensors with the model's config inside.

A released `.pth` file is read only where it is asked for by name ("nafnet:FILE.pth"), and then without running code.

A weights file's metadata hold `model` (the kind), `config` (JSON), `version` (of this package) and what the
writer adds, such as the training summary.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save
from torch import Tensor, nn

from m2aenet_core import __version__
from m2aenet_core.atomic import write_atomic
from m2aenet_core.errors import InputError
from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.nafnet import NAFNet, NAFNetConfig
from m2aenet_core.models.network import Network
from m2aenet_core.published import PUBLISHED, read_published

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
# what "default" means where nothing is said of the device, and on devices that are quick enough for more
DEFAULT_MODEL = "small"
_DEFAULT_ON = {"cuda": "full"}

# kind in a weights file: how a network of that kind is made from its config, and the config
NETWORKS: Mapping[str, tuple[Callable[[Any], Network], type[Any]]] = {
    "M2AENet": (M2AENet, M2AENetConfig),
    "NAFNet": (NAFNet.from_config, NAFNetConfig),
    "LMDViT": (LMDViT, LMDViTConfig),
}

_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


def embedded_weights() -> dict[str, Path]:
    """Give the names and files of the weights that come with the package."""
    return {path.stem: path for path in sorted(WEIGHTS_FOLDER.glob("*.safetensors"))}


def released(name: str | Path) -> tuple[str, Path] | None:
    """Give kind and file of "nafnet:FILE" or "lmdvit:FILE", which names a checkpoint as its authors released it."""
    kind, colon, path = str(name).partition(":")
    return (kind, Path(path)) if colon and kind in PUBLISHED else None


def model_name(name_or_path: str | Path, device_type: str = "cpu") -> str:
    """Give a name or path as it is, and for "default" the name of the embedded weights it means on a kind of device."""
    if str(name_or_path) != "default":
        return str(name_or_path)
    name = _DEFAULT_ON.get(device_type, DEFAULT_MODEL)
    # a source tree may lack the larger ones
    return name if name in embedded_weights() else DEFAULT_MODEL


def lasting_name(name: str) -> str:
    """Give what means the same weights in every folder: the name of embedded ones, the whole path of a file."""
    if (checkpoint := released(name)) is not None:
        kind, path = checkpoint
        return f"{kind}:{path.absolute()}"
    return name if name == "default" or name in embedded_weights() else str(Path(name).absolute())


def weights_path(name_or_path: str | Path) -> Path:
    """Give the file of embedded weights ("default", "small", "full"), of a released checkpoint, or of a path.

    Raises InputError for an unknown name and a file that is not there.
    """
    if (checkpoint := released(name_or_path)) is not None:
        kind, path = checkpoint
        if not _is_file(path):
            raise InputError(f"there is no file {path}; give the checkpoint that the authors of {kind} released")
        return path
    embedded = embedded_weights()
    name = model_name(name_or_path)
    if name in embedded:
        return embedded[name]
    path = Path(name_or_path)
    if not _is_file(path):
        names = ", ".join(["default", *embedded])
        raise InputError(f"there are no weights called {name_or_path}; give one of {names}, or a .safetensors file")
    return path


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_model(
    model: nn.Module, path: str | Path, metadata: Mapping[str, str] | None = None, *, half: bool = False
) -> None:
    """Write a network with its config to a .safetensors file, whole or not at all.

    metadata: further strings to keep. half: store float16, half the size; it is loaded as float32 again.
    """
    kind = type(model).__name__
    if not isinstance(model, Network) or kind not in NETWORKS:
        raise InputError(f"a {kind} cannot be saved with its config; give one of {', '.join(NETWORKS)}")
    tensors = {
        name: (tensor.half() if half else tensor).detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    description = {
        "model": kind,
        "config": json.dumps(dataclasses.asdict(model.config)),
        "version": __version__,
        **(metadata or {}),
    }
    write_atomic(path, _in_order(save(tensors, metadata=description)))


def read_metadata(path: str | Path) -> dict[str, str]:
    """Give the metadata of a weights file. Raises InputError for files that are no such weights."""
    with _open(Path(path)) as weights:
        return dict(weights.metadata() or {})


def load_model(name_or_path: str | Path) -> Network:
    """Give the network of embedded weights, of a .safetensors file or of "nafnet:FILE", in evaluation mode.

    Raises InputError for a pickle, a file that was cut short and the weights of another model.
    """
    if (checkpoint := released(name_or_path)) is not None:
        kind, path = checkpoint
        return read_published(path, kind)
    path = weights_path(name_or_path)
    with _open(path) as weights:
        metadata = weights.metadata() or {}
        if metadata.get("model") not in NETWORKS or "config" not in metadata:
            raise InputError(f"{path} holds the weights of another model; give a file written by this package")
        state = {name: weights.get_tensor(name).float() for name in weights.keys()}  # noqa: SIM118 - not a mapping
    return _build(path, metadata["model"], metadata["config"], state)


def _in_order(content: bytes) -> bytes:
    """Give a safetensors file with its metadata sorted, so that equal weights have one checksum.

    safetensors writes metadata in another order each time. A file is the length of its header in 8 bytes, the header
    as JSON and padded with spaces to a multiple of 8, and the tensors.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise InputError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} cannot be read ({error.strerror or error}); check its permissions"


def _open(path: Path) -> Any:
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise InputError(_unreadable(path, error)) from error
    if start.startswith(_PICKLE_STARTS):
        raise InputError(
            f"{path} is a pickle, which can run code when it is opened; convert it to .safetensors and give that file "
            f"(a checkpoint as its authors released it is asked for as {' or '.join(f'{k}:{path}' for k in PUBLISHED)})"
        )
    try:
        return safetensors.safe_open(path, framework="pt")
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is not a whole .safetensors file; get it again ({error})") from error


def _build(path: Path, kind: str, config: str, state: dict[str, Tensor]) -> Network:
    build, config_type = NETWORKS[kind]
    try:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(config).items()}
        model = build(config_type(**values))
        model.load_state_dict(state)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        summary = str(error).splitlines()[0]
        raise InputError(f"{path} does not fit the network its config describes ({summary}); get it again") from error
    return model.eval()
