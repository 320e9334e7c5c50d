"""A folder of photos with the settings of the window: what `m2aenet deblur` does, as a job."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from m2aenet_core.errors import InputError
from napari_m2aenet.jobs import Job
from napari_m2aenet.models import ModelShelf
from napari_m2aenet.settings import Settings

if TYPE_CHECKING:
    from m2aenet_core.deblur_files import DeblurSettings, PhotoDone
    from m2aenet_core.deblur_plan import Plan, PlannedPhoto

FORMATS = {
    "keep": "as the photos are",
    "png": "PNG: loses nothing",
    "tif": "TIFF: loses nothing",
}
"""What the restored photos can be written as, and how it is called."""

EXTRAS = {
    "save_mask": "mask",
    "save_probability": "probability",
    "save_trajectories": "trajectories",
    "save_figure": "figures",
}
"""What can be written beside each photo, by the option of the command, and how it is called."""

REPLACE = "Replace files"
"""What the box is called that lets files be replaced."""

_STEPS = 100
"""Steps of the progress bar for one photo."""


@dataclass(frozen=True)
class FolderWish:
    """Which photos are restored, and where to."""

    source: Path
    out: Path
    file_format: str = "keep"
    is_recursive: bool = False
    may_overwrite: bool = False
    extras: tuple[str, ...] = ()
    """Keys of `EXTRAS`."""

    def check(self) -> None:
        """Raise InputError where a folder is missing."""
        if not str(self.source).strip(".") or not self.source.is_dir():
            raise InputError("There is no folder to restore yet; choose one that holds photos.")
        if not str(self.out).strip("."):
            raise InputError("There is no folder to write to yet; choose one.")

    def plan(self) -> Plan:
        """What is read and written. Raises InputError where a file that must stay would be replaced."""
        from m2aenet_core.deblur_plan import SAVED_BY_OPTION, FilesExistError, check_plan, make_plan

        products = [product for option in EXTRAS if option in self.extras for product in SAVED_BY_OPTION[option]]
        plan = make_plan(
            [self.source], self.out, products=products, recursive=self.is_recursive, file_format=self.file_format
        )
        try:
            check_plan(plan, overwrite=self.may_overwrite)
        except FilesExistError as error:
            raise InputError(f"{error.first} exists; choose another folder, or tick “{REPLACE}”.") from error
        return plan

    def words(self, settings: DeblurSettings) -> list[str]:
        """The command line that does the same."""
        from m2aenet_core.repeat_text import deblur_words

        flags = ["--recursive"] * self.is_recursive + ["--overwrite"] * self.may_overwrite
        flags += [f"--{name.replace('_', '-')}" for name in EXTRAS if name in self.extras]
        return deblur_words([self.source], self.out, settings, file_format=self.file_format, flags=flags)


def deblur_settings(settings: Settings) -> DeblurSettings:
    """The settings of the window as the command takes them."""
    from m2aenet_core.deblur_files import DeblurSettings

    return DeblurSettings(
        model=settings.model,
        device=settings.device,
        threshold=settings.threshold,
        ensemble=settings.ensemble,
        scale=settings.scale,
    )


class FolderJob(Job[str]):
    """Restore the photos of a folder; the value is the sentence at the end. Lines to show wait in `arrived`."""

    def __init__(self, wish: FolderWish, settings: Settings, shelf: ModelShelf) -> None:
        super().__init__(f"restoring the photos in {wish.source.name}")
        self.wish = wish
        self.settings = settings
        # the one thing that both threads touch; append and popleft are atomic
        self.arrived: deque[str] = deque()
        self._shelf = shelf
        self._done = 0
        self._failed = 0
        self._total = 0

    def work(self) -> str:
        """Restore one photo after the other; one that fails is named, and costs the others nothing."""
        from m2aenet_core.deblur_files import restore_files

        wish, settings = self.wish, deblur_settings(self.settings)
        plan = wish.plan()
        for problem in plan.problems:
            self._note(problem)
        self._total = len(plan.photos) + len(plan.problems)
        if plan.photos:
            deblurrer = self._shelf.deblurrer(settings.model, settings.device, settings.ensemble)
            command = wish.words(settings)
            for done in restore_files(deblurrer, plan.photos, settings, command=command, progress=self._show):
                self._take(done)
                self.check()
        self.report(_STEPS, _STEPS)
        return self.summary()

    def summary(self) -> str:
        """The sentence at the end, or where it was stopped."""
        failed = f" {self._failed} failed; they are listed." if self._failed else ""
        stopped = "Stopped. " if self.is_cancelled else ""
        return f"{stopped}{self._done} of {self._total} photos are restored into {self.wish.out}.{failed}"

    def _take(self, done: PhotoDone) -> None:
        if done.failure is not None:
            self._note(done.failure)
            return
        self._done += 1
        self.arrived.append(f"{done.planned.outputs['restored'].name}: {done.findings}")

    def _note(self, failure: str) -> None:
        self._failed += 1
        self.arrived.append(f"⚠ {failure}")

    def _show(self, planned: PlannedPhoto, done: int, total: int) -> None:
        # a photo is analyzed first and restored then, and both count from 0; the bar never goes back
        part = _STEPS * done // max(total, 1) // 2
        now = (self._done + self._failed) * _STEPS + part
        self.report(max(now, self.progress[0]), self._total * _STEPS)
