"""State and rules of a run: what is known, what is wanted next, and what the status line says. No Qt, no napari.

The window asks (`request_run`, `request_threshold`, `cancel`), takes the next job with `next_job`, runs it in a worker
thread, and hands it back to `finish`, which says what has to be shown. All of this happens on the GUI thread; only
calling the job does not. There is one job at a time, and only the newest wish is kept: older ones are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.errors import InputError
from napari_m2aenet.jobs import Analyzed, AnalyzeJob, Restored, RestoreJob
from napari_m2aenet.mask_choice import MaskChoice, MaskSource
from napari_m2aenet.mask_decisions import MaskDecisions
from napari_m2aenet.models import ModelShelf, OpenDeblurrer, open_deblurrer
from napari_m2aenet.restoration_cost import Pace
from napari_m2aenet.settings import THRESHOLD, Settings
from napari_m2aenet.source import Source

NOTHING_YET = "Choose a photo and press Run."
STOPPED = "Stopped. Press Run to start again."


class Phase(Enum):
    """What the worker thread is doing."""

    IDLE = "idle"
    ANALYZING = "analyzing"
    RESTORING = "restoring"


@dataclass(frozen=True)
class Status:
    """A sentence for the status line. `error` is set where something failed that a person should know of."""

    text: str
    error: Exception | None = None


class Session:
    """One window's run: the newest analysis, the newest restoration, and the settings they are made with.

    `analyses_done` and `restorations_done` count what was shown, `dropped` what was stopped or came too late. `masks`
    knows how the mask is made, and how it was made before. `pace` is how quick the restorations were.
    `shelf` keeps the model.
    """

    def __init__(self, opener: OpenDeblurrer = open_deblurrer) -> None:
        self.settings = Settings()
        self.status = Status(NOTHING_YET)
        self.analyzed: Analyzed | None = None
        self.restored: Restored | None = None
        self.job: AnalyzeJob | RestoreJob | None = None
        self.analyses_done = 0
        self.restorations_done = 0
        self.dropped = 0
        self.masks = MaskDecisions()
        self.pace = Pace()
        self.shelf = ModelShelf(opener)
        self._wanted_source: Source | None = None
        self._wants_restoration = False
        self._is_closed = False
        # what the picture shows where a stroke's preview was shown, and the restoration has not followed yet
        self._seen: MaskChoice | None = None

    @property
    def choice(self) -> MaskChoice:
        """How the mask is made now."""
        return self.masks.choice

    @property
    def phase(self) -> Phase:
        """What the worker thread is doing now."""
        if self.job is None:
            return Phase.IDLE
        return Phase.ANALYZING if isinstance(self.job, AnalyzeJob) else Phase.RESTORING

    @property
    def is_busy(self) -> bool:
        """Whether something runs or waits to run, other than a job that was told to stop."""
        return self._live_job is not None or self._wanted_source is not None or self._wants_restoration

    @property
    def _live_job(self) -> AnalyzeJob | RestoreJob | None:
        """The running job, unless it was told to stop."""
        return None if self.job is None or self.job.is_cancelled else self.job

    # -- wishes ---------------------------------------------------------------------------------------------------

    def choose(self, **changes: Any) -> None:
        """Set what the next run is made with, fields of `Settings`; what is shown stays as it is."""
        self.settings = replace(self.settings, **changes)

    def request_run(self, source: Source) -> bool:
        """Ask for the analysis and restoration of a photo; False where that very run is going on already."""
        if self._is_analyzing(source):
            return False
        self._is_closed = False
        self._stop_job()
        self._wanted_source = source
        self._wants_restoration = False
        self.status = Status(f"Finding the blur in “{source.name}” …")
        return True

    def is_run(self, source: Source) -> bool:
        """Whether this photo, the same frame of the same layer, was run, or is being run now."""
        sources = [] if self._wanted_source is None else [self._wanted_source]
        sources += [] if self._live_job is None else [_source_of(self._live_job)]
        sources += [] if self.analyzed is None else [self.analyzed.source]
        return any(source.is_same_picture(run) for run in sources)

    def request_threshold(self, threshold: float) -> None:
        """Set the threshold, and ask for a restoration with it where a photo was analyzed.

        Another threshold than before takes the place of a mask that was painted or read from a layer, which `undo`
        gives back. The same one changes nothing.
        """
        self.settings = replace(self.settings, threshold=THRESHOLD.check(threshold))
        if self._analyzes:
            return  # the run that goes on takes the newest threshold; where it is stopped, `_catch_up` does
        self.masks.take_threshold(threshold)
        self._want_choice()

    def request_source(self, source: MaskSource) -> None:
        """Take the mask from the threshold, or from the strokes: those made last, else those to come on this mask."""
        if self.analyzed is not None and source is not self.choice.source:
            self.masks.take_source(source, self._unselected_mask())
            self._want_choice()

    def take_brush(self) -> None:
        """Let strokes begin on the mask that is shown, so that each costs no more than what it touches.

        A threshold decides finer than pixels do, so its regions cannot be taken over; they are made anew once, now.
        """
        if self.analyzed is not None and self.choice.source is not MaskSource.PAINTED:
            self.masks.start_painting(self._unselected_mask())
            self._want_choice()

    def request_mask(self, mask: NDArray[np.bool_], layer: tuple[Hashable, str] | None = None) -> None:
        """Take a mask (H, W) that was painted, or that was read from a layer: its key and its name.

        Raises:
            InputError: the mask has another size than the photo.
        """
        if self.analyzed is None:
            return
        self._require_size("mask", mask)
        if layer is None:
            self.masks.take_painted(self._with_unselected(mask))
        else:
            self.masks.take_layer(mask, *layer)
        self._want_choice()

    def request_selection(self, selection: NDArray[np.bool_] | None) -> None:
        """Restore inside a selection (H, W) only; everywhere for None, or for one without a pixel.

        Raises:
            InputError: the selection has another size than the photo.
        """
        if self.analyzed is None:
            return
        if selection is not None:
            self._require_size("selection", selection)
        self.masks.take_selection(selection)
        self._want_choice()

    def _require_size(self, what: str, mask: NDArray[np.bool_]) -> None:
        assert self.analyzed is not None
        size = self.analyzed.levels.levels.shape
        if mask.shape != size:
            raise InputError(
                f"The {what} is {_size(mask.shape)} but the photo is {_size(size)}; choose one of its size."
            )

    def undo(self) -> bool:
        """Go back to how the mask was made before; False where nothing was."""
        return self._go(self.masks.undo) if self.masks.can_undo and not self._analyzes else False

    def redo(self) -> bool:
        """Go forward again to what was undone; False where nothing was."""
        return self._go(self.masks.redo) if self.masks.can_redo and not self._analyzes else False

    def cancel(self) -> None:
        """Stop what runs and forget what waits; what is shown already stays, but for a threshold that moved since."""
        self._stop()
        self._catch_up()

    def forget(self, key: Hashable) -> None:
        """The layer with this key is gone: stop its run and drop what is known of it."""
        wanted = self._wanted_source is not None and self._wanted_source.key == key
        is_run = wanted or (self._live_job is not None and _source_of(self._live_job).key == key)
        if self.analyzed is not None and self.analyzed.source.key == key:
            self.analyzed, self.restored, self._wants_restoration = None, None, False
            if not self.is_busy:
                self.status = Status(f"The photo was removed. {NOTHING_YET}")
        self.masks.forget(key)
        if is_run:
            self.cancel()
            self.status = Status("The layer was removed, so its run was stopped.")

    def close(self) -> None:
        """Stop, and give the memory back as soon as nothing runs any more."""
        self._stop()
        self._is_closed = True
        if self.job is None:
            self._release()

    def give_back(self) -> None:
        """Give the device its memory back: the network's, and the photo's features. Both return when they are needed.

        Raises:
            InputError: something runs.
        """
        if self.job is not None:
            raise InputError("A run is going on; wait for it or cancel it, then the memory can be given back.")
        if self.analyzed is not None:
            self.analyzed.analysis.drop_features()
        self.shelf.release()
        self.status = Status("The memory was given back. The model returns with the next run or change.")

    # -- work -----------------------------------------------------------------------------------------------------

    def next_job(self) -> AnalyzeJob | RestoreJob | None:
        """Return the job to run now; None where nothing is wanted or another job has not ended yet."""
        if self.job is not None:
            return None
        if self._wanted_source is not None:
            self.job = AnalyzeJob(self._wanted_source, self.settings, self.shelf)
            self._wanted_source = None
        elif self._wants_restoration and self.analyzed is not None:
            previous = None if self.restored is None else self.restored.result
            self.job = RestoreJob(self.analyzed, self.choice, previous, self._seen)
            self._wants_restoration = False
        return self.job

    def finish(self, job: AnalyzeJob | RestoreJob) -> Analyzed | Restored | None:
        """Take a job back that has ended, and return what is to be shown; None where it failed or was dropped."""
        self.job = None
        if isinstance(job, RestoreJob) and job.made_preview:
            self._seen = job.choice
        if self._is_closed:
            self._release()
            return None
        if job.is_cancelled:
            self.dropped += 1
            self._catch_up()
            return None
        if job.error is not None:
            self._wants_restoration = False
            self._catch_up()
            self.status = Status(sentence(job.error), job.error)
            return None
        return self._keep(job)

    def fail(self, error: Exception) -> None:
        """Say in the status line what went wrong outside of a job."""
        self.status = Status(sentence(error), error)

    # -- what is shown --------------------------------------------------------------------------------------------

    def mask_at(self, threshold: float) -> NDArray[np.bool_] | None:
        """Return the blur mask at a threshold without restoring anything; None before the first analysis."""
        if self.analyzed is None:
            return None
        mask: NDArray[np.bool_] = self.analyzed.analysis.blur_probability > threshold
        return mask

    def mask(self) -> NDArray[np.bool_] | None:
        """Return the mask as it is to be now, whether restored with or not; None before the first analysis."""
        return None if self.analyzed is None else self.choice.mask(self.analyzed.analysis.blur_probability)

    def _with_unselected(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Strokes count inside the selection; what is outside comes back when the selection is given up."""
        if self.choice.selection is None:
            return mask
        return np.where(self.choice.selection.unpack(), mask, self._unselected_mask())

    def _unselected_mask(self) -> NDArray[np.bool_]:
        assert self.analyzed is not None
        return replace(self.choice, selection=None).mask(self.analyzed.analysis.blur_probability)

    @property
    def _analyzes(self) -> bool:
        """Whether a photo is being analyzed, or about to be, or none was."""
        return self.analyzed is None or self._wanted_source is not None or isinstance(self._live_job, AnalyzeJob)

    def _go(self, step: Callable[[], None]) -> bool:
        step()
        self.settings = replace(self.settings, threshold=self.choice.threshold)
        self._want_choice()
        return True

    def _want_choice(self) -> None:
        """Ask for a restoration with the present choice, unless that is what is shown or being made."""
        choice = self.choice
        if self._analyzes or self.analyzed is None:
            return
        if isinstance(self._live_job, RestoreJob) and self._live_job.choice.makes_same_mask(choice):
            return
        self._stop_job()
        is_restored = self.restored is not None and self.restored.choice.makes_same_mask(choice)
        if is_restored and not self._shows_preview and self.restored is not None:
            self._wants_restoration = False
            self.status = Status(summary(self.restored))
            return
        self._wants_restoration = True
        self.status = Status(f"Restoring “{self.analyzed.source.name}” …")

    @property
    def _shows_preview(self) -> bool:
        """Whether the picture shows more than what was restored last."""
        return self._seen is not None or (isinstance(self.job, RestoreJob) and self.job.made_preview)

    def _keep(self, job: AnalyzeJob | RestoreJob) -> Analyzed | Restored | None:
        if isinstance(job, AnalyzeJob):
            if job.value is not None:
                self.masks.open(job.source, job.value.levels.levels.shape, job.settings.threshold)
                # moved during the analysis, it takes the place of a given mask as at any other time
                self.masks.take_threshold(self.settings.threshold)
            self.analyzed, self.restored, self._seen = job.value, None, None
            self.analyses_done += 1
            self._wants_restoration = True
            self.status = Status(f"Restoring “{job.source.name}” …")
            return self.analyzed
        self.restored, self._seen = job.value, None
        self.restorations_done += 1
        if self.restored is not None:
            self.pace.note(self.restored)
            if not self._wants_restoration:
                self.status = Status(summary(self.restored))
        return self.restored

    def _is_analyzing(self, source: Source) -> bool:
        if self._wanted_source is not None:
            return source.is_same_picture(self._wanted_source)
        job = self._live_job
        return (
            isinstance(job, AnalyzeJob)
            and source.is_same_picture(job.source)
            and replace(job.settings, threshold=self.settings.threshold) == self.settings
        )

    def _catch_up(self) -> None:
        """Take a threshold that was moved during an analysis that then was stopped or failed."""
        if not self._analyzes and self.settings.threshold != self.choice.threshold:
            self.masks.take_threshold(self.settings.threshold)
            self._want_choice()

    def _stop(self) -> None:
        if self.is_busy:
            self._stop_job()
            self._wanted_source, self._wants_restoration = None, False
            self.status = Status(STOPPED)

    def _stop_job(self) -> None:
        if self.job is not None:
            self.job.cancel()

    def _release(self) -> None:
        self.analyzed, self.restored = None, None
        self.pace = Pace()
        self.shelf.clear()


def sentence(error: Exception) -> str:
    """Return what the status line says about an error: a user's mistake in its own words, others with their type."""
    if isinstance(error, InputError):
        return _as_sentence(str(error))
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "There is not enough memory for this photo; close other programs, crop it, or choose another device."
    return f"This is a fault of the plugin or of its surroundings: {type(error).__name__}: {error}"


def _as_sentence(message: str) -> str:
    """Messages start in lower case and without a full stop, as they follow a file's name on the command line."""
    starts_with_word = message.split(" ", 1)[0].isalpha()
    start = message[:1].upper() if starts_with_word else message[:1]
    return f"{start}{message[1:]}" + ("" if message.endswith((".", "…")) else ".")


def summary(restored: Restored) -> str:
    """Return the status line of a finished run: what was found, and what was short on the way."""
    result = restored.result
    notes = dict.fromkeys((*result.analysis.notes, *result.notes))
    return " ".join([_findings(restored), *notes])


def _findings(restored: Restored) -> str:
    result, analysis = restored.result, restored.analyzed.analysis
    name = restored.analyzed.source.name
    scale = "" if analysis.scale == 1 else f"Working scale {analysis.scale:g}. "
    copies = restored.analyzed.deblurrer.ensemble
    ensemble = "" if copies == 1 else f"The mean of {copies} turned copies. "
    seconds = (
        f"{scale}{ensemble}{analysis.seconds:.1f} s to analyze, {result.seconds:.1f} s to restore on "
        f"{restored.analyzed.deblurrer.device} with the model “{analysis.model_name}”."
    )
    if not analysis.has_mask:
        return f"“{name}” was restored as a whole: this model does not look where the blur is. {seconds}"
    if not result.density:
        if result.threshold is None:
            return f"“{name}”: the mask is empty, so nothing was restored; paint, or choose another mask. {seconds}"
        return f"“{name}”: no pixel is blurred at ε = {result.threshold:g}; lower ε to treat more. {seconds}"
    blurred = f"“{name}”: {result.density:.1%} of the pixels are blurred"
    if restored.mean_displacement_px is None:
        return f"{blurred}; this model does not look how they moved. {seconds}"
    return f"{blurred}; they moved {restored.mean_displacement_px:.1f} px on average during the exposure. {seconds}"


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _source_of(job: AnalyzeJob | RestoreJob) -> Source:
    return job.source if isinstance(job, AnalyzeJob) else job.analyzed.source
