"""A training run as the window sees it: its figures, its process, and how it stands. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

import yaml

from napari_m2aenet.training_figures import GrowingTable, Pace
from napari_m2aenet.training_process import LOG, RunProcess

_CHECKPOINT, _BEST = "last.ckpt", "best.safetensors"
_INTERRUPTED = 130


class RunState(StrEnum):
    """How a run stands."""

    NONE = "no run"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"


class TrainingRun:
    """The run in one folder: its figures, and its process if it has one."""

    def __init__(self, folder: str, process: RunProcess | None = None) -> None:
        self.folder = folder
        self.process = process or (RunProcess.find(folder) if folder else None)
        self.losses = GrowingTable(Path(folder) / "losses.csv", "step", "loss", "psnr_db")
        self.validations = GrowingTable(
            Path(folder) / "metrics.csv", "step", "loss", "psnr_db", "gain_db", "mask_iou", "images_per_s"
        )
        self.pace = Pace()
        self.total: int | None = None
        # of files that an earlier stretch left, until this one has written its own
        self._began_at = -1
        self.update()
        if process is not None:
            self._began_at = self.step

    def update(self) -> bool:
        """Read what the run has written since; say whether there is anything new to draw."""
        is_new = self.losses.update()
        is_new |= self.validations.update()
        self.total = _steps_of(Path(self.folder) / "config.yaml", self.total) if self.folder else None
        if self.is_running and self.step:
            self.pace.see(self.step)
        return is_new

    @property
    def step(self) -> int:
        """Steps taken so far."""
        steps = self.losses.columns["step"]
        return int(steps[-1]) if steps else 0

    @property
    def is_running(self) -> bool:
        """Whether a process trains now."""
        return self.process is not None and self.process.is_running

    @property
    def best_weights(self) -> Path | None:
        """The weights of the best validation so far."""
        path = Path(self.folder) / _BEST
        return path if self.folder and path.is_file() else None

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return self.saved_at is not None

    @property
    def saved_at(self) -> int | None:
        """When the newest checkpoint was written, in nanoseconds; None before the first."""
        try:
            return (Path(self.folder) / _CHECKPOINT).stat().st_mtime_ns if self.folder else None
        except OSError:
            return None

    @property
    def state(self) -> RunState:
        """How it stands now."""
        if self.is_running:
            if self.process is not None and self.process.stop_asked:
                return RunState.STOPPING
            return RunState.RUNNING if self.step and self.step != self._began_at else RunState.STARTING
        code = None if self.process is None else self.process.exit_code
        was_stopped = self.process is not None and self.process.stop_asked
        if not was_stopped and code not in (0, _INTERRUPTED) and (code is not None or self._told_of_a_failure()):
            return RunState.FAILED
        if not self.step:
            return RunState.NONE if self.process is None else RunState.STOPPED
        return RunState.FINISHED if self.total is not None and self.step >= self.total else RunState.STOPPED

    def _told_of_a_failure(self) -> bool:
        """Whether the last thing that came from a run was an error; what a process ended with only its parent knows."""
        log, losses = Path(self.folder) / LOG, Path(self.folder) / "losses.csv"
        try:
            if losses.is_file() and losses.stat().st_mtime_ns > log.stat().st_mtime_ns:
                return False  # it went on since, from elsewhere
            text = log.read_bytes()[-20_000:].decode("utf-8", "replace")
        except OSError:
            return False
        return any(line.startswith(("error: ", "Traceback ")) for line in text.splitlines())

    def describe(self) -> str:
        """Return a sentence or two for the status line."""
        return _SENTENCES[self.state](self)

    def last_words(self) -> str:
        """Return what the process said last, without the code's own places."""
        try:
            text = (Path(self.folder) / LOG).read_bytes()[-20_000:].decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [part.strip() for line in text.splitlines() for part in line.split("\r") if part.strip()]
        told = [line for line in lines if line.startswith("error: ")]
        return (told or lines or [""])[-1].removeprefix("error: ")


def _steps_of(config: Path, known: int | None) -> int | None:
    """Give the steps that a run's settings name; those known before where the file is there and cannot be read now."""
    try:
        return int(yaml.safe_load(config.read_text("utf-8"))["steps"])
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return None
    except OSError:
        return known


def _progress(run: TrainingRun) -> str:
    text = f"Step {run.step:,} of {run.total:,}" if run.total else f"Step {run.step:,}"
    return f"{text}, loss {run.losses.columns['loss'][-1]:.4f}" if len(run.losses) else text


def _running(run: TrainingRun) -> str:
    if run.total is not None and run.step >= run.total:
        return f"{_progress(run)}; writing the report …"
    left = None if run.total is None else run.pace.seconds_for(run.total - run.step)
    return f"{_progress(run)}; {duration(left)} left." if left is not None else f"{_progress(run)}."


def _starting(run: TrainingRun) -> str:
    words = run.last_words()
    return f"Starting: {words}" if words else "Starting: reading and checking what it learns from …"


def _failed(run: TrainingRun) -> str:
    words = run.last_words() or "it did not say why"
    return f"The run ended: {words}. All it said is in {Path(run.folder) / LOG}."


_SENTENCES: Mapping[RunState, Callable[[TrainingRun], str]] = {
    RunState.NONE: lambda run: "No run yet.",
    RunState.STARTING: _starting,
    RunState.RUNNING: _running,
    RunState.STOPPING: lambda run: f"{_progress(run)}; stopping after this step …",
    RunState.STOPPED: lambda run: f"{_progress(run)}. It is stopped; Go on takes it up again.",
    RunState.FINISHED: lambda run: f"{_progress(run)}. It is finished.",
    RunState.FAILED: _failed,
}


def duration(seconds: float) -> str:
    """Return a time as people say it: 40 s, 12 min, 3 h 20 min, 2 days 4 h."""
    minutes, hours, days = round(seconds / 60), round(seconds / 3600), int(seconds // 86_400)
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if minutes < 90:
        return f"{minutes} min"
    if hours < 36:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{days} days {round((seconds - days * 86_400) / 3600)} h"


def last_validation(run: TrainingRun) -> str:
    """Return a line on the newest validation; nothing before the first."""
    columns = run.validations.columns
    if not len(run.validations):
        return ""
    newest = {name: values[-1] for name, values in columns.items()}
    parts = [f"{newest['psnr_db']:.2f} dB"]
    if newest["gain_db"] == newest["gain_db"]:
        parts.append(f"{newest['gain_db']:+.2f} dB inside the blur")
    if newest["mask_iou"] == newest["mask_iou"]:
        parts.append(f"masks overlap by {newest['mask_iou']:.0%}")
    return f"Validation at step {int(newest['step']):,}: {', '.join(parts)}."
