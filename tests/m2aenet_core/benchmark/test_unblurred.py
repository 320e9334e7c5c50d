"""Pictures without motion blur are what their kinds say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from m2aenet_core import InputError
from m2aenet_core.benchmark.screenshot import draw_screenshots
from m2aenet_core.benchmark.unblurred import AT_HAND, FROM_PHOTOS, KINDS, pictures

PHOTO = np.ascontiguousarray(skimage.data.astronaut()[:160, 160:360])


def made(kind: str, photo: np.ndarray = PHOTO) -> np.ndarray:
    return FROM_PHOTOS[kind](photo, 0)


def detail(picture: np.ndarray) -> float:
    """How much neighbouring pixels differ."""
    grey = picture.astype(float) if picture.ndim == 2 else picture.mean(axis=2)
    return float(np.abs(np.diff(grey, axis=1)).mean())


def grain(picture: np.ndarray) -> float:
    """The median of second differences: small where a picture changes evenly."""
    return float(np.median(np.abs(np.diff(picture.astype(float), n=2, axis=1))))


@pytest.mark.parametrize("kind", FROM_PHOTOS)
def test_what_is_made_of_a_photo_has_its_size_and_is_made_alike_again(kind: str) -> None:
    picture = made(kind)
    assert picture.dtype == np.uint8
    assert picture.shape[:2] == PHOTO.shape[:2]
    assert picture.ndim == (2 if kind == "grey" else 3)
    np.testing.assert_array_equal(picture, made(kind))
    assert (kind == "sharp") == np.array_equal(picture, PHOTO)


def test_noise_has_the_strength_it_is_named_for() -> None:
    flat = np.full((128, 128, 3), 128, np.uint8)
    assert made("noise", flat).std() == pytest.approx(0.02 * 255, rel=0.1)
    assert made("strong noise", flat).std() == pytest.approx(0.06 * 255, rel=0.1)
    assert grain(made("strong noise")) > grain(made("noise")) > grain(PHOTO)


def test_a_point_out_of_focus_is_a_disc_in_all_directions_alike() -> None:
    dark = np.zeros((65, 65, 3), np.uint8)
    dark[32, 32] = 255
    disc = made("defocus 5 px", dark)[..., 0]
    np.testing.assert_allclose(disc, disc.T, atol=1)
    np.testing.assert_allclose(disc, disc[::-1], atol=1)
    assert disc[32, 28] == disc[32, 32] > 0
    assert disc[32, 39] == 0
    assert detail(made("defocus 5 px")) < detail(made("defocus 2 px")) < detail(PHOTO)


def test_a_soft_photo_keeps_what_fewer_pixels_hold_and_loses_the_rest() -> None:
    stripes = np.repeat(np.tile(np.array([0, 255], np.uint8), 60)[None, :, None], 60, axis=0).repeat(3, axis=2)
    assert made("soft", stripes).std() < 20
    coarse = np.repeat(stripes[:, :10], 12, axis=1)
    assert made("soft", coarse).std() > 100


def test_night_is_dark_and_noisy_for_its_light() -> None:
    night = made("night")
    assert night.mean() < 0.4 * PHOTO.mean()
    brightened = np.clip(night.astype(float) * PHOTO.mean() / night.mean(), 0, 255).astype(np.uint8)
    assert grain(brightened) > 2 * grain(PHOTO)


def test_a_strong_jpeg_consists_of_blocks() -> None:
    steps = np.abs(np.diff(made("strong JPEG").astype(float), axis=1)).mean(axis=(0, 2))
    borders = np.arange(len(steps)) % 8 == 7
    steps_before = np.abs(np.diff(PHOTO.astype(float), axis=1)).mean(axis=(0, 2))
    assert steps[borders].mean() / steps[~borders].mean() > 1.3 * (
        steps_before[borders].mean() / steps_before[~borders].mean()
    )


def test_screenshots_have_hard_edges_and_flat_paper() -> None:
    for name, pixels in draw_screenshots().items():
        assert pixels.shape == (800, 1280, 3), name
        steps = np.abs(np.diff(pixels.astype(int), axis=1)).max(axis=2)
        assert (steps == 0).mean() > 0.8, name
        assert (steps > 100).sum() > 2000, name


def test_what_is_at_hand_needs_no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was to be downloaded")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for kind, load in AT_HAND.items():
        for name, pixels in load().items():
            assert pixels.dtype == np.uint8, (kind, name)
            assert pixels.ndim == 2 or pixels.shape[2] == 3, (kind, name)


def test_empty_is_empty_and_gradients_change_slowly() -> None:
    assert all(np.ptp(pixels) == 0 for pixels in AT_HAND["empty"]().values())
    for name, pixels in AT_HAND["gradient"]().items():
        assert np.ptp(pixels) > 50, name
        assert np.abs(np.diff(pixels.astype(int), axis=1)).max() <= (20 if "grain" in name else 2), name


def test_pictures_come_kind_by_kind_with_the_names_of_the_photos(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(PHOTO).save(tmp_path / name)
    photos = [tmp_path / "a.png", tmp_path / "b.png"]
    found = list(pictures(photos, ("empty", "noise", "grey")))
    assert [(each.kind, each.name) for each in found] == [
        *(("grey", name) for name in ("a.png", "b.png")),
        *(("noise", name) for name in ("a.png", "b.png")),
        *(("empty", name) for name in ("black", "grey", "white")),
    ]
    noisy = [each.pixels for each in found if each.kind == "noise"]
    assert not np.array_equal(*noisy)


def test_an_unknown_kind_is_a_sentence() -> None:
    with pytest.raises(InputError, match=r"no kind of picture called 'rain'; choose some of sharp, .*empty"):
        list(pictures([], ("sharp", "rain")))
    assert {"sharp", "grey", "screenshot", "empty"} <= set(KINDS)
