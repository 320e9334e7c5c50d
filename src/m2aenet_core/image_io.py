"""Photos from and to files, with everything a photo should keep: bit depth, alpha, colour profile, EXIF.

TIFF goes through tifffile, the rest through Pillow, except colour PNG of 16 bits, which Pillow would cut to 8
and libpng (imagecodecs) does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from m2aenet_core.atomic import require_free, write_atomic
from m2aenet_core.errors import InputError
from m2aenet_core.exif import upright_exif
from m2aenet_core.pillow_io import decode_with_pillow, encode_with_pillow
from m2aenet_core.stored_image import MAX_PIXELS, StoredImage
from m2aenet_core.tiff_io import decode_tiff, encode_tiff

FORMAT_BY_SUFFIX: Mapping[str, str] = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
_DTYPES_BY_FORMAT = {"JPEG": ("uint8",), "PNG": ("uint8", "uint16"), "WEBP": ("uint8",), "BMP": ("uint8",)}
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as read from a file, upright."""

    pixels: np.ndarray
    """(H, W), (H, W, 3) or (H, W, 4) in the file's dtype; EXIF orientation is applied."""
    format: str
    """JPEG, PNG, TIFF, WEBP or BMP: what the file holds, whatever its name says."""
    stored: StoredImage
    """Profile, EXIF (orientation 1, as the pixels are upright), resolution and compression, for the writer."""
    grey_alpha: np.ndarray | None = None
    """(H, W): the alpha channel of a grey photo, whose pixels are (H, W)."""

    @property
    def icc_profile(self) -> bytes | None:
        """The colour profile of `pixels`."""
        return self.stored.icc_profile

    @property
    def exif(self) -> bytes | None:
        """The EXIF bytes, without the `Exif` prefix."""
        return self.stored.exif


def read_image(path: str | Path) -> Photo:
    """The photo in a JPEG, PNG, TIFF, WebP or BMP file; the content decides which, not the name.

    Palettes, CMYK and other colour models become RGB (CMYK by its profile, if it has one). Bit depth stays.

    Raises:
        InputError: no such file, not an image, cut short, several pages or frames, over `MAX_PIXELS`. The sentence
            names the file.
    """
    path = Path(path)
    content = _content(path)
    too_large = f"has more than {MAX_PIXELS // 10**6} megapixels; cut it into smaller photos"
    try:
        return _photo(*_decode(content))
    except InputError as error:
        raise InputError(f"{path} {error}") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not a JPEG, PNG, TIFF, WebP or BMP image; save it as one of these") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} {too_large}") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever the damage leads them to
        raise InputError(f"{path} is damaged or cut short ({error}); copy it again from where it came") from error


def write_image(path: str | Path, pixels: np.ndarray, like: Photo | None = None, overwrite: bool = False) -> None:
    """Write `pixels` to `path`, whole or not at all, with the profile, EXIF and compression of `like`.

    Raises:
        InputError: the file exists and `overwrite` is False, its suffix is unknown, its format cannot hold the
            pixels, or it cannot be written.
    """
    path = Path(path)
    require_free(path, overwrite=overwrite)
    write_atomic(path, encode_image(path, pixels, like))


def encode_image(path: str | Path, pixels: np.ndarray, like: Photo | None = None) -> bytes:
    """The bytes of the file that `write_image` would write.

    Args:
        path: only its suffix matters, and that an error can name it.
        pixels: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). JPEG, WebP and BMP hold uint8, PNG uint8 and uint16,
            TIFF every depth.
        like: gives profile, EXIF, resolution, the alpha of a grey photo and, in the same format, the compression.

    Raises:
        InputError: as `write_image`.
    """
    path = Path(path)
    file_format = check_storable(path, pixels, like)
    samples = _samples_to_write(pixels, like)
    stored = like.stored if like else StoredImage(samples)
    if like is None or like.format != file_format:
        stored = replace(stored, encoding={})
    try:
        return (
            encode_tiff(samples, stored) if file_format == "TIFF" else encode_with_pillow(samples, file_format, stored)
        )
    except MemoryError:
        raise
    except Exception as error:  # encoders raise what they like
        raise InputError(f"{path} cannot be written as {file_format} ({error}); use PNG or TIFF") from error


def check_storable(path: str | Path, pixels: np.ndarray, like: Photo | None = None) -> str:
    """The format of `path`, if it can hold `pixels`. Raises InputError, and says what to use instead, if not."""
    file_format = format_of(path)
    allowed = _DTYPES_BY_FORMAT.get(file_format)
    if allowed and pixels.dtype.name not in (*allowed, "bool"):
        advice = "PNG or TIFF" if pixels.dtype == np.uint16 else "TIFF"
        raise InputError(f"{path} cannot hold {pixels.dtype} pixels; write them as {advice}")
    has_alpha = (pixels.ndim == 3 and pixels.shape[2] == 4) or (like is not None and like.grey_alpha is not None)
    if file_format in ("JPEG", "BMP") and has_alpha:
        raise InputError(f"{path} cannot hold transparency; write it as PNG or TIFF")
    return file_format


def format_of(path: str | Path) -> str:
    """The image format that belongs to the suffix of `path`. Raises InputError for unknown ones."""
    try:
        return FORMAT_BY_SUFFIX[Path(path).suffix.lower()]
    except KeyError:
        raise InputError(f"{path} does not end like an image file; use one of {', '.join(FORMAT_BY_SUFFIX)}") from None


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check its name") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder and not an image; name a file in it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from error
    if not content:
        raise InputError(f"{path} is empty (0 bytes); copy it again from where it came")
    return content


def _decode(content: bytes) -> tuple[str, StoredImage]:
    stored = decode_tiff(content) if content[:4] in _TIFF_SIGNATURES else None
    return ("TIFF", stored) if stored else decode_with_pillow(content)


def _photo(file_format: str, stored: StoredImage) -> Photo:
    """The stored image, upright, with a grey image's alpha apart."""
    samples = upright(stored.samples, stored.orientation)
    try:
        exif = upright_exif(stored.exif, is_turned=stored.orientation > 4) if stored.exif else None
    except ValueError:
        exif = None  # malformed EXIF would make the next program stumble too
    grey_alpha = None
    if samples.ndim == 3 and samples.shape[2] == 2:
        samples, grey_alpha = samples[..., 0].copy(), samples[..., 1].copy()
    # the samples are not kept twice; a photo that was turned has as many dots an inch down as it had across
    dpi = stored.dpi[::-1] if stored.dpi and stored.orientation > 4 else stored.dpi
    rest = replace(stored, samples=samples, orientation=1, exif=exif, dpi=dpi)
    return Photo(pixels=samples, format=file_format, stored=rest, grey_alpha=grey_alpha)


def upright(samples: np.ndarray, orientation: int) -> np.ndarray:
    """`samples` (H, W, ...) turned and mirrored as EXIF `orientation`, 1 to 8, asks for."""
    if orientation > 4:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)


def _samples_to_write(pixels: np.ndarray, like: Photo | None) -> np.ndarray:
    samples = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if samples.ndim == 2 and like is not None and like.grey_alpha is not None:
        samples = np.stack([samples, like.grey_alpha], axis=2)
    if samples.dtype == bool:
        samples = samples.astype(np.uint8) * 255
    return np.ascontiguousarray(samples)
