"""A record is enough: its Python, its command and the photo it finds give the same pixels again."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import tifffile

from m2aenet_core import Deblurrer, InputError
from m2aenet_core.cli import main
from m2aenet_core.image_io import read_image, write_image
from m2aenet_core.record import make_record, write_record
from m2aenet_core.repeat import (
    FoundPhoto,
    Reading,
    check_weights,
    find_photo,
    read_record,
    settings_of,
)
from m2aenet_core.repeat_text import as_command, as_python, frames_as_python


def colours() -> np.ndarray:
    return skimage.data.astronaut()[:48, 200:264]


DEEP = colours()[..., 0].astype(np.uint16) * 9 + 100
PHOTOS = {
    "my photo.png": colours(),
    "photo.jpg": colours(),
    "photo.webp": colours(),
    "deep.tif": DEEP,
    "float.tif": (colours() / 100 - 0.5).astype(np.float32),
}
RANGES = {"deep.tif": (90.0, 2000.5), "float.tif": (-0.25, 1e-05 + 2)}


def made(
    deblurrer: Deblurrer, path: Path, scale: float = 1.0, *, linear_light: bool = False, **restoring: Any
) -> tuple[dict[str, Any], np.ndarray]:
    """The record and the pixels of a result from a file."""
    pixels = read_image(path).pixels
    analysis = deblurrer.analyze(pixels, value_range=RANGES.get(path.name), scale=scale, linear_light=linear_light)
    threshold = float(np.median(analysis.blur_probability))
    result = deblurrer.restore(analysis, **(restoring or {"threshold": threshold}))
    assert (result.restored != pixels).any()
    return make_record(deblurrer, result, path), result.restored


def run_python(text: str, **known: object) -> np.ndarray:
    names: dict[str, Any] = dict(known)
    exec(compile(text, "copied", "exec"), names)
    return np.asarray(names["restored"])


@pytest.mark.parametrize("name", PHOTOS)
def test_the_copied_python_and_command_make_the_same_pixels(
    deblurrer: Deblurrer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(name, PHOTOS[name])
    record, restored = made(deblurrer, tmp_path / name)
    photo = find_photo(record)
    np.testing.assert_array_equal(run_python(as_python(record, photo)), restored)

    assert main(shlex.split(as_command(record, photo))[1:]) == 0
    (written,) = [path for path in (tmp_path / "restored").iterdir() if path.suffix != ".json"]
    np.testing.assert_array_equal(read_image(written).pixels, restored)
    again = read_record(f"{written}.json")
    assert again["result"]["pixels_sha256"] == record["result"]["pixels_sha256"]
    assert again["settings"] == record["settings"]


@pytest.mark.parametrize(("content", "file_format"), [("my photo.png", "png"), ("float.tif", "tif")])
def test_a_photo_with_an_unusual_name_is_repeated_in_a_format_that_holds_it(
    deblurrer: Deblurrer, tmp_path: Path, content: str, file_format: str
) -> None:
    write_image(tmp_path / content, PHOTOS[content])
    (tmp_path / content).rename(tmp_path / "scan.img")
    record, _ = made(deblurrer, tmp_path / "scan.img")
    words = shlex.split(as_command(record, find_photo(record)))
    assert words[words.index("--format") + 1] == file_format


def test_a_working_scale_is_repeated_too(deblurrer: Deblurrer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", colours())
    record, restored = made(deblurrer, tmp_path / "photo.png", scale=0.5)
    assert record["settings"]["scale"] == 0.5
    photo = find_photo(record)
    np.testing.assert_array_equal(run_python(as_python(record, photo)), restored)
    assert main(shlex.split(as_command(record, photo))[1:]) == 0
    np.testing.assert_array_equal(read_image("restored/photo.png").pixels, restored)
    del record["settings"]["scale"]  # of a version without
    assert settings_of(record).scale == 1


def test_as_many_copies_are_asked_for_again(
    deblurrer: Deblurrer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", colours())
    _, alone = made(deblurrer, tmp_path / "photo.png")
    record, restored = made(Deblurrer(deblurrer.model_name, device="cpu", ensemble=2), tmp_path / "photo.png")
    assert not np.array_equal(restored, alone)
    assert record["settings"]["ensemble"] == 2
    photo = find_photo(record)
    np.testing.assert_array_equal(run_python(as_python(record, photo)), restored)
    assert main(shlex.split(as_command(record, photo))[1:]) == 0
    np.testing.assert_array_equal(read_image("restored/photo.png").pixels, restored)
    del record["settings"]["ensemble"]  # of a version without
    assert settings_of(record).ensemble == 1


def test_light_is_taken_as_light_again(deblurrer: Deblurrer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", colours())
    _, as_srgb = made(deblurrer, tmp_path / "photo.png")
    record, restored = made(deblurrer, tmp_path / "photo.png", linear_light=True)
    assert not np.array_equal(restored, as_srgb)
    assert record["settings"]["linear_light"] is True
    photo = find_photo(record)
    np.testing.assert_array_equal(run_python(as_python(record, photo)), restored)
    assert main(shlex.split(as_command(record, photo))[1:]) == 0
    np.testing.assert_array_equal(read_image("restored/photo.png").pixels, restored)
    del record["settings"]["linear_light"]  # of a version without
    assert settings_of(record).linear_light is False


def test_each_frame_of_a_stack_is_repeated_at_its_scale(deblurrer: Deblurrer, tmp_path: Path) -> None:
    stack = np.stack([DEEP, DEEP[::-1]])
    tifffile.imwrite(tmp_path / "film.tif", stack, photometric="minisblack")
    results = [
        deblurrer(frame, 0.4, value_range=(90, 2000), scale=s) for frame, s in zip(stack, (1.0, 0.5), strict=True)
    ]
    records = [make_record(deblurrer, result) for result in results]
    frames = [{"frame": [i], "image": r["image"], "scale": r["settings"]["scale"]} for i, r in enumerate(records)]
    record = {**records[0], "image": None, "frames": frames}
    expected = np.stack([result.restored for result in results])
    np.testing.assert_array_equal(run_python(frames_as_python(record, tmp_path / "film.tif")), expected)


def test_a_given_mask_is_repeated_too(deblurrer: Deblurrer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", colours())
    mask = np.zeros((48, 64), bool)
    mask[10:31, 5:50] = True
    record, restored = made(deblurrer, tmp_path / "photo.png", mask=mask)
    photo = find_photo(record)
    np.testing.assert_array_equal(run_python(as_python(record, photo, mask=mask)), restored)
    with pytest.raises(InputError, match="the mask of this result is in no file; copy it as Python"):
        as_command(record, photo)
    write_image("mask.png", mask)
    assert main(shlex.split(as_command(record, photo, mask=tmp_path / "mask.png"))[1:]) == 0
    np.testing.assert_array_equal(read_image("restored/photo.png").pixels, restored)


def test_a_frame_of_a_stack_is_repeated_as_python(deblurrer: Deblurrer, tmp_path: Path) -> None:
    stack = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]])
    tifffile.imwrite(tmp_path / "film.tif", stack, photometric="minisblack")
    result = deblurrer(stack[2])
    layer = {"name": "film", "frame": [2], "file": str(tmp_path / "film.tif")}
    record = {**make_record(deblurrer, result), "layer": layer}
    photo = find_photo(record)
    assert photo == FoundPhoto(tmp_path / "film.tif", Reading.TIFF, (2,))
    np.testing.assert_array_equal(run_python(as_python(record, photo)), result.restored)
    with pytest.raises(InputError, match="a frame of a stack; copy it as Python"):
        as_command(record, photo)


def test_all_frames_of_a_stack_are_repeated(deblurrer: Deblurrer, tmp_path: Path) -> None:
    stack = np.stack([DEEP, DEEP[::-1]])
    tifffile.imwrite(tmp_path / "film.tif", stack, photometric="minisblack")
    results = [deblurrer(frame, 0.4, value_range=(90, 2000)) for frame in stack]
    records = [make_record(deblurrer, result) for result in results]
    frames = [{"frame": [i], "image": record["image"], "scale": 1.0} for i, record in enumerate(records)]
    record = {**records[0], "image": None, "frames": frames}
    expected = np.stack([result.restored for result in results])
    assert (expected != stack).any()
    np.testing.assert_array_equal(run_python(frames_as_python(record, tmp_path / "film.tif")), expected)
    text = frames_as_python(record, None, otherwise="np.asarray(film)")
    np.testing.assert_array_equal(run_python(text, film=stack), expected)


def test_without_a_file_the_python_says_where_the_pixels_are(deblurrer: Deblurrer) -> None:
    result = deblurrer(colours(), 0.4)
    record = make_record(deblurrer, result)
    with pytest.raises(InputError, match="names no photo"):
        find_photo(record)
    restored = run_python(as_python(record, None, otherwise="layers['street']"), layers={"street": colours()})
    np.testing.assert_array_equal(restored, result.restored)


def test_the_photo_is_found_where_it_was_or_beside_the_record(deblurrer: Deblurrer, tmp_path: Path) -> None:
    write_image(tmp_path / "photo.png", colours())
    record, restored = made(deblurrer, tmp_path / "photo.png")
    folder = tmp_path / "out"
    write_image(tmp_path / "out.png", restored)
    write_record(folder / "photo.png.json", record)
    shutil.copy(tmp_path / "out.png", folder / "photo.png")  # the restored photo has the photo's name
    read = read_record(folder / "photo.png.json")
    assert find_photo(read, folder).path == tmp_path / "photo.png"
    read["source"]["path"] = "/gone/photo.png"
    assert find_photo(read, folder).path == tmp_path / "photo.png"
    read["source"]["path"] = f"/{'n' * 300}/photo.png"  # the system refuses to look, as it does in others' folders
    assert find_photo(read, folder).path == tmp_path / "photo.png"
    (tmp_path / "photo.png").unlink()
    with pytest.raises(InputError, match="is not the photo of the record any more"):
        find_photo(read, folder)
    (folder / "photo.png").unlink()
    with pytest.raises(InputError, match=r"photo\.png is not there any more; put the photo beside the record"):
        find_photo(read, folder)


def test_other_weights_of_the_same_name_are_noticed(deblurrer: Deblurrer, tmp_path: Path) -> None:
    write_image(tmp_path / "photo.png", colours())
    record, _ = made(deblurrer, tmp_path / "photo.png")
    check_weights(record)
    record["model"]["weights_sha256"] = "0" * 64
    with pytest.raises(InputError, match="are others than those of the record"):
        check_weights(record)
    record["model"]["weights_sha256"] = None
    with pytest.raises(InputError, match="a network that is in no file"):
        settings_of(record)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"image": {}, "model": {}, "settings": {}}', "\x00"])
def test_a_file_that_is_no_record_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(InputError, match=r"other\.json is no record of a restored photo; choose the \.json beside one"):
        read_record(tmp_path / "other.json")
