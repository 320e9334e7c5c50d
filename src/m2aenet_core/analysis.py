"""What is known of a photo after it was analyzed, and after it was restored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m2aenet_core.models.m2aenet import Encoded
from m2aenet_core.models.motion_analyzer import Motion
from m2aenet_core.models.trajectory import quadratic_trajectory
from m2aenet_core.ops.resize import resize_displacement, resize_image
from m2aenet_core.pixels import Image, ValueRange
from m2aenet_core.tiling import Box


@dataclass(frozen=True, eq=False)
class Tile:
    """A tile of the padded photo; its encoded features, or None where they are made again when needed."""

    box: Box
    encoded: Encoded | None


@dataclass(frozen=True, eq=False)
class Analysis:
    """Where a photo is blurred and how each pixel moved: all that does not depend on the threshold."""

    image: Image
    """The photo as it was given."""
    value_range: ValueRange
    """The values that stand for black and white."""
    seconds: float
    """Time it took."""
    model_name: str
    """The weights that made it."""
    coarse_probability: Tensor = field(repr=False)
    """(1, 1, h, w): probability of blur at the motion scale of the padded photo."""
    coarse_motion: Motion = field(repr=False)
    """(1, 2, h, w) each: displacement in pixels of the motion scale."""
    tiles: Sequence[Tile] = field(repr=False)
    padded_size: tuple[int, int] = field(repr=False)
    macs: int = 0
    """Convolution multiply-adds it took."""

    @cached_property
    def blur_probability(self) -> NDArray[np.float32]:
        """(H, W) float32 in [0, 1]: probability that a pixel is blurred."""
        full = resize_image(self.coarse_probability, self.padded_size)
        return full[0, 0, : self.image.shape[0], : self.image.shape[1]].cpu().numpy()

    @cached_property
    def start_displacement(self) -> NDArray[np.float32]:
        """(H, W, 2) float32: (y, x) from mid-exposure to the start of the exposure, image pixels."""
        return self._full_displacement(self.coarse_motion.start)

    @cached_property
    def end_displacement(self) -> NDArray[np.float32]:
        """(H, W, 2) float32: (y, x) from mid-exposure to the end of the exposure, image pixels."""
        return self._full_displacement(self.coarse_motion.end)

    def trajectory(self, n: int = 9) -> NDArray[np.float32]:
        """Give the displacement at n even instants of the exposure, (n, H, W, 2), eq. (4)."""
        return _trajectory(self.start_displacement, self.end_displacement, n)

    def trajectory_at(self, points_yx: NDArray[np.integer], n: int = 9) -> NDArray[np.float32]:
        """Give the displacement at n even instants for K pixels (K, 2), as (K, n, 2)."""
        rows, columns = np.asarray(points_yx).T
        along = _trajectory(self.start_displacement[rows, columns], self.end_displacement[rows, columns], n)
        return along.transpose(1, 0, 2)

    def _full_displacement(self, coarse: Tensor) -> NDArray[np.float32]:
        full = resize_displacement(coarse, self.padded_size)
        height, width = self.image.shape[:2]
        return np.ascontiguousarray(full[0, :, :height, :width].permute(1, 2, 0).cpu().numpy())


def _trajectory(start: NDArray[np.float32], end: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    return quadratic_trajectory(torch.from_numpy(start), torch.from_numpy(end), n).numpy()


@dataclass(frozen=True, eq=False)
class DeblurResult:
    """A restored photo, and what was done to it."""

    restored: Image
    """The photo's shape and dtype."""
    mask: NDArray[np.bool_]
    """(H, W): what was taken as blurred."""
    density: float
    """Share of blurred pixels."""
    macs: int
    """Convolution multiply-adds of the restoration."""
    seconds: float
    """Time of the restoration, without the analysis."""
    threshold: float | None
    """The threshold that made the mask; None for a mask that was given."""
    execution: str
    """exact, adaptive or dense."""
    analysis: Analysis = field(repr=False)
    """What it was restored from."""
