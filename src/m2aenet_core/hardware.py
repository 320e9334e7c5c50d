"""What the machine has, what torch makes of it, and what to do where the two differ."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Hardware:
    """What the machine has, whatever torch makes of it."""

    system: str
    """Linux, Darwin or Windows."""
    architecture: str
    nvidia_gpus: tuple[str, ...] = ()
    """Names of NVIDIA GPUs."""
    is_apple_silicon: bool = False
    """Whether the chip is an M1 or later, even where this Python was made for Intel."""


@dataclass(frozen=True)
class TorchFacts:
    """What torch was built for, and what it finds."""

    version: str
    cuda_build: str | None
    """The version of CUDA or ROCm it was built for; None for a CPU build."""
    has_cuda: bool
    has_mps_build: bool
    has_mps: bool
    complaint: str = ""
    """Why CUDA does not start, in torch's own words."""


def advise(hardware: Hardware, facts: TorchFacts, qt: Mapping[str, str], executable: str = sys.executable) -> list[str]:
    """What to do where a GPU is there and not used, or no window can open; each a sentence, some with a command."""
    advice = []
    if hardware.nvidia_gpus and not facts.has_cuda:
        advice.append(_advise_nvidia(hardware, facts, executable))
    if hardware.is_apple_silicon and not facts.has_mps:
        advice.append(_advise_apple(hardware, facts, executable))
    if not qt:
        command = _pip(executable, "napari-m2aenet[all]")
        advice.append(f"No Qt binding is installed, so napari cannot open a window; type: {command}")
    return advice


def find_hardware() -> Hardware:
    """What the machine has: NVIDIA GPUs by their driver, Apple's chips by the system."""
    system = platform.system()
    return Hardware(
        system=system,
        architecture=platform.machine(),
        nvidia_gpus=tuple(_nvidia_gpus()),
        is_apple_silicon=system == "Darwin" and (platform.machine() == "arm64" or _is_translated()),
    )


def torch_facts() -> TorchFacts:
    """What torch was built for, and what it finds."""
    import torch

    complaint = ""
    build = torch.version.cuda or getattr(torch.version, "hip", None)
    if build and not torch.cuda.is_available():
        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as error:
            complaint = str(error).splitlines()[0]
    return TorchFacts(
        version=str(torch.__version__),
        cuda_build=build,
        has_cuda=torch.cuda.is_available(),
        has_mps_build=torch.backends.mps.is_built(),
        has_mps=torch.backends.mps.is_available(),
        complaint=complaint,
    )


# -- advice ---------------------------------------------------------------------------------------------------------


def _advise_nvidia(hardware: Hardware, facts: TorchFacts, executable: str) -> str:
    gpus = ", ".join(hardware.nvidia_gpus)
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return f"{gpus} is there, but CUDA_VISIBLE_DEVICES hides it; unset that variable and start again."
    if facts.cuda_build is None:
        return f"{gpus} is there, but this torch is a CPU build; type: {_torch_command(hardware, facts, executable)}"
    reason = f" ({facts.complaint})" if facts.complaint else ""
    return (
        f"{gpus} is there, and torch is built for CUDA {facts.cuda_build}, but it does not start{reason}; install the "
        "newest driver of NVIDIA and restart the machine."
    )


def _advise_apple(hardware: Hardware, facts: TorchFacts, executable: str) -> str:
    if hardware.architecture != "arm64":
        return "The chip is Apple's, but this Python is made for Intel; install a Python for arm64 and begin anew."
    if not facts.has_mps_build:
        command = _torch_command(hardware, facts, executable)
        return f"An Apple GPU is there, but this torch cannot use it; type: {command}"
    return "An Apple GPU is there, but this macOS is too old for torch; update macOS."


def _torch_command(hardware: Hardware, facts: TorchFacts, executable: str) -> str:
    """The command of the README's table for this system."""
    # a CPU build of the same version satisfies pip, so it has to be told to take another
    anew = ("--force-reinstall",)
    if hardware.system == "Windows":
        return _pip(executable, *anew, "torch", "--index-url", "https://download.pytorch.org/whl/cu130")
    return _pip(executable, *anew, f"torch=={facts.version.partition('+')[0]}")


def _pip(executable: str, *words: str) -> str:
    command = [executable, "-m", "pip", "install", *words]
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


# -- what is there --------------------------------------------------------------------------------------------------


def _nvidia_gpus() -> list[str]:
    """The names of the NVIDIA GPUs, as their driver gives them."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        found = _said_by([tool, "--query-gpu=name", "--format=csv,noheader"])
        if found:
            return found
    return ["An NVIDIA GPU"] if _NVIDIA_DRIVER.exists() else []


def _is_translated() -> bool:
    """Whether macOS runs this Python, made for Intel, on one of its own chips."""
    return _said_by(["sysctl", "-n", "hw.optional.arm64"]) == ["1"]


def _said_by(command: Sequence[str]) -> list[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
