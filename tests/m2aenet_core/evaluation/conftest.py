"""A photo whose truth is known, and contenders whose work can be told by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from m2aenet_core.data.folder import Pixels
from m2aenet_core.evaluation.contender import Contender, Found, Outcome
from m2aenet_core.evaluation.truth import TrueMotion, Truth


class _Painter:
    """Restores a photo to a picture that was given to it, and finds what it was told to find."""

    def __init__(
        self,
        picture: Pixels,
        probability: np.ndarray | None,
        motion: TrueMotion | None = None,
        label: str = "painter",
        executions: tuple[str, ...] = ("exact",),
    ) -> None:
        self.label, self.executions = label, executions
        self.parameters, self.weights_sha256 = 7, "abc"
        self.has_mask = probability is not None
        self.picture, self.probability, self.motion = picture, probability, motion

    def analyze(self, photo: Pixels) -> Found:
        return Found(photo, self.probability, self.motion, 2_000_000_000, 0.25, 40.0, None)

    def restore(self, found: Found, threshold: float, execution: str) -> Outcome:
        mask = None if self.probability is None else self.probability > threshold
        density = 1.0 if mask is None else float(mask.mean())
        return Outcome(self.picture, mask, density, 3_000_000_000, 1.0, 0.25, 0.75, 60.0)


@pytest.fixture
def painter() -> Callable[..., Contender]:
    """Make a contender: painter(picture, probability or None, motion, label, executions)."""
    return _Painter


@pytest.fixture
def truth() -> Truth:
    """40x50 pixels of grey 100, whose middle (a tenth) is 20 levels off, and moved 6 pixels to the right."""
    sharp = np.full((40, 50, 3), 100, np.uint8)
    mask = np.zeros((40, 50), bool)
    mask[15:25, 15:35] = True
    blur = sharp.copy()
    blur[mask] += 20
    end = np.zeros((40, 50, 2), np.float32)
    end[mask] = (0, 3)
    return Truth("a.png", 1, blur, sharp, mask, TrueMotion(-end, end), sharp)
