"""The only thread code: runs a job in napari's thread pool and tells the GUI thread when it has ended.

Nothing is emitted from the worker thread but the worker's own `finished`. The progress is read by a timer of the GUI
thread, so a job that reports a thousand times a second cannot flood the window.
"""

from napari.qt.threading import FunctionWorker, create_worker
from qtpy.QtCore import QObject, QTimer, Signal, Slot

from napari_m2aenet.jobs import Job
from napari_m2aenet.settings import PROGRESS_MS


class _Box:
    """Holds a job until it has ended: napari keeps each worker, and what the worker runs, until its window closes."""

    def __init__(self, job: Job) -> None:
        self.job: Job | None = job
        self._title = repr(job)

    def __repr__(self) -> str:
        return self._title

    def __call__(self) -> None:
        job = self.job
        try:
            if job is not None:
                job()
        finally:
            self.job = None


class _JobWorker(FunctionWorker):
    """A worker that hands the wish to quit, which napari has when its window closes, on to its job."""

    def __init__(self, box: _Box) -> None:
        super().__init__(box)
        self._box = box

    def quit(self) -> None:
        job = self._box.job  # once, as the worker thread may empty the box meanwhile
        if job is not None:
            job.cancel()
        super().quit()


class JobRunner(QObject):
    """Runs one job at a time. `progressed(done, total)` and `ended(job)` are emitted on the GUI thread."""

    progressed = Signal(int, int)
    ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.job: Job | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(PROGRESS_MS)
        self._timer.timeout.connect(self._show_progress)

    def start(self, job: Job) -> None:
        """Run the job in a worker thread."""
        if self.job is not None:
            raise RuntimeError(f"{self.job} has not ended yet")
        self.job = job
        worker = create_worker(_Box(job), _worker_class=_JobWorker, _ignore_errors=True)
        # a bound method of a QObject: Qt calls it on the GUI thread, and not at all once this object is gone
        worker.finished.connect(self._on_finished)
        self._timer.start()
        worker.start()

    def _show_progress(self) -> None:
        if self.job is not None:
            self.progressed.emit(*self.job.progress)

    @Slot()  # type: ignore[untyped-decorator]
    def _on_finished(self) -> None:
        job, self.job = self.job, None
        self._timer.stop()
        if job is not None:
            self.ended.emit(job)
