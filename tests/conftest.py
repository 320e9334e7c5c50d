"""What every test may use, and the rule for tests that open a window."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]

# where several Qt bindings are installed, pytest-qt would take another one than napari does
with suppress(ImportError):
    from qtpy import API

    os.environ.setdefault("PYTEST_QT_API", API)


def has_display() -> bool:
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def pytest_configure() -> None:
    """What a script starts in the background ignores Ctrl-C, and so would the processes that tests interrupt."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Without a display Qt ends the whole process, so window tests are left out, and the summary says so."""
    if has_display():
        return
    skip = pytest.mark.skip(reason="needs a display; `make test` brings a virtual one")
    for item in items:
        if item.get_closest_marker("window"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers in every run."""
    return np.random.default_rng(0)
