"""Runs the newest wish only: a job that is asked for stops the one before, and takes its place when that has ended."""

from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_m2aenet.jobs import Job
from napari_m2aenet.widgets.worker import JobRunner


class NewestRunner(QObject):
    """`ended(job)` is emitted for a job that no newer one has replaced, and that was not stopped.

    `progressed(done, total)` while one runs.
    """

    progressed = Signal(int, int)
    ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = JobRunner(self)
        self._runner.progressed.connect(self.progressed)
        self._runner.ended.connect(self._on_ended)
        self._next: Job[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a job runs or waits, other than one that was told to stop."""
        job = self._runner.job
        return self._next is not None or (job is not None and not job.is_cancelled)

    def ask(self, job: Job[Any]) -> None:
        """Run this job as soon as the one before has stopped."""
        self.cancel()
        self._next = job
        self._go_on()

    def cancel(self) -> None:
        """Stop what runs and forget what waits."""
        self._next = None
        if self._runner.job is not None:
            self._runner.job.cancel()

    def _go_on(self) -> None:
        if self._runner.job is None and self._next is not None:
            job, self._next = self._next, None
            self._runner.start(job)

    def _on_ended(self, job: Job[Any]) -> None:
        if not job.is_cancelled:
            self.ended.emit(job)
        self._go_on()
