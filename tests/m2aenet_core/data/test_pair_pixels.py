"""Pixels of pairs, whatever the files hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2aenet_core.data.folder import read_rgb
from m2aenet_core.data.pair_pixels import read_mask, read_pair, read_photo
from m2aenet_core.data.pairs import Pair
from m2aenet_core.errors import InputError

Save = Callable[[Path, np.ndarray], Path]
Scene = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]


@pytest.fixture
def pair(tmp_path: Path, save: Save, scene: Scene) -> Pair:
    blur, sharp, mask = scene()
    return Pair(
        save(tmp_path / "a_blur.png", blur),
        save(tmp_path / "a_sharp.png", sharp),
        save(tmp_path / "a_mask.png", mask.astype(np.uint8) * 255),
        "a",
    )


def test_a_pair_comes_as_it_was_saved(pair: Pair, scene: Scene) -> None:
    for found, expected in zip(read_pair(pair), scene(), strict=True):
        assert found is not None
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


def test_a_pair_without_a_mask_has_none(pair: Pair) -> None:
    assert read_pair(pair._replace(mask=None)).mask is None


def test_files_of_different_sizes_are_named(pair: Pair, save: Save) -> None:
    assert pair.mask is not None
    save(pair.mask, np.ones((20, 30), np.uint8))
    with pytest.raises(InputError, match=r"a_mask\.png is 30x20 but the blurred photo is 60x40; resize one of them"):
        read_pair(pair)


@pytest.mark.parametrize("depth", ["uint16", "float32"])
def test_a_deep_pair_is_as_bright_beside_each_other_as_it_was(tmp_path: Path, save: Save, depth: str) -> None:
    # the brightest values lie on both sides of 14 bits, and of 1
    dark, bright = (15000, 18000) if depth == "uint16" else (0.99, 1.001)
    values = np.linspace(0, dark, 40 * 60).reshape(40, 60).astype(depth)
    sharp = values.copy()
    sharp[0, 0] = bright
    suffix = ".png" if depth == "uint16" else ".tif"
    paths = [save(tmp_path / f"a_{kind}{suffix}", each) for kind, each in (("blur", values), ("sharp", sharp))]
    found = read_pair(Pair(paths[0], paths[1], None, "a"))
    assert np.array_equal(found.blur[1:], found.sharp[1:])
    assert found.sharp.max() > 60


@pytest.mark.parametrize(
    "kind",
    ["rgb", "grey", "rgba", "grey alpha", "palette", "16 bits", "1 bit", "transparent", "grey transparent"],
)
def test_every_png_is_read_as_all_photos_are(tmp_path: Path, rng: np.random.Generator, kind: str) -> None:
    photo = rng.integers(0, 256, (11, 13, 4), np.uint8)
    images = {
        "rgb": lambda: Image.fromarray(photo[..., :3]),
        "grey": lambda: Image.fromarray(photo[..., 0]),
        "rgba": lambda: Image.fromarray(photo),
        "grey alpha": lambda: Image.fromarray(photo[..., :2]),
        "palette": lambda: Image.fromarray(photo[..., :3]).quantize(16),
        "16 bits": lambda: Image.fromarray(photo[..., 0].astype(np.uint16) * 257),
        "1 bit": lambda: Image.fromarray(photo[..., 0]).convert("1"),
        "transparent": lambda: Image.fromarray(photo[..., :3]),
        "grey transparent": lambda: Image.fromarray(photo[..., 0]),
    }
    transparency = {"transparent": {"transparency": (1, 2, 3)}, "grey transparent": {"transparency": 7}}
    images[kind]().save(tmp_path / "a.png", **transparency.get(kind, {}))
    found = read_photo(tmp_path / "a.png")
    assert found.shape == (11, 13, 3)
    assert found.flags.c_contiguous
    assert np.array_equal(found, read_rgb(tmp_path / "a.png"))


def test_an_animated_png_is_refused_as_every_animation_is(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 12, 3), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    for read in (read_photo, read_mask):
        with pytest.raises(InputError, match=r"a\.png holds 2 frames, and a photo has one"):
            read(tmp_path / "a.png")


def test_a_photo_taken_sideways_is_turned_upright(tmp_path: Path, scene: Scene) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    blur = scene()[0]
    for suffix in (".png", ".tif"):
        Image.fromarray(blur).save(tmp_path / f"a{suffix}", exif=exif)
        assert np.array_equal(read_photo(tmp_path / f"a{suffix}"), np.rot90(blur, -1))


@pytest.mark.parametrize("content", [b"", b"not an image", None], ids=["empty", "text", "half"])
def test_a_broken_photo_is_named(pair: Pair, content: bytes | None) -> None:
    whole = pair.blur.read_bytes()
    pair.blur.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(InputError, match=r"a_blur\.png is "):
        read_pair(pair)


@pytest.mark.parametrize("value", [1, 7, 255])
def test_anything_above_0_is_blurred(tmp_path: Path, save: Save, scene: Scene, value: int) -> None:
    mask = scene()[2]
    one = save(tmp_path / "a.png", mask.astype(np.uint8) * value)
    three = save(tmp_path / "b.png", np.dstack([mask * 0, mask * value, mask * 0]).astype(np.uint8))
    clear = save(tmp_path / "c.png", np.dstack([mask * value, mask * 0, mask * 0, mask * 0 + 255]).astype(np.uint8))
    Image.fromarray(mask).save(tmp_path / "d.png")
    Image.fromarray(mask.astype(np.uint8) * value).save(tmp_path / "e.png", transparency=value)
    for path in (one, three, clear, tmp_path / "d.png", tmp_path / "e.png"):
        assert np.array_equal(read_mask(path)[0], mask)


def test_what_jpeg_leaves_around_a_mask_is_not_blur(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), bool)
    mask[20:45, 13:50] = True
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "a.jpg", quality=60)
    found, values = read_mask(tmp_path / "a.jpg")
    assert ((values > 0) & ~mask).any()  # or nothing would be tested
    assert np.array_equal(found, mask)


@pytest.fixture
def array_pair(tmp_path: Path) -> Callable[..., Pair]:
    def write(**arrays: np.ndarray) -> Pair:
        path = tmp_path / "a.npy"
        np.save(path, arrays)  # type: ignore[arg-type]
        return Pair(path, path, path, "a")

    return write


@pytest.mark.parametrize("mask_dtype", ["bool", "uint8", "float64"])
@pytest.mark.parametrize("photo_dtype", ["uint8", "float32", "int64"])
def test_lmdvits_form_holds_photos_up_to_255_and_a_mask_of_any_kind(
    array_pair: Callable[..., Pair], scene: Scene, photo_dtype: str, mask_dtype: str
) -> None:
    blur, sharp, mask = scene()
    pair = array_pair(
        img_blur=blur.astype(photo_dtype), img_gt=sharp.astype(photo_dtype), blur_mask=mask.astype(mask_dtype)
    )
    for found, expected in zip(read_pair(pair), (blur, sharp, mask), strict=True):
        assert np.array_equal(found, expected)  # type: ignore[arg-type]
    (column,) = (array_pair(img_blur=blur, img_gt=sharp, blur_mask=mask[..., None]),)
    assert np.array_equal(read_pair(column).mask, mask)  # type: ignore[arg-type]


def test_lmdvits_form_has_one_range_for_both_photos(array_pair: Callable[..., Pair], scene: Scene) -> None:
    blur, _, mask = scene()
    deep = blur.astype(np.uint16) * 200
    brighter = deep.copy()
    brighter[0, 0] = 18000
    found = read_pair(array_pair(img_blur=deep, img_gt=brighter, blur_mask=mask))
    assert np.array_equal(found.blur[1:], found.sharp[1:])


def test_lmdvits_form_without_all_it_needs_is_named(array_pair: Callable[..., Pair], scene: Scene) -> None:
    blur, sharp, mask = scene()
    with pytest.raises(InputError, match=r"a\.npy lacks img_gt, blur_mask; save all three"):
        read_pair(array_pair(img_blur=blur))
    with pytest.raises(InputError, match=r"img_gt of the shape \(40, 60\); save it as \(H, W, 3\)"):
        read_pair(array_pair(img_blur=blur, img_gt=sharp[..., 0], blur_mask=mask))
    with pytest.raises(InputError, match=r"blur_mask of the shape \(40,\)"):
        read_pair(array_pair(img_blur=blur, img_gt=sharp, blur_mask=mask[:, 0]))
    with pytest.raises(InputError, match="is 50x40 but the blurred photo is 60x40"):
        read_pair(array_pair(img_blur=blur, img_gt=sharp, blur_mask=mask[:, :50]))
    with pytest.raises(InputError, match="NaN or infinity in img_blur"):
        read_pair(array_pair(img_blur=blur * np.nan, img_gt=sharp, blur_mask=mask))
