"""Print the multiply-adds of every network by the density of the blur: `m2aenet benchmark macs`.

Nothing is measured: they are counted from the layers, without weights.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from m2aenet_core.atomic import write_atomic
from m2aenet_core.benchmark.options import parse_benchmark
from m2aenet_core.benchmark.report import percent
from m2aenet_core.errors import InputError
from m2aenet_core.models.lmdvit import LMDViT
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.macs import count_macs
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import Network

NETWORKS: Mapping[str, Callable[[], Network]] = {
    "NAFNet": NAFNet,
    "M2AENet, fourth stage": M2AENet,
    "M2AENet, every scale": lambda: M2AENet(M2AENetConfig.every_scale()),
    "without mask": lambda: M2AENet(M2AENetConfig(use_mask=False)),
    "without motion": lambda: M2AENet(M2AENetConfig(use_motion=False)),
    "mask positions (1), (2)": lambda: M2AENet(M2AENetConfig(mask_positions=(1, 2))),
    "mask positions (1), (3)": lambda: M2AENet(M2AENetConfig(mask_positions=(1, 3))),
    "mask positions (1), (2), (3)": lambda: M2AENet(M2AENetConfig(mask_positions=(1, 2, 3))),
    "learnable trajectory": lambda: M2AENet(M2AENetConfig(trajectory="learnable")),
    "LMD-ViT": LMDViT,
}


@dataclass(frozen=True)
class MacsConfig:
    """What to count."""

    height: int = 1436
    """Height of the photo, pixels."""
    width: int = 2152
    """Width of the photo, pixels."""
    densities: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
    """Shares of the photo that are blurred."""
    out: str = ""
    """A JSON file for the counts; none when empty."""


def benchmark_macs(config: MacsConfig) -> dict[str, dict[str, int | list[int]]]:
    """Give for each network its parameters, and its multiply-adds at each density.

    Raises InputError for sizes and densities that no photo has.
    """
    if min(config.height, config.width) < 1 or not all(0 <= density <= 1 for density in config.densities):
        raise InputError("a photo has at least one pixel, and densities lie from 0 to 1; change the numbers")
    counts: dict[str, dict[str, int | list[int]]] = {}
    for name, build in NETWORKS.items():
        # without memory for the weights
        with torch.device("meta"):
            network = build()
        counts[name] = {
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "macs": [count_macs(network, config.height, config.width, density) for density in config.densities],
        }
    return counts


def main(argv: Sequence[str] | None = None) -> int:
    """Count as the command line says."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Count the multiply-adds of every network, by the share of the photo that is blurred."
        config = parse_benchmark(MacsConfig, "macs", about, argv)
        counts = benchmark_macs(config)
        print(f"10^9 multiply-adds at {config.width}x{config.height}, by the density of the blur\n")
        print("| network | parameters | " + " | ".join(map(percent, config.densities)) + " |")
        print("| --- " * (2 + len(config.densities)) + "|")
        for name, count in counts.items():
            macs = count["macs"]
            assert isinstance(macs, list)
            print(f"| {name} | {count['parameters']:,} | " + " | ".join(f"{each / 1e9:,.1f}" for each in macs) + " |")
        if config.out:
            write_atomic(config.out, json.dumps({"densities": config.densities, "networks": counts}, indent=2).encode())

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
