"""What this machine can do: `m2aenet doctor`.

Which torch, which devices, how much memory is free, how long a photo takes; and what to type where a GPU is there but
torch cannot use it.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m2aenet_core.cli import run_command
from m2aenet_core.errors import InputError
from m2aenet_core.options import parse_options

if TYPE_CHECKING:
    from m2aenet_core.deblurrer import Deblurrer, ProgressCallback

PACKAGES = ("napari-m2aenet", "torch", "numpy", "napari", "npe2", "dask", "scikit-image", "tifffile", "Pillow")
QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
PROBE_PX = {"cpu": 256, "gpu": 1024}
"""The side of the crop that is timed: a GPU is not busy with a small one."""

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class DoctorSettings:
    """What the doctor looks at."""

    photo: str | None = None
    """A photo whose time is to be estimated; otherwise one of 2 megapixels is thought of."""
    model: str = "default"
    """Name of embedded weights, or a .safetensors file."""
    device: str = "auto"
    """Device to estimate for: auto, cpu, cuda, cuda:1 or mps."""
    probe: bool = True
    """Run the network on a small crop to estimate the time; false leaves that out."""
    json: bool = False
    """Print JSON instead of sentences."""


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


@dataclass(frozen=True)
class Estimate:
    """How long a photo takes: measured on a crop, and scaled by pixels."""

    height: int
    width: int
    model: str
    device: str
    analyze_s: float
    restore_s: float
    """All of the photo; less where little of it is blurred."""

    def sentence(self) -> str:
        """The estimate in words."""
        return (
            f"A photo of {self.width} × {self.height} pixels takes about {_about(self.analyze_s)} to analyze and up to "
            f"about {_about(self.restore_s)} to restore, with {self.model} on {self.device}."
        )


@dataclass(frozen=True)
class Report:
    """What the doctor found."""

    versions: dict[str, str]
    qt: dict[str, str]
    """Installed Qt bindings and their versions."""
    system: str
    torch: TorchFacts
    hardware: Hardware
    devices: tuple[str, ...]
    """Name and free memory of each device that torch can use, the quickest first."""
    weights: tuple[str, ...]
    """Name and size of the weights that come with the package."""
    estimate: Estimate | None
    advice: tuple[str, ...]
    """What to do, where something could be better."""

    def lines(self) -> list[str]:
        """The report for people, a fact in each line."""
        torch_for = f"built for CUDA {self.torch.cuda_build}" if self.torch.cuda_build else "CPU build"
        if self.torch.has_mps_build:
            torch_for = "with support for Apple GPUs"
        qt = ", ".join(f"{name} {version}" for name, version in self.qt.items()) or "none"
        estimate = [self.estimate.sentence()] if self.estimate is not None else []
        return [
            *(f"→ {advice}" for advice in self.advice),
            f"torch {self.torch.version} ({torch_for})",
            *(f"GPU found: {name}" for name in self.hardware.nvidia_gpus),
            *(f"Device: {device}" for device in self.devices),
            *estimate,
            *(f"Weights: {weights}" for weights in self.weights),
            f"Qt: {qt}",
            f"System: {self.system}",
            "Packages: " + ", ".join(f"{name} {version}" for name, version in self.versions.items() if name != "torch"),
        ]

    def as_json(self) -> str:
        """The report as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `m2aenet doctor`."""
    return run_command(lambda: _doctor(parse_options(DoctorSettings, "m2aenet doctor", __doc__ or "", argv)))


def examine(
    size: tuple[int, int] | None = None,
    model: str = "default",
    device: str = "auto",
    *,
    deblurrer: Deblurrer | None = None,
    image: np.ndarray | None = None,
    progress: ProgressCallback | None = None,
) -> Report:
    """Look at this machine.

    Args:
        size: height and width of the photo whose time is estimated; None leaves that out, as it runs the network.
        model: the weights to estimate with.
        device: the device to estimate for.
        deblurrer: takes the place of `model` and `device` where one is open already.
        image: a crop of it is run; otherwise noise.
        progress: may raise Cancelled.

    Raises:
        InputError: there is no such model or device.
    """
    import torch

    from m2aenet_core.checkpoint import DEFAULT_MODEL, embedded_weights
    from m2aenet_core.device import available_devices

    facts, hardware = torch_facts(), find_hardware()
    bindings = _installed(QT_BINDINGS)
    estimate = None
    if size is not None:
        estimate = _estimate(size, model, device, deblurrer, image, progress)
    return Report(
        versions={**_installed(PACKAGES), "torch": str(torch.__version__), "Python": platform.python_version()},
        qt=bindings,
        system=platform.platform(),
        torch=facts,
        hardware=hardware,
        devices=tuple(f"{found.name}: {found.label}" for found in available_devices()),
        weights=tuple(
            f"{name}{' (default)' if name == DEFAULT_MODEL else ''}, {path.stat().st_size / 2**20:.1f} MB"
            for name, path in embedded_weights().items()
        ),
        estimate=estimate,
        advice=tuple(advise(hardware, facts, bindings)),
    )


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


def _installed(packages: Sequence[str]) -> dict[str, str]:
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


# -- how long it takes ----------------------------------------------------------------------------------------------


def _estimate(
    size: tuple[int, int],
    model: str,
    device: str,
    deblurrer: Deblurrer | None,
    image: np.ndarray | None,
    progress: ProgressCallback | None,
) -> Estimate:
    from m2aenet_core.deblurrer import Deblurrer

    height, width = size
    deblurrer = Deblurrer(model, device=device) if deblurrer is None else deblurrer
    side = PROBE_PX["cpu" if deblurrer.device.type == "cpu" else "gpu"]
    crop = _crop(image, (min(height, side), min(width, side)))
    everything = np.ones(crop.shape[:2], bool)
    # the first time includes what is done once: loading kernels, finding the quickest ones
    for _ in range(2):
        analysis = deblurrer.analyze(crop, progress=progress)
        result = deblurrer.restore(analysis, mask=everything, progress=progress)
    factor = height * width / (crop.shape[0] * crop.shape[1])
    return Estimate(
        height=height,
        width=width,
        model=deblurrer.model_name,
        device=str(deblurrer.device),
        analyze_s=analysis.seconds * factor,
        restore_s=result.seconds * factor,
    )


def _crop(image: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    if image is None:
        return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    top, left = ((whole - part) // 2 for whole, part in zip(image.shape[:2], size, strict=True))
    return np.ascontiguousarray(image[top : top + size[0], left : left + size[1]])


def _about(seconds: float) -> str:
    """Two digits at most: it is an estimate."""
    if seconds >= 90:
        return f"{round(seconds / 60)} min"
    return f"{float(f'{seconds:.2g}'):g} s"


def _doctor(settings: DoctorSettings) -> int:
    from m2aenet_core.image_io import read_image

    size, image = (1200, 1800), None
    if settings.photo is not None:
        image = read_image(settings.photo).pixels
        size = image.shape[:2]
    if not settings.probe and settings.photo is not None:
        raise InputError("without the probe nothing is known of the photo; leave --photo or --probe false out")
    report = examine(size if settings.probe else None, settings.model, settings.device, image=image)
    print(report.as_json() if settings.json else "\n".join(report.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
