"""The slow work of the tab “Motion”: colours, film and trust of a restored photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.jobs import Analyzed, Job, Restored
from napari_m2aenet.motion_wheel import Overview, motion_overview

if TYPE_CHECKING:
    from m2aenet_core.trust import Trust


@dataclass(frozen=True, eq=False)
class Film:
    """The exposure of a restored photo: `frames` (N, H, W) or (N, H, W, C), in the photo's data type."""

    restored: Restored
    frames: NDArray[Any]

    @property
    def record(self) -> dict[str, object]:
        """How it was made: the record of the restored photo, and the number of instants."""
        return {**self.restored.record, "film": {"instants": len(self.frames)}}


@dataclass(frozen=True, eq=False)
class Checked:
    """A restored photo with what blurring it again told."""

    restored: Restored
    trust: Trust


class OverviewJob(Job[tuple[Analyzed, Overview]]):
    """Colour the motion inside a mask."""

    def __init__(self, analyzed: Analyzed, mask: NDArray[np.bool_]) -> None:
        super().__init__(f"colouring the motion in {analyzed.source.name}")
        self._analyzed, self._mask = analyzed, mask

    def work(self) -> tuple[Analyzed, Overview]:
        """Return the colours, and what they are of."""
        analysis = self._analyzed.analysis
        return self._analyzed, motion_overview(analysis.start_displacement, analysis.end_displacement, self._mask)


class FilmJob(Job[Film]):
    """Make the film of an exposure."""

    def __init__(self, restored: Restored, instants: int) -> None:
        super().__init__(f"making the film of {restored.analyzed.source.name}")
        self._restored, self._instants = restored, instants

    def work(self) -> Film:
        """Return the film."""
        from m2aenet_core.film import exposure_film

        return Film(self._restored, exposure_film(self._restored.result, self._instants, progress=self.report))


class SaveFilmJob(Job[str]):
    """Write a film to a file; one that is there is replaced, as the dialog has asked about that."""

    def __init__(self, film: Film, path: str) -> None:
        super().__init__(f"writing {path}")
        self._film, self._path = film, path

    def work(self) -> str:
        """Return the path that was written."""
        from m2aenet_core.film_file import write_film

        value_range = self._film.restored.result.analysis.value_range
        write_film(self._path, self._film.frames, value_range=value_range, overwrite=True)
        return self._path


class TrustJob(Job[Checked]):
    """Blur a restored photo again, and compare it with the photo."""

    def __init__(self, restored: Restored) -> None:
        super().__init__(f"blurring {restored.analyzed.source.name} again")
        self._restored = restored

    def work(self) -> Checked:
        """Return the comparison."""
        from m2aenet_core.trust import measure_trust

        return Checked(self._restored, measure_trust(self._restored.result, progress=self.report))
