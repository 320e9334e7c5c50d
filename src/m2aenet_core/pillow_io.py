"""JPEG, PNG, WebP and BMP, and the TIFF files whose colours Pillow has to convert; `image_io` is the way in."""

import io
import struct
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from m2aenet_core.errors import InputError
from m2aenet_core.exif import ORIENTATION, exif_of_tiff
from m2aenet_core.stored_image import StoredImage

_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
# what many telephones write under the name .jpg: a JPEG with a second picture behind it, which the JPEG reader turns up
_JPEG_PAIR = "MPO"
# The restored detail is what the file is for: it is not given to coarse tables, nor to halved colour below.
_FINE_ENCODING: Mapping[str, Mapping[str, Any]] = {"JPEG": {"quality": 95}, "WEBP": {"quality": 95, "method": 4}}
_TABLE_SUM_AT_QUALITY_95 = 369
_MAX_JPEG_EXIF_BYTES = 65_533
_NEW_SUBFILE_TYPE, _REDUCED = 254, 1  # tag of a TIFF's page, and its bit for a preview of another one
_X_RESOLUTION = 282
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_END = 33  # the signature, then the IHDR chunk, which is always first and 25 bytes long


def decode_with_pillow(content: bytes) -> tuple[str, StoredImage]:
    """The format of `content` and the image in it, in one of the layouts of `StoredImage`.

    Raises:
        InputError: several frames, or a colour model without a conversion; the sentence lacks the file's name.
        Exception: whatever Pillow or libpng raise on other files, damaged files and huge ones.
    """
    # what costs the photo is raised; warnings tell of odd EXIF, and of reaching half of the limit
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        file_format = "JPEG" if image.format == _JPEG_PAIR else str(image.format)
        frames = getattr(image, "n_frames", 1)
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            _seek_photo(image, frames)
        elif frames > 1 and image.format != _JPEG_PAIR:
            raise InputError(f"holds {frames} frames, and a photo has one; save each frame as a file of its own")
        image.load()
        profile = image.info.get("icc_profile")
        if _is_deep_png(content):
            samples = imagecodecs.png_decode(content)
        else:
            samples, profile = _samples(image, profile)
        return file_format, StoredImage(
            samples=samples,
            orientation=_orientation(image),
            icc_profile=profile,
            exif=exif_of_tiff(content) if file_format == "TIFF" else _exif(image),
            dpi=_dpi(image),
            encoding=_encoding(image, content),
        )


def encode_with_pillow(samples: np.ndarray, file_format: str, like: StoredImage) -> bytes:
    """A JPEG, PNG, WebP or BMP file of `samples`, with what `like` holds beside its own samples.

    `like.encoding` is that of the same format, or empty. PNG takes uint16 as well as uint8, the others uint8.
    """
    if samples.dtype == np.uint16:
        return _encode_deep_png(samples, like)
    exif = b"Exif\0\0" + like.exif if like.exif else None
    options: dict[str, Any] = {"icc_profile": like.icc_profile, "exif": exif, "dpi": like.dpi}
    options = {name: value for name, value in options.items() if value is not None}
    options |= like.encoding or _FINE_ENCODING.get(file_format, {})
    if file_format == "JPEG":
        options |= {"subsampling": "4:4:4", "optimize": True}
    if file_format == "JPEG" and exif and len(exif) > _MAX_JPEG_EXIF_BYTES:
        del options["exif"]  # a JPEG segment cannot hold it; it came from another format
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, format=file_format, **options)
    return buffer.getvalue()


def _seek_photo(image: TiffImagePlugin.TiffImageFile, frames: int) -> None:
    """Go to the photo among its previews; `tiff_io` has seen that there is one."""
    for frame in range(frames):
        image.seek(frame)
        if not image.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & _REDUCED:
            return


def _samples(image: Image.Image, profile: bytes | None) -> tuple[np.ndarray, bytes | None]:
    """The samples in a layout of `StoredImage`, and the colour profile that is true for them."""
    has_transparency = "transparency" in image.info
    match image.mode:
        case "L" | "LA" | "RGB" | "RGBA" if not has_transparency:
            return np.array(image), profile
        case "1":
            return np.array(image.convert("L")), profile
        case "L":
            return np.array(image.convert("LA")), profile
        case "P" | "PA" | "RGB" | "RGBa" | "RGBX":
            with_alpha = has_transparency or image.mode in ("PA", "RGBa")
            return np.array(image.convert("RGBA" if with_alpha else "RGB")), profile
        case "I" | "I;16" | "I;16B" | "I;16L" | "I;16N":
            return np.array(image).astype(np.uint16), profile
        case "CMYK" | "LAB":
            return _to_srgb(image, profile)
        case "YCbCr" | "HSV":
            return np.array(image.convert("RGB")), profile
    raise InputError(f"has colours of a kind ({image.mode}) that is not known here; save it as RGB")


def _to_srgb(image: Image.Image, profile: bytes | None) -> tuple[np.ndarray, bytes | None]:
    """CMYK by its own profile, if it has one, else by the plain formula; Lab by its definition."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    if image.mode == "LAB":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    elif profile:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    else:
        return np.array(image.convert("RGB")), None
    try:
        converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
    except ImageCms.PyCMSError as error:
        raise InputError(f"has a colour profile that does not fit its {image.mode} colours; save it as RGB") from error
    return np.array(converted), srgb.tobytes()


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # malformed EXIF raises many things, and says nothing about the pixels
        return 1
    return value if value in range(1, 9) else 1


def _exif(image: Image.Image) -> bytes | None:
    exif = image.info.get("exif")
    return exif.removeprefix(b"Exif\0\0") if isinstance(exif, bytes) else None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    if isinstance(image, TiffImagePlugin.TiffImageFile) and _X_RESOLUTION not in image.tag_v2:
        return None  # Pillow would say 1
    dpi = image.info.get("dpi")
    return (float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None


def _encoding(image: Image.Image, content: bytes) -> dict[str, Any]:
    tables = getattr(image, "quantization", None)
    if tables and image.mode in ("L", "RGB") and sum(tables[0]) <= _TABLE_SUM_AT_QUALITY_95:
        return {"qtables": tables}  # finer than ours: what was not restored comes back nearly unchanged
    if image.format == "WEBP" and b"VP8L" in _riff_chunks(content):
        return {"lossless": True, "exact": True}
    return {}


def _riff_chunks(content: bytes) -> list[bytes]:
    """The names of the chunks of a RIFF file; a colour profile comes before the pixels, and may be long."""
    names, at = [], 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        names.append(name)
        at += 8 + size + size % 2
    return names


def _is_deep_png(content: bytes) -> bool:
    return content.startswith(_PNG_SIGNATURE) and content[24] == 16


def _encode_deep_png(samples: np.ndarray, like: StoredImage) -> bytes:
    png = bytes(imagecodecs.png_encode(samples))
    chunks = b""
    if like.icc_profile:
        chunks += _png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(like.icc_profile))
    if like.dpi:
        chunks += _png_chunk(b"pHYs", struct.pack(">IIB", *(round(dpi / 0.0254) for dpi in like.dpi), 1))
    if like.exif:
        chunks += _png_chunk(b"eXIf", like.exif)
    return png[:_PNG_HEADER_END] + chunks + png[_PNG_HEADER_END:]


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
