"""Speed and memory on this machine: `m2aenet benchmark operators`. Each sub-command is a module of its name."""

from m2aenet_core.benchmark.command import main

__all__ = ["main"]
