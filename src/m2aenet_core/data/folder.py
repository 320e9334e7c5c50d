"""Sharp photos and cut-outs read from folders."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m2aenet_core.errors import InputError
from m2aenet_core.image_io import read_image
from m2aenet_core.pixels import value_range_of

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"})

Pixels = NDArray[np.uint8]


def list_images(folder: str | Path, manifest: str | Path | None = None) -> list[Path]:
    """Give the image files below a folder, sorted by path.

    manifest: a CSV file with the columns `file` (relative to the CSV's folder) and `clear_licence`; only files
    with the value "yes" are given. Raises InputError where nothing is left.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give a folder of photos")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if manifest is not None:
        cleared = _cleared_files(Path(manifest))
        paths = [path for path in paths if path.resolve() in cleared]
    if not paths:
        raise InputError(f"{folder} holds no image that can be used; supported are {', '.join(sorted(IMAGE_SUFFIXES))}")
    return paths


def _cleared_files(manifest: Path) -> set[Path]:
    if not manifest.is_file():
        raise InputError(f"{manifest} does not exist; give a CSV file with the columns file and clear_licence")
    with manifest.open(newline="") as stream:
        rows = csv.DictReader(stream)
        if not {"file", "clear_licence"} <= set(rows.fieldnames or ()):
            raise InputError(f"{manifest} lacks the columns file and clear_licence")
        return {(manifest.parent / row["file"]).resolve() for row in rows if row["clear_licence"] == "yes"}


def read_rgb(path: Path) -> Pixels:
    """Give an upright photo as (H, W, 3) uint8; deeper ones are brought to 8 bits, transparency is dropped.

    Raises InputError for what cannot be read.
    """
    pixels = read_image(path).pixels
    if not np.isfinite(pixels).all():
        raise InputError(f"{path} holds NaN or infinity; replace them and save it again")
    return _rgb(eight_bits(pixels))


def _rgb(pixels: Pixels) -> Pixels:
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., :3])


def eight_bits(pixels: NDArray[Any]) -> Pixels:
    """Give an image of any depth as uint8, its black and white (`value_range_of`) brought to 0 and 255."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = value_range_of(pixels)
    scaled = (pixels.astype(np.float64) - low) / (high - low)
    return np.asarray((scaled.clip(0, 1) * 255).round(), np.uint8)


def read_photos(paths: Sequence[Path]) -> list[Pixels]:
    """Give all photos as (H, W, 3) uint8."""
    return [read_rgb(path) for path in paths]


def read_cutouts(folder: str | Path, manifest: str | Path | None = None) -> list[Pixels]:
    """Give the cut-outs below a folder as (H, W, 4) uint8, cropped to what is opaque.

    A cut-out is an RGBA image, or `X/image/NAME` with its `X/alpha/NAME` or `X/mask/NAME`.
    """
    paths = list_images(folder, manifest)
    pixels = (cutout for path in paths for cutout in _read_cutout(path))
    return [cropped for cropped in map(_crop_to_alpha, pixels) if cropped is not None]


def _read_cutout(path: Path) -> Iterator[Pixels]:
    if path.parent.name in {"alpha", "mask"}:
        return
    photo = read_image(path)
    pixels = eight_bits(photo.pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        yield pixels
    elif photo.grey_alpha is not None:
        yield np.dstack([_rgb(pixels), eight_bits(photo.grey_alpha)])
    elif (partner := _alpha_partner(path)) is not None:
        mask = Image.fromarray(read_rgb(partner)).convert("L").resize((pixels.shape[1], pixels.shape[0]))
        alpha = np.asarray(mask)
        # masks are often stored as 0 and 1, or 0 and an object's number
        alpha = alpha if alpha.max() > 128 else np.where(alpha > 0, np.uint8(255), np.uint8(0))
        yield np.dstack([_rgb(pixels), alpha])


def _alpha_partner(path: Path) -> Path | None:
    for name in ("alpha", "mask"):
        for candidate in sorted((path.parent.parent / name).glob(f"{path.stem}.*")):
            return candidate
    return None


def _crop_to_alpha(cutout: Pixels) -> Pixels | None:
    rows, columns = np.nonzero(cutout[..., 3] > 16)
    if len(rows) < 256:
        return None
    return cutout[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
