"""Make 0.5 the best threshold of a model: `python -m m2aenet_core.calibrate`, or `m2aenet calibrate`.

Training crops hold far more blur than photos do, so a network trained on them finds blur too readily. Here it looks
at whole photos, with made blur and as they are; the threshold with the best overlap of the masks, averaged over the
photos, becomes 0.5, by a shift of the mask predictor's last bias. Nothing else changes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from m2aenet_core.atomic import require_free, require_writable
from m2aenet_core.checkpoint import load_model, read_metadata, save_model, weights_path
from m2aenet_core.data.whole_photos import WholePhotosConfig, blurred_photos, count_blurred_photos
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import InputError
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.options import parse_options
from m2aenet_core.pixels import to_uint8

# thresholds that are tried lie in the middle between these bins' borders
_BINS = 400


@dataclass(frozen=True)
class CalibrateConfig(WholePhotosConfig):
    """Which weights, on which photos."""

    out: str = "calibrated.safetensors"
    """The weights file to write."""
    model: str = "default"
    """Embedded weights by name, or a .safetensors file."""
    half: bool = False
    """Write float16, half the size."""
    overwrite: bool = False
    """Replace the weights file if it exists."""
    ensemble: int | None = None
    """Of how many turned copies of a photo the mean is taken, 1, 2, 4 or 8, from now on; left as it is by default."""
    device: str = "auto"
    """Where the network runs."""
    threshold: float | None = None
    """The threshold that becomes 0.5, between 0 and 1; the best one where it is left out."""


class Overlap(NamedTuple):
    """Mean intersection over union at a threshold; a photo with made blur and as it is counts as one."""

    threshold: float
    iou: float


def calibrate(config: CalibrateConfig) -> tuple[Overlap, Overlap]:
    """Write the calibrated weights; give the overlap at 0.5 before, and at the threshold that became 0.5.

    Raises InputError for a network without a mask, for a threshold that cannot become 0.5, and for a file that
    exists unless `overwrite`.
    """
    if config.threshold is not None and not 0 < config.threshold < 1:
        raise InputError(f"the threshold is {config.threshold}; give a number between 0 and 1")
    model = load_model(config.model)
    if not isinstance(model, M2AENet) or not model.has_mask:
        raise InputError(f"{config.model} has no mask predictor to calibrate; give an M2AENet that finds blur")
    require_writable(Path(config.out))
    require_free(Path(config.out), overwrite=config.overwrite)
    if config.ensemble is not None:
        model.config = replace(model.config, ensemble=config.ensemble)
    blurred, sharp = _histograms(Deblurrer(model, device=config.device), config)
    best = best_threshold(blurred, sharp)
    if config.threshold is not None:
        # of the bins that overlaps are counted by, the border that is nearest
        first = min(max(round(config.threshold * _BINS), 1), _BINS - 1)
        best = Overlap(config.threshold, _overlap(blurred, sharp, first).iou)
    shift_threshold(model, best.threshold)
    kept = {name: text for name, text in read_metadata(weights_path(config.model)).items() if name == "training"}
    save_model(model, config.out, kept | {"calibrated_threshold": f"{best.threshold:.4f}"}, half=config.half)
    return _overlap(blurred, sharp, _BINS // 2), best


def _histograms(deblurrer: Deblurrer, config: CalibrateConfig) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the blur probabilities of blurred and of sharp pixels, a row for each sample."""
    blurred, sharp = [], []
    for _, photo, sample in tqdm(blurred_photos(config), total=count_blurred_photos(config), unit="sample"):
        mask = sample.mask[0, 0].numpy() > 0.5
        probability = deblurrer.analyze(to_uint8(sample.blur[0])).blur_probability
        blurred.append(_histogram(probability[mask]))
        sharp.append(_histogram(probability[~mask]) + _histogram(deblurrer.analyze(photo).blur_probability))
    return np.array(blurred), np.array(sharp)


def _histogram(probability: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.histogram(probability, bins=_BINS, range=(0.0, 1.0))[0].astype(np.int64)


def best_threshold(blurred: NDArray[np.int64], sharp: NDArray[np.int64]) -> Overlap:
    """Give the threshold of the best overlap, from histograms over [0, 1] of the same number of bins, in rows."""
    return max((_overlap(blurred, sharp, first) for first in range(1, blurred.shape[1])), key=lambda each: each.iou)


def _overlap(blurred: NDArray[np.int64], sharp: NDArray[np.int64], first: int) -> Overlap:
    """Give the overlap when the bins from `first` on are called blurred."""
    union = blurred.sum(axis=1) + sharp[:, first:].sum(axis=1)
    overlap = blurred[:, first:].sum(axis=1) / np.maximum(union, 1)
    return Overlap(first / blurred.shape[1], float(np.where(union > 0, overlap, 1.0).mean()))


def shift_threshold(model: M2AENet, threshold: float) -> None:
    """Change the model so that its old probability `threshold` becomes 0.5.

    Where it decides at every scale, all predictors are shifted alike; as later ones see what earlier ones let through,
    the new best threshold is then near 0.5 rather than at it.
    """
    with torch.no_grad():
        for predictor in model.mask_predictors.values():
            last = predictor.decide[-1]  # type: ignore[index]
            assert isinstance(last, torch.nn.Linear)
            # the probability is the logistic function of the difference of the two logits
            last.bias[0] -= math.log(threshold / (1 - threshold))


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate as the command line says."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Make 0.5 the best threshold of a model, on blur made from sharp photos."
        config = parse_options(CalibrateConfig, "m2aenet calibrate", about, argv)
        before, best = calibrate(config)
        print(f"mask IoU {before.iou:.3f} at 0.5; {best.iou:.3f} at {best.threshold:.3f}, which is 0.5 in {config.out}")

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
