"""Files are written whole or not at all."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from m2aenet_core.atomic import (
    atomic_path,
    exists,
    explain_write_error,
    require_writable,
    write_atomic,
    write_together,
)
from m2aenet_core.errors import InputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_the_target_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "new" / "weights.safetensors"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".safetensors"
        temporary.write_bytes(b"content")
        assert not target.exists()
    assert target.read_bytes() == b"content"
    assert names(target.parent) == ["weights.safetensors"]


@pytest.mark.parametrize("failure", [ValueError("a bug"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_the_older_file_and_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"older")

    def write_half() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise failure

    with pytest.raises(type(failure)):
        write_half()
    assert target.read_bytes() == b"older"
    assert names(tmp_path) == ["a.png"]


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 251 + ".png")
    write_atomic(target, b"content")
    assert target.read_bytes() == b"content"


def test_files_written_together_are_all_absent_when_one_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    contents = {tmp_path / "first.png": b"1", tmp_path / "file" / "second.png": b"2"}
    with pytest.raises(InputError, match=r"second\.png was not written because .* is a file or lies"):
        write_together(contents)
    assert names(tmp_path) == ["file"]


def test_a_path_below_a_file_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for target in (tmp_path / "file" / "out.png", tmp_path / "file" / "sub" / "out.png"):
        with pytest.raises(InputError, match="is a file or lies below one; choose another folder"):
            write_atomic(target, b"content")
    assert names(tmp_path) == ["file"]


def test_a_folder_of_that_name_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "out.png").mkdir()
    with pytest.raises(InputError, match="there is a folder of that name"):
        write_atomic(tmp_path / "out.png", b"content")
    assert names(tmp_path) == ["out.png"]


def test_a_name_that_the_system_refuses_to_look_for_gets_a_sentence(tmp_path: Path) -> None:
    for ask in (exists, require_writable):
        with pytest.raises(InputError, match="its name is too long for the file system"):
            ask(tmp_path / ("n" * 300) / "out.png")


def test_a_trial_leaves_nothing_and_tells_how_the_disk_takes_names(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    is_apart = not (tmp_path / "A.png").exists()
    assert require_writable(tmp_path / "new" / "deep" / "out.png") == is_apart
    assert names(tmp_path) == ["a.png"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that refuses new files")
def test_an_unwritable_folder_gets_a_sentence() -> None:
    with pytest.raises(InputError, match=r"was not written because .*; "):
        write_atomic(Path("/proc/out.png"), b"content")


def test_a_file_over_the_size_limit_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="file size limits are a POSIX matter")
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from m2aenet_core.atomic import write_atomic\n"
        "from m2aenet_core.errors import InputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    write_atomic(Path(sys.argv[1]), b'x' * 5000)\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    target = tmp_path / "big.bin"
    done = subprocess.run([sys.executable, "-c", program, str(target)], capture_output=True, text=True, check=True)
    assert "is larger than a file may be here" in done.stdout
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO, errno.ENAMETOOLONG])
def test_every_refusal_names_the_file_and_says_what_to_do(number: int) -> None:
    sentence = explain_write_error(OSError(number, "refused"), "out/photo.png")
    assert sentence.startswith("out/photo.png was not written because ")
    assert "; " in sentence
