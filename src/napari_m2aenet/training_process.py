"""What a person asks to be trained, and the process that does it. No Qt.

A run is a process of its own, `python -m m2aenet_core.train`, and lives in its folder. It outlives the window: whoever
chooses the folder again finds it there.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

from m2aenet_core.errors import InputError

LOG = "train.log"
"""What the process says, in the run's folder."""


class DataKind(StrEnum):
    """What a folder holds to learn from; the values are flags of the command."""

    PHOTOS = "data"
    PAIRS = "pairs"


@dataclass(frozen=True)
class Order:
    """All that a person chose. In a folder that holds a run, its own settings count instead of data and recipe."""

    out: str
    data: str = ""
    kind: DataKind = DataKind.PHOTOS
    recipe: str = "small"
    start_from: str | None = None
    """Weights to begin with: a name or a file; None for new ones."""
    device: str = "auto"
    steps: int | None = None
    """Steps of the whole run; None for what recipe or run say."""
    more: str = ""
    """Further options, as on the command line."""

    def command(self) -> list[str]:
        """Return the words of the command.

        Raises:
            InputError: something is missing, with what to do.
        """
        if not self.out:
            raise InputError("There is no folder for the run yet; choose one, new or with a run to go on with.")
        return [sys.executable, "-m", "m2aenet_core.train", *self._settings(), "--out", self.out, *self._changes()]

    def _settings(self) -> list[str]:
        config = Path(self.out) / "config.yaml"
        if holds_run(self.out):
            return ["--config", str(config)]
        if not self.data:
            raise InputError("There is nothing to learn from yet; choose a folder of photos or of pairs.")
        if not Path(self.data).is_dir():
            raise InputError(f"{self.data} is not a folder; choose a folder of photos or of pairs.")
        words = ["--recipe", self.recipe, f"--{self.kind}", self.data, "--accelerator", self.device.split(":")[0]]
        return words if self.start_from is None else [*words, "--init-from", self.start_from]

    def _changes(self) -> list[str]:
        try:
            more = shlex.split(self.more)
        except ValueError as error:
            raise InputError(f"The further options cannot be read ({error}); close the quotation marks.") from error
        return [*([] if self.steps is None else ["--steps", str(self.steps)]), *more]


def holds_run(folder: str) -> bool:
    """Say whether a folder holds a run to go on with."""
    return bool(folder) and (Path(folder) / "config.yaml").is_file()


def likely_kind(folder: str) -> DataKind:
    """Return what a folder seems to hold: pairs where a layout of pairs is recognised."""
    from m2aenet_core.data.pairs import read_pairs

    for split in ("train", "test"):
        try:
            if read_pairs(folder, split):
                return DataKind.PAIRS
        except InputError:
            continue
    return DataKind.PHOTOS


# -- its process ----------------------------------------------------------------------------------------------------


class RunProcess:
    """The process of a run, started here or found in its folder."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._stop_asked = False
        self._exit_code: int | None = None
        self._has_ended = False

    @classmethod
    def start(cls, order: Order) -> RunProcess:
        """Start the run in a process that goes on when the window is closed.

        Raises:
            InputError: something is missing, a process trains in that folder already, or it cannot be written.
        """
        command = order.command()
        folder = Path(order.out)
        other = cls.find(order.out)
        if other is not None:
            raise InputError(f"Process {other.pid} is training in {folder}; stop it first, or choose another folder.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / LOG).open("wb") as log:
                process = psutil.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # its bar is for terminals; the window draws its own
                    env={**os.environ, "PYTHONUNBUFFERED": "1", "TQDM_DISABLE": "1"},
                    **_on_its_own(),
                )
        except OSError as error:
            raise InputError(f"The run could not be started in {folder} ({error}); choose another folder.") from error
        return cls(process)

    @classmethod
    def find(cls, folder: str) -> RunProcess | None:
        """Return the process that trains in a folder, whoever started it; None where none does."""
        from m2aenet_core.training.occupied import process_in

        process = process_in(folder)
        return None if process is None else cls(process)

    @property
    def pid(self) -> int:
        """The number by which the system knows it."""
        return int(self._process.pid)

    @property
    def stop_asked(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop_asked

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it runs, and where the system does not tell."""
        self._look()
        return self._exit_code

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        self._look()
        return not self._has_ended

    def stop(self) -> None:
        """Ask it to stop after its step, with a checkpoint; a second time: at once.

        Where the system knows no such request (Windows), it ends at once with the checkpoint that it has.
        """
        try:
            if self._stop_asked:
                self._process.kill()
            else:
                # the run takes it as Ctrl-C, also where Ctrl-C itself is ignored because napari runs in the background
                self._process.terminate()
        except psutil.NoSuchProcess:
            self._has_ended = True
        self._stop_asked = True

    def _look(self) -> None:
        if self._has_ended:
            return
        try:
            self._exit_code = self._process.wait(0)
            self._has_ended = True
        except psutil.TimeoutExpired:
            return
        except psutil.Error:
            self._has_ended = True


def _on_its_own() -> dict[str, Any]:
    """Keywords that free a process from the window's terminal: closing it, or Ctrl-C there, does not end a run."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}
