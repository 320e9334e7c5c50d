"""Arrays out of a pickled dict: all of what is wanted, and nothing that a stranger's file asks for."""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from m2aenet_core.data.array_dict import read_array_dict
from m2aenet_core.errors import InputError


def npy_of(pickled: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + pickled


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float32", "float64", ">f4", "<i8", "int64", "uint16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_as_they_were_saved(tmp_path: Path, rng: np.random.Generator, dtype: str, order: str) -> None:
    whole = (rng.random((5, 7, 3)) * 2).astype(dtype)
    arrays = {"photo": np.asarray(whole, order=order), "mask": whole[..., 0], "none": whole[:0]}  # type: ignore[call-overload]
    np.save(tmp_path / "a.npy", arrays)  # type: ignore[arg-type]
    found = read_array_dict(tmp_path / "a.npy")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def test_files_of_older_numpys_are_read_too(tmp_path: Path, rng: np.random.Generator) -> None:
    photo = rng.integers(0, 256, (5, 7, 3), np.uint8)
    holder = np.empty((), object)
    holder[()] = {"photo": photo}
    new = pickle.dumps(holder, protocol=3)
    old = new.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    for content in {new, old}:
        (tmp_path / "a.npy").write_bytes(npy_of(content))
        assert np.array_equal(read_array_dict(tmp_path / "a.npy")["photo"], photo)


def test_what_is_no_array_is_left_out(tmp_path: Path) -> None:
    mixed = {"photo": np.ones(3), "name": "s01", "scale": np.float64(2), "boxes": [1, 2]}
    np.save(tmp_path / "a.npy", mixed)  # type: ignore[arg-type]
    assert list(read_array_dict(tmp_path / "a.npy")) == ["photo"]


class Call:
    """Pickled, it asks for a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize(
    ("function", "name"), [(os.system, "system"), (exec, "exec"), (os.mkdir, "mkdir"), (np.save, "save")]
)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("is_whole", [True, False], ids=["instead", "inside"])
def test_a_file_that_asks_for_a_call_is_refused_and_nothing_is_called(
    tmp_path: Path, function: Callable[..., object], name: str, protocol: int, is_whole: bool
) -> None:
    trace = tmp_path / "trace"
    arguments: dict[str, tuple[object, ...]] = {
        "system": (f"touch {trace}",),
        "exec": (f"open({str(trace)!r}, 'w').close()",),
        "mkdir": (str(trace),),
        "save": (str(trace) + ".npy", 1),
    }
    holder = np.empty((), object)
    holder[()] = {"photo": np.ones(3), "more": Call(function, *arguments[name])}
    content = pickle.dumps(Call(function, *arguments[name]) if is_whole else holder, protocol)
    (tmp_path / "a.npy").write_bytes(npy_of(content))
    with pytest.raises(InputError, match=r"a\.npy asks for [\w.]+, and only a dict of plain arrays is read"):
        read_array_dict(tmp_path / "a.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
    # the very same file does call, where it is trusted
    with warnings.catch_warnings(action="ignore"):
        np.load(tmp_path / "a.npy", allow_pickle=True)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_array_of_objects_made_of_bytes_is_refused(tmp_path: Path) -> None:
    """Numpy itself, told that objects are plain bytes, would take the bytes for addresses."""
    content = (
        b"\x80\x03cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
        b"(K\x01)cnumpy\ndtype\nX\x02\x00\x00\x00O8\x89\x88\x87R"
        b"(K\x03X\x01\x00\x00\x00|NNNK\xffK\xffK\x00tb\x89"
    )
    inner = content + b"C\x08AAAAAAAAtb."
    (tmp_path / "a.npy").write_bytes(npy_of(inner))
    with pytest.raises(InputError, match=r"a\.npy holds no dict, and only a dict of plain arrays"):
        read_array_dict(tmp_path / "a.npy")
    # the same, as the value of a dict
    holder = np.empty((), object)
    holder[()] = {"photo": np.array([object], object)}
    (tmp_path / "a.npy").write_bytes(npy_of(pickle.dumps(holder, 3).replace(b"cbuiltins\nobject\n", b"C\x08AAAAAAAA")))
    with pytest.raises(InputError, match=r"a\.npy holds an array of no plain numbers"):
        read_array_dict(tmp_path / "a.npy")


def test_a_pickle_cannot_change_what_the_next_file_meets(tmp_path: Path) -> None:
    # BUILD with a dict and with slots, on what stands for numpy's functions
    for name in (b"numpy\ndtype\n", b"numpy\nndarray\n", b"numpy._core.multiarray\n_reconstruct\n"):
        for state in (b"}X\x01\x00\x00\x00aK\x01s", b"N}X\x08\x00\x00\x00__call__K\x01s\x86"):
            (tmp_path / "a.npy").write_bytes(npy_of(b"\x80\x03c" + name + state + b"b."))
            with pytest.raises(InputError):
                read_array_dict(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", {"photo": np.arange(3)})  # type: ignore[arg-type]
    assert read_array_dict(tmp_path / "a.npy")["photo"].tolist() == [0, 1, 2]


def test_a_shape_that_its_bytes_do_not_fill_is_refused(tmp_path: Path) -> None:
    holder = np.empty((), object)
    holder[()] = {"photo": np.zeros((2, 3), np.uint8)}
    content = pickle.dumps(holder, 3).replace(b"K\x02K\x03\x86", b"K\x02K\x63\x86")
    (tmp_path / "a.npy").write_bytes(npy_of(content))
    with pytest.raises(InputError, match=r"holds 6 values for an array of the shape \(2, 99\)"):
        read_array_dict(tmp_path / "a.npy")


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, value)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"not an array", "is no .npy file"),
        (saved(np.ones(3)), "holds an array instead of a dict"),
        (saved(np.array([1, "a"], object)), "holds an array instead of a dict"),
        (npy_of(pickle.dumps({"photo": 1})), "holds no dict"),
        (saved({"photo": np.ones(300)})[:-900], "is damaged or cut short"),
        (saved({"photo": np.ones(300)})[:100], "is damaged or cut short"),
    ],
    ids=["empty", "text", "array", "objects", "bare", "cut", "header"],
)
def test_what_is_no_such_file_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.npy {sentence}"):
        read_array_dict(tmp_path / "a.npy")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.npy cannot be read"):
        read_array_dict(tmp_path / "gone.npy")
