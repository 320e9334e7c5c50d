"""The files of a set of made blur, in the layout of ReLoBlur, and the record that lets it be completed.

dataset/SPLIT/sXX/NN/MMMM_blur.png, MMMM_sharp.png and masks/SPLIT/sXX/NN/MMMM.png as ReLoBlur has them;
displacement/SPLIT/sXX/NN/MMMM.npz with start_displacement and end_displacement, (H, W, 2) float16, (y, x) in pixels
from mid-exposure; records/SPLIT/sXX/NN/MMMM.json with what was drawn.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.atomic import encode_text, write_atomic, write_together
from m2aenet_core.data.folder import Pixels
from m2aenet_core.data.sample import Batch
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import encode_image, read_image
from m2aenet_core.pixels import to_uint8

_TAKES = 100  # crops of a scene


class SampleFiles(NamedTuple):
    """Where the files of a sample are."""

    blur: Path
    sharp: Path
    mask: Path
    displacement: Path
    record: Path


class StoredSample(NamedTuple):
    """blur, sharp (H, W, 3) uint8; mask (H, W) bool; start, end (H, W, 2) float32, (y, x) pixels; its record."""

    blur: Pixels
    sharp: Pixels
    mask: NDArray[np.bool_]
    start: NDArray[np.float32]
    end: NDArray[np.float32]
    record: dict[str, Any]


class SetFolder:
    """One split of a set on disk."""

    def __init__(self, out: Path, split: str) -> None:
        self.out, self.split = out, split
        self._settings = out / f"{split}.json"

    def claim(self, settings: Mapping[str, Any], config_yaml: str) -> None:
        """Write down what the set is made with, or see that a set that is there was made with the same.

        Raises InputError, with what differs, where it was not.
        """
        new = json.loads(json.dumps(settings))
        if self._settings.is_file():
            self._compare(new)
        else:
            write_atomic(self._settings, json.dumps(new, indent=1).encode())
        write_atomic(self.out / f"{self.split}.yaml", config_yaml.encode())

    def _compare(self, new: Mapping[str, Any]) -> None:
        try:
            old = json.loads(self._settings.read_bytes())
        except ValueError:
            raise InputError(f"{self._settings} is damaged; choose another folder for the set") from None
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if names:
            changes = [f"{name} was {_short(old.get(name))} and is {_short(new.get(name))}" for name in names]
            raise InputError(
                f"{self.out} holds a {self.split} split that was made with other settings: {', '.join(changes)}; "
                "give the same ones, or choose another folder"
            )

    def files(self, scene: int, take: int, number: int) -> SampleFiles:
        """Give the files of sample `number` of the set: a take of a scene, both from 0."""
        place = Path(self.split, f"s{scene + 1:02d}", f"{take + 1:02d}")
        name = f"{number + 1:04d}"
        return SampleFiles(
            blur=self.out / "dataset" / place / f"{name}_blur.png",
            sharp=self.out / "dataset" / place / f"{name}_sharp.png",
            mask=self.out / "masks" / place / f"{name}.png",
            displacement=self.out / "displacement" / place / f"{name}.npz",
            record=self.out / "records" / place / f"{name}.json",
        )

    def write_table(self, samples: Sequence[SampleFiles]) -> None:
        """Write SPLIT.csv: a row for each sample, from the records."""
        records = [json.loads(files.record.read_bytes()) for files in samples]
        stream = io.StringIO()
        table = csv.DictWriter(stream, list(records[0]))
        table.writeheader()
        table.writerows(records)
        write_atomic(self.out / f"{self.split}.csv", encode_text(stream.getvalue()))


def crop_place(number: int) -> tuple[int, int]:
    """Give scene and take of a crop: scenes of a hundred."""
    return number // _TAKES, number % _TAKES


def is_written(files: SampleFiles) -> bool:
    """Say whether all files of a sample are there."""
    return all(path.is_file() for path in files)


def write_sample(files: SampleFiles, sample: Batch, record: Mapping[str, Any]) -> None:
    """Write all files of a sample (a batch of one), or none."""
    start, end = (np.moveaxis(field[0].cpu().numpy(), 0, -1).astype(np.float16) for field in (sample.start, sample.end))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, start_displacement=start, end_displacement=end)
    mask = sample.mask[0, 0].cpu().numpy() > 0.5
    write_together(
        {
            files.blur: encode_image(files.blur, to_uint8(sample.blur[0])),
            files.sharp: encode_image(files.sharp, to_uint8(sample.sharp[0])),
            files.mask: encode_image(files.mask, mask),
            files.displacement: buffer.getvalue(),
            files.record: json.dumps(record).encode(),
        }
    )


def read_sample(files: SampleFiles) -> StoredSample:
    """Give a sample as it lies on the disk."""
    with np.load(files.displacement) as fields:
        start, end = (fields[f"{name}_displacement"].astype(np.float32) for name in ("start", "end"))
    return StoredSample(
        blur=read_image(files.blur).pixels,
        sharp=read_image(files.sharp).pixels,
        mask=read_image(files.mask).pixels > 0,
        start=start,
        end=end,
        record=json.loads(files.record.read_bytes()),
    )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
