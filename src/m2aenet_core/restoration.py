"""Restore what was analyzed, the whole frame or only regions that hold blur, and paste it into the photo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m2aenet_core.analysis import Analysis, Piece, Tile
from m2aenet_core.models.network import Decision, Encoded
from m2aenet_core.photo_tiles import TILE_OVERLAP_PX, Photo, ProgressCallback, encode
from m2aenet_core.pixels import Image, ValueRange, add_residual, value_limits
from m2aenet_core.runner import Runner
from m2aenet_core.tiling import Box, blurred_regions, ramps

# around a blurred region: what its pixels draw on, and room to fade into the photo
HALO_PX = 32
# rows that are pasted at a time, so that no array of the whole photo's size in float32 is needed
_BAND_PX = 256


class Work(NamedTuple):
    """Boxes of a tile to restore."""

    tile: Tile
    boxes: list[Box]


def plan_restoration(analysis: Analysis, cells: NDArray[np.bool_], execution: str, cell: int, step: int) -> list[Work]:
    """Give the boxes to restore, tile by tile.

    cells (h, w): which are blurred, `cell` pixels wide; step: multiple of the boxes' positions and sides.
    """
    if execution != "adaptive":
        return [Work(tile, [tile.box]) for tile in analysis.tiles]
    plan = []
    for tile in analysis.tiles:
        box = tile.box
        regions = blurred_regions(_cut(cells, box.over(cell)), cell, HALO_PX, step)
        boxes = [region.moved(box.top, box.left) for region in regions]
        # one pass over the whole tile is no more work than regions that cover each other
        plan.append(Work(tile, boxes if sum(each.area for each in boxes) < box.area else [box]))
    return [work for work in plan if work.boxes]


class Restoration:
    """The restoration of one photo: compute its pieces one after the other, or take those that are known already."""

    def __init__(
        self, runner: Runner, analysis: Analysis, cells: NDArray[np.bool_], threshold: float | None, execution: str
    ) -> None:
        """Cells (h, w): which are blurred; threshold: what the network decides by itself with, if it does."""
        self._runner, self._analysis = runner, analysis
        self._cells, self._threshold, self._execution = cells, threshold, execution
        self._photo = Photo(analysis.image, analysis.value_range, runner.network.size_multiple)
        self._cell = runner.network.cell_px

    def pieces(self, known: Sequence[Piece], progress: ProgressCallback | None) -> list[Piece]:
        """Give all pieces. known: of an earlier restoration; where box and mask are the same they are taken over."""
        multiple = self._runner.network.size_multiple
        plan = plan_restoration(self._analysis, self._cells, self._execution, self._cell, multiple)
        total, done = sum(len(work.boxes) for work in plan), 0
        by_box = {} if self._threshold is not None else {piece.box: piece for piece in known}
        pieces: list[Piece] = []
        for work in plan:
            encoded = work.tile.encoded
            for box in work.boxes:
                if progress is not None:
                    progress(done, total)
                done += 1
                earlier = by_box.get(box)
                if earlier is not None and np.array_equal(earlier.cells, _cut(self._cells, box.over(self._cell))):
                    pieces.append(earlier)
                    continue
                encoded = encode(self._runner, self._photo, work.tile.box) if encoded is None else encoded
                pieces += self._restored(encoded, work.tile.box, box)
        if progress is not None:
            progress(total, total)
        return pieces

    def _restored(self, encoded: Encoded, tile: Box, box: Box) -> list[Piece]:
        """Give the piece of a box, or smaller ones where the memory is too small."""
        try:
            return [self._piece(encoded, tile, box)]
        except Exception as error:
            smaller = self._runner.make_room(error, box, TILE_OVERLAP_PX)
        return [piece for part in smaller for piece in self._restored(encoded, tile, part)]

    def _piece(self, encoded: Encoded, tile: Box, box: Box) -> Piece:
        network, device = self._runner.network, self._runner.device
        part = encoded.crop(box.top - tile.top, box.left - tile.left, box.height, box.width).to(device)
        over = box.over(self._cell)
        cells = _cut(self._cells, over)
        if self._analysis.coarse_motion is not None:
            # the blended motion, so that tiles agree where they meet
            motion = self._analysis.coarse_motion.map(
                lambda field: field[..., over.top : over.bottom, over.left : over.right].to(device)
            )
            part = part._replace(motion=motion)
        is_pruned = self._execution != "dense"
        restored, masks = network.restore(part, self._decision(cells, device), pruned=is_pruned)
        difference = (restored.float().clamp_(0, 1) - part.image)[0].permute(1, 2, 0).cpu().numpy()
        macs = network.restore_macs(box.height, box.width, masks if is_pruned else None)
        return Piece(box, cells, difference, macs)

    def _decision(self, cells: NDArray[np.bool_], device: torch.device) -> Decision:
        if self._threshold is not None:
            return self._threshold
        mask: Tensor = torch.from_numpy(cells.astype(np.float32))[None, None]
        return mask.to(device)


def paste(
    image: Image, value_range: ValueRange, pieces: Sequence[Piece], size: tuple[int, int], execution: str
) -> Image:
    """Give the photo with the pieces added, which fade into it and into each other.

    size: height and width of the padded photo. Pixels outside of all pieces stay bit for bit.
    """
    ramp = HALO_PX // 2 if execution == "adaptive" else TILE_OVERLAP_PX
    weights = [ramps(piece.box, *size, ramp) for piece in pieces]
    restored, limits = image.copy(), value_limits(image, value_range)
    for top in range(0, image.shape[0], _BAND_PX):
        bottom = min(top + _BAND_PX, image.shape[0])
        here = [index for index, piece in enumerate(pieces) if piece.box.top < bottom and piece.box.bottom > top]
        if not here:
            continue
        left = min(pieces[index].box.left for index in here)
        right = min(max(pieces[index].box.right for index in here), image.shape[1])
        total = np.zeros((bottom - top, right - left, 3), np.float32)
        shares = np.zeros((bottom - top, right - left, 1), np.float32)
        for index in here:
            box, (down, across) = pieces[index].box, weights[index]
            first, last = max(top, box.top), min(bottom, box.bottom)
            end = min(right, box.right)
            where = np.s_[first - top : last - top, box.left - left : end - left]
            inside = np.s_[first - box.top : last - box.top]
            weight = (down[inside, None] * across[None, : end - box.left])[..., None]
            total[where] += weight * pieces[index].difference[inside, : end - box.left]
            shares[where] += weight
        # where regions overlap beyond their ramps, the weights add up to more than one
        total /= np.maximum(shares, 1)
        part = image[top:bottom, left:right]
        restored[top:bottom, left:right] = add_residual(part, total, value_range, limits)
    return restored


def _cut(cells: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    return cells[box.top : box.bottom, box.left : box.right]
