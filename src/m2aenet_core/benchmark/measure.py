"""Measure a subject: first that its ways agree, then their time and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from m2aenet_core.benchmark.subjects import CHOSEN, Outputs, Subject
from m2aenet_core.benchmark.timing import compare_times, peak_bytes

# float32 sums in different orders; far more than that is another result
_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Measurement:
    """Median seconds and peak bytes of one way to compute an operator; ratios are to the chosen way's time."""

    operator: str
    setting: str
    way: str
    forward_s: float
    forward_ratio: float
    forward_backward_s: float
    forward_backward_ratio: float
    forward_peak_bytes: float
    forward_backward_peak_bytes: float


def measure(subject: Subject, rounds: int, device: torch.device) -> list[Measurement]:
    """Give the measurements of all ways, the chosen one first.

    Forward is inference, without gradients; forward with backward is a training step, with gradients of all inputs.
    """
    upstream = check_agreement(subject)
    forward = {name: _without_gradients(way, subject.inputs) for name, way in subject.ways.items()}
    both = {name: _with_gradients(way, subject.inputs, upstream) for name, way in subject.ways.items()}
    forward_s, both_s = compare_times(forward, rounds, device), compare_times(both, rounds, device)
    return [
        Measurement(
            operator=subject.operator,
            setting=subject.setting,
            way=name,
            forward_s=forward_s[name],
            forward_ratio=forward_s[name] / forward_s[CHOSEN],
            forward_backward_s=both_s[name],
            forward_backward_ratio=both_s[name] / both_s[CHOSEN],
            forward_peak_bytes=peak_bytes(forward[name], device),
            forward_backward_peak_bytes=peak_bytes(both[name], device),
        )
        for name in subject.ways
    ]


def check_agreement(subject: Subject) -> tuple[Tensor, ...]:
    """Raise RuntimeError unless all ways give the same results and gradients; give the gradient used for it."""
    chosen = subject.ways[CHOSEN]
    with torch.no_grad():
        upstream = tuple(torch.randn_like(each) for each in as_tuple(chosen(*subject.inputs)))
    expected = _results(chosen, subject.inputs, upstream)
    for name, way in subject.ways.items():
        for found, wanted in zip(_results(way, subject.inputs, upstream), expected, strict=True):
            difference = float((found - wanted).norm() / wanted.norm().clamp_min(torch.finfo(wanted.dtype).eps))
            # a NaN is no agreement either
            if not difference < _TOLERANCE:
                raise RuntimeError(
                    f"{subject.operator} ({subject.setting}): {name!r} differs from the chosen way by {difference:.1%}"
                )
    return upstream


def as_tuple(outputs: Outputs) -> tuple[Tensor, ...]:
    """Give the outputs of an operator as a tuple."""
    return (outputs,) if isinstance(outputs, Tensor) else outputs


def _results(
    way: Callable[..., Outputs], inputs: tuple[Tensor, ...], upstream: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    outputs = as_tuple(way(*leaves))
    gradients = torch.autograd.grad(outputs, leaves, upstream)
    return (*(output.detach() for output in outputs), *gradients)


def _without_gradients(way: Callable[..., Outputs], inputs: tuple[Tensor, ...]) -> Callable[[], object]:
    def work() -> object:
        with torch.no_grad():
            return way(*inputs)

    return work


def _with_gradients(
    way: Callable[..., Outputs], inputs: tuple[Tensor, ...], upstream: tuple[Tensor, ...]
) -> Callable[[], object]:
    return lambda: _results(way, inputs, upstream)


def compiled(ways: Mapping[str, Callable[..., Outputs]]) -> Mapping[str, Callable[..., Outputs]]:
    """Give the ways and the chosen one under torch.compile."""
    return {**ways, f"{CHOSEN}, compiled": torch.compile(ways[CHOSEN], fullgraph=True)}
