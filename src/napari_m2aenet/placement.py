"""Where a picture stands in the viewer, carried from the input layer to every layer made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPATIAL = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""The keywords of napari's layers that say where they are."""


@dataclass(eq=False)
class Placement:
    """The spatial metadata of a layer, and the frame of it that was taken.

    All arrays are in the axes of the layer, (..., y, x). `frame` holds one index for each axis before (y, x). It is
    changed by `follow` alone, and so in all that holds it at once.
    """

    scale: NDArray[np.float64]
    translate: NDArray[np.float64]
    rotate: NDArray[np.float64]
    shear: NDArray[np.float64]
    affine: NDArray[np.float64]
    units: tuple[Any, ...]
    axis_labels: tuple[str, ...]
    frame: tuple[int, ...] = ()

    @classmethod
    def of_layer(cls, layer: Any, frame: tuple[int, ...] = ()) -> Placement:
        """Return the placement of a napari layer."""
        return cls(
            scale=np.array(layer.scale, dtype=float),
            translate=np.array(layer.translate, dtype=float),
            rotate=np.array(layer.rotate, dtype=float),
            shear=np.array(layer.shear, dtype=float),
            affine=np.array(layer.affine.affine_matrix, dtype=float),
            units=tuple(layer.units),
            axis_labels=tuple(layer.axis_labels),
            frame=frame,
        )

    def follow(self, layer: Any) -> bool:
        """Take the place that the layer has now, with the same frame; False where it is the same place."""
        there = Placement.of_layer(layer, self.frame)
        if there.ndim != self.ndim or is_same_place(there.keywords(), self.keywords()):
            return False
        vars(self).update(vars(there))
        return True

    @property
    def ndim(self) -> int:
        """Number of axes, (y, x) included."""
        return len(self.scale)

    def keywords(self, corner: tuple[float, float] = (0.0, 0.0), step: float = 1.0) -> dict[str, Any]:
        """Return the keywords that put a one-frame array of `ndim` axes where the frame is.

        corner, step: for a part of the frame, the (y, x) of its first pixel, and how many pixels apart its pixels are.
        """
        size = np.ones(self.ndim)
        size[-2:] = step
        return {
            "scale": self.scale * size,
            "translate": self.frame_translate(corner),
            "rotate": self.rotate,
            "shear": self.shear,
            "affine": self.affine,
            "units": self.units,
            "axis_labels": self.axis_labels,
        }

    def frame_translate(self, corner: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float64]:
        """Return the translation of the frame: the layer's own, moved to the frame and to a corner (y, x) in it."""
        start = np.zeros(self.ndim)
        start[: len(self.frame)] = self.frame
        start[-2:] = corner
        # napari scales first, then shears, then rotates
        moved: NDArray[np.float64] = self.translate + self.rotate @ self._shear_matrix() @ (self.scale * start)
        return moved

    def point(self, shown: Sequence[float]) -> tuple[float, ...]:
        """Return where the frame lies in the viewer's world: its first pixel.

        shown: the position that the viewer shows. It counts for axes in front that the layer does not have.
        """
        begin = self.affine[:-1, :-1] @ self.frame_translate() + self.affine[:-1, -1]
        return (*shown[: max(len(shown) - self.ndim, 0)], *begin.tolist())

    def keywords_with_axis(self, label: str) -> dict[str, Any]:
        """Return the keywords that put an array with one more axis in front, such as time, where the frame is."""
        ndim = self.ndim + 1
        rotate, shear, affine = np.eye(ndim), np.eye(ndim), np.eye(ndim + 1)
        rotate[1:, 1:], shear[1:, 1:], affine[1:, 1:] = self.rotate, self._shear_matrix(), self.affine
        return {
            "scale": np.concatenate([[1.0], self.scale]),
            "translate": np.concatenate([[0.0], self.frame_translate()]),
            "rotate": rotate,
            "shear": shear[np.triu_indices(ndim, 1)],
            "affine": affine,
            "units": ("pixel", *self.units),
            "axis_labels": (label, *self.axis_labels),
        }

    def world_steps(self, steps_yx: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return steps (K, 2) in pixels of the frame as steps (K, ndim) in the viewer's world."""
        steps = np.zeros((len(steps_yx), self.ndim))
        steps[:, -2:] = steps_yx
        world: NDArray[np.float64] = steps @ self._matrix().T
        return world

    def pixel_at(self, position: Sequence[float]) -> tuple[int, int] | None:
        """Return the pixel (y, x) of the frame at a position in the viewer's world; None beside the frame.

        The position may have more axes in front than the layer. The pixel may lie outside of the picture.
        """
        world = np.asarray(position, dtype=float)[-self.ndim :] - self.point(())
        place = np.floor(np.linalg.solve(self._matrix(), world) + 0.5)
        if place[:-2].any():
            return None
        return int(place[-2]), int(place[-1])

    @property
    def unit(self) -> str:
        """The unit of lengths in the picture, such as µm; empty where it has none or two."""
        y, x = self.units[-2:]
        if y != x or str(y) in ("", "pixel", "dimensionless"):
            return ""
        return f"{y:~P}"  # napari's units are pint's, and this is their short form

    def _matrix(self) -> NDArray[np.float64]:
        """How steps in pixels become steps in the world: napari scales first, then shears, then rotates."""
        matrix: NDArray[np.float64] = self.affine[:-1, :-1] @ self.rotate @ self._shear_matrix() @ np.diag(self.scale)
        return matrix

    def _shear_matrix(self) -> NDArray[np.float64]:
        """Napari gives the values above the diagonal of the shear, row by row, or a whole matrix."""
        if self.shear.ndim == 2:
            return self.shear
        matrix = np.eye(self.ndim)
        matrix[np.triu_indices(self.ndim, 1)] = self.shear
        return matrix


def is_same_place(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Say whether the keywords of two placements put an array at the same place."""
    return all(is_equal(one[name], other[name]) for name in SPATIAL)


def is_equal(one: Any, other: Any) -> bool:
    """Say whether two spatial values, numbers or units, are the same."""
    return np.array_equal(np.asarray(one, dtype=object), np.asarray(other, dtype=object))
