"""State and rules of the tab “Motion”: what is known of the photo's motion, and what can be done with it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.trust_words import Verdict, verdict
from napari_m2aenet.jobs import Analyzed, Restored
from napari_m2aenet.motion_jobs import Checked, Film, FilmJob, OverviewJob, TrustJob
from napari_m2aenet.probes import Pins, Probe, probe_at

FILM_INSTANTS = (3, 9, 65)
"""Fewest, usual and most instants of a film."""

NO_PHOTO = "Press Run first."
NO_MOTION = "This model does not look how pixels moved; choose an M2AENet model and press Run."
NO_FILM = "Shows the sharp instants of the exposure, with a slider below the picture."
NO_CHECK = "Blurs the restored photo again along its trajectories, and compares it with the photo."
OUTDATED = "The photo was restored anew since: make it again."


class MotionSession:
    """The newest analysis and restoration as the tab sees them, its film, its check, and its probes."""

    def __init__(self) -> None:
        self.analyzed: Analyzed | None = None
        self.restored: Restored | None = None
        self.film: Film | None = None
        self.checked: Checked | None = None
        self.probe: Probe | None = None
        self.pins = Pins()

    # -- what happened --------------------------------------------------------------------------------------------

    def take_analysis(self, analyzed: Analyzed) -> None:
        """A photo was analyzed: pins on it are measured again, and film and check of another photo are dropped."""
        if self.analyzed is not None and not analyzed.source.is_same_picture(self.analyzed.source):
            self.film, self.checked = None, None
        self.analyzed, self.restored, self.probe = analyzed, None, None
        if analyzed.analysis.has_motion:
            self.pins.measure_again(analyzed)

    def take_restored(self, restored: Restored) -> None:
        """A photo was restored."""
        self.analyzed, self.restored = restored.analyzed, restored

    def take_film(self, film: Film) -> None:
        """A film was made; one of a photo that has left meanwhile is not kept."""
        if self._is_present(film.restored):
            self.film = film

    def take_checked(self, checked: Checked) -> None:
        """A photo was checked; what came of one that has left meanwhile is not kept."""
        if self._is_present(checked.restored):
            self.checked = checked

    def _is_present(self, restored: Restored) -> bool:
        return self.analyzed is not None and self.analyzed.source.is_same_picture(restored.analyzed.source)

    def forget(self, key: Hashable) -> None:
        """The photo's layer is gone; pinned probes stay in the table, as they were measured."""
        if self.analyzed is not None and self.analyzed.source.key == key:
            self.analyzed, self.restored, self.probe, self.film, self.checked = None, None, None, None, None

    # -- what can be done -----------------------------------------------------------------------------------------

    @property
    def obstacle(self) -> str:
        """What has to be done before motion can be shown; empty where it can."""
        if self.analyzed is None:
            return NO_PHOTO
        return "" if self.analyzed.analysis.has_motion else NO_MOTION

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Where motion is shown: the mask that was restored, or that of the analysis until then; None where nowhere."""
        if self.analyzed is None or self.obstacle:
            return None
        if self.restored is not None:
            return self.restored.result.mask
        mask: NDArray[np.bool_] = self.analyzed.analysis.blur_probability > self.analyzed.mask_threshold
        return mask

    def overview_job(self) -> OverviewJob | None:
        """Return the work that colours the motion; None where there is nothing to colour."""
        mask = self.mask
        return None if mask is None or self.analyzed is None else OverviewJob(self.analyzed, mask)

    def film_job(self, instants: int) -> FilmJob | None:
        """Return the work that makes a film; None where no photo is restored."""
        return None if self.restored is None or self.obstacle else FilmJob(self.restored, instants)

    def trust_job(self) -> TrustJob | None:
        """Return the work that checks the result; None where no photo is restored."""
        return None if self.restored is None or self.obstacle else TrustJob(self.restored)

    def move_probe(self, position: Sequence[float]) -> Probe | None:
        """Put the probe to a position in the viewer's world and return it; None beside the photo, where it stays."""
        if self.analyzed is None or self.obstacle:
            return None
        pixel = self.analyzed.source.placement.pixel_at(position)
        return None if pixel is None else self.put_probe(*pixel)

    def put_probe(self, y: int, x: int) -> Probe | None:
        """Put the probe to a pixel and return it; None beside the photo, where it stays."""
        if self.analyzed is None or self.obstacle:
            return None
        probe = probe_at(self.analyzed, y, x)
        if probe is not None:
            self.probe = probe
        return probe

    # -- what is said ---------------------------------------------------------------------------------------------

    @property
    def film_text(self) -> str:
        """What is said about the film."""
        if self.film is None:
            return self.obstacle or NO_FILM
        count = len(self.film.frames)
        size = self.film.frames.nbytes / 2**20
        text = f"{count} instants ({size:.0f} MB); the middle one is the restored photo." if count % 2 else ""
        text = text or f"{count} instants ({size:.0f} MB)."
        return text if self.film.restored is self.restored else f"{text} {OUTDATED}"

    @property
    def verdict(self) -> Verdict:
        """What is said about the check."""
        if self.checked is None:
            return Verdict(self.obstacle or NO_CHECK, is_doubtful=False)
        found = verdict(self.checked.trust)
        if self.checked.restored is self.restored:
            return found
        return Verdict(f"{found.text} {OUTDATED}", found.is_doubtful)
