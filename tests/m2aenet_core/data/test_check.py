"""What a check says of a data set before the training."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2aenet_core.data import check, checked_files
from m2aenet_core.data.check import Kept, Problem, check_cutouts, check_pairs, check_photos, raise_or_skip
from m2aenet_core.data.folder import find_cutouts
from m2aenet_core.data.pairs import Pair, read_pairs
from m2aenet_core.errors import InputError

Save = Callable[[Path, np.ndarray], Path]
Scene = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]
Write = Callable[[str], None]
SIZE = (40, 60)


@pytest.fixture
def write(tmp_path: Path, save: Save, scene: Scene) -> Write:
    """Write the three files of a pair in which nothing is wrong."""

    def one(name: str) -> None:
        blur, sharp, mask = scene(*SIZE)
        save(tmp_path / "blur" / f"{name}.png", blur)
        save(tmp_path / "sharp" / f"{name}.png", sharp)
        save(tmp_path / "mask" / f"{name}.png", mask.astype(np.uint8) * 255)

    return one


def found_in(root: Path, crop_px: int = 16, record: Path | None = None) -> list[tuple[str, str, str, bool]]:
    pairs = read_pairs(root)
    problems = check_pairs(pairs, crop_px, record=record, show_progress=False)
    return [
        (pairs[problem.item].name, problem.path.relative_to(root).as_posix(), problem.kind, problem.is_warning)
        for problem in problems
    ]


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path, write: Write) -> None:
    for name in "abc":
        write(name)
    assert found_in(tmp_path) == []


def break_one_of_each(root: Path, write: Write, save: Save, scene: Scene) -> None:
    """Write a good pair and one with each fault."""
    names = ("good", "no_sharp", "no_blur", "no_mask", "zero_mask", "zero_blur", "half", "text", "other_size")
    for name in (*names, "other_mask", "photo_mask", "empty_mask", "same", "small"):
        write(name)
    blur, _, mask = scene(*SIZE)
    (root / "sharp/no_sharp.png").unlink()
    (root / "blur/no_blur.png").unlink()
    (root / "mask/no_mask.png").unlink()
    (root / "mask/zero_mask.png").write_bytes(b"")
    (root / "blur/zero_blur.png").write_bytes(b"")
    whole = (root / "sharp/half.png").read_bytes()
    (root / "sharp/half.png").write_bytes(whole[: len(whole) // 2])
    (root / "sharp/text.png").write_text("<html>not found</html>")
    save(root / "sharp/other_size.png", blur[:, :50])
    save(root / "mask/other_mask.png", np.ones((359, 538), np.uint8))
    save(root / "mask/photo_mask.png", np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8))
    save(root / "mask/empty_mask.png", np.zeros(SIZE, np.uint8))
    save(root / "sharp/same.png", blur)
    for kind, image in (("blur", blur), ("sharp", blur + 1), ("mask", mask.astype(np.uint8))):
        save(root / kind / "small.png", image[:12])


EXPECTED = {
    ("empty_mask", "mask/empty_mask.png", "with an empty mask", True),
    ("half", "sharp/half.png", "unreadable", False),
    ("no_blur", "blur/no_blur.png", "missing", False),
    ("no_mask", "mask/no_mask.png", "missing", False),
    ("no_sharp", "sharp/no_sharp.png", "missing", False),
    ("other_mask", "mask/other_mask.png", "of another size", False),
    ("other_size", "sharp/other_size.png", "of another size", False),
    ("photo_mask", "mask/photo_mask.png", "no mask", False),
    ("same", "sharp/same.png", "without blur", True),
    ("small", "blur/small.png", "too small", False),
    ("text", "sharp/text.png", "unreadable", False),
    ("zero_blur", "blur/zero_blur.png", "empty file", False),
    ("zero_mask", "mask/zero_mask.png", "empty file", False),
}


def test_one_of_each_fault_is_told_at_once(tmp_path: Path, write: Write, save: Save, scene: Scene) -> None:
    break_one_of_each(tmp_path, write, save, scene)
    found = found_in(tmp_path)
    assert set(found) == EXPECTED
    assert len(found) == len(EXPECTED)
    assert [name for name, *_ in found] == sorted(name for name, *_ in found)


def test_every_file_of_a_pair_is_told_of(tmp_path: Path, write: Write) -> None:
    write("a")
    for kind in ("blur", "sharp", "mask"):
        (tmp_path / kind / "a.png").write_bytes(b"")
    assert [path for _, path, *_ in found_in(tmp_path)] == ["blur/a.png", "sharp/a.png", "mask/a.png"]


def test_the_error_names_every_file_and_the_way_on(tmp_path: Path, write: Write, save: Save, scene: Scene) -> None:
    break_one_of_each(tmp_path, write, save, scene)
    pairs = read_pairs(tmp_path)
    with pytest.raises(InputError) as caught:
        raise_or_skip(pairs, check_pairs(pairs, 16, show_progress=False))
    head, *lines = str(caught.value).splitlines()
    assert head.startswith("13 of 14 samples cannot be used (3 missing, ")
    assert head.endswith("mend or remove them; --skip-bad goes on without them:")
    assert len(lines) == len(EXPECTED)
    for _, path, *_ in EXPECTED:
        assert sum(str(tmp_path / path) in line for line in lines) == 1
    assert (
        f"  {tmp_path / 'mask/other_mask.png'}: is 538x359 but the blurred photo is 60x40; resize one of them" in lines
    )
    assert f"  {tmp_path / 'blur/small.png'}: is 60x12, smaller than the crop of 16; choose a smaller crop_px" in lines
    assert f"  {tmp_path / 'mask/zero_mask.png'}: is empty (0 bytes); copy it again from where it came" in lines
    assert f"  {tmp_path / 'sharp/no_sharp.png'}: is missing; add it, or remove its partner" in lines


def test_skipping_leaves_the_bad_out_and_says_how_many_and_why(
    tmp_path: Path, write: Write, save: Save, scene: Scene
) -> None:
    break_one_of_each(tmp_path, write, save, scene)
    pairs = read_pairs(tmp_path)
    kept, note = raise_or_skip(pairs, check_pairs(pairs, 16, show_progress=False), skip_bad=True)
    assert [pair.name for pair in kept] == ["good"]
    assert note.startswith("13 of 14 samples are left out: 3 missing, ")
    assert "1 with an empty mask" in note


@pytest.mark.parametrize("skip_bad", [False, True])
def test_where_nothing_is_wrong_all_is_kept_without_a_word(skip_bad: bool) -> None:
    assert raise_or_skip(["a", "b"], [], skip_bad) == Kept(["a", "b"], "")


def test_a_warning_alone_stops_nothing_and_is_told(tmp_path: Path, write: Write, save: Save) -> None:
    write("a")
    write("b")
    save(tmp_path / "mask/a.png", np.zeros(SIZE, np.uint8))
    pairs = read_pairs(tmp_path)
    problems = check_pairs(pairs, 16, show_progress=False)
    kept, note = raise_or_skip(pairs, problems)
    assert kept == pairs
    assert note.startswith("1 of 2 samples look odd and are used: 1 with an empty mask; the first is ")
    assert "a.png: (only a warning) says that nothing is blurred, but the photos differ" in note
    assert [pair.name for pair in raise_or_skip(pairs, problems, skip_bad=True).items] == ["b"]


def test_a_sharp_sample_with_an_empty_mask_is_right(tmp_path: Path, write: Write, save: Save, scene: Scene) -> None:
    write("a")
    save(tmp_path / "sharp/a.png", scene(*SIZE)[0])
    save(tmp_path / "mask/a.png", np.zeros(SIZE, np.uint8))
    assert found_in(tmp_path) == []


def test_nothing_left_is_an_error_even_when_skipping(tmp_path: Path, write: Write) -> None:
    write("a")
    (tmp_path / "sharp/a.png").write_bytes(b"")
    pairs = read_pairs(tmp_path)
    with pytest.raises(InputError, match=r"nothing is left: each of the 1 samples has a problem \(1 empty file\)"):
        raise_or_skip(pairs, check_pairs(pairs, 16, show_progress=False), skip_bad=True)


def masks() -> dict[str, np.ndarray]:
    rows, columns = np.mgrid[:300, :400]
    distance = np.hypot(rows - 150, columns - 200)
    soft = (np.clip((80 - distance) / 20, 0, 1) * 255).astype(np.uint8)
    labels = (rows // 30 + 10 * (columns // 40)).astype(np.uint8)
    colours = np.zeros((300, 400, 3), np.uint8)
    colours[100:200, 100:200] = (128, 0, 0)
    colours[50:90, 50:90] = (0, 128, 0)
    return {
        "two values": (distance < 80).astype(np.uint8),
        "soft edge": soft,
        "two labels": np.where(labels > 40, 1, np.where(labels > 20, 2, 0)).astype(np.uint8),
        "colours": colours,
        "16 bits": soft.astype(np.uint16) * 257,
    }


@pytest.mark.parametrize("kind", masks())
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_masks_of_every_kind_pass(tmp_path: Path, save: Save, kind: str, suffix: str) -> None:
    save(tmp_path / "a_blur.png", np.zeros((300, 400, 3), np.uint8))
    save(tmp_path / "a_sharp.png", np.ones((300, 400, 3), np.uint8))
    save(tmp_path / f"a_mask{suffix}", masks()[kind])
    assert found_in(tmp_path) == []


def test_a_jpeg_mask_passes_and_a_photo_does_not(tmp_path: Path, save: Save, photo: np.ndarray) -> None:
    for name, mask in (("a", masks()["two values"] * 255), ("b", photo[:300, :400]), ("c", photo[:300, :400, 0])):
        save(tmp_path / f"{name}_blur.png", np.zeros((300, 400, 3), np.uint8))
        save(tmp_path / f"{name}_sharp.png", np.ones((300, 400, 3), np.uint8))
        Image.fromarray(mask).save(tmp_path / f"{name}_mask.jpg", quality=75)
    assert [name for name, *_ in found_in(tmp_path)] == ["b", "c"]


def test_arrays_are_checked_as_photos_are(tmp_path: Path, scene: Scene) -> None:
    blur, sharp, mask = scene(*SIZE)
    samples = {
        "good": {"img_blur": blur, "img_gt": sharp, "blur_mask": mask},
        "empty": {"img_blur": blur, "img_gt": sharp, "blur_mask": mask * 0},
        "small": {"img_blur": blur[:9], "img_gt": sharp[:9], "blur_mask": mask[:9]},
        "lacks": {"img_blur": blur},
        "sizes": {"img_blur": blur, "img_gt": sharp[:30], "blur_mask": mask},
    }
    for name, arrays in samples.items():
        np.save(tmp_path / f"{name}.npy", arrays)  # type: ignore[arg-type]
    (tmp_path / "zero.npy").write_bytes(b"")
    assert {(name, kind) for name, _, kind, _ in found_in(tmp_path)} == {
        ("empty", "with an empty mask"),
        ("small", "too small"),
        ("lacks", "unreadable"),
        ("sizes", "of another size"),
        ("zero", "empty file"),
    }


def test_photos_that_cannot_be_used_are_told(tmp_path: Path, save: Save, photo: np.ndarray) -> None:
    paths = [save(tmp_path / f"{name}.png", photo[:side]) for name, side in (("a", 300), ("b", 100), ("c", 300))]
    paths[2].write_bytes(b"")
    paths.append(tmp_path / "gone.png")
    problems = check_photos(paths, smallest_px=128, show_progress=False)
    assert [(problem.path.name, problem.kind) for problem in problems] == [
        ("b.png", "too small"),
        ("c.png", "empty file"),
        ("gone.png", "missing"),
    ]
    assert raise_or_skip(paths, problems, skip_bad=True).items == paths[:1]


def test_photos_of_other_brightness_are_not_the_same_picture_at_16_bits_either(tmp_path: Path, save: Save) -> None:
    blur = np.linspace(0, 15000, 40 * 60).reshape(40, 60).astype(np.uint16)
    save(tmp_path / "a_blur.png", blur)
    # each by its own range they would look alike
    save(tmp_path / "a_sharp.png", (blur.astype(float) * 65535 / 16383).round().astype(np.uint16))
    assert found_in(tmp_path) == []


def test_cutouts_that_cannot_be_used_are_told(tmp_path: Path, save: Save) -> None:
    for name in ("good", "half", "no_mask"):
        save(tmp_path / "image" / f"{name}.png", np.zeros((40, 60, 3), np.uint8))
        save(tmp_path / "mask" / f"{name}.png", np.full((40, 60), 255, np.uint8))
    half = tmp_path / "image" / "half.png"
    half.write_bytes(half.read_bytes()[:50])
    (tmp_path / "mask" / "no_mask.png").write_bytes(b"")
    files = find_cutouts(tmp_path)
    problems = check_cutouts(files, show_progress=False)
    assert [(problem.path.relative_to(tmp_path).as_posix(), problem.kind) for problem in problems] == [
        ("image/half.png", "unreadable"),
        ("mask/no_mask.png", "empty file"),
    ]
    assert [each.photo.name for each in raise_or_skip(files, problems, skip_bad=True).items] == ["good.png"]


def test_floats_that_are_no_numbers_are_told_and_end_no_check(tmp_path: Path, save: Save) -> None:
    values = np.zeros((20, 30), np.float32)
    values[3, 4] = np.nan
    for kind in ("blur", "sharp", "mask"):
        save(tmp_path / f"a_{kind}.tif", values if kind != "sharp" else values + 1)
    assert {path for _, path, kind, _ in found_in(tmp_path) if kind == "unreadable"} == {"a_blur.tif", "a_sharp.tif"}


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Pair]:
    """Give a list that fills with the pairs whose files are read."""
    read: list[Pair] = []
    really_inspect = check._inspect_pair
    monkeypatch.setattr(check, "_inspect_pair", lambda pair: read.append(pair) or really_inspect(pair))  # type: ignore[func-returns-value]
    return read


def test_with_a_record_files_are_read_once_until_they_change(
    tmp_path: Path, write: Write, save: Save, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, record = tmp_path, tmp_path / "run" / "checked.json"
    break_one_of_each(root, write, save, scene)
    read = counted(monkeypatch)
    first = found_in(root, record=record)
    assert len(read) == 14
    assert found_in(root, record=record) == first
    assert len(read) == 14
    # another crop needs no reading
    assert [row for row in found_in(root, crop_px=0, record=record) if row[2] == "too small"] == []
    assert len(found_in(root, crop_px=41, record=record)) > len(first)
    assert len(read) == 14
    write("zero_mask")
    save(root / "sharp/good.png", np.zeros((7, 7, 3), np.uint8))
    changed = found_in(root, record=record)
    assert {pair.name for pair in read[14:]} == {"zero_mask", "good"}
    assert {name for name, *_ in changed} == {name for name, *_ in EXPECTED} - {"zero_mask"} | {"good"}


def test_a_file_of_the_same_size_but_a_new_time_is_read_again(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a")
    read = counted(monkeypatch)
    record = tmp_path / "checked.json"
    found_in(tmp_path, record=record)
    later = time.time_ns() + 10**9
    os.utime(tmp_path / "mask/a.png", ns=(later, later))
    found_in(tmp_path, record=record)
    assert len(read) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"version": 0, "known": {"a": 1}}', '{"version": 1}'])
def test_a_record_that_is_none_is_made_again(tmp_path: Path, write: Write, content: str) -> None:
    write("a")
    record = tmp_path / "checked.json"
    record.write_text(content)
    assert found_in(tmp_path, record=record) == []
    assert json.loads(record.read_text())["version"] == checked_files._VERSION


def test_the_record_forgets_what_is_no_longer_there(tmp_path: Path, write: Write) -> None:
    record = tmp_path / "checked.json"
    write("a")
    write("b")
    found_in(tmp_path, record=record)
    for kind in ("blur", "sharp", "mask"):
        (tmp_path / kind / "b.png").unlink()
    found_in(tmp_path, record=record)
    (known,) = json.loads(record.read_text())["known"]
    assert "a.png" in known


def test_ctrl_c_stops_the_check_and_keeps_what_was_found(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number:02}" for number in range(60)]
    for name in names:
        write(name)
    read = counted(monkeypatch)

    def interrupted(found: Sequence[object], *_: object, **__: object) -> object:
        next(iter(found))
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "tqdm", interrupted)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        found_in(tmp_path, record=tmp_path / "checked.json")
    assert 1 <= len(read) < len(names)
    assert len(json.loads((tmp_path / "checked.json").read_text())["known"]) >= 1


def test_a_problem_is_a_line() -> None:
    line = str(Problem(0, Path("a/b.png"), "missing", "is missing; add it, or remove its partner", False))
    assert line == f"{Path('a/b.png')}: is missing; add it, or remove its partner"
