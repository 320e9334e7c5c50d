"""Tell how well blur is found on real photos: `m2aenet benchmark masks --data photos/ --model small mine.safetensors`.

The truth is masks that somebody drew, all black for a photo that is sharp; nothing is restored, and no sharp version is
needed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from m2aenet_core.atomic import write_atomic
from m2aenet_core.benchmark.options import parse_benchmark
from m2aenet_core.benchmark.report import encode_measurements, markdown_table, mean_of
from m2aenet_core.data.folder import list_images, read_rgb
from m2aenet_core.data.pair_pixels import read_mask
from m2aenet_core.deblurrer import Deblurrer, check_threshold
from m2aenet_core.device import resolve_device
from m2aenet_core.errors import InputError
from m2aenet_core.evaluation.contender import labels
from m2aenet_core.metrics import Mask, count_probabilities, mask_scores, roc_curve

_HEADINGS = ("model", "threshold", "IoU", "precision", "recall", "sharp called blurred", "ROC area")


@dataclass(frozen=True)
class MasksConfig:
    """Which networks, on which photos, at which thresholds."""

    data: str
    """Folder with the photos in blur/ and their masks, black where nothing moves, under the same names in mask/."""
    model: tuple[str, ...] = ("default",)
    """Embedded weights by name, or .safetensors files."""
    thresholds: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Probabilities above which a pixel counts as blurred."""
    device: str = "auto"
    """Where the networks run."""
    out: str = ""
    """A JSON file for the figures of each photo, with machine and versions; none when empty."""

    def __post_init__(self) -> None:
        if not self.model or not self.thresholds:
            raise InputError("no model or no threshold is given; name at least one of each")
        for threshold in self.thresholds:
            check_threshold(threshold)


@dataclass(frozen=True)
class MaskFigures:
    """How well the mask of a photo at a threshold overlaps with the one that was drawn.

    called: share of the sharp pixels that are called blurred. NaN where there is nothing to divide by.
    """

    model: str
    photo: str
    threshold: float
    iou: float
    precision: float
    recall: float
    called: float


class PhotoMasks(NamedTuple):
    """Figures of a photo at all thresholds, and its counts of `count_probabilities`, whatever the threshold."""

    figures: list[MaskFigures]
    counts: NDArray[np.int64]


class DrawnMask(NamedTuple):
    """A photo and the mask that somebody drew for it."""

    photo: Path
    mask: Path


def find_masks(folder: str | Path) -> list[DrawnMask]:
    """Give the photos of a folder with their masks.

    Raises InputError where there are none, for a photo without a mask or a mask without a photo, and for two files of
    one name.
    """
    photos, masks = (_by_name(Path(folder) / part) for part in ("blur", "mask"))
    if not photos:
        raise InputError(f"{folder} has no photos in blur/; put them there, and their masks in mask/")
    alone = sorted(photos.keys() ^ masks.keys())
    if alone:
        raise InputError(f"{alone[0]} is in only one of {folder}/blur and {folder}/mask; a photo needs its mask")
    return [DrawnMask(photos[name], masks[name]) for name in sorted(photos)]


def _by_name(folder: Path) -> dict[str, Path]:
    """Give the images below a folder by their paths in it, without suffixes; none where there is no such folder."""
    found: dict[str, Path] = {}
    for path in list_images(folder) if folder.is_dir() else ():
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{found[name]} and {path} have one name; keep one of them")
        found[name] = path
    return found


def benchmark_masks(config: MasksConfig) -> Iterator[PhotoMasks]:
    """Give the figures of one photo after the other, for one model after the other.

    Raises InputError for folders, photos and masks that cannot be used, and for networks that do not look for blur.
    """
    drawn = find_masks(config.data)
    for model, label in zip(config.model, labels(config.model), strict=True):
        deblurrer = Deblurrer(model, device=config.device)
        if not deblurrer.model.has_mask:
            raise InputError(f"{model} does not look for blur; choose an M2AENet or an LMD-ViT")
        for each in drawn:
            photo, (mask, _) = read_rgb(each.photo), read_mask(each.mask)
            if mask.shape != photo.shape[:2]:
                raise InputError(f"{each.mask} has not the size of its photo; draw it on {each.photo}")
            probability = deblurrer.analyze(photo).blur_probability
            name = each.photo.relative_to(Path(config.data) / "blur").as_posix()
            figures = [_figures(label, name, probability, mask, limit) for limit in config.thresholds]
            yield PhotoMasks(figures, count_probabilities(probability, mask))


def _figures(model: str, photo: str, probability: NDArray[np.float32], truth: Mask, threshold: float) -> MaskFigures:
    found = probability > threshold
    called = math.nan if truth.all() else float(found[~truth].mean())
    return MaskFigures(model, photo, threshold, *mask_scores(found, truth), called)


def to_table(measured: Sequence[PhotoMasks]) -> str:
    """Give a row for each model and threshold in Markdown: means over the photos, and the ROC area of all pixels."""
    rows = []
    for model in dict.fromkeys(photo.figures[0].model for photo in measured):
        own = [photo for photo in measured if photo.figures[0].model == model]
        area = roc_curve(np.sum([photo.counts for photo in own], axis=0)).area
        for at_threshold in zip(*(photo.figures for photo in own), strict=True):
            overlaps = (f"{mean_of(at_threshold, name):.3f}" for name in ("iou", "precision", "recall"))
            threshold, called = at_threshold[0].threshold, mean_of(at_threshold, "called")
            rows.append((model, f"{threshold:g}", *overlaps, f"{called:.1%}", f"{area:.3f}"))
    return markdown_table(_HEADINGS, rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as the command line says, and print the table."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Tell how well blur is found on photos whose masks were drawn by hand."
        config = parse_benchmark(MasksConfig, "masks", about, argv)
        count = len(config.model) * len(find_masks(config.data))
        measured = list(tqdm(benchmark_masks(config), total=count, unit="photo"))
        print(to_table(measured))
        if config.out:
            figures = [each for photo in measured for each in photo.figures]
            write_atomic(config.out, encode_measurements(config, figures, resolve_device(config.device)))

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
