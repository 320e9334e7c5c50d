"""What a call of `m2aenet deblur` reads and writes: decided, and checked, before any work."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from m2aenet_core.atomic import exists, require_writable
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import FORMAT_BY_SUFFIX, format_of

PRODUCTS = {
    "mask": "_mask.png",
    "blur_probability": "_blur_probability.png",
    "displacements": "_trajectories.npz",
    "trajectory_figure": "_trajectories.png",
    "side_by_side_figure": "_side_by_side.png",
}
"""What can be written beside a restored photo, and how its name goes on after the photo's."""

SAVED_BY_OPTION = {
    "save_mask": ("mask",),
    "save_probability": ("blur_probability",),
    "save_trajectories": ("displacements",),
    "save_figure": ("trajectory_figure", "side_by_side_figure"),
}
"""The products that each option of the command asks for."""

_SUFFIX_OF = {"png": ".png", "tif": ".tif"}


class FilesExistError(InputError):
    """Files that would be replaced are there already. `first` is one of them."""

    def __init__(self, first: Path, more: int) -> None:
        others = f" (and {more} more)" if more else ""
        super().__init__(f"{first}{others} exists; choose another folder with -o, or add --overwrite")
        self.first = first


@dataclass(frozen=True)
class PlannedPhoto:
    """A photo to restore and the files to write for it."""

    source: Path
    outputs: dict[str, Path]
    """By product; `restored` and `record` are always there."""


@dataclass(frozen=True)
class Plan:
    """The photos of a call, and a sentence for every input that is none."""

    photos: list[PlannedPhoto]
    problems: list[str]


def make_plan(
    inputs: Sequence[Path],
    out: Path,
    *,
    products: Iterable[str] = (),
    recursive: bool = False,
    file_format: str = "keep",
) -> Plan:
    """The plan for files and folders; nothing is read or written yet.

    Args:
        inputs: a file becomes `out/name`; a folder's photos keep their place below it.
        out: the folder to write to. Where it lies inside an input folder, its photos are left out.
        products: keys of `PRODUCTS`.
        recursive: take the photos of sub-folders too.
        file_format: `keep`, `png` or `tif`.
    """
    products = list(products)
    photos: dict[tuple[Path, Path], PlannedPhoto] = {}
    problems: list[str] = []
    for source in inputs:
        try:
            is_folder = source.is_dir()
            if not is_folder and not source.exists() and source.suffix.lower() not in FORMAT_BY_SUFFIX:
                # a folder whose name was mistyped is no image file with a wrong ending
                problems.append(f"{source} does not exist; check its name")
                continue
        except OSError as error:
            problems.append(_unreadable(source, error))
            continue
        found, unread = _photos_below(source, out, recursive) if is_folder else ([source], [])
        problems += unread
        if not found and not unread:
            hint = "" if recursive else ", or take its sub-folders too (--recursive)"
            problems.append(f"{source} holds no photos ({', '.join(FORMAT_BY_SUFFIX)}); name another folder{hint}")
        for path in found:
            place = path.relative_to(source) if is_folder else Path(path.name)
            try:
                restored = out / _renamed(place, file_format)
            except InputError as error:
                problems.append(str(error))
                continue
            # the same photo named twice, by itself and by its folder, is restored once
            photos.setdefault((path.resolve(), restored), PlannedPhoto(path, _outputs(restored, products)))
    return Plan(list(photos.values()), problems)


def check_plan(plan: Plan, *, overwrite: bool = False, also_read: Iterable[Path] = ()) -> None:
    """See that every planned file may be written.

    Args:
        plan: what is to be written.
        overwrite: existing files may be replaced; inputs never.
        also_read: further files of the call that must stay, such as the mask.

    Raises:
        InputError: two photos would write the same file, a file exists, a file is an input of this call, or the
            folder is not writable.
    """
    _require_distinct(plan)
    read = [*(photo.source for photo in plan.photos), *also_read]
    inputs, files = {path.resolve() for path in read}, {_file_of(path) for path in read} - {None}
    existing = []
    for target in _targets(plan):
        is_there = exists(target)
        # a file has other names where a disk takes capitals for small letters, or is mounted twice
        if target.resolve() in inputs or _file_of(target) in files:
            raise InputError(f"{target} would replace an input; choose another output folder (-o)")
        if is_there:
            existing.append(target)
    if existing and not overwrite:
        raise FilesExistError(existing[0], len(existing) - 1)
    if plan.photos:
        tells_case_apart = require_writable(plan.photos[0].outputs["restored"])
        if not tells_case_apart:
            _require_distinct(plan, lambda target: unicodedata.normalize("NFC", str(target)).casefold())


def _photos_below(folder: Path, out: Path, recursive: bool) -> tuple[list[Path], list[str]]:
    """The photos of a folder, sorted, and a sentence for each file and folder in it that may not be read."""
    out = out.resolve()
    holds_outputs = not folder.resolve().is_relative_to(out)
    photos: list[Path] = []
    problems: list[str] = []
    for path in _files_below(folder, recursive, problems):
        try:
            is_photo = path.suffix.lower() in FORMAT_BY_SUFFIX and path.is_file()
        except OSError as error:
            problems.append(_unreadable(path, error))
            continue
        if is_photo and not (holds_outputs and path.resolve().is_relative_to(out)):
            photos.append(path)
    return sorted(photos), problems


def _files_below(folder: Path, recursive: bool, problems: list[str]) -> list[Path]:
    """What is no folder, without what is hidden; a sentence for each folder that may not be read goes to `problems`."""
    files: list[Path] = []
    unread = problems.append
    for where, folders, names in os.walk(folder, onerror=lambda error: unread(_unreadable(error.filename, error))):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        files += [Path(where, name) for name in names if not name.startswith(".")]
    return files


def _unreadable(path: str | Path, error: OSError) -> str:
    return f"{path} cannot be read ({error.strerror or error}); check its permissions"


def _renamed(place: Path, file_format: str) -> Path:
    suffix = _SUFFIX_OF.get(file_format)
    if suffix is None:
        format_of(place)
        return place
    is_already = FORMAT_BY_SUFFIX.get(place.suffix.lower()) == FORMAT_BY_SUFFIX[suffix]
    return place if is_already else place.with_suffix(suffix)


def _outputs(restored: Path, products: Iterable[str]) -> dict[str, Path]:
    beside = {product: restored.with_name(restored.stem + PRODUCTS[product]) for product in products}
    # the record first: `write_together` puts the first file in place last, so a record means that all is there
    return {"record": restored.with_name(restored.name + ".json"), "restored": restored, **beside}


def _targets(plan: Plan) -> list[Path]:
    """Every file of the plan; of each photo the record last, as sentences name the first."""
    return [
        target
        for photo in plan.photos
        for target in sorted(photo.outputs.values(), key=lambda path: path.suffix == ".json")
    ]


def _file_of(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None where there is none, or the system does not tell."""
    try:
        state = path.stat()
    except OSError:
        return None
    return (state.st_dev, state.st_ino) if state.st_ino else None


def _require_distinct(plan: Plan, name: Callable[[Path], str] = str) -> None:
    """Raise InputError where two photos would write one file; name: what the disk knows a file by."""
    writer: dict[str, Path] = {}
    for photo in plan.photos:
        for target in photo.outputs.values():
            other = writer.setdefault(name(target), photo.source)
            if other is not photo.source:
                raise InputError(
                    f"{other} and {photo.source} would both be written to {target}; deblur them into different folders"
                )
