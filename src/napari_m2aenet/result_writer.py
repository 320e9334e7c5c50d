"""napari's writer for a whole result: NAME.json, the record, and beside it the restored photo, its mask and the rest.

The record comes last: where it is, the others are. Opening it with napari repeats the run.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.errors import InputError
from napari_m2aenet.frames import StackRole
from napari_m2aenet.layer_data import Role
from napari_m2aenet.repeating import RECORD_KEY

FullLayerData = tuple[Any, dict[str, Any], str]

_TAG = "m2aenet_layer"


@dataclass(frozen=True, eq=False)
class _Part:
    """A layer of the result that is written: `name` goes on after the record's."""

    name: str
    data: Any
    keywords: Mapping[str, Any]
    kind: str


_PART_OF_ROLE: Mapping[str, str] = {
    Role.MASK: "_mask",
    Role.PROBABILITY: "_blur_probability",
    Role.TRAJECTORIES: "_trajectories",
    StackRole.MASK: "_mask",
}
_RESTORED_ROLES = (Role.RESTORED, StackRole.RESTORED)


class NotSavedError(RuntimeError):
    """Why a result was not saved. napari takes a ValueError, as InputError is one, for "no writer found"."""


def write_result(path: str, layers: list[FullLayerData]) -> list[str]:
    """Write the result among the layers, all of its files or none; their paths, the record first.

    Raises:
        NotSavedError: as `save_result`, so that napari shows the sentence.
    """
    try:
        return save_result(path, layers)
    except InputError as error:
        raise NotSavedError(str(error)) from error


def save_result(path: str, layers: list[FullLayerData]) -> list[str]:
    """Write the result among the layers, all of its files or none; their paths, the record first.

    The photo is written too where it is in no file, so that the record can be repeated.

    Raises:
        InputError: there is no result among the layers, or more than one; a file would be replaced.
    """
    from m2aenet_core.atomic import write_together

    target = Path(path).with_suffix(".json")
    restored = _the_restored(layers)
    source = _tag(restored)["source"]
    parts = [_Part("", *restored), *_beside(layers, source)]
    record = dict(restored[1]["metadata"][RECORD_KEY])
    photo = None if "frames" in record else _photo_without_file(layers, record)
    if photo is not None:
        parts.append(photo)
    _require_same_mask(parts, record)
    files = {_file_of(part, target): part for part in parts}
    _require_free(target, files)
    contents = {file: _encode(file, part) for file, part in files.items()}
    record["outputs"] = {part.name.lstrip("_") or "restored": file.name for file, part in files.items()}
    _name_sources(record, files, contents)
    write_together({target: _encode_record(record), **contents})
    return [str(target), *map(str, files)]


def _the_restored(layers: list[FullLayerData]) -> FullLayerData:
    found = [layer for layer in layers if _tag(layer).get("role") in _RESTORED_ROLES and _record(layer)]
    if not found:
        raise InputError("There is no restored photo among these layers; choose the layer “restored: …” too.")
    if len(found) > 1:
        names = " and ".join(f"“{layer[1]['name']}”" for layer in found[:2])
        raise InputError(f"{names} are two results; save one of them at a time.")
    return found[0]


def _beside(layers: list[FullLayerData], source: str) -> Iterator[_Part]:
    """The other layers of the same run."""
    for layer in layers:
        tag = _tag(layer)
        if tag.get("source") == source and tag["role"] in _PART_OF_ROLE:
            yield _Part(_PART_OF_ROLE[tag["role"]], *layer)


def _photo_without_file(layers: list[FullLayerData], record: dict[str, Any]) -> _Part | None:
    """The photo that was restored, if it is among the layers and in no file."""
    from m2aenet_core.record import pixels_sha256
    from m2aenet_core.repeat import find_photo

    try:
        find_photo(record)
    except InputError:
        frame, shape = tuple(record["layer"]["frame"]), tuple(record["image"]["shape"])
        for data, keywords, kind in layers:
            # by its pixels: it may be called otherwise now
            finest = data[0] if keywords.get("multiscale") else data
            if kind == "image" and tuple(finest.shape[len(frame) :]) == shape:
                pixels = np.array(finest[frame] if frame else finest)
                if pixels_sha256(pixels) == record["image"]["pixels_sha256"]:
                    return _Part("_photo", pixels, keywords, kind)
    return None


def _file_of(part: _Part, target: Path) -> Path:
    """Where a part is written: PNG where it holds it, else TIFF; curves as a table."""
    if part.kind == "vectors":
        suffix = ".csv"
    elif part.kind == "labels" or part.name == "_blur_probability":
        suffix = ".png" if _is_picture(part) else ".tif"
    else:
        suffix = ".png" if _is_picture(part) and part.data.dtype in (np.uint8, np.uint16) else ".tif"
    return target.with_name(f"{target.stem}{part.name}{suffix}")


def _is_picture(part: _Part) -> bool:
    """Whether this is one frame, though it may have axes of length 1 before (y, x)."""
    return all(side == 1 for side in part.data.shape[: -3 if part.keywords.get("rgb") else -2])


def _encode(file: Path, part: _Part) -> bytes:
    from m2aenet_core.image_io import encode_image

    if part.kind == "vectors":
        return _table(part)
    pixels = np.asarray(part.data)
    if part.kind == "labels":
        pixels = (pixels > 0).astype(np.uint8) * 255
    elif part.name == "_blur_probability":
        pixels = np.rint(pixels * 65535).astype(np.uint16)
    if _is_picture(part):
        return encode_image(file, pixels.reshape(pixels.shape[-3 if part.keywords.get("rgb") else -2 :]))
    return _stack(pixels, is_colour=bool(part.keywords.get("rgb")))


def _stack(pixels: NDArray[Any], *, is_colour: bool) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    photometric = "rgb" if is_colour else "minisblack"
    tifffile.imwrite(buffer, pixels, photometric=photometric, compression="zlib", bigtiff=pixels.nbytes > 2**31)
    return buffer.getvalue()


def _table(part: _Part) -> bytes:
    """Each segment of a curve: where it begins and ends, (y, x) in pixels, and its time in [-1, 1]."""
    begins, moves = part.data[:, 0, -2:], part.data[:, 1, -2:]
    times = np.asarray(part.keywords["features"]["time"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["begin_y_px", "begin_x_px", "end_y_px", "end_x_px", "time"])
    writer.writerows(np.column_stack([begins, begins + moves, times]).tolist())
    return text.getvalue().encode()


def _name_sources(record: dict[str, Any], files: Mapping[Path, _Part], contents: Mapping[Path, bytes]) -> None:
    """Name the files that the run is repeated from: the photo, and the mask if one was given."""
    import hashlib

    for file, part in files.items():
        named = {"name": file.name, "sha256": hashlib.sha256(contents[file]).hexdigest()}
        if part.name == "_photo":
            record["source"] = {**named, "path": str(file.absolute())}
            record["layer"] = {**record["layer"], "frame": []}
        if part.name == "_mask" and record["settings"].get("threshold") is None and "frames" not in record:
            record["settings"] = {**record["settings"], "mask": named}


def _require_same_mask(parts: list[_Part], record: dict[str, Any]) -> None:
    from m2aenet_core.record import mask_sha256

    expected = record["settings"].get("mask_sha256")
    for part in parts:
        if part.name == "_mask" and expected is not None and mask_sha256(np.asarray(part.data) > 0) != expected:
            raise InputError("The mask has moved on since the photo was restored; wait until it is restored again")


def _require_free(target: Path, files: Mapping[Path, _Part]) -> None:
    """Files of an older result of that name, which was allowed to be replaced, may go; others not."""
    taken = [file for file in files if file.exists()]
    if taken and not target.exists():
        raise InputError(f"{taken[0]} exists and belongs to no result; choose another name")


def _encode_record(record: dict[str, Any]) -> bytes:
    from m2aenet_core.record import encode_record

    return encode_record(record)


def _tag(layer: FullLayerData) -> Mapping[str, Any]:
    tag = layer[1].get("metadata", {}).get(_TAG, {})
    return tag if isinstance(tag, dict) else {}


def _record(layer: FullLayerData) -> Any:
    return layer[1].get("metadata", {}).get(RECORD_KEY)
