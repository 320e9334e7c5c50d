"""Which devices there are, and how much memory is free on them."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch

from m2aenet_core.errors import InputError

# of Apple GPUs, and of the CPU in two of its moods
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


@dataclass(frozen=True)
class DeviceInfo:
    """A device to choose: its name for `resolve_device`, a label for people, free memory in bytes."""

    name: str
    label: str
    free_bytes: int


def available_devices() -> list[DeviceInfo]:
    """Give the devices of this machine, the quickest first."""
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    names += ["mps"] if torch.backends.mps.is_available() else []
    return [_describe(name) for name in (*names, "cpu")]


def resolve_device(name: str) -> torch.device:
    """Give the device of a name: "auto" (cuda, then mps, then cpu), "cpu", "mps", "cuda" or "cuda:N".

    Raises InputError for a name that is no device, and for a device that this machine or this torch lacks.
    """
    names = [device.name for device in available_devices()]
    if name == "auto":
        return torch.device(names[0])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in names:
        raise InputError(f"there is no device {name!r} here; choose one of auto, {', '.join(names)}")
    return torch.device(wanted)


def free_bytes(device: torch.device) -> int:
    """Give the free memory of a device in bytes; what torch keeps of it and uses for nothing is free."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    # Apple GPUs share the machine's memory
    return int(psutil.virtual_memory().available)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that a device's memory is too small: each kind of device says it in its own way."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def _describe(name: str) -> DeviceInfo:
    device = torch.device(name)
    free = free_bytes(device)
    if device.type == "cuda":
        title = torch.cuda.get_device_name(device)
    elif device.type == "mps":
        title = "Apple GPU"
    else:
        title = f"CPU, {torch.get_num_threads()} threads"
    return DeviceInfo(name, f"{title} ({free / 2**30:.1f} GB free)", free)
