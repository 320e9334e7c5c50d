"""TIFF files: every depth tifffile knows, in and out. `image_io` is the way in."""

import io
from typing import Any

import numpy as np
import tifffile

from m2aenet_core.errors import InputError
from m2aenet_core.exif import ORIENTATION, add_exif_to_tiff, byte_order, exif_of_tiff
from m2aenet_core.stored_image import MAX_PIXELS, StoredImage

_COMPRESSIONS = {1: "none", 5: "lzw", 8: "adobe_deflate", 32773: "packbits", 34925: "lzma", 50000: "zstd"}  # lossless
_WITH_PREDICTOR = ("lzw", "adobe_deflate", "zstd")
_ICC_PROFILE = 34675
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_UNITS_PER_INCH = {2: 1.0, 3: 2.54}  # inch, centimetre; 1 tells the shape of a pixel alone
_DIRECT = (0, 1, 2)  # photometric: white is zero, black is zero, RGB
_YCBCR = 6
_JPEG = 7
_REDUCED = 1  # bit of NewSubfileType: a preview of another page


def decode_tiff(content: bytes) -> StoredImage | None:
    """The one photo in a TIFF file, or None where Pillow must convert its colours (palette, CMYK, Lab).

    Raises:
        InputError: several pages, a volume, more than four channels or `MAX_PIXELS`; the sentence lacks the file name.
        Exception: whatever tifffile raises on damaged files.
    """
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        page = _only_page(tiff)
        if page.imagewidth * page.imagelength > MAX_PIXELS:
            raise InputError(f"has more than {MAX_PIXELS // 10**6} megapixels; cut it into smaller photos")
        is_jpeg_rgb = page.photometric == _YCBCR and page.compression == _JPEG
        if page.photometric not in _DIRECT and not is_jpeg_rgb:
            return None
        return StoredImage(
            samples=_samples(page),
            orientation=_orientation(page),
            icc_profile=page.tags[_ICC_PROFILE].value if _ICC_PROFILE in page.tags else None,
            exif=exif_of_tiff(content),
            dpi=_dpi(page),
            encoding=_encoding(page),
        )


def encode_tiff(samples: np.ndarray, like: StoredImage) -> bytes:
    """A TIFF file of `samples`, (H, W) or (H, W, 2 to 4), with what `like` holds beside its own samples.

    The fourth channel, or the second, is alpha. `like.encoding` is that of a TIFF file, or empty.
    """
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        samples,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=[like.encoding.get("alpha", "unassalpha")] if channels in (2, 4) else None,
        byteorder=byte_order(like.exif) if like.exif else "<",
        metadata=None,  # tifffile's own description would replace the photo's
        software=False,
        iccprofile=like.icc_profile,
        resolution=like.dpi,
        resolutionunit="inch" if like.dpi else None,
        compression=like.encoding.get("compression", "adobe_deflate"),
        predictor=like.encoding.get("predictor", False),
    )
    content = buffer.getvalue()
    is_classic = content[2:4] in (b"*\0", b"\0*")  # BigTIFF, over 4 GB, has another directory
    return add_exif_to_tiff(content, like.exif) if like.exif and is_classic else content


def _only_page(tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage) and not page.subfiletype & _REDUCED]
    if not pages:
        raise InputError("holds only previews; if it is a camera's raw file, develop it to TIFF first")
    if len(pages) > 1:
        raise InputError(f"holds {len(pages)} pages, and a photo has one; save each page as a file of its own")
    return pages[0]


def _orientation(page: tifffile.TiffPage) -> int:
    value = page.tags[ORIENTATION].value if ORIENTATION in page.tags else 1
    return int(value) if value in range(1, 9) else 1


def _samples(page: tifffile.TiffPage) -> np.ndarray:
    samples = page.asarray()
    if page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    elif page.axes not in ("YX", "YXS"):
        raise InputError(
            f"has axes {page.axes}, and a photo has rows and columns; save each plane as a file of its own"
        )
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[..., 0]
    if samples.ndim == 3 and samples.shape[2] > 4:
        raise InputError(f"has {samples.shape[2]} channels; keep one (grey), three (RGB) or four (RGBA)")
    if samples.dtype == bool:
        samples = samples.astype(np.uint8) * 255
    if samples.dtype.kind not in "uif":
        raise InputError(f"holds {samples.dtype} numbers; save it with integer or real ones")
    samples = np.ascontiguousarray(samples.astype(samples.dtype.newbyteorder("="), copy=False))
    samples = _filled(samples, page.bitspersample)
    return _black_is_zero(samples) if page.photometric == 0 else samples


def _filled(samples: np.ndarray, bits: int | tuple[int, ...]) -> np.ndarray:
    """Samples of fewer bits than their dtype has (2, 4, 10, 12 ...) brought to all of it, as its white is written."""
    if isinstance(bits, tuple):  # of colours with different ones, such as 5, 6 and 5, tifffile has filled them
        return samples
    if samples.dtype.kind != "u" or not 1 < bits < 8 * samples.dtype.itemsize:
        return samples
    # a JPEG or a damaged file may hold more than it says
    top, full = 2**bits - 1, int(np.iinfo(samples.dtype).max)
    levels = np.rint(np.arange(top + 1) * (full / top)).astype(samples.dtype)
    filled: np.ndarray = levels[np.minimum(samples, top)]
    return filled


def _black_is_zero(samples: np.ndarray) -> np.ndarray:
    if samples.dtype.kind != "u":
        raise InputError(f"holds {samples.dtype} numbers that count from white; save it with black as zero")
    inverted: np.ndarray = np.iinfo(samples.dtype).max - samples
    if samples.ndim == 3 and samples.shape[2] == 2:
        inverted[..., 1] = samples[..., 1]  # what is opaque is so, whichever way its grey counts
    return inverted


def _dpi(page: tifffile.TiffPage) -> tuple[float, float] | None:
    tags = page.tags
    per_inch = _UNITS_PER_INCH.get(tags[_RESOLUTION_UNIT].value if _RESOLUTION_UNIT in tags else 2)
    if per_inch is None or _X_RESOLUTION not in tags or _Y_RESOLUTION not in tags:
        return None
    try:
        across, down = (
            top / bottom * per_inch for top, bottom in (tags[_X_RESOLUTION].value, tags[_Y_RESOLUTION].value)
        )
    except (TypeError, ValueError, ZeroDivisionError):
        return None  # malformed; a photo is worth more than its resolution
    return (across, down) if min(across, down) > 0 else None


def _encoding(page: tifffile.TiffPage) -> dict[str, Any]:
    """The source's compression where it loses nothing, otherwise deflate."""
    compression = _COMPRESSIONS.get(page.compression, "adobe_deflate")
    encoding: dict[str, Any] = {"compression": compression}
    encoding["predictor"] = page.predictor != 1 and compression in _WITH_PREDICTOR
    if page.extrasamples:
        encoding["alpha"] = tifffile.EXTRASAMPLE(page.extrasamples[0]).name.lower()
    return encoding
