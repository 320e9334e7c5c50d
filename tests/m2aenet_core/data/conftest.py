"""Small data sets on disk, in every layout, whose pixels tell where they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Save = Callable[[Path, np.ndarray], Path]
Tree = Callable[[Sequence[str]], Path]
Scene = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]


def _save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def save() -> Save:
    """Write an image, and its folders."""
    return _save


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make empty files of these names, for what only looks at names."""

    def make(names: Sequence[str]) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


@pytest.fixture
def scene() -> Scene:
    """Blur, sharp and mask whose every pixel is known again: red and green are its row and column."""

    def make(height: int = 40, width: int = 60, number: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, columns = np.mgrid[:height, :width].astype(np.uint8)
        blur = np.dstack([rows, columns, np.full_like(rows, number)])
        sharp = np.dstack([rows, columns, np.full_like(rows, 100 + number)])
        return blur, sharp, is_marked(rows, columns)

    return make


def is_marked(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A pattern without symmetry, so that no other place and no other turn has it."""
    return np.asarray((rows.astype(int) ** 2 * 7 + columns.astype(int) ** 3 + 3 * rows * columns.astype(int)) % 11 < 5)


@pytest.fixture
def marks() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The mask's value at rows and columns."""
    return is_marked
