"""A record as text that makes the result again: Python, and a command line."""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from m2aenet_core.deblur_files import DeblurSettings
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import FORMAT_BY_SUFFIX
from m2aenet_core.repeat import FoundPhoto, Reading, Record, settings_of

_IN_FULL = {"JPEG": "png", "WEBP": "png"}
"""What a restored photo is written as where its own format would change its pixels."""


def as_python(record: Record, photo: FoundPhoto | None, *, mask: np.ndarray | None = None, otherwise: str = "") -> str:
    """Python that makes a result again; afterwards `restored` holds its pixels.

    Args:
        record: of the result.
        photo: where its pixels come from.
        mask: (H, W) bool, where the result was made with a mask instead of a threshold; it becomes part of the text.
        otherwise: an expression that gives the pixels where they are in no file; it may use `np`.
    """
    settings = settings_of(record)
    lines = [f"pixels = {_pixels(photo, otherwise)}", _opening(settings)]
    how = f"value_range={settings.value_range!r}{_scale(settings)}{_light(settings)}"
    lines += [f"analysis = deblurrer.analyze(pixels, {how})"]
    if record["settings"]["threshold"] is None:
        lines += [*_mask_lines(mask), "result = deblurrer.restore(analysis, mask=mask)"]
    else:
        lines += [f"result = deblurrer.restore(analysis, threshold={settings.threshold!r})"]
    return _program(record, [*lines, "restored = result.restored"])


def frames_as_python(record: Record, file: Path | None, *, otherwise: str = "") -> str:
    """Python that restores the frames of a stack again; afterwards `restored` holds the stack, 0 where none was made.

    Args:
        record: of the stack: `frames` has the record of each.
        file: a TIFF that holds the stack.
        otherwise: an expression that gives the whole stack where it is in no file; it may use `np`.
    """
    settings = settings_of(record)
    entries = [
        f"    {tuple(frame['frame'])!r}: ({tuple(frame['image']['value_range'])!r}, {frame.get('scale', 1.0)!r}),"
        for frame in record["frames"]
    ]
    lines = [
        f"pixels = {otherwise if file is None else f'tifffile.imread({str(file)!r})'}",
        _opening(settings),
        "frames = {  # black and white of each frame, and its working scale",
        *entries,
        "}",
        "restored = np.zeros(pixels.shape, pixels.dtype)",
        "for frame, (value_range, scale) in frames.items():",
        f"    how = dict(value_range=value_range, scale=scale{_light(settings)})",
        "    analysis = deblurrer.analyze(np.array(pixels[frame]), **how)",
        f"    restored[frame] = deblurrer.restore(analysis, {settings.threshold!r}).restored",
    ]
    return _program(record, lines)


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
    dtype = np.dtype(record["image"]["dtype"])
    file_format = _format_in_full(photo.path, dtype)
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
    words += [] if settings.ensemble is None else ["--ensemble", str(settings.ensemble)]
    words += [] if settings.scale == 1 else ["--scale", str(settings.scale)]
    words += ["--linear-light"] if settings.linear_light else []
    words += [] if file_format == "keep" else ["--format", file_format]
    return [*words, *flags]


def join_words(words: Sequence[str]) -> str:
    """A command line as this system's shell takes it."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _format_in_full(path: Path, dtype: np.dtype) -> str:
    """What `--format` keeps every pixel of a photo with this file and these pixels."""
    own = FORMAT_BY_SUFFIX.get(path.suffix.lower())
    if own is None:  # a name that says nothing of the format, which the command would not keep
        return "png" if dtype in (np.uint8, np.uint16) else "tif"
    return _IN_FULL.get(own, "keep")


def _pixels(photo: FoundPhoto | None, otherwise: str) -> str:
    if photo is None:
        return otherwise
    if photo.reading is Reading.PHOTO:
        return f"read_image({str(photo.path)!r}).pixels"
    index = f"[{', '.join(map(str, photo.frame))}]" if photo.frame else ""
    return f"tifffile.imread({str(photo.path)!r}){index}"


def _opening(settings: DeblurSettings) -> str:
    how = {"device": settings.device, "precision": settings.precision, "execution": settings.execution}
    keywords = "".join(f", {name}={value!r}" for name, value in how.items())
    tiles = "" if settings.tile_px is None else f", tile_px={settings.tile_px}"
    copies = "" if settings.ensemble is None else f", ensemble={settings.ensemble}"
    return f"deblurrer = Deblurrer({settings.model!r}{keywords}{tiles}{copies})"


def _scale(settings: DeblurSettings) -> str:
    return "" if settings.scale == 1 else f", scale={settings.scale!r}"


def _light(settings: DeblurSettings) -> str:
    return ", linear_light=True" if settings.linear_light else ""


def _program(record: Record, lines: list[str]) -> str:
    """The lines below the imports that they need."""
    body = "\n".join(lines)
    standard = [f"import {name}" for name in ("base64", "zlib") if f"{name}." in body]
    others = ["import numpy as np"] if "np." in body else []
    others += ["import tifffile"] if "tifffile." in body else []
    own = ["from m2aenet_core import Deblurrer"]
    own += ["from m2aenet_core.image_io import read_image"] if "read_image(" in body else []
    imports = "\n\n".join("\n".join(group) for group in (standard, others, own) if group)
    return f"{_heading(record)}\n{imports}\n\n{body}\n"


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
