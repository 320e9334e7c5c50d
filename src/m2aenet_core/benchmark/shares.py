"""Which part of a network takes how much of the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from m2aenet_core.benchmark.timing import wait_for
from m2aenet_core.models.network import Network

_OTHER = "photo in and out, masks, pasting"


def time_shares(network: Network, work: Callable[[], object]) -> dict[str, float]:
    """Give the share of each part of a network in the seconds of a piece of work; the rest is what is around it.

    A GPU is waited for before and after each part: otherwise all of its time would be that of whoever asks last.
    """
    spent: dict[str, float] = {}
    device = next(network.parameters()).device
    with _timed(network, spent, device):
        wait_for(device)
        start = time.perf_counter()
        work()
        wait_for(device)
        whole = time.perf_counter() - start
    shares = {name: seconds / whole for name, seconds in spent.items()}
    return {**shares, _OTHER: max(0.0, 1 - sum(shares.values()))}


@contextmanager
def _timed(network: Network, spent: dict[str, float], device: torch.device) -> Iterator[None]:
    hooks, started = [], {}

    def begin(module: nn.Module, *_: object) -> None:
        wait_for(device)
        started[module] = time.perf_counter()

    for name, part in _parts(network):
        spent.setdefault(name, 0.0)

        def end(module: nn.Module, inputs: object, output: object, name: str = name) -> None:
            wait_for(device)
            spent[name] += time.perf_counter() - started.pop(module)

        hooks += [part.register_forward_pre_hook(begin), part.register_forward_hook(end)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _parts(network: Network) -> Iterator[tuple[str, nn.Module]]:
    """Give the parts in the order of the flow; those that share a name are counted together."""
    for name, part in network.named_children():
        if not isinstance(part, nn.ModuleList | nn.ModuleDict):
            yield _title(name), part
            continue
        for key, each in part.items() if isinstance(part, nn.ModuleDict) else enumerate(part):
            numbered = name in ("encoders", "decoders")
            yield f"{_title(name)} {int(key) + 1}" if numbered else _title(name), each


def _title(name: str) -> str:
    return {
        "encoders": "encoder",
        "decoders": "decoder",
        "downs": "down and up",
        "ups": "down and up",
        "intro": "first and last convolution",
        "ending": "first and last convolution",
        "mask_predictors": "mask and motion",
        "motion_analyzers": "mask and motion",
        "surroundings": "mask and motion",
        "decision_encoder": "mask and motion",
    }.get(name, name)
