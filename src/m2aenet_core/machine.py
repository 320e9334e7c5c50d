"""What a measurement was made on: the machine and the versions, for reports."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np
import torch

from m2aenet_core import __version__


def describe_machine(device: torch.device) -> dict[str, str]:
    """Give processor, device, threads and system in words."""
    return {
        "device": _device(device),
        "processor": _processor(),
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} cores",
        "system": platform.platform(),
    }


def describe_versions() -> dict[str, str]:
    """Give the versions that figures may depend on."""
    return {
        "napari-m2aenet": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _processor() -> str:
    """Give the processor's name; what the system calls it is often no more than its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
