"""EXIF kept byte for byte: only what turning the pixels upright makes false is changed.

Pillow writes EXIF anew and loses what it does not know, so the bytes are edited in place here. EXIF is a small TIFF
file: a header with the byte order, then directories (IFDs) of twelve-byte entries: tag, type, count, and the value or
where it lies.
"""

import io
import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from PIL import Image

_ORDERS: dict[bytes, Literal["<", ">"]] = {b"II": "<", b"MM": ">"}
_BYTES_PER_VALUE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}

IMAGE_WIDTH, IMAGE_LENGTH, ORIENTATION = 0x0100, 0x0101, 0x0112
EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 0x8769, 0x8825, 0xA005
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003
_SUB_IFDS = (EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD)

# of a TIFF's first directory, the entries that describe the photo and not how its pixels are stored: title, make,
# model, resolution, software, date, artist, host, rating, copyright, Windows' titles and keywords
_DESCRIPTIVE = (
    270,
    271,
    272,
    282,
    283,
    296,
    305,
    306,
    315,
    316,
    18246,
    33432,
    *range(0x9C9B, 0x9CA0),
    EXIF_IFD,
    GPS_IFD,
)


class _Entry(NamedTuple):
    tag: int
    position: int  # of its twelve bytes
    size: int  # of its value, in bytes; over four, the value lies elsewhere


def upright_exif(exif: bytes, *, is_turned: bool) -> bytes:
    """`exif` for a photo that was turned upright: orientation 1, without the thumbnail of the unrestored photo.

    Args:
        exif: EXIF bytes, with or without the `Exif` prefix of JPEG; returned without.
        is_turned: rows became columns, so the width and height that EXIF holds change places.

    Raises:
        ValueError: `exif` is malformed.
    """
    data = bytearray(exif.removeprefix(b"Exif\0\0"))
    try:
        first = _first_directory(data)
        _set_orientation(data, first)
        entries = {entry.tag: entry for entry in _all_entries(data, first)}
        if is_turned:
            _swap_values(data, entries, IMAGE_WIDTH, IMAGE_LENGTH)
            _swap_values(data, entries, PIXEL_WIDTH, PIXEL_HEIGHT)
        _unlink_thumbnail(data, first)
    except (struct.error, KeyError, IndexError) as error:
        raise ValueError("the EXIF data are malformed") from error
    return bytes(data)


def exif_of_tiff(content: bytes) -> bytes | None:
    """The descriptive tags of a TIFF file as EXIF bytes, or None where there are none or they cannot be read."""
    source, kept = Image.Exif(), Image.Exif()
    try:
        source.load_from_fp(io.BytesIO(content))
        for tag in _DESCRIPTIVE:
            value = source.get_ifd(tag) if tag in _SUB_IFDS else source.get(tag)
            if value:
                kept[tag] = dict(value) if tag in _SUB_IFDS else value
        return kept.tobytes().removeprefix(b"Exif\0\0") if len(kept) else None
    except Exception:  # Pillow raises whatever the malformed tag leads to; a photo is worth more than its tags
        return None


def byte_order(exif: bytes) -> Literal["<", ">"]:
    """`<` or `>`, the order in which `exif` holds its numbers. Raises ValueError where it is malformed."""
    try:
        return _ORDERS[bytes(exif[:2])]
    except KeyError:
        raise ValueError("the EXIF data are malformed") from None


def add_exif_to_tiff(tiff: bytes, exif: bytes) -> bytes:
    """`tiff` with the descriptive tags of `exif` in its first directory; both must have the same byte order.

    The EXIF bytes and a new first directory are appended, and the header points to it; no pixel is moved.
    """
    order = byte_order(tiff)
    base = len(tiff) + len(tiff) % 2
    moved = bytearray(exif)
    first = _first_directory(moved)
    for entry in list(_all_entries(moved, first)):
        if entry.size > 4 or entry.tag in _SUB_IFDS:
            _add(moved, order, entry.position + 8, base)
    added = {entry.tag: bytes(moved[entry.position : entry.position + 12]) for entry in _entries(moved, first)}
    kept = {entry.tag: tiff[entry.position : entry.position + 12] for entry in _entries(tiff, _first_directory(tiff))}
    merged = kept | {tag: entry for tag, entry in added.items() if tag in _DESCRIPTIVE}
    directory = struct.pack(order + "H", len(merged)) + b"".join(merged[tag] for tag in sorted(merged)) + b"\0\0\0\0"
    body = tiff + b"\0" * (base - len(tiff)) + bytes(moved)
    body += b"\0" * (len(body) % 2)
    return body[:4] + struct.pack(order + "I", len(body)) + body[8:] + directory


def _first_directory(data: bytes | bytearray) -> int:
    return int(struct.unpack_from(byte_order(bytes(data[:2])) + "I", data, 4)[0])


def _entries(data: bytes | bytearray, directory: int) -> Iterator[_Entry]:
    order = byte_order(bytes(data[:2]))
    (count,) = struct.unpack_from(order + "H", data, directory)
    for position in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", data, position)
        yield _Entry(tag, position, _BYTES_PER_VALUE[kind] * values)


def _all_entries(data: bytes | bytearray, directory: int) -> Iterator[_Entry]:
    """Entries of the first directory and of those it leads to, each directory once."""
    order = byte_order(bytes(data[:2]))
    waiting, seen = [directory], set[int]()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        entries = list(_entries(data, current))
        waiting += [struct.unpack_from(order + "I", data, e.position + 8)[0] for e in entries if e.tag in _SUB_IFDS]
        yield from entries


def _set_orientation(data: bytearray, directory: int) -> None:
    order = byte_order(bytes(data[:2]))
    for entry in _entries(data, directory):
        if entry.tag == ORIENTATION:
            struct.pack_into(order + "HIHH", data, entry.position + 2, 3, 1, 1, 0)


def _swap_values(data: bytearray, entries: dict[int, _Entry], one: int, other: int) -> None:
    if one in entries and other in entries:
        a, b = entries[one].position + 2, entries[other].position + 2
        data[a : a + 10], data[b : b + 10] = data[b : b + 10], data[a : a + 10]


def _unlink_thumbnail(data: bytearray, directory: int) -> None:
    (count,) = struct.unpack_from(byte_order(bytes(data[:2])) + "H", data, directory)
    struct.pack_into("I", data, directory + 2 + 12 * count, 0)


def _add(data: bytearray, order: str, position: int, amount: int) -> None:
    (value,) = struct.unpack_from(order + "I", data, position)
    struct.pack_into(order + "I", data, position, value + amount)
