"""Where each pixel was during the exposure: trajectories through start, mid-exposure and end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from m2aenet_core.models.path import ends_of_path, path_of_ends
from m2aenet_core.ops.resize import resize_displacement

TrajectoryForm = Literal["quadratic", "linear", "learnable"]


def exposure_times(instants: int, like: Tensor) -> Tensor:
    """Give `instants` evenly spaced times in [-1, 1]: -1 the start, 0 mid-exposure, 1 the end."""
    return torch.linspace(-1.0, 1.0, instants, device=like.device, dtype=like.dtype)


def quadratic_trajectory(start: Tensor, end: Tensor, instants: int = 9) -> Tensor:
    """Give the displacement at each instant, (N, *start.shape): M2AENet, eq. (4).

    Start and end are displacements from mid-exposure, of any equal shape and in any unit. With s in [-1, 1]:
    o(s) = (start + end) / 2 * s^2 + (end - start) / 2 * s, so that o(-1) = start, o(0) = 0, o(1) = end.
    """
    times = exposure_times(instants, start).view(-1, *([1] * start.dim()))
    return (start + end) / 2 * times**2 + (end - start) / 2 * times


def linear_trajectory(start: Tensor, end: Tensor, instants: int = 9) -> Tensor:
    """Give the displacement at each instant, (N, *start.shape): M2AENet, eq. (12).

    Two straight lines that meet at mid-exposure: o(s) = -s * start before it, s * end after it.
    """
    times = exposure_times(instants, start).view(-1, *([1] * start.dim()))
    return start * (-times).clamp_min(0) + end * times.clamp_min(0)


def sampled_trajectory(samples: Tensor, instants: int = 9) -> Tensor:
    """Give the displacement at each instant from samples (K, ...) at K even instants, linear between them."""
    count = len(samples)
    if count == instants:
        return samples
    position = torch.linspace(0, count - 1, instants, device=samples.device, dtype=samples.dtype)
    before = position.floor().clamp(0, count - 2).long()
    share = (position - before).view(-1, *([1] * (samples.dim() - 1)))
    return torch.lerp(samples[before], samples[before + 1], share)


def trajectory_through(displacements: Tensor, form: TrajectoryForm, instants: int = 9) -> Tensor:
    """Give the displacement at each instant, (N, ...), of what a motion of this form holds, (K, ...)."""
    if form == "quadratic":
        return quadratic_trajectory(displacements[0], displacements[-1], instants)
    if form == "linear":
        return linear_trajectory(displacements[0], displacements[-1], instants)
    return sampled_trajectory(displacements, instants)


class Motion(NamedTuple):
    """How each pixel moved during the exposure.

    field (B, 2 * K, H, W): K displacements (y, x) from mid-exposure, in pixels of the scale they belong to. K is 2,
    start and end, for the quadratic and the linear form; for the learnable form it is the number of taps, in order
    of time. tells_time: whether start and end are told apart; if not, neighbours may have them the other way round.
    """

    field: Tensor
    form: TrajectoryForm = "quadratic"
    tells_time: bool = True

    @classmethod
    def of(cls, start: Tensor, end: Tensor, form: TrajectoryForm = "quadratic") -> Motion:
        """Give the motion with these displacements (B, 2, H, W) at the start and at the end."""
        return cls(torch.cat([start, end], dim=1), form)

    @property
    def start(self) -> Tensor:
        """Displacement (B, 2, H, W) from mid-exposure to the start of the exposure."""
        return self.field[:, :2]

    @property
    def end(self) -> Tensor:
        """Displacement (B, 2, H, W) from mid-exposure to the end of the exposure."""
        return self.field[:, -2:]

    def trajectory(self, instants: int = 9) -> Tensor:
        """Give the displacement at even instants of the exposure, (N, B, 2, H, W)."""
        batch, channels, height, width = self.field.shape
        displacements = self.field.view(batch, channels // 2, 2, height, width).transpose(0, 1)
        return trajectory_through(displacements, self.form, instants)

    def map(self, function: Callable[[Tensor], Tensor]) -> Motion:
        """Give the motion with a function applied to its field."""
        return self._replace(field=function(self.field))

    def resized(self, size: tuple[int, int]) -> Motion:
        """Give the motion at another size, in pixels of that size."""
        if tuple(self.field.shape[-2:]) == size:
            return self
        if self.tells_time:
            return self.map(lambda field: resize_displacement(field, size))
        # the mean of a path and the same path backwards would be none at all
        return self.map(lambda _: ends_of_path(resize_displacement(path_of_ends(self.start, self.end), size)))
