"""Measure each operator beside other ways to compute it: `m2aenet benchmark operators`.

The ways run in turn, forward alone and forward with backward, after it was seen that their results and gradients agree.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from m2aenet_core.atomic import write_atomic
from m2aenet_core.benchmark.measure import Measurement, compiled, measure
from m2aenet_core.benchmark.options import parse_benchmark
from m2aenet_core.benchmark.report import encode_measurements, markdown_table, megabytes
from m2aenet_core.benchmark.subjects import OPERATORS, SIZES, subjects
from m2aenet_core.device import resolve_device
from m2aenet_core.errors import InputError
from m2aenet_core.machine import describe_machine, describe_versions

_HEADINGS = ("", "forward ms", "ratio", "with backward ms", "ratio", "forward MB", "with backward MB")


@dataclass(frozen=True)
class OperatorsConfig:
    """What to measure, and how long."""

    operators: tuple[str, ...] = OPERATORS
    """Which operators: reblur, look_up, deformable, pruned_depthwise, pruned_convolution."""
    sizes: Literal["real", "tiny"] = "real"
    """Those of training crops and photos, or tiny ones, to see that everything runs."""
    rounds: int = 7
    """How often each way runs; medians are shown."""
    threads: int = 0
    """Threads of a CPU; 0 for as many as torch takes."""
    device: str = "cpu"
    """Where to measure."""
    compile: bool = False
    """Measure the chosen ways under torch.compile too; it needs a C++ compiler, and minutes."""
    out: str = ""
    """A JSON file for the measurements, with machine and versions; none when empty."""


def benchmark_operators(config: OperatorsConfig) -> Iterator[list[Measurement]]:
    """Give the measurements of one operator at one size after the other, the chosen way first.

    Raises InputError for operators that do not exist, and for less than one round.
    """
    unknown = [name for name in config.operators if name not in OPERATORS]
    if unknown:
        raise InputError(f"there is no operator {unknown[0]!r}; choose some of {', '.join(OPERATORS)}")
    if config.rounds < 1:
        raise InputError(f"{config.rounds} rounds measure nothing; give 1 or more")
    device = resolve_device(config.device)
    for subject in subjects(config.operators, SIZES[config.sizes], device):
        ways = compiled(subject.ways) if config.compile else subject.ways
        yield measure(dataclasses.replace(subject, ways=ways), config.rounds, device)


def to_table(measurements: Sequence[Measurement]) -> str:
    """Give the measurements of one operator at one size as a table in Markdown."""
    first = measurements[0]
    rows = [
        (
            each.way,
            f"{each.forward_s * 1e3:.2f}",
            f"{each.forward_ratio:.2f}",
            f"{each.forward_backward_s * 1e3:.2f}",
            f"{each.forward_backward_ratio:.2f}",
            megabytes(each.forward_peak_bytes),
            megabytes(each.forward_backward_peak_bytes),
        )
        for each in measurements
    ]
    return "\n".join([f"{first.operator}, {first.setting}", "", markdown_table(_HEADINGS, rows), ""])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as the command line says, and print a table for each operator and size."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Measure each operator beside other ways to compute it."
        config = parse_benchmark(OperatorsConfig, "operators", about, argv)
        if config.threads:
            torch.set_num_threads(config.threads)
        described = describe_machine(resolve_device(config.device)) | describe_versions()
        print(", ".join(f"{name} {text}" for name, text in described.items()), end="\n\n")
        measurements: list[Measurement] = []
        for some in benchmark_operators(config):
            print(to_table(some), flush=True)
            measurements += some
        if config.out:
            write_atomic(config.out, encode_measurements(config, measurements, resolve_device(config.device)))

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
