"""Sharp photos and cut-outs read from folders."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from glob import escape
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m2aenet_core.data.depth import eight_bits, three_channels
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import Photo, read_image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"})

_SMALLEST_CUTOUT_PX = 256

Pixels = NDArray[np.uint8]
Item = TypeVar("Item")


class Cutout(NamedTuple):
    """The files of a cut-out: a photo, perhaps with an alpha channel, and the alpha or mask beside it, if any."""

    photo: Path
    alpha: Path | None


def walk_files(folder: Path) -> Iterator[Path]:
    """Give the files below a folder, links followed, sorted; what systems hide in folders is left out."""
    seen = set()
    for place, names, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link to a folder above would go round for ever
            names.clear()
            continue
        seen.add(real)
        names[:] = sorted(name for name in names if not name.startswith(".") and name != "__MACOSX")
        paths = (Path(place, name) for name in sorted(files) if not name.startswith("."))
        # a link to a file that is gone is told of when it is read; a pipe would be waited at for ever
        yield from (path for path in paths if path.is_file() or not path.exists())


def list_images(
    folder: str | Path, manifest: str | Path | None = None, *, without: str | Path | None = None
) -> list[Path]:
    """Give the image files below a folder, sorted by path.

    manifest: a CSV file with the columns `file` (relative to the CSV's folder) and `clear_licence`; only files
    with the value "yes" are given. without: a folder that results go to; where it lies below the first, what is in it
    is left out. Hidden files and folders are left out, links to folders are followed. Raises InputError where nothing
    is left.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give a folder of photos")
    paths = sorted(path for path in walk_files(folder) if path.suffix.lower() in IMAGE_SUFFIXES)
    results = Path(without).resolve() if without else None
    if results is not None and results != folder.resolve() and results.is_relative_to(folder.resolve()):
        found, paths = paths, [path for path in paths if not path.resolve().is_relative_to(results)]
        if found and not paths:
            raise InputError(f"{folder} holds no image but those in {without}; choose another folder for what is made")
    if not paths:
        raise InputError(f"{folder} holds no image that can be used; supported are {', '.join(sorted(IMAGE_SUFFIXES))}")
    if manifest is None:
        return paths
    cleared = _cleared_files(Path(manifest))
    cleared_paths = [path for path in paths if path.resolve() in cleared]
    if not cleared_paths:
        raise InputError(
            f"none of the {len(paths)} images in {folder} is marked yes in {manifest}; add rows for them to it, whose "
            "file is told from its own folder"
        )
    return cleared_paths


def evenly_spread(items: Sequence[Item], most: int) -> list[Item]:
    """Give at most so many items, evenly spread over all."""
    if len(items) <= most:
        return list(items)
    return [items[index * len(items) // most] for index in range(most)]


def _cleared_files(manifest: Path) -> set[Path]:
    if not manifest.is_file():
        raise InputError(f"{manifest} is not a file; give a CSV file with the columns file and clear_licence")
    try:
        # spreadsheets put a mark of the encoding before the first column
        text = manifest.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{manifest} cannot be read as UTF-8 ({error}); save it as a CSV file in UTF-8") from error
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if not {"file", "clear_licence"} <= set(rows.fieldnames or ()):
        raise InputError(f"{manifest} lacks the columns file and clear_licence")
    return {(manifest.parent / row["file"]).resolve() for row in rows if row["clear_licence"] == "yes" and row["file"]}


def read_rgb(path: Path) -> Pixels:
    """Give an upright photo as (H, W, 3) uint8; deeper ones are brought to 8 bits, transparency is dropped.

    Raises InputError for what cannot be read.
    """
    return three_channels(eight_bits(read_colours(path)))


def read_colours(path: Path) -> NDArray[Any]:
    """Give an upright photo as its file holds it, (H, W) or (H, W, 3), without transparency.

    Raises InputError for what cannot be read.
    """
    pixels = _read_finite(path).pixels
    return pixels if pixels.ndim == 2 else pixels[..., :3]


def _read_finite(path: Path) -> Photo:
    photo = read_image(path)
    if not np.isfinite(photo.pixels).all():
        raise InputError(f"{path} holds NaN or infinity; replace them and save it again")
    return photo


def read_photos(paths: Sequence[Path]) -> list[Pixels]:
    """Give all photos as (H, W, 3) uint8."""
    return [read_rgb(path) for path in paths]


def read_cutouts(
    folder: str | Path, manifest: str | Path | None = None, *, without: str | Path | None = None
) -> list[Pixels]:
    """Give the cut-outs below a folder as (H, W, 4) uint8, cropped to what is opaque.

    A cut-out is an RGBA image, or `X/image/NAME` with its `X/alpha/NAME` or `X/mask/NAME`. Raises InputError where
    there is none.
    """
    return cut_out(folder, find_cutouts(folder, manifest, without=without))


def find_cutouts(
    folder: str | Path, manifest: str | Path | None = None, *, without: str | Path | None = None
) -> list[Cutout]:
    """Give the files below a folder that may be cut-outs; which of them have an alpha channel is told by reading."""
    found = list_images(folder, manifest, without=without)
    paths = [path for path in found if path.parent.name not in {"alpha", "mask"}]
    return [Cutout(path, _alpha_partner(path)) for path in paths]


def cut_out(folder: str | Path, files: Sequence[Cutout]) -> list[Pixels]:
    """Read cut-outs, cropped to what is opaque; images without transparency are left out.

    folder: where they were found, for the InputError that is raised where none is left.
    """
    pixels = (cutout for each in files for cutout in _read_cutout(each))
    cropped = [each for each in map(_crop_to_alpha, pixels) if each is not None]
    if not cropped:
        raise InputError(
            f"{folder} holds no cut-out; give RGBA images, or X/image/NAME with X/alpha/NAME or X/mask/NAME, of which "
            f"at least {_SMALLEST_CUTOUT_PX} pixels are opaque"
        )
    return cropped


def _read_cutout(files: Cutout) -> Iterator[Pixels]:
    photo = _read_finite(files.photo)
    pixels = photo.pixels
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        yield np.dstack([eight_bits(pixels[..., :3]), _alpha_in_eight_bits(pixels[..., 3])])
    elif photo.grey_alpha is not None:
        yield np.dstack([three_channels(eight_bits(pixels)), _alpha_in_eight_bits(photo.grey_alpha)])
    elif files.alpha is not None:
        mask = Image.fromarray(read_rgb(files.alpha)).convert("L").resize((pixels.shape[1], pixels.shape[0]))
        alpha = np.asarray(mask)
        # masks are often stored as 0 and 1, or 0 and an object's number
        alpha = alpha if alpha.max() > 128 else np.where(alpha > 0, np.uint8(255), np.uint8(0))
        yield np.dstack([three_channels(eight_bits(pixels)), alpha])


def _alpha_in_eight_bits(alpha: NDArray[Any]) -> Pixels:
    """Give opacity as uint8; it knows no dark and bright photos: what is opaque follows from the depth alone."""
    return eight_bits(alpha, (0.0, float(np.iinfo(alpha.dtype).max)) if alpha.dtype.kind in "ui" else None)


def _alpha_partner(path: Path) -> Path | None:
    for name in ("alpha", "mask"):
        for candidate in sorted((path.parent.parent / name).glob(f"{escape(path.stem)}.*")):
            if candidate.suffix.lower() in IMAGE_SUFFIXES and candidate.stem == path.stem:
                return candidate
    return None


def _crop_to_alpha(cutout: Pixels) -> Pixels | None:
    rows, columns = np.nonzero(cutout[..., 3] > 16)
    if len(rows) < _SMALLEST_CUTOUT_PX:
        return None
    return cutout[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
