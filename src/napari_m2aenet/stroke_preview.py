"""The part of a photo that a stroke has changed, restored on its own before the whole region it belongs to is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from m2aenet_core.analysis import Analysis, DeblurResult
    from m2aenet_core.deblurrer import Deblurrer, ProgressCallback

MARGIN_PX = 16
"""Around the stroke; as far as a restored region fades into the photo at full size."""

MAX_AREA_PX = 512 * 512
"""A larger change is no stroke, and takes as long as the restoration itself."""


@dataclass(frozen=True, eq=False)
class Part:
    """Restored pixels (h, w) or (h, w, C) and the place of their upper left corner."""

    top: int
    left: int
    pixels: NDArray[Any]

    def pasted(self, photo: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of a photo with these pixels in their place."""
        photo = photo.copy()
        height, width = self.pixels.shape[:2]
        photo[self.top : self.top + height, self.left : self.left + width] = self.pixels
        return photo


def stroke_preview(
    deblurrer: Deblurrer,
    mask: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    known: DeblurResult,
    progress: ProgressCallback | None = None,
) -> Part | None:
    """Return what a stroke looks like; None where the restoration itself is about as quick.

    mask: (H, W), to be restored with; seen: the mask that the picture was made with; known: the last restoration.
    The part is computed as if nothing else were blurred, so it differs a little from the restoration that follows it.
    """
    model = deblurrer.model
    if deblurrer.execution != "adaptive" or not model.has_mask or model.decides_along:
        return None
    where = _around(mask != seen, round(MARGIN_PX / known.analysis.scale))
    if where is None:
        return None
    alone = np.zeros_like(mask)
    alone[where] = mask[where]
    if _new_area(deblurrer, known.analysis, mask, known) < 2 * _new_area(deblurrer, known.analysis, alone, None):
        return None
    restored = deblurrer.restore(known.analysis, mask=alone, progress=progress).restored
    return Part(where[0].start, where[1].start, restored[where].copy())


def _around(changed: NDArray[np.bool_], margin: int) -> tuple[slice, slice] | None:
    """Return the rows and columns that hold all changes and a margin; None without any, or where they are too many."""
    slices = []
    for axis, size in ((1, changed.shape[0]), (0, changed.shape[1])):
        places = np.flatnonzero(changed.any(axis=axis))
        if not len(places):
            return None
        slices.append(slice(max(0, int(places[0]) - margin), min(size, int(places[-1]) + 1 + margin)))
    rows, columns = slices
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return (rows, columns) if area <= MAX_AREA_PX else None


def _new_area(deblurrer: Deblurrer, analysis: Analysis, mask: NDArray[np.bool_], known: DeblurResult | None) -> int:
    """Return how many pixels a restoration has to compute, besides the regions that it can take over."""
    from m2aenet_core.restoration import plan_restoration

    cell, multiple = deblurrer.model.cell_px, deblurrer.model.size_multiple
    cells = analysis.cells_of(mask, cell)
    pieces = {} if known is None else {piece.box: piece.cells for piece in known.pieces}
    area = 0
    for work in plan_restoration(analysis, cells, deblurrer.execution, cell, multiple):
        for box in work.boxes:
            over = box.over(cell)
            here = cells[over.top : over.bottom, over.left : over.right]
            if box not in pieces or not np.array_equal(pieces[box], here):
                area += box.area
    return area
