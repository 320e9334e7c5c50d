"""What is scored already, kept beside the result, so that a stopped evaluation goes on where it was."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.atomic import write_together
from m2aenet_core.evaluation.scores import Score, SweepPoint

_PREFIX = ".partial-"


@dataclass(frozen=True)
class ScoredPhoto:
    """The figures of one photo by all models; counts: of the blur probability, by model."""

    scores: Sequence[Score]
    sweep: Sequence[SweepPoint]
    counts: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


class PartialScores:
    """A hidden folder in the folder of the scores, with two files for each photo; another setting, another folder."""

    def __init__(self, out: Path, settings: Mapping[str, object]) -> None:
        """Find what an earlier call with the same settings has left."""
        key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        self._out, self._folder = out, out / f"{_PREFIX}{key}"

    def has(self, number: int) -> bool:
        """Say whether a photo is scored."""
        return self._path(number).is_file()

    def count(self) -> int:
        """Give how many photos are scored."""
        return len(list(self._folder.glob("*.json")))

    def add(self, number: int, photo: ScoredPhoto, strip: bytes) -> None:
        """Keep a photo's figures and its strip for the contact sheets (PNG), both or neither."""
        content = {
            "scores": [list(score) for score in photo.scores],
            "sweep": [list(point) for point in photo.sweep],
            "counts": {label: counts.tolist() for label, counts in photo.counts.items()},
        }
        write_together({self._path(number): json.dumps(content).encode(), self.strip_path(number): strip})

    def read(self, number: int) -> ScoredPhoto:
        """Give a photo's figures."""
        content: dict[str, Any] = json.loads(self._path(number).read_bytes())
        return ScoredPhoto(
            scores=[Score(*values) for values in content["scores"]],
            sweep=[SweepPoint(*values) for values in content["sweep"]],
            counts={label: np.array(counts, np.int64) for label, counts in content["counts"].items()},
        )

    def strip_path(self, number: int) -> Path:
        """Give the file of a photo's strip."""
        return self._folder / f"{number:05d}.png"

    def remove(self) -> None:
        """Remove what this and other calls have left of themselves."""
        for folder in self._out.glob(f"{_PREFIX}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05d}.json"


def without_nan(value: Any) -> Any:
    """Give JSON's null for NaN, in lists and mappings too."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value
