"""Looking at the machine in a worker thread: what `m2aenet doctor` does, for the photo and the model of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_m2aenet.jobs import Job
from napari_m2aenet.models import ModelShelf
from napari_m2aenet.settings import Settings
from napari_m2aenet.source import Source

if TYPE_CHECKING:
    from m2aenet_core.doctor import Report


class ExamineJob(Job["Report"]):
    """What the machine can do; with a photo, also about how long it takes with the model that is kept."""

    def __init__(
        self, source: Source | None = None, settings: Settings | None = None, shelf: ModelShelf | None = None
    ) -> None:
        super().__init__("looking at this machine")
        self._source = source
        self._settings = settings
        self._shelf = shelf

    def work(self) -> Report:
        """Return the report."""
        from m2aenet_core.doctor import examine

        if self._source is None or self._settings is None or self._shelf is None:
            return examine()
        pixels = self._source.read()
        self.check()
        settings = self._settings
        deblurrer = self._shelf.deblurrer(settings.model, settings.device, settings.ensemble)
        height, width = pixels.shape[:2]
        return examine((height, width), deblurrer=deblurrer, image=pixels, progress=self.report)
