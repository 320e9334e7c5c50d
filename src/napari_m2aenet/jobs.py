"""The two pieces of work that run in a worker thread: analyze a photo, and restore it.

A job touches no layer and no widget. It is told to stop through `cancel`, shows how far it is in `progress`, and never
raises: what came of it is in `value` or `error`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.errors import Cancelled
from napari_m2aenet.blur_levels import BlurLevels
from napari_m2aenet.layer_data import Curves, trajectory_curves
from napari_m2aenet.mask_choice import MaskChoice
from napari_m2aenet.models import ModelShelf
from napari_m2aenet.settings import Settings
from napari_m2aenet.source import Source
from napari_m2aenet.stroke_preview import Part, stroke_preview

if TYPE_CHECKING:
    from m2aenet_core.analysis import Analysis, DeblurResult
    from m2aenet_core.deblurrer import Deblurrer

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Analyzed:
    """A photo that was analyzed, with the deblurrer that can restore it and the curves at the first threshold.

    `levels`: its blur probability, ready for every threshold that can be set.
    """

    source: Source
    deblurrer: Deblurrer
    analysis: Analysis
    mask_threshold: float
    curves: Curves
    levels: BlurLevels


@dataclass(frozen=True, eq=False)
class Restored:
    """A restored photo, and all that is shown about it. `mean_displacement_px` as in the record.

    `new_macs`: multiply-adds of what was computed now, without the regions that were taken over.
    """

    analyzed: Analyzed
    choice: MaskChoice
    result: DeblurResult
    curves: Curves
    mean_displacement_px: float | None
    record: dict[str, object]
    new_macs: int


class Job(ABC, Generic[Value]):
    """Work for one worker thread; `title` is what napari says while it runs."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.progress: tuple[int, int] = (0, 0)
        self.value: Value | None = None
        self.error: Exception | None = None
        self.is_cancelled = False

    def __repr__(self) -> str:
        return self.title

    def cancel(self) -> None:
        """Ask to stop. The work ends at its next step; the value, if there is one already, is to be dropped."""
        self.is_cancelled = True

    def __call__(self) -> None:
        """Do the work; called in the worker thread."""
        try:
            self.check()
            self.value = self.work()
        except Cancelled:
            self.cancel()
        except Exception as error:  # shown to the person on the GUI thread
            self.error = error

    def check(self) -> None:
        """Raise Cancelled if somebody asked to stop."""
        if self.is_cancelled:
            raise Cancelled

    def report(self, done: int, total: int) -> None:
        """Note how far the work is; the progress callback of the core."""
        self.check()
        self.progress = (done, total)

    @abstractmethod
    def work(self) -> Value:
        """Return the value; raise anything."""


class AnalyzeJob(Job[Analyzed]):
    """Read a photo, open the model, find where the blur is and how each pixel moved."""

    def __init__(self, source: Source, settings: Settings, shelf: ModelShelf) -> None:
        super().__init__(f"finding the blur in {source.name}")
        self.source = source
        self.settings = settings
        self._shelf = shelf

    def work(self) -> Analyzed:
        """Return the analysis of the photo."""
        pixels = self.source.read()
        self.check()
        deblurrer = self._shelf.deblurrer(self.settings.model, self.settings.device, self.settings.ensemble)
        self.check()
        analysis = deblurrer.analyze(
            pixels, value_range=self.source.value_range, scale=self.settings.scale, progress=self.report
        )
        self.check()
        threshold = self.settings.threshold
        curves = trajectory_curves(analysis, analysis.blur_probability > threshold)
        levels = BlurLevels.of(analysis.blur_probability)
        return Analyzed(self.source, deblurrer, analysis, threshold, curves, levels)


class RestoreJob(Job[Restored]):
    """Restore an analyzed photo with the mask that a choice makes.

    previous: a restoration of the same analysis; regions whose mask is still the same are taken over from it. seen: the
    choice that the picture shows, if it shows more than `previous`. Where a stroke touches a large region, `preview`
    holds the stroke's surroundings long before the rest is done; None once somebody has taken it.
    """

    def __init__(
        self,
        analyzed: Analyzed,
        choice: MaskChoice,
        previous: DeblurResult | None = None,
        seen: MaskChoice | None = None,
    ) -> None:
        super().__init__(f"restoring {analyzed.source.name}")
        self.analyzed = analyzed
        self.choice = choice
        self.preview: Part | None = None
        self.made_preview = False
        self._previous = previous
        self._seen = seen

    def work(self) -> Restored:
        """Return the restored photo and what is shown about it."""
        from m2aenet_core.record import make_record

        analysis, deblurrer = self.analyzed.analysis, self.analyzed.deblurrer
        # the threshold itself where it alone decides, so that the command line gives the very same photo
        mask = None if self.choice.is_plain else self.choice.mask(analysis.blur_probability)
        if mask is not None:
            self._preview(mask)
        result = deblurrer.restore(
            analysis, self.choice.threshold, mask=mask, previous=self._previous, progress=self.report
        )
        self.check()
        record: dict[str, Any] = make_record(deblurrer, result)
        return Restored(
            analyzed=self.analyzed,
            choice=self.choice,
            result=result,
            curves=trajectory_curves(analysis, result.mask),
            mean_displacement_px=record["result"]["mean_displacement_px"],
            record={
                **record,
                "layer": self.analyzed.source.description(),
                "mask": self.choice.description(),
            },
            new_macs=self._new_macs(result),
        )

    def _preview(self, mask: NDArray[np.bool_]) -> None:
        if self._previous is None:
            return
        analyzed = self.analyzed
        seen = self._previous.mask if self._seen is None else self._seen.mask(analyzed.analysis.blur_probability)
        part = stroke_preview(analyzed.deblurrer, mask, seen, self._previous, lambda _done, _total: self.check())
        self.check()
        self.made_preview, self.preview = part is not None, part

    def _new_macs(self, result: DeblurResult) -> int:
        known = set() if self._previous is None else {id(piece) for piece in self._previous.pieces}
        return sum(piece.macs for piece in result.pieces if id(piece) not in known)


class CallJob(Job[Any]):
    """Any other slow call: reading a file, asking for the devices."""

    def __init__(self, title: str, function: Callable[[], Any]) -> None:
        super().__init__(title)
        self._function = function

    def work(self) -> Any:
        """Return what the function returns."""
        return self._function()
