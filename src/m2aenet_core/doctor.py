"""What this machine can do: `m2aenet doctor`.

Which torch, which devices, how much memory is free, how long a photo takes; and what to type where a GPU is there but
torch cannot use it.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from m2aenet_core.cli import run_command
from m2aenet_core.errors import InputError
from m2aenet_core.hardware import Hardware, TorchFacts, advise, find_hardware, torch_facts
from m2aenet_core.options import parse_options

if TYPE_CHECKING:
    from m2aenet_core.deblurrer import Deblurrer, ProgressCallback

PACKAGES = ("napari-m2aenet", "torch", "numpy", "napari", "npe2", "dask", "scikit-image", "tifffile", "Pillow")
QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
PROBE_PX = {"cpu": 256, "gpu": 1024}
"""The side of the crop that is timed: a GPU is not busy with a small one."""


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

    from m2aenet_core.checkpoint import embedded_weights
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
            f"{name}{_default_on(name)}, {path.stat().st_size / 2**20:.1f} MB"
            for name, path in embedded_weights().items()
        ),
        estimate=estimate,
        advice=tuple(advise(hardware, facts, bindings)),
    )


def _default_on(name: str) -> str:
    """Say where weights are the default ones."""
    from m2aenet_core.checkpoint import model_name

    kinds = {"cuda": "NVIDIA GPUs", "mps": "Apple GPUs", "cpu": "CPUs"}
    where = [kind for device, kind in kinds.items() if model_name("default", device) == name]
    return f" (default on {' and '.join(where)})" if where else ""


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
    size, image = (1200, 1800), None
    if settings.photo is not None:
        image = _read(settings.photo)
        size = image.shape[:2]
    if not settings.probe and settings.photo is not None:
        raise InputError("without the probe nothing is known of the photo; leave --photo or --probe false out")
    report = examine(size if settings.probe else None, settings.model, settings.device, image=image)
    print(report.as_json() if settings.json else "\n".join(report.lines()))
    return 0


def _read(path: str) -> np.ndarray:
    from m2aenet_core.image_io import read_image
    from m2aenet_core.pixels import check_image

    image = read_image(path).pixels
    try:
        check_image(image)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return image


if __name__ == "__main__":
    sys.exit(main())
