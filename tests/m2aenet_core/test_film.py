from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch

from m2aenet_core import DeblurResult, InputError
from m2aenet_core.errors import Cancelled
from m2aenet_core.film import exposure_film
from m2aenet_core.film_file import write_film

Exposed = Callable[..., DeblurResult]


@pytest.fixture
def square(exposed: Exposed) -> DeblurResult:
    """A bright square that moves 8 pixels to the right and 4 down, seen at mid-exposure over a ramp."""
    y, x = np.mgrid[:64, :96]
    sharp = np.repeat((y + x).astype(np.uint8)[..., None], 3, axis=2)
    sharp[24:40, 40:56] = (250, 200, 150)
    swept = np.zeros((64, 96), bool)
    swept[22:42, 36:60] = True
    return exposed(sharp, swept, start=(-2, -4), end=(2, 4))


def top_left(frame: np.ndarray) -> tuple[int, int]:
    y, x = np.nonzero(frame[..., 0] == 250)
    return int(y.min()), int(x.min())


def test_a_moved_square_goes_where_its_trajectory_says(square: DeblurResult) -> None:
    film = exposure_film(square, 5)
    assert [top_left(frame) for frame in film] == [(22, 36), (23, 38), (24, 40), (25, 42), (26, 44)]
    assert all((frame[..., 0] == 250).sum() == 16 * 16 for frame in film)


def test_what_the_square_leaves_shows_what_the_restored_photo_shows_there(square: DeblurResult) -> None:
    last = exposure_film(square, 3)[-1]
    # the blurred region left its first two rows and four columns
    np.testing.assert_array_equal(last[22:24, 36:60], square.restored[22:24, 36:60])
    np.testing.assert_array_equal(last[22:42, 36:40], square.restored[22:42, 36:40])


def test_pixels_that_nothing_reaches_are_the_photos_own(square: DeblurResult) -> None:
    film = exposure_film(square)
    reached = np.zeros(square.mask.shape, bool)
    reached[20:44, 32:64] = True
    for frame in film:
        np.testing.assert_array_equal(frame[~reached], square.restored[~reached])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_mid_exposure_is_the_restored_photo_in_its_own_values(
    exposed: Exposed, dtype: str, channels: int | None
) -> None:
    shape = (40, 50) if channels is None else (40, 50, channels)
    sharp = np.random.default_rng(0).uniform(0, 60000 if dtype == "uint16" else 250, shape).astype(dtype)
    result = exposed(sharp, np.ones((40, 50), bool), start=(-1.3, 2.6), end=(0.7, -1.1))
    film = exposure_film(result, 9)
    assert (film.shape, film.dtype) == ((9, *sharp.shape), sharp.dtype)
    np.testing.assert_array_equal(film[4], sharp)
    assert (film[0] != sharp).any()
    if channels == 4:
        np.testing.assert_array_equal(film[..., 3], np.repeat(sharp[None, ..., 3], 9, axis=0))


def test_without_motion_it_is_the_same_photo_many_times(exposed: Exposed) -> None:
    sharp = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    film = exposure_film(exposed(sharp, np.ones((40, 50), bool), start=(0, 0), end=(0, 0)), 4)
    np.testing.assert_array_equal(film, np.repeat(sharp[None], 4, axis=0))


def test_a_photo_of_many_tiles_shows_no_seams(exposed: Exposed) -> None:
    y, x = np.mgrid[:700, :1100]
    sharp = ((x * 7 + y * 3) % 251).astype(np.uint8)
    result = exposed(sharp, np.ones(sharp.shape, bool), start=(-9, 30), end=(9, -30))
    first = exposure_film(result, 3)[0]
    np.testing.assert_array_equal(first[:-9, 30:], sharp[9:, :-30])


def test_a_growing_field_tears_no_holes(exposed: Exposed) -> None:
    sharp = np.full((80, 80), 200, np.uint8)
    sharp[:, :20] = 10
    mask = np.zeros((80, 80), bool)
    mask[20:60, 25:55] = True
    y, x = np.mgrid[:80, :80]
    outward = torch.from_numpy(np.stack([(y - 40) * 0.08, (x - 40) * 0.08])).float()[None]
    result = exposed(np.where(mask, 200, 10).astype(np.uint8), mask, start=-outward, end=outward)
    np.testing.assert_array_equal(exposure_film(result, 3)[-1][19:61, 24:56], 200)


def test_a_film_can_be_stopped_and_tells_how_far_it_is(square: DeblurResult) -> None:
    steps: list[tuple[int, int]] = []
    exposure_film(square, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(0, 1), (1, 1)]

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        exposure_film(square, progress=stop)


def test_what_cannot_be_filmed_is_a_sentence(square: DeblurResult, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="choose 2 or more"):
        exposure_film(square, 1)
    monkeypatch.setattr("m2aenet_core.film.free_bytes", lambda device: 10_000)
    with pytest.raises(InputError, match="choose fewer instants"):
        exposure_film(square, 9)


# -- files ----------------------------------------------------------------------------------------------------------


def test_a_tiff_holds_every_value(tmp_path: Path) -> None:
    film = np.random.default_rng(0).integers(0, 65536, (5, 20, 30, 3)).astype(np.uint16)
    write_film(tmp_path / "film.tif", film)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "film.tif"), film)
    write_film(tmp_path / "grey.tiff", film[..., 0].astype(np.float32))
    with tifffile.TiffFile(tmp_path / "grey.tiff") as file:
        assert (file.series[0].axes, len(file.pages)) == ("TYX", 5)


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_a_film_for_the_eye_plays_there_and_back(square: DeblurResult, tmp_path: Path, suffix: str) -> None:
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    film = exposure_film(square, 5)
    write_film(tmp_path / f"film{suffix}", film)
    played = iio.imread(tmp_path / f"film{suffix}").astype(int)
    assert len(played) % 8 == 0
    columns = [int(np.nonzero(frame[30, :, 0] > 180)[0].mean().round()) for frame in played[:8]]
    expected = [top_left(film[index])[1] + 8 for index in (0, 1, 2, 3, 4, 3, 2, 1)]
    np.testing.assert_allclose(columns, expected, atol=1)


def test_deep_and_odd_sized_films_are_shown_by_their_range(tmp_path: Path) -> None:
    film = np.full((3, 21, 33), 4000, np.uint16)
    film[:, :, :16] = 0
    film[1:, :12] = 2000  # equal frames are one in a GIF
    film[2, :, 20:] = 1000
    write_film(tmp_path / "film.gif", film, value_range=(0, 4000), longest_px=16)
    played = iio.imread(tmp_path / "film.gif")
    assert played.shape[:3] == (4, 10, 16)
    assert played[0, ..., 0].min() < 10 < 245 < played[0, ..., 0].max()


def test_a_film_is_not_written_where_it_cannot_be(
    square: DeblurResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = exposure_film(square, 3)
    with pytest.raises(InputError, match="does not end like a film"):
        write_film(tmp_path / "film.avi", film)
    for speed in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"frames_per_second is {speed}; give a number above 0"):
            write_film(tmp_path / "film.gif", film, frames_per_second=speed)
    write_film(tmp_path / "film.gif", film)
    with pytest.raises(InputError, match="exists"):
        write_film(tmp_path / "film.gif", film)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install imageio\[ffmpeg\]"):
        write_film(tmp_path / "film.mp4", film)
    assert [path.name for path in tmp_path.iterdir()] == ["film.gif"]
