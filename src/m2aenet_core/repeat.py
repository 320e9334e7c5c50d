"""What a result is made again from: its record, the weights and the photo, each seen to be the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from m2aenet_core.deblur_files import DeblurSettings
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import FORMAT_BY_SUFFIX, read_image
from m2aenet_core.record import pixels_sha256

Record = Mapping[str, Any]


class Reading(StrEnum):
    """How the pixels of a photo come out of its file."""

    PHOTO = "photo"
    """As `read_image` gives them: upright."""
    TIFF = "tiff"
    """As `tifffile.imread` gives them: stacks, of which a frame may be taken."""


@dataclass(frozen=True)
class FoundPhoto:
    """The file of a record's photo, how it is read, and the frame that was taken."""

    path: Path
    reading: Reading
    frame: tuple[int, ...] = ()

    def read(self) -> np.ndarray:
        """The pixels, (H, W) or (H, W, C)."""
        if self.reading is Reading.PHOTO:
            return read_image(self.path).pixels
        import tifffile

        return np.asarray(tifffile.imread(self.path))[self.frame]


def read_record(path: str | Path) -> dict[str, Any]:
    """The record in a JSON file. Raises InputError for a file that holds none."""
    path = Path(path)
    try:
        record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check its name") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from error
    except ValueError:
        record = None
    if not is_record(record):
        raise InputError(f"{path} is no record of a restored photo; choose the .json beside one")
    return dict(record)


def is_record(record: object) -> bool:
    """Whether this is what `make_record` gives, or the same for the frames of a stack."""
    if not isinstance(record, dict) or not all(isinstance(record.get(k), dict) for k in ("model", "settings")):
        return False
    frames = record.get("frames") if "frames" in record else [record]
    if not isinstance(frames, list) or not frames:
        return False
    images = [frame.get("image") if isinstance(frame, dict) else None for frame in frames]
    have_pixels = all(isinstance(image, dict) and "pixels_sha256" in image for image in images)
    return have_pixels and {"threshold", "device"} <= record["settings"].keys()


def settings_of(record: Record) -> DeblurSettings:
    """The settings that a record names, without its mask; of a stack, with the value range of its first frame.

    The scale of a stack is "auto" where its frames have several.

    Raises:
        InputError: the network is in no file.
    """
    settings, image = record["settings"], record.get("image") or record["frames"][0]["image"]
    if record["model"]["weights_sha256"] is None:
        raise InputError(
            "this result was made by a network that is in no file, so it cannot be made again; save the network first"
        )
    return DeblurSettings(
        model=record["model"]["name"],
        device=settings["device"],
        threshold=0.5 if settings["threshold"] is None else settings["threshold"],
        execution=settings["execution"],
        precision=settings["precision"],
        tile_px=settings["tile_px"],
        # records of before there was a choice hold none
        ensemble=settings.get("ensemble", 1),
        scale=settings.get("scale", 1.0),
        linear_light=settings.get("linear_light", False),
        value_range=tuple(image["value_range"]),
    )


def check_weights(record: Record) -> None:
    """See that the weights are those of the record. Raises InputError where they are others, or are gone."""
    from m2aenet_core.checkpoint import sha256, weights_path

    name = settings_of(record).model
    if sha256(weights_path(name)) != record["model"]["weights_sha256"]:
        raise InputError(
            f"the weights called {name} are others than those of the record; choose the ones it was made with"
        )


def find_photo(record: Record, folder: str | Path | None = None) -> FoundPhoto:
    """The photo of a record, found by its pixels: where it was, else in the record's folder and the one above.

    Args:
        record: names the photo.
        folder: where the record lies.

    Raises:
        InputError: it is not there, or no longer the same.
    """
    frame = tuple((record.get("layer") or {}).get("frame", ()))
    changed = None
    for path in _places(record, folder):
        if not _is_there(path):
            continue
        reading = reading_of(path, frame, record["image"]["pixels_sha256"])
        if reading is not None:
            return FoundPhoto(path, reading, frame)
        changed = changed or path
    if changed is not None:
        raise InputError(
            f"{changed} is not the photo of the record any more; put the one it was made from in its place"
        )
    named = next(_places(record, None), None)
    if named is None:
        raise InputError("the record names no photo: it was not in a file; save the layer, and run it again from there")
    raise InputError(f"{named} is not there any more; put the photo beside the record")


def _is_there(path: Path) -> bool:
    """Whether there is such a file for us: what lies in another one's folder is not."""
    try:
        return path.is_file()
    except OSError:
        return False


def find_stack(record: Record, folder: str | Path | None = None) -> Path:
    """The TIFF of a stack's record, found as `find_photo` does, by the pixels of its first frame.

    Raises:
        InputError: it is not there, or no longer the same.
    """
    first = record["frames"][0]
    layer = {"frame": first["frame"], "file": (record.get("layer") or {}).get("file")}
    photo = find_photo({"image": first["image"], "source": record.get("source"), "layer": layer}, folder)
    return photo.path


def reading_of(path: Path, frame: tuple[int, ...], sha256: str) -> Reading | None:
    """How a file gives the pixels with this hash; None where it does not."""
    for reading in Reading:
        if reading is Reading.PHOTO and frame:
            continue
        if reading is Reading.TIFF and FORMAT_BY_SUFFIX.get(path.suffix.lower()) != "TIFF":
            continue
        try:
            pixels = FoundPhoto(path, reading, frame).read()
        except (InputError, IndexError, ValueError, OSError):
            continue
        if pixels_sha256(pixels) == sha256:
            return reading
    return None


def _places(record: Record, folder: str | Path | None) -> Iterator[Path]:
    source, layer = record.get("source") or {}, record.get("layer") or {}
    for path in (source.get("path"), layer.get("file")):
        if path:
            yield Path(path)
            if folder is not None:
                yield Path(folder) / Path(path).name
                yield Path(folder).parent / Path(path).name
