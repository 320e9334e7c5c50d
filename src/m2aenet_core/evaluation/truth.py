"""What is scored: blurred photos whose sharp version is known, with made blur or as pairs on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.data.folder import Pixels, list_images
from m2aenet_core.data.pairs import LAYOUTS, describe_pairs, read_pairs
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.whole_pairs import PairsOnDisk
from m2aenet_core.data.whole_photos import blurred_photos, count_blurred_photos
from m2aenet_core.errors import InputError
from m2aenet_core.evaluation.config import EvaluateConfig
from m2aenet_core.metrics import Mask
from m2aenet_core.pixels import to_uint8


class TrueMotion(NamedTuple):
    """start, end (H, W, 2): true displacement (y, x) from mid-exposure, in pixels."""

    start: NDArray[np.float32]
    end: NDArray[np.float32]


class Truth(NamedTuple):
    """A blurred photo and what is known of it; pixels are uint8 (H, W, 3).

    name and sample (from 1) tell it from all others; mask (H, W) and motion are None where they are not known; photo:
    a sharp photo as it is, without the noise and compression that made blur adds.
    """

    name: str
    sample: int
    blur: Pixels
    sharp: Pixels
    mask: Mask | None
    motion: TrueMotion | None
    photo: Pixels


class Truths:
    """The photos of an evaluation, one in memory at a time; `len` tells how many.

    kind: "pairs" or "made blur"; description: the same at length; files: all that is read for them.
    """

    def __init__(
        self,
        items: Iterator[Truth],
        count: int,
        kind: str,
        description: str,
        files: Sequence[Path],
        *,
        has_masks: bool,
    ) -> None:
        self._items, self._count = items, count
        self.kind = kind
        self.description = description
        self.files = files
        self.has_masks = has_masks

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Truth]:
        """Give each photo once; a pair that cannot be read raises InputError when it is reached."""
        return islice(self._items, self._count)

    @property
    def fingerprint(self) -> str:
        """Names, sizes and times of the files that are read."""
        stats = [(str(path), path.stat()) for path in self.files if path.is_file()]
        return json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])


def open_truths(config: EvaluateConfig) -> Truths:
    """Give what the settings name. Raises InputError where the folder holds nothing to score."""
    are_pairs = _holds_pairs(config) if config.pairs is None else config.pairs
    return _pairs_on_disk(config) if are_pairs else _made_blur(config)


def _holds_pairs(config: EvaluateConfig) -> bool:
    try:
        read_pairs(config.data, config.split, config.blur, config.masks)
    except InputError as error:
        # without any known layout it is a folder of sharp photos; another problem is that of a set of pairs
        if LAYOUTS in str(error):
            return False
        raise
    return True


def _pairs_on_disk(config: EvaluateConfig) -> Truths:
    pairs = read_pairs(config.data, config.split, config.blur, config.masks)[: config.limit]
    files = [path for pair in pairs for path in (pair.blur, pair.sharp, pair.mask) if path is not None]
    items = (Truth(pair.name, 1, pair.blur, pair.sharp, pair.mask, None, pair.sharp) for pair in PairsOnDisk(pairs))
    has_masks = any(pair.mask is not None for pair in pairs)
    described = describe_pairs(pairs) if has_masks else f"{len(pairs)} pairs without masks"
    return Truths(items, len(pairs), "pairs", described, files, has_masks=has_masks)


def _made_blur(config: EvaluateConfig) -> Truths:
    files = list_images(config.data, config.manifest, without=config.out)
    if config.cutouts:
        files = files + list_images(config.cutouts, config.manifest, without=config.out)
    count = count_blurred_photos(config, without=config.out)
    count = count if config.limit is None else min(count, config.limit)
    path_px, area = ("{:g} to {:g}".format(*limits) for limits in (config.path_px, (100 * a for a in config.area)))
    averaged = ", averaged as encoded frames" if config.encoded else ""
    described = (
        f"{count} photos with made blur (seed {config.seed}): paths of {path_px} pixels over {area} % of the photo"
        f"{averaged}"
    )
    return Truths(_numbered(config), count, "made blur", described, files, has_masks=True)


def _numbered(config: EvaluateConfig) -> Iterator[Truth]:
    """Give made blur on each photo; the samples of a photo are counted."""
    root = Path(config.data)
    for number, (path, photo, sample) in enumerate(blurred_photos(config, without=config.out)):
        yield Truth(
            name=path.relative_to(root).as_posix(),
            sample=number % config.samples + 1,
            blur=to_uint8(sample.blur[0]),
            sharp=to_uint8(sample.sharp[0]),
            mask=sample.mask[0, 0].numpy() > 0.5,
            motion=_motion(sample) if bool(sample.motion_known[0]) else None,
            photo=photo,
        )


def _motion(sample: Batch) -> TrueMotion:
    start, end = (np.moveaxis(field[0].numpy(), 0, -1) for field in (sample.start, sample.end))
    return TrueMotion(start, end)
