"""Measure a training step of each network beside the others: `m2aenet benchmark train`.

A step is what training takes: forward, the loss, backward, clipping and the optimizer; NAFNet's loss is the
reconstruction loss, as it predicts nothing else. Samples are random, and there already.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from lightning_fabric import Fabric

from m2aenet_core.atomic import write_atomic
from m2aenet_core.benchmark.options import parse_benchmark
from m2aenet_core.benchmark.report import encode_measurements, markdown_table, megabytes
from m2aenet_core.benchmark.timing import compare_times, peak_bytes
from m2aenet_core.data.sample import Batch
from m2aenet_core.device import resolve_device
from m2aenet_core.errors import InputError
from m2aenet_core.machine import describe_machine, describe_versions
from m2aenet_core.models.lmdvit import LMDViTConfig
from m2aenet_core.models.m2aenet import M2AENetConfig
from m2aenet_core.models.nafnet import NAFNetConfig
from m2aenet_core.training.config import NetworkKind, TrainConfig
from m2aenet_core.training.launch import chosen_precision
from m2aenet_core.training.start import KINDS, in_channels_last, new_network
from m2aenet_core.training.state import TrainState
from m2aenet_core.training.step import make_optimizer, take_step

_HEADINGS = ("", "step s", "to NAFNet", "images/s", "MB beyond the weights", "parameters")
_NETWORKS = tuple(KINDS)


@dataclass(frozen=True)
class TrainBenchmarkConfig:
    """What to measure, and how long."""

    networks: tuple[str, ...] = _NETWORKS
    """Which networks: nafnet, m2aenet, lmdvit; ratios are to nafnet."""
    width: int = 32
    """Channels at full resolution, of all networks."""
    encoder_blocks: tuple[int, ...] = (1, 1, 1, 28)
    """Blocks of each encoder stage of NAFNet and M2AENet."""
    scales: Literal["fourth", "every"] = "fourth"
    """Where M2AENet uses masks and motion."""
    crops: tuple[int, ...] = (128, 256)
    """Sizes of the samples, pixels."""
    batch_size: int = 8
    """Samples of a step."""
    rounds: int = 5
    """How often each network takes a step; medians are shown."""
    threads: int = 0
    """Threads of a CPU; 0 for as many as torch takes."""
    device: str = "auto"
    """Where to measure."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Numbers to compute with, as in training."""
    out: str = ""
    """A JSON file for the measurements, with machine and versions; none when empty."""


@dataclass(frozen=True)
class StepMeasurement:
    """Median seconds of a training step, and the most memory it takes beyond the weights and the samples."""

    network: str
    crop_px: int
    batch_size: int
    precision: str
    parameters: int
    step_s: float
    ratio_to_nafnet: float
    images_per_s: float
    peak_bytes: float


def benchmark_training(config: TrainBenchmarkConfig) -> Iterator[list[StepMeasurement]]:
    """Give the measurements of all networks at one size of samples after the other.

    Raises InputError for networks that do not exist, and for less than one round.
    """
    unknown = [name for name in config.networks if name not in _NETWORKS]
    if unknown:
        raise InputError(f"there is no network {unknown[0]!r}; choose some of {', '.join(_NETWORKS)}")
    if config.rounds < 1:
        raise InputError(f"{config.rounds} rounds measure nothing; give 1 or more")
    device = resolve_device(config.device)
    for crop_px in config.crops:
        yield _measure(config, crop_px, device)


def _measure(config: TrainBenchmarkConfig, crop_px: int, device: torch.device) -> list[StepMeasurement]:
    names: list[NetworkKind] = [name for name in _NETWORKS if name in config.networks]
    runs = {name: _Run(config, name, crop_px, device) for name in names}
    seconds = compare_times({name: run.step for name, run in runs.items()}, config.rounds, device)
    return [
        StepMeasurement(
            network=name,
            crop_px=crop_px,
            batch_size=config.batch_size,
            precision=run.precision,
            parameters=run.parameters,
            step_s=seconds[name],
            ratio_to_nafnet=seconds[name] / seconds.get("nafnet", math.nan),
            images_per_s=config.batch_size / seconds[name],
            peak_bytes=peak_bytes(run.step, device),
        )
        for name, run in runs.items()
    ]


class _Run:
    """A training run of a network that has begun."""

    def __init__(self, benchmark: TrainBenchmarkConfig, name: NetworkKind, crop_px: int, device: torch.device) -> None:
        size = {"width": benchmark.width, "encoder_blocks": benchmark.encoder_blocks}
        self._config = TrainConfig(
            out="",
            network=name,
            nafnet=NAFNetConfig(**size),  # type: ignore[arg-type]
            model=M2AENetConfig(
                **size,  # type: ignore[arg-type]
                scales=benchmark.scales,
                predictor="dynamicvit" if benchmark.scales == "every" else "lmdvit",
            ),
            lmdvit=LMDViTConfig(width=benchmark.width),
            batch_size=benchmark.batch_size,
            accelerator={"cpu": "cpu", "cuda": "cuda", "mps": "mps"}[device.type],  # type: ignore[arg-type]
            precision=benchmark.precision,
        )
        self.precision = chosen_precision(self._config)
        devices = [device.index or 0] if device.type == "cuda" else 1
        self._fabric = Fabric(accelerator=device.type, devices=devices, precision=self.precision)  # type: ignore[arg-type]
        network = in_channels_last(new_network(self._config)).train()
        average = new_network(self._config).eval().requires_grad_(False).to(device)
        model, optimizer = self._fabric.setup(network, make_optimizer(self._config, network))
        self._state = TrainState(model, average, optimizer)
        self._batch = random_batch(benchmark.batch_size, crop_px, device)
        self.parameters = sum(parameter.numel() for parameter in network.parameters())

    def step(self) -> None:
        """Take a step."""
        take_step(self._fabric, self._config, self._state, self._batch)


def random_batch(count: int, crop_px: int, device: torch.device) -> Batch:
    """Give samples of noise, a third of which moves by some pixels."""
    generator = torch.Generator().manual_seed(0)
    blur, sharp = (torch.rand(count, 3, crop_px, crop_px, generator=generator) for _ in range(2))
    mask = torch.zeros(count, 1, crop_px, crop_px)
    mask[..., : crop_px // 3] = 1
    end = 6 * mask * (torch.rand(count, 2, 1, 1, generator=generator) - 0.5)
    known = torch.ones(count, dtype=torch.bool)
    return Batch(*(tensor.to(device) for tensor in (blur, sharp, mask, -end, end, known)))


def to_table(measurements: Sequence[StepMeasurement]) -> str:
    """Give the measurements at one size as a table in Markdown."""
    first = measurements[0]
    rows = [
        (
            KINDS[each.network],  # type: ignore[index]
            f"{each.step_s:.3f}",
            "" if math.isnan(each.ratio_to_nafnet) else f"{each.ratio_to_nafnet:.2f}",
            f"{each.images_per_s:.2f}",
            megabytes(each.peak_bytes, 0),
            f"{each.parameters:,}",
        )
        for each in measurements
    ]
    size = f"{first.batch_size} samples of {first.crop_px} x {first.crop_px} pixels, {first.precision}"
    return "\n".join([size, "", markdown_table(_HEADINGS, rows), ""])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as the command line says, and print a table for each size of samples."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Measure a training step of each network beside the others."
        config = parse_benchmark(TrainBenchmarkConfig, "train", about, argv)
        if config.threads:
            torch.set_num_threads(config.threads)
        described = describe_machine(resolve_device(config.device)) | describe_versions()
        print(", ".join(f"{name} {text}" for name, text in described.items()), end="\n\n")
        measurements: list[StepMeasurement] = []
        for some in benchmark_training(config):
            print(to_table(some), flush=True)
            measurements += some
        if config.out:
            write_atomic(config.out, encode_measurements(config, measurements, resolve_device(config.device)))

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
