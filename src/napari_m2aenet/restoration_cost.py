"""What a threshold costs: multiply-adds before anything is restored, and seconds from what was measured so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.jobs import Analyzed, Restored

if TYPE_CHECKING:
    from m2aenet_core.analysis import Tile
    from m2aenet_core.deblurrer import Deblurrer

CURVE_THRESHOLDS = 21


@dataclass(frozen=True, eq=False)
class CostCurve:
    """Multiply-adds of restoring one photo: `macs` at each of `thresholds`, ascending; `whole` for the whole frame."""

    thresholds: NDArray[np.float64]
    macs: NDArray[np.float64]
    whole: int

    def at(self, threshold: float) -> int:
        """Return the multiply-adds at a threshold, interpolated."""
        return int(np.interp(threshold, self.thresholds, self.macs))


class Pace:
    """Seconds for each multiply-add, as measured by the restorations of one deblurrer."""

    def __init__(self) -> None:
        self._deblurrer: Deblurrer | None = None
        self._seconds = 0.0
        self._macs = 0

    def note(self, restored: Restored) -> None:
        """Take a restoration into account; those of another deblurrer are forgotten."""
        if self._deblurrer is not restored.analyzed.deblurrer:
            self._deblurrer, self._seconds, self._macs = restored.analyzed.deblurrer, 0.0, 0
        if restored.result.macs:
            self._seconds += restored.result.seconds
            self._macs += restored.result.macs

    def seconds(self, macs: int) -> float | None:
        """Return about how long so many multiply-adds take; None before anything was measured."""
        return self._seconds / self._macs * macs if self._macs else None


def cost_curve(analyzed: Analyzed, check: Callable[[], None] = lambda: None) -> CostCurve | None:
    """Return what restoring a photo costs at any threshold; None for networks whose own decisions set the cost.

    check: called between thresholds; it may raise Cancelled.
    """
    model, analysis = analyzed.deblurrer.model, analyzed.analysis
    if not model.has_mask or model.decides_along:
        return None
    whole = sum(model.restore_macs(tile.box.height, tile.box.width) for tile in analysis.tiles)
    thresholds = np.linspace(0, 1, CURVE_THRESHOLDS)
    macs = []
    for threshold in thresholds:
        check()
        macs.append(sum(_tile_macs(analyzed, tile, float(threshold)) for tile in analysis.tiles))
    return CostCurve(thresholds, np.asarray(macs, np.float64), whole)


def _tile_macs(analyzed: Analyzed, tile: Tile, threshold: float) -> int:
    """Plan the regions of a tile as the restoration does, and count them."""
    from m2aenet_core.deblurrer import HALO_PX
    from m2aenet_core.tiling import blurred_regions

    model = analyzed.deblurrer.model
    cell, box = model.cell_px, tile.box
    rows, columns = slice(box.top // cell, box.bottom // cell), slice(box.left // cell, box.right // cell)
    coarse = (analyzed.analysis.coarse_probability[..., rows, columns] > threshold).float()
    if analyzed.deblurrer.execution != "adaptive":
        return model.restore_macs(box.height, box.width, [coarse])
    total = 0
    for region in blurred_regions(coarse[0, 0].cpu().numpy() > 0, cell, HALO_PX, model.size_multiple):
        top, left = region.top // cell, region.left // cell
        part = coarse[..., top : top + region.height // cell, left : left + region.width // cell]
        total += model.restore_macs(region.height, region.width, [part])
    return total
