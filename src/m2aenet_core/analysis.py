"""What is known of a photo after it was analyzed, and after it was restored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m2aenet_core.device import is_out_of_memory
from m2aenet_core.models.network import Encoded
from m2aenet_core.models.path import ends_of_path, path_of_ends, usual_direction
from m2aenet_core.models.trajectory import Motion, TrajectoryForm, trajectory_through
from m2aenet_core.ops.resize import in_pixels_of, resize_displacement, resize_image
from m2aenet_core.pixels import Image, ValueRange
from m2aenet_core.tiling import Box, any_in_cells
from m2aenet_core.working_scale import Enlargement, Size, reduced_mask


@dataclass(frozen=True, eq=False)
class Tile:
    """A tile of the padded photo, or of its reduced copy; its encoded features, or None where they are made again."""

    box: Box
    encoded: Encoded | None


@dataclass(frozen=True, eq=False)
class Piece:
    """A restored rectangle of the padded photo, or of its reduced copy."""

    box: Box
    cells: NDArray[np.bool_]
    """(h, w): which of its cells were taken as blurred."""
    difference: NDArray[np.float32]
    """(height, width, 3): what the network adds to the photo, whose black is 0 and white 1."""
    macs: int
    """Multiply-adds it took."""


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
    """(1, 1, h, w): probability of blur for the network's cells of the padded photo."""
    coarse_motion: Motion | None = field(repr=False)
    """(1, 2 * K, h, w): displacements in pixels of the cells' scale, or None for a network without motion."""
    tiles: Sequence[Tile] = field(repr=False)
    padded_size: tuple[int, int] = field(repr=False)
    """Height and width of what was analyzed, with its repeated border."""
    scale: float = 1.0
    """The share of the photo's sides that was worked at. Arrays (H, W) and displacements are in the photo's pixels."""
    reduced: NDArray[np.float32] | None = field(repr=False, default=None)
    """(h, w, 1) or (h, w, 3), black = 0, white = 1: the reduced copy that was analyzed, at a scale below 1."""
    macs: int = 0
    """Multiply-adds it took."""
    linear_light: bool = False
    """Whether the photo's values were taken to be in proportion to light, and not as sRGB."""
    has_mask: bool = True
    """Whether the network finds blur; if not, everything counts as blurred, with probability 1."""
    decides_windows: bool = False
    """Whether cells are decided as wholes (windows), so that their probability is not smoothed."""
    notes: tuple[str, ...] = ()
    """What a person should know of how it was made, in sentences: that memory was short, for example."""

    @property
    def has_motion(self) -> bool:
        """Whether the network finds motion; if not, displacements are 0."""
        return self.coarse_motion is not None

    @property
    def seen(self) -> tuple[Image, ValueRange]:
        """What was analyzed, the photo or its reduced copy, and its black and white."""
        return (self.image, self.value_range) if self.reduced is None else (self.reduced, (0.0, 1.0))

    @property
    def enlargement(self) -> Enlargement | None:
        """The way from what was analyzed to the photo; None where that is the photo itself."""
        return None if self.reduced is None else Enlargement(self._seen_size, self._size)

    def cells_of(self, mask: NDArray[np.bool_], cell: int) -> NDArray[np.bool_]:
        """Give which cells (h, w), `cell` pixels wide, of what was analyzed hold any pixel of a mask (H, W)."""
        mask = mask if self.reduced is None else reduced_mask(mask, self._seen_size)
        return any_in_cells(mask, self.padded_size, cell)

    @cached_property
    def blur_probability(self) -> NDArray[np.float32]:
        """(H, W) float32 in [0, 1]: probability that a pixel is blurred."""
        return with_room(self._enlarged_probability, self.coarse_probability)[0, 0].numpy()

    @cached_property
    def start_displacement(self) -> NDArray[np.float32]:
        """(H, W, 2) float32: (y, x) from mid-exposure to the start of the exposure, image pixels."""
        return self._instants[0]

    @cached_property
    def end_displacement(self) -> NDArray[np.float32]:
        """(H, W, 2) float32: (y, x) from mid-exposure to the end of the exposure, image pixels."""
        return self._instants[-1]

    def trajectory(self, n: int = 9) -> NDArray[np.float32]:
        """Give the displacement at n even instants of the exposure, (n, H, W, 2): eq. (4), or the network's form."""
        return _trajectory(self._instants, self._form, n)

    def trajectory_at(self, points_yx: NDArray[np.integer], n: int = 9) -> NDArray[np.float32]:
        """Give the displacement at n even instants for K pixels (K, 2), as (K, n, 2)."""
        rows, columns = np.asarray(points_yx).T
        return _trajectory(self._instants[:, rows, columns], self._form, n).transpose(1, 0, 2)

    def drop_features(self) -> None:
        """Give back the memory of the encoded features; a restoration makes those it needs again."""
        object.__setattr__(self, "tiles", [Tile(tile.box, None) for tile in self.tiles])

    @property
    def _form(self) -> TrajectoryForm:
        return "quadratic" if self.coarse_motion is None else self.coarse_motion.form

    @property
    def _size(self) -> Size:
        height, width = self.image.shape[:2]
        return height, width

    @property
    def _seen_size(self) -> Size:
        height, width = self.seen[0].shape[:2]
        return height, width

    @cached_property
    def _instants(self) -> NDArray[np.float32]:
        """(K, H, W, 2): the displacements that the network gave, at full size."""
        height, width = self._size
        if self.coarse_motion is None:
            return np.zeros((2, height, width, 2), np.float32)
        full = with_room(self._enlarged_motion, self.coarse_motion.field)
        return np.ascontiguousarray(full[0].view(-1, 2, height, width).permute(0, 2, 3, 1).numpy())

    def _enlarged_probability(self, full: Tensor) -> Tensor:
        """Give the probability of cells (1, 1, h, w) for the photo's pixels."""
        height, width = self._seen_size
        if self.decides_windows:
            full = torch.nn.functional.interpolate(full, size=self.padded_size, mode="nearest")
        full = resize_image(full, self.padded_size)[..., :height, :width]
        if self.decides_windows:
            full = torch.nn.functional.interpolate(full, size=self._size, mode="nearest")
        return resize_image(full, self._size)

    def _enlarged_motion(self, field: Tensor) -> Tensor:
        """Give the displacements of cells (1, 2 * K, h, w) for the photo's pixels, in these."""
        assert self.coarse_motion is not None
        if self.coarse_motion.tells_time:
            return in_pixels_of(self._enlarged_in_seen_pixels(field), self._seen_size, self._size)
        # the mean of a path and the same path backwards would be none at all
        path = path_of_ends(field[:, :2], field[:, -2:])
        # one direction of time for all that moves, as far as there is one
        forwards = usual_direction(path, self.coarse_probability.to(path.device))
        ends = ends_of_path(self._enlarged_in_seen_pixels(path), forwards)
        # last: both sides of a small photo may be reduced differently, and a doubled angle is no (y, x)
        return in_pixels_of(ends, self._seen_size, self._size)

    def _enlarged_in_seen_pixels(self, field: Tensor) -> Tensor:
        """Give displacements or paths of cells at the photo's size, in pixels of what was analyzed."""
        height, width = self._seen_size
        # a cell is square, so that a path is as long in pixels as its parts are
        full = resize_displacement(field, self.padded_size)[..., :height, :width]
        return resize_image(full, self._size)


def with_room(enlarge: Callable[[Tensor], Tensor], field: Tensor) -> Tensor:
    """Give what becomes of a small field at full size, on the CPU; made there where its device has no room for it."""
    try:
        return enlarge(field).cpu()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    return enlarge(field.cpu())


def _trajectory(instants: NDArray[np.float32], form: TrajectoryForm, n: int) -> NDArray[np.float32]:
    given = torch.from_numpy(np.ascontiguousarray(instants))
    return trajectory_through(given, form, n).numpy()


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
    """Convolution multiply-adds of the restoration; of regions that were taken over too."""
    seconds: float
    """Time of the restoration, without the analysis."""
    threshold: float | None
    """The threshold that made the mask; None for a mask that was given."""
    execution: str
    """exact, adaptive or dense."""
    analysis: Analysis = field(repr=False)
    """What it was restored from."""
    pieces: Sequence[Piece] = field(repr=False, default=())
    """The rectangles it consists of, which the next restoration can take over."""
    notes: tuple[str, ...] = ()
    """What a person should know of how it was made, in sentences."""
