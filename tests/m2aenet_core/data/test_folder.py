"""Photos and cut-outs from folders."""

import os
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from m2aenet_core.data.folder import list_images, read_cutouts, read_photos, read_rgb
from m2aenet_core.errors import InputError


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def small(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (24, 30, 3), np.uint8)


def test_photos_are_found_in_sub_folders_and_sorted(tmp_path: Path, small: np.ndarray) -> None:
    names = ["b.png", "a/z.JPG", "a/b/c.tiff"]
    for name in names:
        save(tmp_path / name, small)
    (tmp_path / "a" / "notes.txt").write_text("not a photo")
    assert [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)] == sorted(names)


def test_only_files_are_photos_and_those_that_a_system_hides_are_not(tmp_path: Path, small: np.ndarray) -> None:
    for name in ("a.png", "._a.png", ".thumbs/a.png", "__MACOSX/a.png", "folder.png/b.png"):
        save(tmp_path / name, small)
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe.png")
    assert [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)] == ["a.png", "folder.png/b.png"]


def test_linked_folders_are_read_and_circles_are_left(tmp_path: Path, small: np.ndarray) -> None:
    save(tmp_path / "disk" / "a.png", small)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "more").symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "disk" / "up").symlink_to(photos, target_is_directory=True)
    assert list_images(photos) == [photos / "more" / "a.png"]


def test_a_manifest_lets_through_what_is_cleared(tmp_path: Path, small: np.ndarray) -> None:
    for name in ("one.png", "sub/two.png", "three.png", "unlisted.png"):
        save(tmp_path / "photos" / name, small)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(
        "file,author,clear_licence\nphotos/one.png,x,yes\nphotos/sub/two.png,y,yes\nphotos/three.png,z,no\n"
    )
    assert [path.name for path in list_images(tmp_path / "photos", manifest)] == ["one.png", "two.png"]


def test_a_manifest_of_a_spreadsheet_is_read(tmp_path: Path, small: np.ndarray) -> None:
    for name in ("süß.png", "other.png"):
        Image.fromarray(small).save(tmp_path / name)
    manifest = tmp_path / "manifest.csv"
    manifest.write_bytes("clear_licence,file\r\nyes,süß.png\r\nyes\r\n".encode("utf-8-sig"))
    assert [path.name for path in list_images(tmp_path, manifest)] == ["süß.png"]
    manifest.write_bytes("file,clear_licence\nsüß.png,yes\n".encode("cp1252"))
    with pytest.raises(InputError, match=r"manifest\.csv cannot be read as UTF-8 .*; save it as a CSV file in UTF-8"):
        list_images(tmp_path, manifest)


def test_results_that_lie_among_the_photos_are_no_photos(tmp_path: Path, small: np.ndarray) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    for place in ("one.png", "runs/two.png", "runs/mine/preview.png"):
        Image.fromarray(small).save(tmp_path / place)

    def found(without: Path) -> list[str]:
        return [path.name for path in list_images(tmp_path, without=without)]

    assert found(tmp_path / "runs" / "mine") == ["one.png", "two.png"]
    # photos may lie where results go: then nothing tells them apart
    assert found(tmp_path) == found(tmp_path.parent) == ["one.png", "preview.png", "two.png"]


def test_a_manifest_without_its_columns_is_named(tmp_path: Path, small: np.ndarray) -> None:
    save(tmp_path / "one.png", small)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("file,licence\none.png,yes\n")
    with pytest.raises(InputError, match=r"manifest\.csv lacks the columns file and clear_licence"):
        list_images(tmp_path, manifest)


def test_a_manifest_that_is_missing_is_named(tmp_path: Path, small: np.ndarray) -> None:
    save(tmp_path / "one.png", small)
    with pytest.raises(InputError, match=r"gone\.csv is not a file; give a CSV file"):
        list_images(tmp_path, tmp_path / "gone.csv")


def test_a_manifest_that_clears_nothing_of_a_folder_is_named(tmp_path: Path, small: np.ndarray) -> None:
    save(tmp_path / "cutouts" / "dog.png", np.dstack([small, ring((24, 30))]))
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("file,clear_licence\nphotos/one.png,yes\n")
    for read in (list_images, read_cutouts):
        with pytest.raises(
            InputError, match=r"none of the 1 images in .*cutouts is marked yes in .*manifest\.csv; add"
        ):
            read(tmp_path / "cutouts", manifest)


def test_a_folder_without_photos_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no image that can be used; supported are .*\.png"):
        list_images(tmp_path)


@pytest.mark.parametrize("name", ["gone", "file"])
def test_what_is_no_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="is not a folder; give a folder of photos"):
        list_images(tmp_path / name)


def test_photos_come_as_they_were_saved(tmp_path: Path, small: np.ndarray) -> None:
    save(tmp_path / "a.png", small)
    save(tmp_path / "b.png", small[..., 0])
    colour, grey = read_photos(list_images(tmp_path))
    assert np.array_equal(colour, small)
    assert np.array_equal(grey, np.repeat(small[..., :1], 3, axis=2))


def test_a_photo_taken_sideways_is_turned_upright(tmp_path: Path, small: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right to see it upright
    path = save(tmp_path / "a.png", small, exif=exif)
    assert np.array_equal(read_rgb(path), np.rot90(small, -1))


@pytest.mark.parametrize("top", [4095, 65535])
def test_sixteen_bits_are_brought_to_eight_not_cut_off(tmp_path: Path, top: int) -> None:
    ramp = np.linspace(0, top, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    for suffix in (".png", ".tif"):
        grey = read_rgb(save(tmp_path / f"ramp{suffix}", ramp))
        assert grey.shape == (64, 64, 3)
        assert np.abs(grey[..., 0] - ramp * (255 / top)).max() <= 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "is empty"), (b"not an image", "is not a JPEG"), (None, "is damaged or cut short")],
    ids=["empty", "text", "half"],
)
def test_a_broken_photo_is_named(tmp_path: Path, small: np.ndarray, content: bytes | None, sentence: str) -> None:
    path = save(tmp_path / "broken.png", small)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    for read in (lambda: read_rgb(path), lambda: read_cutouts(tmp_path)):
        with pytest.raises(InputError, match=rf"broken\.png {sentence}"):
            read()


def ring(shape: tuple[int, int], value: int = 255) -> np.ndarray:
    alpha = np.zeros(shape, np.uint8)
    alpha[4:20, 6:26] = value
    return alpha


def test_an_rgba_image_is_a_cutout_cropped_to_what_is_opaque(tmp_path: Path, small: np.ndarray) -> None:
    save(tmp_path / "a.png", np.dstack([small, ring((24, 30))]))
    (cutout,) = read_cutouts(tmp_path)
    assert cutout.shape == (16, 20, 4)
    assert np.array_equal(cutout[..., :3], small[4:20, 6:26])
    assert cutout[..., 3].min() == 255


@pytest.mark.parametrize(("folder", "value"), [("alpha", 255), ("mask", 255), ("mask", 1), ("mask", 7)])
def test_an_image_beside_its_alpha_or_mask_is_a_cutout(
    tmp_path: Path, small: np.ndarray, folder: str, value: int
) -> None:
    save(tmp_path / "set" / "image" / "dog.jpg", small, quality=100)
    save(tmp_path / "set" / folder / "dog.png", ring((24, 30), value))
    (cutout,) = read_cutouts(tmp_path)
    assert cutout.shape == (16, 20, 4)
    assert cutout[..., 3].min() == 255


def test_a_grey_image_with_alpha_is_a_cutout(tmp_path: Path, small: np.ndarray) -> None:
    save(tmp_path / "a.png", np.dstack([small[..., 0], ring((24, 30))]))
    (cutout,) = read_cutouts(tmp_path)
    assert np.array_equal(cutout[..., :3], np.repeat(small[4:20, 6:26, :1], 3, axis=2))


def test_a_mask_of_another_size_is_brought_to_its_images(tmp_path: Path, small: np.ndarray) -> None:
    save(tmp_path / "image" / "dog.png", small)
    save(tmp_path / "mask" / "dog.png", np.repeat(np.repeat(ring((24, 30)), 2, 0), 2, 1))
    (cutout,) = read_cutouts(tmp_path)
    assert abs(cutout.shape[0] - 16) <= 2
    assert abs(cutout.shape[1] - 20) <= 2


def test_photos_without_alpha_and_cutouts_of_a_few_pixels_are_left_out(tmp_path: Path, small: np.ndarray) -> None:
    save(tmp_path / "plain.png", small)
    speck = np.zeros((24, 30), np.uint8)
    speck[3:8, 3:8] = 255
    save(tmp_path / "speck.png", np.dstack([small, speck]))
    with pytest.raises(InputError, match="holds no cut-out; give RGBA images, or X/image/NAME with X/alpha/NAME"):
        read_cutouts(tmp_path)
    save(tmp_path / "good.png", np.dstack([small, ring((24, 30))]))
    assert len(read_cutouts(tmp_path)) == 1


@pytest.mark.parametrize("name", ["x[1]", "a*b", "dog"])
def test_a_partner_is_told_by_its_whole_name(tmp_path: Path, small: np.ndarray, name: str) -> None:
    save(tmp_path / "image" / f"{name}.png", small)
    save(tmp_path / "mask" / f"{name}.2.png", ring((24, 30))[:3])
    save(tmp_path / "mask" / f"{name}.png", ring((24, 30)))
    (cutout,) = read_cutouts(tmp_path)
    assert cutout.shape == (16, 20, 4)


@pytest.mark.parametrize("channels", [2, 4])
def test_the_alpha_of_a_dark_deep_cutout_is_scaled_by_its_depth(tmp_path: Path, channels: int) -> None:
    pixels = np.full((24, 30, channels), 16383, np.uint16)
    pixels[..., -1] = 12000
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    (cutout,) = read_cutouts(tmp_path)
    assert np.unique(cutout[..., :3]) == 255
    assert np.unique(cutout[..., 3]) == round(12000 / 65535 * 255)
