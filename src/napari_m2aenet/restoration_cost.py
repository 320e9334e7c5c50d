"""What a threshold costs: multiply-adds before anything is restored, and seconds from what was measured so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.jobs import Analyzed, Job, Restored
from napari_m2aenet.mask_choice import MaskChoice

if TYPE_CHECKING:
    from m2aenet_core.deblurrer import Deblurrer

CURVE_THRESHOLDS = 21
REMEMBERED = 5


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
    """Seconds for each multiply-add, as measured by the last restorations of one deblurrer."""

    def __init__(self) -> None:
        self._deblurrer: Deblurrer | None = None
        self._measured: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)
        self._is_warm = False

    def note(self, restored: Restored) -> None:
        """Take a restoration into account; those of another deblurrer are forgotten."""
        if self._deblurrer is not restored.analyzed.deblurrer:
            self._deblurrer, self._is_warm = restored.analyzed.deblurrer, False
            self._measured.clear()
        if restored.new_macs:
            if len(self._measured) == 1 and not self._is_warm:
                self._measured.clear()  # the first run of a network is slow, and says little about the next
                self._is_warm = True
            self._measured.append((restored.result.seconds, restored.new_macs))

    def seconds(self, macs: int) -> float | None:
        """Return about how long so many multiply-adds take; None before anything was measured."""
        if not self._measured:
            return None
        return sum(seconds for seconds, _ in self._measured) / sum(done for _, done in self._measured) * macs


class CostJob(Job[CostCurve | None]):
    """Find what restoring a photo costs at any threshold, or with the mask that a choice has.

    The value is None for networks whose own decisions set the cost.
    """

    def __init__(self, analyzed: Analyzed, choice: MaskChoice) -> None:
        super().__init__(f"counting the work for {analyzed.source.name}")
        self.analyzed, self.choice = analyzed, choice

    def work(self) -> CostCurve | None:
        """Return multiply-adds over thresholds; all the same where the threshold does not make the mask."""
        return cost_curve(self.analyzed, self.choice, self.check)


def cost_curve(analyzed: Analyzed, choice: MaskChoice, check: Callable[[], None] = lambda: None) -> CostCurve | None:
    """Return what restoring a photo costs; None for networks whose own decisions set the cost.

    check: called between thresholds; it may raise Cancelled.
    """
    model, analysis = analyzed.deblurrer.model, analyzed.analysis
    if not model.has_mask or model.decides_along:
        return None
    whole = sum(model.restore_macs(tile.box.height, tile.box.width) for tile in analysis.tiles)
    thresholds = np.linspace(0, 1, CURVE_THRESHOLDS) if choice.given is None else np.zeros(1)
    macs = []
    for threshold in thresholds:
        check()
        macs.append(_macs(analyzed, replace(choice, threshold=float(threshold))))
    return CostCurve(thresholds, np.asarray(macs, np.float64), whole)


def _macs(analyzed: Analyzed, choice: MaskChoice) -> int:
    """Plan a restoration as the core does, and count it."""
    import torch

    from m2aenet_core.restoration import plan_restoration

    analysis, model = analyzed.analysis, analyzed.deblurrer.model
    cell = model.cell_px
    cells = analysis.cells_of(choice.mask(analysis.blur_probability), cell)
    if choice.is_plain:
        cells = cells & (analysis.coarse_probability[0, 0].cpu().numpy() > choice.threshold)
    plan = plan_restoration(analysis, cells, analyzed.deblurrer.execution, cell, model.size_multiple)
    total = 0
    for box in (box for work in plan for box in work.boxes):
        over = box.over(cell)
        part = torch.from_numpy(cells[over.top : over.bottom, over.left : over.right].astype(np.float32))
        total += model.restore_macs(box.height, box.width, [part[None, None]])
    return total
