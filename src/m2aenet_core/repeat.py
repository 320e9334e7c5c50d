"""Making a result again from its record: as Python, as a command, or right away."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import zlib
from collections.abc import Iterator, Mapping, Sequence
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

_IN_FULL = {"JPEG": "png", "WEBP": "png"}
"""What a restored photo is written as where its own format would change its pixels."""


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
    """Whether this is what `make_record` gives."""
    if not isinstance(record, dict) or not all(isinstance(record.get(k), dict) for k in ("image", "model", "settings")):
        return False
    return "pixels_sha256" in record["image"] and {"threshold", "device"} <= record["settings"].keys()


def settings_of(record: Record) -> DeblurSettings:
    """The settings that a record names, without its mask. Raises InputError where the network is in no file."""
    settings = record["settings"]
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
        value_range=tuple(record["image"]["value_range"]),
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
        if not path.is_file():
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


# -- as text --------------------------------------------------------------------------------------------------------


def as_python(record: Record, photo: FoundPhoto | None, *, mask: np.ndarray | None = None, otherwise: str = "") -> str:
    """Python that makes a result again; afterwards `restored` holds its pixels.

    Args:
        record: of the result.
        photo: where its pixels come from.
        mask: (H, W) bool, where the result was made with a mask instead of a threshold; it becomes part of the text.
        otherwise: an expression that gives the pixels where they are in no file.
    """
    settings = settings_of(record)
    libraries, pixels = ["from m2aenet_core import Deblurrer"], otherwise
    if photo is not None and photo.reading is Reading.PHOTO:
        libraries += ["from m2aenet_core.image_io import read_image"]
        pixels = f"read_image({str(photo.path)!r}).pixels"
    elif photo is not None:
        libraries = ["import tifffile", "", *libraries]
        pixels = f"tifffile.imread({str(photo.path)!r})" + (
            f"[{', '.join(map(str, photo.frame))}]" if photo.frame else ""
        )
    how = {"device": settings.device, "precision": settings.precision, "execution": settings.execution}
    if settings.tile_px is not None:
        how["tile_px"] = settings.tile_px  # type: ignore[assignment]
    keywords = "".join(f", {name}={value!r}" for name, value in how.items())
    lines = [f"pixels = {pixels}", f"deblurrer = Deblurrer({settings.model!r}{keywords})"]
    lines += [f"analysis = deblurrer.analyze(pixels, value_range={settings.value_range!r})"]
    if record["settings"]["threshold"] is None:
        libraries = ["import base64", "import zlib", "", "import numpy as np", "", *libraries]
        lines += [*_mask_lines(mask), "result = deblurrer.restore(analysis, mask=mask)"]
    else:
        lines += [f"result = deblurrer.restore(analysis, threshold={settings.threshold!r})"]
    return "\n".join([_heading(record), *libraries, "", *lines, "restored = result.restored", ""])


def as_command(record: Record, photo: FoundPhoto, *, mask: Path | None = None, out: str = "restored") -> str:
    """A command line that makes a result again, into the folder `out`.

    Args:
        record: of the result.
        photo: its file.
        mask: the file of the mask, where the result was made with one instead of a threshold.
        out: the folder.

    Raises:
        InputError: the command cannot do it: a frame of a stack, a mask that is in no file.
    """
    if photo.reading is not Reading.PHOTO:
        raise InputError("the command restores photos, and this is a frame of a stack; copy it as Python")
    if record["settings"]["threshold"] is None and mask is None:
        raise InputError("the mask of this result is in no file; copy it as Python, or save the result first")
    file_format = _IN_FULL.get(FORMAT_BY_SUFFIX[photo.path.suffix.lower()], "keep")
    dtype = np.dtype(record["image"]["dtype"])
    settings = settings_of(record)
    return join_words(
        [
            *deblur_words([photo.path], out, settings, mask=mask, file_format=file_format),
            # of 8 bits they can be nothing else
            *([] if dtype == np.uint8 else ["--value-range", *map(_in_digits, settings.value_range or ())]),
        ]
    )


def deblur_words(
    inputs: Sequence[str | Path],
    out: str | Path,
    settings: DeblurSettings,
    *,
    mask: Path | None = None,
    file_format: str = "keep",
    flags: Sequence[str] = (),
) -> list[str]:
    """The words of the `m2aenet deblur` that does the same; the value range is left to the photos."""
    words = ["m2aenet", "deblur", *map(str, inputs), "-o", str(out)]
    words += ["--threshold", repr(settings.threshold)] if mask is None else ["--mask", str(mask)]
    words += ["--model", settings.model, "--device", settings.device]
    words += ["--execution", settings.execution, "--precision", settings.precision]
    words += [] if settings.tile_px is None else ["--tile-px", str(settings.tile_px)]
    words += [] if file_format == "keep" else ["--format", file_format]
    return [*words, *flags]


def join_words(words: Sequence[str]) -> str:
    """A command line as this system's shell takes it."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _heading(record: Record) -> str:
    versions = record.get("versions", {})
    made_by = ", ".join(f"{name} {versions[name]}" for name in ("napari-m2aenet", "torch") if name in versions)
    return f"# makes a restored photo again that was made {record.get('created', 'before')} by {made_by}"


def _mask_lines(mask: np.ndarray | None) -> list[str]:
    """Python that gives the mask. It is part of the text, so that painting on does not change what is repeated."""
    if mask is None:
        raise InputError("the mask of this result is not known any more; run it again")
    packed = base64.b85encode(zlib.compress(np.packbits(mask).tobytes(), 9)).decode()
    pieces = [f"    {packed[start : start + 110]!r}" for start in range(0, len(packed), 110)]
    count = f"count={mask.size}"
    return [
        "packed = (",
        *pieces,
        ")",
        "bits = np.frombuffer(zlib.decompress(base64.b85decode(packed)), np.uint8)",
        f"mask = np.unpackbits(bits, {count}).reshape({mask.shape}).astype(bool)",
    ]


def _in_digits(value: float) -> str:
    """A number without exponent, which argparse would take for a flag where it is negative."""
    return np.format_float_positional(value, trim="0")


def _places(record: Record, folder: str | Path | None) -> Iterator[Path]:
    source, layer = record.get("source") or {}, record.get("layer") or {}
    for path in (source.get("path"), layer.get("file")):
        if path:
            yield Path(path)
            if folder is not None:
                yield Path(folder) / Path(path).name
                yield Path(folder).parent / Path(path).name
