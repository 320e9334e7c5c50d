"""All that is wrong with a data set, told at once and before the training: every file is read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from m2aenet_core.data.checked_files import CheckedFiles, Finding, FoundKind, Inspection
from m2aenet_core.data.depth import eight_bits
from m2aenet_core.data.folder import Cutout
from m2aenet_core.data.pair_pixels import (
    PairPixels,
    different_sizes,
    is_array_file,
    of_one_scene,
    read_array_pair,
    read_levels,
    read_mask,
    read_photo,
    size_text,
)
from m2aenet_core.data.pairs import Pair
from m2aenet_core.errors import InputError

Item = TypeVar("Item")
Read = TypeVar("Read")

# a mask has few values, or soft edges between two of them
_MASK_VALUES = 64
_SOFT_EDGE_SHARE = 0.25
_MASK_SAMPLES = 256  # values looked at along each axis


class Problem(NamedTuple):
    """What is wrong with a file of the item of a number; a warning does not stop the training."""

    item: int
    path: Path
    kind: FoundKind
    reason: str
    is_warning: bool

    def __str__(self) -> str:
        return f"{self.path}: {'(only a warning) ' if self.is_warning else ''}{self.reason}"


class Kept(NamedTuple, Generic[Item]):
    """Items to go on with, and a line on what was found and left out; empty where nothing was."""

    items: list[Item]
    note: str


def check_pairs(
    pairs: Sequence[Pair], crop_px: int = 0, record: Path | None = None, show_progress: bool = True
) -> list[Problem]:
    """Read every file of the pairs and give all that is wrong with them.

    Missing, empty and unreadable files, sizes that differ within a pair, photos smaller than the crop, and masks that
    are photos. Warnings: a mask in which nothing is blurred though the photos differ, and photos that do not differ
    though something is said to be blurred.

    Args:
        pairs: what `read_pairs` gave.
        crop_px: height and width of the samples; 0: any size will do.
        record: a JSON file that keeps what was found, so that files that have not changed are not read again.
        show_progress: whether to draw a progress bar.
    """
    names = [[path for path in (pair.blur, pair.sharp, pair.mask) if path is not None] for pair in pairs]
    inspections = _inspected(pairs, names, _inspect_pair, record, show_progress)
    too_small = f", smaller than the crop of {crop_px}; choose a smaller crop_px"
    return _problems([pair.blur for pair in pairs], inspections, crop_px, too_small)


def check_photos(
    paths: Sequence[Path], smallest_px: int = 0, record: Path | None = None, show_progress: bool = True
) -> list[Problem]:
    """Read every sharp photo and give all that is wrong: empty and unreadable files, and sides below smallest_px."""
    inspections = _inspected(paths, [[path] for path in paths], _inspect_photo, record, show_progress)
    too_small = f"; made blur needs photos of at least {smallest_px} pixels"
    return _problems(paths, inspections, smallest_px, too_small)


def check_cutouts(files: Sequence[Cutout], record: Path | None = None, show_progress: bool = True) -> list[Problem]:
    """Read every cut-out and the alpha beside it, and give all that is wrong: empty and unreadable files."""
    names = [[path for path in each if path is not None] for each in files]
    inspections = _inspected(names, names, _inspect_cutout, record, show_progress)
    return _problems([each.photo for each in files], inspections)


def raise_or_skip(items: Sequence[Item], problems: Sequence[Problem], skip_bad: bool = False) -> Kept[Item]:
    """Give what can be trained on, and a line on the rest.

    Without skip_bad warnings are told in the note and their items stay; with it, every item of `problems` is left out.

    Raises:
        InputError: without skip_bad, where a problem is more than a warning, with a line for each; or nothing is left.
    """
    if not problems:
        return Kept(list(items), "")
    bad = {problem.item for problem in problems}
    counts = Counter(problem.kind for problem in problems)
    what = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    if skip_bad:
        kept = [item for number, item in enumerate(items) if number not in bad]
        if not kept:
            raise InputError(f"nothing is left: each of the {len(items)} samples has a problem ({what})")
        return Kept(kept, f"{len(bad)} of {len(items)} samples are left out: {what}")
    if all(problem.is_warning for problem in problems):
        first = problems[0]
        return Kept(
            list(items), f"{len(bad)} of {len(items)} samples look odd and are used: {what}; the first is {first}"
        )
    lines = "\n".join(f"  {problem}" for problem in problems)
    advice = "mend or remove them; --skip-bad goes on without them"
    raise InputError(f"{len(bad)} of {len(items)} samples cannot be used ({what}); {advice}:\n{lines}")


def _inspected(
    items: Sequence[Item],
    files: Sequence[Sequence[Path]],
    inspect: Callable[[Item], Inspection],
    record: Path | None,
    show_progress: bool,
) -> list[Inspection]:
    checked = CheckedFiles(record)

    def inspect_once(number: int) -> Inspection:
        return checked.get(files[number]) or checked.put(files[number], inspect(items[number]))

    threads = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        found = threads.map(inspect_once, range(len(items)))
        return list(tqdm(found, "checking", len(items), unit="sample", disable=not show_progress, dynamic_ncols=True))
    finally:
        # after Ctrl-C too: what is waiting is not begun, and what was found is kept
        threads.shutdown(cancel_futures=True)
        checked.save()


def _problems(
    photos: Sequence[Path], inspections: Sequence[Inspection], smallest_px: int = 0, too_small: str = ""
) -> list[Problem]:
    problems = []
    for item, (path, (size, findings)) in enumerate(zip(photos, inspections, strict=True)):
        problems += [Problem(item, *finding) for finding in findings]
        if size is not None and min(size) < smallest_px:
            problems.append(Problem(item, path, "too small", f"is {size_text(size)}{too_small}", False))
    return problems


def _inspect_photo(path: Path) -> Inspection:
    findings: list[Finding] = []
    photo = _tried(path, read_photo, findings)
    return Inspection(None if photo is None else photo.shape[:2], findings)


def _inspect_cutout(paths: Sequence[Path]) -> Inspection:
    findings: list[Finding] = []
    for path in paths:
        _tried(path, read_photo, findings)
    return Inspection(None, findings)


def _inspect_pair(pair: Pair) -> Inspection:
    findings: list[Finding] = []
    is_array = is_array_file(pair.blur)
    pixels = _tried(pair.blur, read_array_pair, findings) if is_array else _read_each(pair, findings)
    if pixels is None:
        return Inspection(None, findings)
    sizes = [Finding(path, "of another size", reason) for path, reason in different_sizes(pair, pixels)]
    findings += sizes or _odd_contents(pair, pixels)
    return Inspection(pixels.blur.shape[:2], findings)


def _read_each(pair: Pair, findings: list[Finding]) -> PairPixels | None:
    blur, sharp = (_tried(path, read_levels, findings) for path in (pair.blur, pair.sharp))
    mask = None
    if pair.mask is not None:
        read = _tried(pair.mask, read_mask, findings)
        if read is None:
            return None
        mask, values = read
        if not _is_like_a_mask(values):
            reason = "is a picture of many colours and not a mask; give black where nothing is blurred, white elsewhere"
            findings.append(Finding(pair.mask, "no mask", reason))
    return None if blur is None or sharp is None else PairPixels(*of_one_scene(blur, sharp), mask)


def _tried(path: Path, read: Callable[[Path], Read], findings: list[Finding]) -> Read | None:
    try:
        return read(path)
    except InputError as error:
        reason = str(error).removeprefix(f"{path} ")
    if not path.exists():
        findings.append(Finding(path, "missing", "is missing; add it, or remove its partner"))
    else:
        findings.append(Finding(path, "empty file" if not path.stat().st_size else "unreadable", reason))
    return None


def _is_like_a_mask(values: NDArray[Any]) -> bool:
    steps = tuple(slice(None, None, max(1, side // _MASK_SAMPLES)) for side in values.shape[:2])
    samples = eight_bits(np.nan_to_num(values[steps])).astype(np.int32)
    # one number for each colour: sorting numbers is a hundred times as quick as sorting rows
    colours = samples if samples.ndim == 2 else samples[..., :3] @ np.array([1, 256, 65536], np.int32)
    _, counts = np.unique(colours, return_counts=True)
    soft = 1 - np.sort(counts)[-2:].sum() / counts.sum()
    return len(counts) <= _MASK_VALUES or bool(soft <= _SOFT_EDGE_SHARE)


def _odd_contents(pair: Pair, pixels: PairPixels) -> list[Finding]:
    is_blurred = pixels.mask is None or bool(pixels.mask.any())
    do_differ = not np.array_equal(pixels.blur, pixels.sharp)
    if not is_blurred and do_differ:
        reason = "says that nothing is blurred, but the photos differ"
        return [Finding(pair.mask or pair.blur, "with an empty mask", reason, is_warning=True)]
    if is_blurred and not do_differ:
        return [Finding(pair.sharp, "without blur", "is the same picture as the blurred photo", is_warning=True)]
    return []
