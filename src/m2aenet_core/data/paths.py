"""How rigid things and the camera move over an exposure, as affine maps; numpy, float64, (y, x), pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.data.draws import RigidPath
from m2aenet_core.ops.turn import Turn

Array = NDArray[np.float64]


class Affine(NamedTuple):
    """point -> matrix @ point + offset; matrix (..., 2, 2), offset (..., 2)."""

    matrix: Array
    offset: Array

    def after(self, first: Affine) -> Affine:
        """Give this map applied after another."""
        return Affine(self.matrix @ first.matrix, _apply(self.matrix, first.offset) + self.offset)

    def inverse(self) -> Affine:
        """Give the map back."""
        matrix = np.asarray(np.linalg.inv(self.matrix), np.float64)
        return Affine(matrix, -_apply(matrix, self.offset))


def _apply(matrix: Array, vector: Array) -> Array:
    return (matrix @ vector[..., None])[..., 0]


class Paths(NamedTuple):
    """Rigid motions of B things, and the places they turn and grow about; see RigidPath.

    centre, velocity, acceleration (B, 2); spin, growth (B).
    """

    centre: Array
    velocity: Array
    acceleration: Array
    spin: Array
    growth: Array

    @classmethod
    def of(cls, centres: Sequence[tuple[float, float]], paths: Sequence[RigidPath]) -> Paths:
        """Give the motions of several things side by side."""
        return cls(np.array(centres, np.float64), *(np.array(each, np.float64) for each in zip(*paths, strict=True)))

    def moves(self, times: Array) -> Affine:
        """Give where a point of mid-exposure is at times (B, N): maps (B, N)."""
        s = times[..., None]
        moved = self.velocity[:, None] * s + self.acceleration[:, None] * s**2
        angle, scale = self.spin[:, None] * times, 1 + self.growth[:, None] * times
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
        matrix = np.stack([np.stack([cos, sin], axis=-1), np.stack([-sin, cos], axis=-1)], axis=-2)
        centre = self.centre[:, None]
        return Affine(matrix, centre + moved - _apply(matrix, np.broadcast_to(centre, moved.shape)))


def turned(turn: Turn) -> Array:
    """Give the matrix (2, 2) from a picture that was turned, and then mirrored, back onto the picture as it was."""
    back = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), turn.quarters)
    return np.asarray(back @ np.diag([1, -1 if turn.is_mirrored else 1]), np.float64)
