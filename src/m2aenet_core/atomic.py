"""Writes that are whole or absent: a temporary file beside the target, renamed into place when it is complete."""

import errno
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from m2aenet_core.errors import InputError

_FULL = "the disk is full; free some space and run again"
_UNWRITABLE = "the folder {folder} is not writable; choose another folder"
_NOT_A_FOLDER = "{folder} is a file or lies below one; choose another folder"
_REASONS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "it is larger than a file may be here; raise the file size limit or choose another disk",
    errno.EACCES: _UNWRITABLE,
    errno.EPERM: _UNWRITABLE,
    errno.EROFS: _UNWRITABLE,
    errno.ENOENT: "the folder {folder} cannot be made; choose another folder",
    errno.ENOTDIR: _NOT_A_FOLDER,
    errno.EEXIST: _NOT_A_FOLDER,
    errno.EISDIR: "there is a folder of that name; choose another name",
    errno.ENAMETOOLONG: "its name is too long for the file system; choose a shorter one",
}


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """A temporary path beside `target`, with its suffix, that replaces `target` when the block ends well.

    Missing parent folders are made. Whatever ends the block early, Ctrl-C included, removes the temporary file, and an
    older `target` stays as it was. Writers that hide the cause of a failure (safetensors, Pillow) are better given a
    buffer, with `write_atomic` for its bytes.

    Raises:
        InputError: a full disk, an unwritable folder or another refusal of the system, in a sentence.
    """
    target = Path(target)
    # the name is short and does not hold the target's, which may already be as long as the file system allows
    temporary = target.parent / f".{uuid.uuid4().hex[:12]}.tmp{target.suffix}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(target))
        yield temporary
        _flush_to_disk(temporary)
        temporary.replace(target)
    except OSError as error:
        raise InputError(explain_write_error(error, target)) from error
    finally:
        _remove(temporary)


def write_atomic(target: str | Path, content: bytes) -> None:
    """`target` holds `content`, or what it held before. Raises InputError as `atomic_path` does."""
    write_together({Path(target): content})


def encode_text(text: str) -> bytes:
    """The bytes of a text file: UTF-8, and of a file name that is not UTF-8 what JSON reads as the same name again."""
    return text.encode(errors="backslashreplace")


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Every target holds its bytes; when one of them cannot be written, none of them is.

    All temporary files are on the disk before one is renamed, so a disk that fills up on the way changes nothing. The
    first target is renamed last: where it is, the others are.

    Raises:
        InputError: as `atomic_path`.
    """
    with ExitStack() as stack:
        for target, content in contents.items():
            temporary = stack.enter_context(atomic_path(target))
            try:
                temporary.write_bytes(content)
                _flush_to_disk(temporary)
            except OSError as error:
                raise InputError(explain_write_error(error, target)) from error


class _Writable(Exception):  # noqa: N818 - good news
    """Ends a trial write before it replaces anything."""


def require_writable(target: Path) -> bool:
    """Begin to write `target` and take it back, new folders included; better now than after an hour of work.

    Returns whether the disk tells capitals and small letters apart: where not, `A.png` and `a.png` are one file.

    Raises:
        InputError: as `atomic_path`.
    """
    new_folders = [folder for folder in target.parents if not exists(folder)]
    try:
        with suppress(_Writable), atomic_path(target) as temporary:
            temporary.touch()
            tells_case_apart = not temporary.with_name(temporary.name.swapcase()).exists()
            raise _Writable
    finally:
        with suppress(OSError):
            for folder in new_folders:
                folder.rmdir()
    return tells_case_apart


def require_free(target: Path, *, overwrite: bool) -> None:
    """Raise InputError where there is something of this name and `overwrite` does not allow that it is replaced."""
    if not overwrite and exists(target):
        raise InputError(f"{target} exists; choose another name or allow overwriting")


def exists(target: Path) -> bool:
    """Whether there is a file or folder of this name. Raises InputError where the system does not tell."""
    try:
        return target.exists()
    except OSError as error:
        raise InputError(explain_write_error(error, target)) from error


def explain_write_error(error: OSError, target: str | Path) -> str:
    """A sentence that says why `target` was not written and what to do."""
    target = Path(target)
    reason = _REASONS.get(error.errno or 0, f"the system refused ({error.strerror or error}); check the disk")
    return f"{target} was not written because " + reason.format(folder=target.parent)


def _flush_to_disk(path: Path) -> None:
    """Wait until the file is on the disk: some file systems report a full disk only now."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # below a file, or on a file system that vanished: there is nothing left to remove
        return
