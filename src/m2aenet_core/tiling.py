"""Rectangles of a photo: tiles that cover it, and regions that hold its blur."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m2aenet_core.ops.padding import round_up


class Box(NamedTuple):
    """A rectangle; all four numbers in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """Row below the last."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """Column right of the last."""
        return self.left + self.width

    @property
    def area(self) -> int:
        """Pixels inside."""
        return self.height * self.width

    def moved(self, down: int, right: int) -> Box:
        """Give the rectangle so many pixels further down and right."""
        return Box(self.top + down, self.left + right, self.height, self.width)

    def over(self, cell: int) -> Box:
        """Give the rectangle in cells of so many pixels."""
        return Box(*(side // cell for side in self))


def plan_tiles(height: int, width: int, tile: int, overlap: int, multiple: int) -> list[Box]:
    """Give tiles of at most `tile` pixels a side that cover the photo and overlap by at least `overlap`.

    Height, width and all positions are multiples of `multiple`. A photo no larger than a tile is one tile.
    """
    rows = _spans(height, tile, overlap, multiple)
    columns = _spans(width, tile, overlap, multiple)
    return [Box(top, left, tall, wide) for top, tall in rows for left, wide in columns]


def _spans(length: int, tile: int, overlap: int, multiple: int) -> list[tuple[int, int]]:
    # tiles begin at multiples: an overlap that is none would be lost where their places are rounded
    overlap = round_up(overlap, multiple)
    tile = max(2 * overlap, tile // multiple * multiple)
    if length <= tile:
        return [(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    last = length - tile
    starts = [round(last * index / (count - 1) / multiple) * multiple for index in range(count)]
    return [(start, tile) for start in starts]


def any_in_cells(mask: NDArray[np.bool_], size: tuple[int, int], cell: int) -> NDArray[np.bool_]:
    """Give which cells of `cell` pixels hold any pixel of a mask, in a photo that was padded to `size`."""
    padded = np.zeros(size, np.bool_)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    blurred: NDArray[np.bool_] = np.logical_or.reduce(padded.reshape(size[0] // cell, cell, -1, cell), axis=(1, 3))
    return blurred


def blurred_regions(mask: NDArray[np.bool_], cell: int, halo: int, multiple: int) -> list[Box]:
    """Give boxes in pixels around the blurred parts of a mask (h, w) whose cells are `cell` pixels wide.

    Each box holds its part and `halo` pixels around it, within the photo, on positions that are multiples of
    `multiple`. Boxes that overlap much are joined: computing twice would cost more.
    """
    height, width = mask.shape[0] * cell, mask.shape[1] * cell
    # parts closer than a halo are one: their boxes would cover each other
    reach = max(1, halo // cell)
    labels, _ = ndimage.label(ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=reach), np.ones((3, 3)))
    boxes = []
    for index, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[rows, columns] == index
        ys, xs = np.nonzero(inside & mask[rows, columns])
        top, left = (rows.start + ys.min()) * cell - halo, (columns.start + xs.min()) * cell - halo
        bottom, right = (rows.start + ys.max() + 1) * cell + halo, (columns.start + xs.max() + 1) * cell + halo
        boxes.append(_aligned(top, left, bottom, right, height, width, multiple))
    return _joined(boxes)


def _aligned(top: int, left: int, bottom: int, right: int, height: int, width: int, multiple: int) -> Box:
    top, left = max(0, int(top) // multiple * multiple), max(0, int(left) // multiple * multiple)
    bottom, right = min(height, round_up(int(bottom), multiple)), min(width, round_up(int(right), multiple))
    return Box(top, left, bottom - top, right - left)


def _joined(boxes: list[Box]) -> list[Box]:
    """Join pairs of boxes while one box around both is no larger than the two."""
    boxes = list(boxes)
    position = 0
    while position < len(boxes):
        for other in range(position + 1, len(boxes)):
            union = _around(boxes[position], boxes[other])
            if union.area <= boxes[position].area + boxes[other].area:
                boxes[position] = union
                del boxes[other]
                position = -1
                break
        position += 1
    return boxes


def _around(first: Box, second: Box) -> Box:
    top, left = min(first.top, second.top), min(first.left, second.left)
    bottom, right = max(first.bottom, second.bottom), max(first.right, second.right)
    return Box(top, left, bottom - top, right - left)


def feather(box: Box, height: int, width: int, ramp: float) -> NDArray[np.float32]:
    """Give weights (box.height, box.width) in (0, 1]: 1 inside, falling over `ramp` pixels towards inner edges.

    At the photo's own border the weight stays 1. Two boxes that overlap by `ramp` sum to 1 there.
    """
    vertical, horizontal = ramps(box, height, width, ramp)
    return vertical[:, None] * horizontal[None, :]


def ramps(box: Box, height: int, width: int, ramp: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the weights of `feather` for the rows (box.height) and for the columns (box.width), whose product it is."""
    vertical = _ramp(box.height, ramp, box.top > 0, box.bottom < height)
    return vertical, _ramp(box.width, ramp, box.left > 0, box.right < width)


def _ramp(length: int, ramp: float, at_start: bool, at_end: bool) -> NDArray[np.float32]:
    position = np.arange(length, dtype=np.float32) + 0.5
    weight = np.ones(length, np.float32)
    if at_start:
        weight = np.minimum(weight, position / ramp)
    if at_end:
        weight = np.minimum(weight, (length - position) / ramp)
    return weight
