"""The quadratic trajectory through start, mid-exposure and end (M2AENet, eq. 4)."""

from __future__ import annotations

import torch
from torch import Tensor


def exposure_times(instants: int, like: Tensor) -> Tensor:
    """Give `instants` evenly spaced times in [-1, 1]: -1 the start, 0 mid-exposure, 1 the end."""
    return torch.linspace(-1.0, 1.0, instants, device=like.device, dtype=like.dtype)


def quadratic_trajectory(start: Tensor, end: Tensor, instants: int = 9) -> Tensor:
    """Give the displacement at each instant, (N, *start.shape).

    Start and end are displacements from mid-exposure, of any equal shape and in any unit. With s in [-1, 1]:
    o(s) = (start + end) / 2 * s^2 + (end - start) / 2 * s, so that o(-1) = start, o(0) = 0, o(1) = end.
    """
    times = exposure_times(instants, start).view(-1, *([1] * start.dim()))
    return (start + end) / 2 * times**2 + (end - start) / 2 * times
