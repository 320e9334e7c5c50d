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
from m2aenet_core.pixels import Image, add_residual, value_limits
from m2aenet_core.runner import Runner
from m2aenet_core.tiling import Box, blurred_regions, ramps
from m2aenet_core.working_scale import Enlargement

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
        self._photo = Photo(*analysis.seen, runner.network.size_multiple, analysis.linear_light)
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


class _Placed(NamedTuple):
    """A piece at its place in the photo."""

    piece: Piece
    box: Box
    enlargement: Enlargement | None

    def difference(self, part: Box) -> NDArray[np.float32]:
        """Give what is added to a part of the photo, (h, w, 3)."""
        if self.enlargement is not None:
            return self.enlargement.part(self.piece.difference, self.piece.box, part)
        return self.piece.difference[part.top - self.box.top : part.bottom - self.box.top, : part.width]


def paste(analysis: Analysis, pieces: Sequence[Piece], execution: str) -> Image:
    """Give the photo with the pieces added, which fade into it and into each other.

    Pixels outside of all pieces stay bit for bit.
    """
    image, value_range, enlargement = analysis.image, analysis.value_range, analysis.enlargement
    ramp = (HALO_PX // 2 if execution == "adaptive" else TILE_OVERLAP_PX) / analysis.scale
    whole = Box(0, 0, *analysis.padded_size)
    whole = whole if enlargement is None else enlargement.box(whole)
    placed = [_place(piece, enlargement) for piece in pieces]
    weights = [ramps(each.box, whole.height, whole.width, ramp) for each in placed]
    restored, limits = image.copy(), value_limits(image, value_range)
    for top in range(0, image.shape[0], _BAND_PX):
        bottom = min(top + _BAND_PX, image.shape[0])
        here = [index for index, each in enumerate(placed) if each.box.top < bottom and each.box.bottom > top]
        if not here:
            continue
        left = min(placed[index].box.left for index in here)
        right = min(max(placed[index].box.right for index in here), image.shape[1])
        total = np.zeros((bottom - top, right - left, 3), np.float32)
        shares = np.zeros((bottom - top, right - left, 1), np.float32)
        for index in here:
            box, (down, across) = placed[index].box, weights[index]
            first, last = max(top, box.top), min(bottom, box.bottom)
            part = Box(first, box.left, last - first, min(right, box.right) - box.left)
            where = np.s_[first - top : last - top, box.left - left : part.right - left]
            weight = (down[first - box.top : last - box.top, None] * across[None, : part.width])[..., None]
            total[where] += weight * placed[index].difference(part)
            shares[where] += weight
        # where regions overlap beyond their ramps, the weights add up to more than one
        total /= np.maximum(shares, 1)
        part_of_photo = image[top:bottom, left:right]
        restored[top:bottom, left:right] = add_residual(
            part_of_photo, total, value_range, limits, linear_light=analysis.linear_light
        )
    return restored


def _place(piece: Piece, enlargement: Enlargement | None) -> _Placed:
    return _Placed(piece, piece.box if enlargement is None else enlargement.box(piece.box), enlargement)


def _cut(cells: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    return cells[box.top : box.bottom, box.left : box.right]
