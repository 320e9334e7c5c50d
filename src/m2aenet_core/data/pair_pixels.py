"""The pixels of a pair: blurred photo, sharp photo and mask, of one size."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from m2aenet_core.data.array_dict import read_array_dict
from m2aenet_core.data.depth import alike_in_eight_bits, eight_bits, three_channels
from m2aenet_core.data.folder import Pixels, read_colours
from m2aenet_core.data.pairs import Pair
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import read_image
from m2aenet_core.stored_image import MAX_PIXELS

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PLAIN_PNG = {(8, 0), (8, 2)}  # bits and colour type: grey and RGB
# what lossy compression leaves around 0 is not blur
_LOSSY_MASK_LIMIT = 127


class PairPixels(NamedTuple):
    """blur, sharp (H, W, 3) uint8; mask (H, W) bool, or None where everything counts as blurred."""

    blur: Pixels
    sharp: Pixels
    mask: NDArray[np.bool_] | None


def read_pair(pair: Pair) -> PairPixels:
    """Read a pair.

    Raises:
        InputError: a file is missing, empty, damaged or of another size than its partners.
    """
    if is_array_file(pair.blur):
        pixels = read_array_pair(pair.blur)
    else:
        mask = None if pair.mask is None else read_mask(pair.mask)[0]
        pixels = PairPixels(*of_one_scene(read_levels(pair.blur), read_levels(pair.sharp)), mask)
    for path, reason in different_sizes(pair, pixels):
        raise InputError(f"{path} {reason}")
    return pixels


def is_array_file(path: Path) -> bool:
    """Say whether all of a pair is in one .npy file."""
    return path.suffix.lower() == ".npy"


def read_photo(path: Path) -> Pixels:
    """Give a photo as (H, W, 3) uint8; as `read_rgb`, and about twice as quick for plain PNG."""
    return three_channels(eight_bits(read_levels(path)))


def read_levels(path: Path) -> NDArray[Any]:
    """Give a photo as its file holds it; as `read_colours`, and about twice as quick for plain PNG."""
    pixels = _read_plain_png(path)
    return read_colours(path) if pixels is None else pixels


def of_one_scene(blur: NDArray[Any], sharp: NDArray[Any]) -> tuple[Pixels, Pixels]:
    """Give both photos of a pair as (H, W, 3) uint8, equally bright where their files are."""
    first, second = (three_channels(each) for each in alike_in_eight_bits([blur, sharp]))
    return first, second


def read_mask(path: Path) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Give a mask (H, W), True where its file holds more than 0 in any channel, and the file's own values.

    In lossy files more than 127 counts. Raises InputError as `read_rgb`.
    """
    values: NDArray[Any] | None = _read_plain_png(path)
    limit = 0
    if values is None:
        photo = read_image(path)
        values = photo.pixels
        is_lossy = photo.format == "JPEG" or (photo.format == "WEBP" and not photo.stored.encoding.get("lossless"))
        limit = _LOSSY_MASK_LIMIT if is_lossy else 0
    return _in_any_channel(values > limit), values


def read_array_pair(path: Path) -> PairPixels:
    """Read LMD-ViT's form: a dict of img_blur, img_gt (H, W, 3) in RGB, 0 to 255, and blur_mask, (H, W) or (H, W, 1).

    Raises:
        InputError: not such a file, or without one of the three.
    """
    arrays = read_array_dict(path)
    missing = [name for name in ("img_blur", "img_gt", "blur_mask") if name not in arrays]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; save all three arrays in it, or the pair as PNG files")
    blur, sharp, mask = arrays["img_blur"], arrays["img_gt"], arrays["blur_mask"]
    for name, photo in (("img_blur", blur), ("img_gt", sharp)):
        if photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise InputError(f"{path} holds {name} of the shape {photo.shape}; save it as (H, W, 3)")
        if not np.isfinite(photo).all():
            raise InputError(f"{path} holds NaN or infinity in {name}; make it again")
    if mask.ndim not in (2, 3):
        raise InputError(f"{path} holds blur_mask of the shape {mask.shape}; save it as (H, W)")
    return PairPixels(*of_one_scene(blur, sharp), _in_any_channel(mask > 0))


def different_sizes(pair: Pair, pixels: PairPixels) -> list[tuple[Path, str]]:
    """Give the files whose size is not that of the blurred photo, and what is to be done."""
    expected = pixels.blur.shape[:2]
    others = ((pair.sharp, pixels.sharp), (pair.mask, pixels.mask))
    return [
        (path, f"is {size_text(image.shape)} but the blurred photo is {size_text(expected)}; resize one of them")
        for path, image in others
        if path is not None and image is not None and image.shape[:2] != expected
    ]


def size_text(shape: tuple[int, ...]) -> str:
    """Give width x height, as photo programs say it."""
    return f"{shape[1]}x{shape[0]}"


def _in_any_channel(blurred: Any) -> NDArray[np.bool_]:
    """Give (H, W) of (H, W) or of (H, W, C), whose fourth channel is transparency."""
    return np.asarray(blurred if blurred.ndim == 2 else blurred[..., :3].any(axis=2))


def _read_plain_png(path: Path) -> Pixels | None:
    """Give a PNG of 8 bits, grey or RGB, as (H, W) or (H, W, 3), without transparency.

    None for any other file, whose reading may say what is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if not content.startswith(_PNG_SIGNATURE) or len(content) < 33 or (content[24], content[25]) not in _PLAIN_PNG:
        return None
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    if width * height > MAX_PIXELS or b"eXIf" in content:
        return None
    if b"acTL" in content[: content.find(b"IDAT")]:  # of an animation the first frame alone would come
        return None
    try:
        pixels: Pixels = imagecodecs.png_decode(content)
    except Exception:
        return None
    if pixels.ndim == 3 and pixels.shape[2] == 2:  # a grey level may count as transparent
        return np.ascontiguousarray(pixels[..., 0])
    return pixels if pixels.ndim == 2 else pixels[..., :3]
