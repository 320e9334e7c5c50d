"""Which process trains in a folder: one at a time, and others can find it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from m2aenet_core.atomic import write_atomic
from m2aenet_core.errors import InputError

RUNNING = "running.json"

# the system gives the time at which a process began in ticks of its clock
_SAME_START_S = 1.0


def process_in(folder: str | Path) -> psutil.Process | None:
    """Give the process of this machine that trains in a folder; None where none does, or no longer."""
    try:
        content = json.loads((Path(folder) / RUNNING).read_bytes())
        if content["host"] != platform.node():
            return None
        process = psutil.Process(int(content["pid"]))
        # numbers of processes are used again
        is_same = abs(process.create_time() - float(content["began"])) < _SAME_START_S
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, LookupError, TypeError, psutil.Error):
        return None


@contextmanager
def occupied(folder: str | Path) -> Iterator[None]:
    """Note in a folder, for as long as the block lasts, that this process trains in it.

    Raises:
        InputError: another process does already, or the folder cannot be written.
    """
    folder = Path(folder)
    other = process_in(folder)
    if other is not None and other.pid != os.getpid():
        raise InputError(f"process {other.pid} is training in {folder}; stop it first, or choose another --out")
    is_new = not folder.exists()
    note = {"pid": os.getpid(), "began": psutil.Process().create_time(), "host": platform.node()}
    write_atomic(folder / RUNNING, json.dumps(note).encode())
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / RUNNING).unlink()
            if is_new:
                # a run that could not begin leaves nothing; a folder that holds something stays
                folder.rmdir()
