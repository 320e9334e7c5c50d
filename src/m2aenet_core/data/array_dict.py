"""Arrays out of a pickled dict in an .npy file, without running anything that the file names.

LMD-ViT's samples are such files. To unpickle a file is to call whatever functions it asks for; even numpy's own take
states that can damage memory. Here the pickle meets only recorders that note what it says about each array; the arrays
are then made from the notes, after they were checked.
"""

from __future__ import annotations

import ast
import io
import math
import pickle  # noqa: TID251 - its machine is used, with nothing to call
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.errors import InputError

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}  # of the header's length, by the format's major version
_PLAIN_DTYPE = re.compile(r"[biuf][1248]")
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """Something in the file that is not part of a dict of plain arrays."""


class _Recorder:
    """Stands for a function or class of numpy that the pickle names; has no state that the pickle could change."""

    __slots__ = ()


class _ArrayNote(_Recorder):
    __slots__ = ("state",)

    def __setstate__(self, state: object) -> None:
        self.state = state


class _DtypeNote(_Recorder):
    __slots__ = ("name", "order")

    def __init__(self, name: object) -> None:
        self.name, self.order = name, "|"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = state[1]


class _ArrayClass(_Recorder):
    __slots__ = ()


class _ArrayMaker(_Recorder):
    """Stands for the function that makes an empty array, to be filled by its state."""

    __slots__ = ()

    def __call__(self, *_: object) -> _ArrayNote:
        return _ArrayNote()


class _ScalarMaker(_Recorder):
    """Stands for the function that makes a number of numpy's; no number is wanted."""

    __slots__ = ()

    def __call__(self, *_: object) -> _Recorder:
        return _Recorder()


class _DtypeMaker(_Recorder):
    __slots__ = ()

    def __call__(self, name: object, *_: object) -> _DtypeNote:
        return _DtypeNote(name)


class _RecordingUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Recorder:
        if module in _ARRAY_MODULES and name == "_reconstruct":
            return _ArrayMaker()
        if module in _ARRAY_MODULES and name == "scalar":
            return _ScalarMaker()
        if (module, name) == ("numpy", "ndarray"):
            return _ArrayClass()
        if (module, name) == ("numpy", "dtype"):
            return _DtypeMaker()
        raise _Refused(f"asks for {module}.{name}")


def read_array_dict(path: str | Path) -> dict[str, NDArray[Any]]:
    """Give the arrays of a dict that was saved with `numpy.save(path, {...})`, read-only, by their names.

    Values that are no arrays are left out. Raises InputError for everything else in the file, and for anything but
    such a file; nothing that the file names is called or imported.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); check its name and permissions"
        ) from error
    if not content:
        raise InputError(f"{path} is empty (0 bytes); copy it again from where it came")
    try:
        return _arrays(_RecordingUnpickler(io.BytesIO(_pickled(content))).load())
    except _Refused as error:
        raise InputError(f"{path} {error}, and only a dict of plain arrays is read; save it as PNG files") from error
    except Exception as error:  # a damaged pickle raises whatever it leads to
        raise InputError(f"{path} is damaged or cut short ({error}); copy it again from where it came") from error


def _pickled(content: bytes) -> bytes:
    """Give what follows the header of an .npy file that holds one object."""
    if not content.startswith(_MAGIC) or len(content) < 12 or content[6] not in _LENGTH_BYTES:
        raise _Refused("is no .npy file")
    start = 8 + _LENGTH_BYTES[content[6]]
    end = start + int.from_bytes(content[8:start], "little")
    header = ast.literal_eval(content[start:end].decode("latin1").strip())
    if not isinstance(header, Mapping) or header.get("descr") not in ("|O", "O") or header.get("shape") != ():
        raise _Refused("holds an array instead of a dict")
    return content[end:]


def _arrays(outer: object) -> dict[str, NDArray[Any]]:
    state = outer.state if isinstance(outer, _ArrayNote) else None
    # an array state is (version, shape, dtype, is_fortran, content)
    content = state[4] if isinstance(state, tuple) and len(state) == 5 else None
    if not isinstance(content, list) or len(content) != 1 or not isinstance(content[0], dict):
        raise _Refused("holds no dict")
    return {str(name): _array(note.state) for name, note in content[0].items() if isinstance(note, _ArrayNote)}


def _array(state: object) -> NDArray[Any]:
    if not isinstance(state, tuple) or len(state) != 5:
        raise _Refused("holds an array of an unknown form")
    _, shape, dtype, is_fortran, content = state
    if not isinstance(dtype, _DtypeNote) or not _PLAIN_DTYPE.fullmatch(str(dtype.name)):
        raise _Refused("holds an array of no plain numbers")
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise _Refused("holds an array without a shape")
    values = np.frombuffer(content, np.dtype(f"{dtype.order}{dtype.name}"))
    if values.size != math.prod(shape):
        raise _Refused(f"holds {values.size} values for an array of the shape {shape}")
    return values.reshape(shape, order="F" if is_fortran else "C")
