"""Who competes: networks behind the `Deblurrer`, and the photo as it came."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.analysis import Analysis
from m2aenet_core.checkpoint import released
from m2aenet_core.data.folder import Pixels
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import InputError
from m2aenet_core.evaluation.config import EvaluateConfig
from m2aenet_core.evaluation.truth import TrueMotion
from m2aenet_core.metrics import Mask
from m2aenet_core.peak_memory import held_bytes, watch_peak

INPUT = "input"
_WARM_UP_PX = 128
_MB = 2**20


class Found(NamedTuple):
    """What an analysis gave: probability (H, W) and motion are None for what the contender does not look for."""

    photo: Pixels
    probability: NDArray[np.float32] | None
    motion: TrueMotion | None
    macs: int
    seconds: float
    peak_mb: float
    analysis: Analysis | None


class Outcome(NamedTuple):
    """What a restoration gave: mask (H, W), None without one; density: share of the pixels that count as blurred.

    macs, seconds: of photo to restored photo; analyze_s, restore_s: of either half; peak_mb: the most memory that was
    held for it, weights included.
    """

    restored: Pixels
    mask: Mask | None
    density: float
    macs: int
    seconds: float
    analyze_s: float
    restore_s: float
    peak_mb: float


class Contender(Protocol):
    """Restores photos under a name of its own, in one or several executions."""

    label: str
    executions: tuple[str, ...]
    parameters: int
    weights_sha256: str | None
    has_mask: bool

    def analyze(self, photo: Pixels) -> Found:
        """Find blur and motion in a photo (H, W, 3) uint8."""

    def restore(self, found: Found, threshold: float, execution: str) -> Outcome:
        """Restore an analyzed photo."""


class AsItCame:
    """The photo as it came: the line that a network has to be above."""

    label = INPUT
    executions: tuple[str, ...] = ("",)
    parameters = 0
    weights_sha256: str | None = None
    has_mask = False

    def analyze(self, photo: Pixels) -> Found:
        """Find nothing."""
        return Found(photo, None, None, 0, 0.0, 0.0, None)

    def restore(self, found: Found, threshold: float, execution: str) -> Outcome:
        """Change nothing."""
        return Outcome(found.photo, None, 0.0, 0, 0.0, 0.0, 0.0, 0.0)


class NetworkContender:
    """A network on a device."""

    def __init__(self, model: str, label: str, config: EvaluateConfig) -> None:
        """Load the weights, and run once so that no photo pays for what is done at first."""
        self.label = label
        self.deblurrer = Deblurrer(model, device=config.device, precision=config.precision, ensemble=config.ensemble)
        self._linear_light = config.linear_light
        self.executions = _resolved(config.execution)
        self.weights_sha256 = self.deblurrer.weights_sha256
        network = self.deblurrer.model
        self.has_mask = network.has_mask
        self.parameters = sum(parameter.numel() for parameter in network.parameters())
        self._weights_bytes = sum(parameter.nbytes for parameter in network.parameters())
        self._decides_along = network.decides_along
        self._baseline = math.nan
        for execution in self.executions:
            # at threshold 0 all of it is restored
            self.deblurrer(np.zeros((_WARM_UP_PX, _WARM_UP_PX, 3), np.uint8), 0.0, execution=execution)

    def analyze(self, photo: Pixels) -> Found:
        """Find blur and motion, at full size."""
        self._baseline = held_bytes(self.deblurrer.device) - self._weights_bytes
        started = time.perf_counter()
        with watch_peak(self.deblurrer.device) as peak:
            analysis = self.deblurrer.analyze(photo, linear_light=self._linear_light)
            # the probability of each pixel is a part of what is asked for
            probability = analysis.blur_probability
        seconds = time.perf_counter() - started
        motion = TrueMotion(analysis.start_displacement, analysis.end_displacement) if analysis.has_motion else None
        return Found(
            photo=photo,
            probability=probability if analysis.has_mask else None,
            motion=motion,
            macs=analysis.macs,
            seconds=seconds,
            peak_mb=(peak.bytes - self._baseline) / _MB,
            analysis=analysis,
        )

    def restore(self, found: Found, threshold: float, execution: str) -> Outcome:
        """Restore what `analyze` found last."""
        assert found.analysis is not None
        with watch_peak(self.deblurrer.device) as peak:
            result = self.deblurrer.restore(found.analysis, threshold, execution=execution)
        # a network that decides along does all of its work in the restoration
        before_s, before_macs = (0.0, 0) if self._decides_along else (found.seconds, found.macs)
        return Outcome(
            restored=result.restored,
            mask=result.mask if self.has_mask else None,
            density=result.density,
            macs=before_macs + result.macs,
            seconds=before_s + result.seconds,
            analyze_s=found.seconds,
            restore_s=result.seconds,
            peak_mb=max(found.peak_mb, (peak.bytes - self._baseline) / _MB),
        )


def make_contenders(config: EvaluateConfig) -> list[Contender]:
    """Load the models of the settings, in their order. Raises InputError for unknown ones."""
    return [
        AsItCame() if model == INPUT else NetworkContender(model, label, config)
        for model, label in zip(config.model, labels(config.model), strict=True)
    ]


def labels(models: Sequence[str]) -> list[str]:
    """Give each model the shortest end of its path that no other has; names stay as they are.

    A file is called as it was given where nothing less tells it from another, or from the photo as it came. Raises
    InputError for a model that is named twice.
    """
    parts = [_parts(model) for model in models]
    found: list[str] = []
    for model, part in zip(models, parts, strict=True):
        lengths = range(1, len(part) + 1)
        is_alone = (n for n in lengths if sum(other[-n:] == part[-n:] for other in parts) == 1)
        label = "/".join(part[-next(is_alone, len(part)) :])
        is_known_by_it = parts.count(part) == 1 and (label != INPUT or model == INPUT)
        found.append(label if is_known_by_it else model)
    for number, label in enumerate(found):
        if label in found[:number]:
            raise InputError(f"the model {models[number]} is named twice; name it once")
    return found


def _parts(model: str) -> tuple[str, ...]:
    """Give folders and stem of a weights file or of a released checkpoint; a name is one part."""
    checkpoint = released(model)
    if checkpoint is None and not model.endswith(".safetensors"):
        return (model,)
    return (checkpoint[1] if checkpoint else Path(model)).with_suffix("").parts


def _resolved(executions: Sequence[str]) -> tuple[str, ...]:
    """Give the executions by the name they are reported under, each once."""
    return tuple(dict.fromkeys("adaptive" if name == "auto" else name for name in executions))
