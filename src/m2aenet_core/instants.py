"""What a restored photo looked like at any instant of its exposure, a tile at a time.

The blurred pixels go where their trajectories take them, in front of what stays. What they leave behind shows the
restored photo: a blur mask covers all that an object passed over, so what lies there at mid-exposure is what the
object uncovers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m2aenet_core.analysis import DeblurResult
from m2aenet_core.errors import InputError
from m2aenet_core.ops.splat import splat
from m2aenet_core.pixels import Image, colours
from m2aenet_core.tiling import Box

_TILE_PX = 512
# motion fields are smooth: their longest displacement shows in so many of their pixels, but for a margin
_LOOKED_AT = 250_000
_MARGIN_PX = 2
# A pixel on which less than a quarter of a moved pixel fell shows what stays; from three quarters on, what moved. So
# edges stay soft, and a motion that draws pixels apart by less than a quarter tears no holes.
_BEHIND, _IN_FRONT = 0.25, 0.75


class MovingTile(NamedTuple):
    """A part of the photo, `box`, with all that moves in it or into it.

    source: the box and as much around it as pixels can come from. moving (h, w) bool: which of the source's pixels
    move. displacements (K, N, 2) float32: where each of them is at N instants, (y, x) in pixels from mid-exposure.
    """

    box: Box
    source: Box
    moving: Tensor
    displacements: Tensor

    def still(self, photo: Image) -> Tensor:
        """Give the source's part of a photo as (1, C, h, w), its colours without alpha."""
        part = colours(photo)[_where(self.source)]
        exact = part.astype(np.promote_types(part.dtype, np.float32))
        return torch.from_numpy(np.ascontiguousarray(exact.transpose(2, 0, 1))).unsqueeze(0)

    def at(self, instant: int, still: Tensor) -> tuple[Tensor, Tensor]:
        """Give the box at an instant, (C, h, w), and the share (h, w) of what moved in its pixels.

        still: what is seen at mid-exposure, of `still`. Where the share is 0 this is seen unchanged.
        """
        gate = self.moving.to(still.dtype)[None, None]
        displacement = torch.zeros(1, *self.moving.shape, 2)
        displacement[0, self.moving] = self.displacements[:, instant]
        moved = splat(torch.cat([still * gate, gate], dim=1), displacement.permute(0, 3, 1, 2))
        values, weight = moved[0].split([still.shape[1], 1], dim=1)
        share = ((weight - _BEHIND) / (_IN_FRONT - _BEHIND)).clamp(0, 1)
        seen = torch.lerp(still, values / weight.clamp_min(_BEHIND), share)
        return self._inner(seen)[0], self._inner(share)[0, 0]

    def _inner(self, part: Tensor) -> Tensor:
        top, left = self.box.top - self.source.top, self.box.left - self.source.left
        return part[..., top : top + self.box.height, left : left + self.box.width]


class MovingTiles(Sequence[MovingTile]):
    """The tiles that hold all that moves in a result, at `instants` even instants; each is made when it is asked for.

    They do not overlap. A tile takes some 100 MB where displacements are short against its side, 512 pixels, and more
    where they are long, as it then needs more of the photo around it.

    Raises InputError where the network found no motion, or fewer than two instants are asked for.
    """

    def __init__(self, result: DeblurResult, instants: int) -> None:
        if not result.analysis.has_motion:
            name = result.analysis.model_name
            raise InputError(f"the model “{name}” does not look how pixels moved; choose an M2AENet model")
        if instants < 2:
            raise InputError(f"a number of {instants} instants is too small; choose 2 or more")
        self._result, self._instants = result, instants
        self._reach = longest_displacement_px(result)
        self._boxes = list(self._plan())

    def __len__(self) -> int:
        return len(self._boxes)

    @overload
    def __getitem__(self, index: int) -> MovingTile: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MovingTile]: ...
    def __getitem__(self, index: int | slice) -> MovingTile | Sequence[MovingTile]:
        """Give a tile."""
        if isinstance(index, slice):
            return [self._tile(box) for box in self._boxes[index]]
        return self._tile(self._boxes[index])

    def _plan(self) -> Iterator[Box]:
        height, width = self._result.mask.shape
        for top in range(0, height, _TILE_PX):
            for left in range(0, width, _TILE_PX):
                box = Box(top, left, min(_TILE_PX, height - top), min(_TILE_PX, width - left))
                source = self._grown(box)
                moving = self._result.mask[_where(source)]
                if moving.any():
                    reached = self._grown(_around(moving, source))
                    yield _common(box, reached)

    def _tile(self, box: Box) -> MovingTile:
        source = self._grown(box)
        moving = self._result.mask[_where(source)]
        points = np.argwhere(moving) + np.array(source[:2])
        displacements = self._result.analysis.trajectory_at(points, self._instants)
        return MovingTile(box, source, torch.from_numpy(moving), torch.from_numpy(displacements))

    def _grown(self, box: Box) -> Box:
        """The box and what is in reach around it."""
        height, width = self._result.mask.shape
        top, left = max(0, box.top - self._reach), max(0, box.left - self._reach)
        bottom, right = min(height, box.bottom + self._reach), min(width, box.right + self._reach)
        return Box(top, left, bottom - top, right - left)


def longest_displacement_px(result: DeblurResult) -> int:
    """Give how far a blurred pixel gets from its place at mid-exposure at most, along y or x, in whole pixels."""
    points = np.argwhere(result.mask)
    some = points[:: 1 + len(points) // _LOOKED_AT]
    if not len(some):
        return 0
    longest = float(np.abs(result.analysis.trajectory_at(some)).max())
    return int(np.ceil(min(longest, max(result.mask.shape)))) + _MARGIN_PX


def _around(moving: NDArray[np.bool_], within: Box) -> Box:
    """The smallest box around the pixels of a mask that lies `within` the photo."""
    rows, columns = np.flatnonzero(moving.any(axis=1)), np.flatnonzero(moving.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return Box(within.top + top, within.left + left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left)


def _common(first: Box, second: Box) -> Box:
    top, left = max(first.top, second.top), max(first.left, second.left)
    return Box(top, left, min(first.bottom, second.bottom) - top, min(first.right, second.right) - left)


def _where(box: Box) -> tuple[slice, slice]:
    return np.s_[box.top : box.bottom, box.left : box.right]
