"""Corrected masks as samples that `m2aenet train --pairs` learns from. No Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m2aenet_core.atomic import write_together
from m2aenet_core.errors import InputError

FOLDERS = ("blur", "sharp", "mask")
"""One file of the same name in each: the layout of pairs in folders."""

_Pixels = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Correction:
    """A photo with the mask that a person takes for right.

    photo, sharp: (H, W) or (H, W, C), of one size; sharp is the photo without blur, or None where there is none.
    mask: (H, W), True = blurred. value_range: what counts as black and white.
    """

    name: str
    photo: _Pixels
    mask: NDArray[np.bool_]
    sharp: _Pixels | None
    value_range: tuple[float, float]

    def partner(self) -> _Pixels:
        """Return what the network is to give for the photo.

        Where nothing is blurred that is the photo itself. Where something is, only a sharp picture tells what is
        right: the restored photo would teach the network its own mistakes.

        Raises:
            InputError: something is blurred, and there is no sharp picture.
        """
        if self.sharp is not None:
            if self.sharp.shape[:2] != self.photo.shape[:2]:
                raise InputError("The sharp picture has another size than the photo; choose one of its size.")
            return self.sharp
        if self.mask.any():
            raise InputError(
                "A sample with blur needs a sharp picture of the same scene; choose it as the reference in the tab "
                "“Compare”. Without one, only a photo whose mask is empty can be saved."
            )
        return self.photo


def save_sample(folder: Path, correction: Correction) -> str:
    """Write a correction as blur/NAME.png, sharp/NAME.png and mask/NAME.png, and return NAME; no file is replaced.

    The photos are written with 8 bits, as the network sees them; the mask is white where it is blurred. All three files
    are written or none.

    Raises:
        InputError: there is no sharp picture, its size differs, or the folder cannot be written.
    """
    from napari_m2aenet.comparing import as_8_bits

    pictures = (
        as_8_bits(correction.photo, correction.value_range),
        as_8_bits(correction.partner(), correction.value_range),
        correction.mask.astype(np.uint8) * 255,
    )
    name = free_name(folder, correction.name)
    paths = [folder / kind / f"{name}.png" for kind in FOLDERS]
    write_together({path: _png(pixels) for path, pixels in zip(paths, pictures, strict=True)})
    return name


def free_name(folder: Path, wanted: str) -> str:
    """Return a name that no sample of the folder has: the layer's, made fit for a file, with a number if needed."""
    # an ending such as _blur would tell what the file is
    stem = re.sub(r"[^\w-]+", "-", wanted).strip("-_") or "photo"
    stem = f"{stem}-1" if re.search(r"(^|[_-])(blur|blurred|blurry|input|sharp|target|gt|mask)$", stem, re.I) else stem
    name, number = stem, 1
    while any((folder / kind / f"{name}.png").exists() for kind in FOLDERS):
        number += 1
        name = f"{stem}-{number}"
    return name


def _png(pixels: NDArray[np.uint8]) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
