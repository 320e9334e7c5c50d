"""Blur that is made otherwise is what its kind says, and what becomes of it is told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from m2aenet_core.benchmark.command import main
from m2aenet_core.benchmark.made_otherwise import KINDS, MadeOtherwise, make
from m2aenet_core.benchmark.transfer import TransferConfig, TransferFigures, benchmark_transfer, to_table
from m2aenet_core.checkpoint import save_model
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import write_image
from m2aenet_core.metrics import psnr
from m2aenet_core.models.nafnet import NAFNet

PHOTO = np.ascontiguousarray(skimage.data.astronaut()[:160, 160:360])
OTHER = np.ascontiguousarray(skimage.data.coffee()[100:300, 100:400])


def made(kind: str, length_px: float = 20, photo: np.ndarray = PHOTO, other: np.ndarray = OTHER) -> MadeOtherwise:
    return make(kind, photo, other, length_px, 0.1, np.random.default_rng(3))


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_masked_is_blurred(kind: str) -> None:
    blur, sharp, mask = made(kind)
    assert blur.shape == sharp.shape == PHOTO.shape
    assert blur.dtype == sharp.dtype == np.uint8
    assert mask.shape == PHOTO.shape[:2]
    assert 0.05 < mask.mean() < 0.35
    # what was not touched differs by its compression alone
    assert psnr(blur, sharp, ~mask) > 33
    assert psnr(blur, sharp, mask) < 27
    again = made(kind)
    np.testing.assert_array_equal(again.blur, blur)


@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_path_blurs_more(kind: str) -> None:
    short, long = made(kind, 6), made(kind, 30)
    np.testing.assert_array_equal(short.sharp, long.sharp)
    assert psnr(short.blur, short.sharp) > psnr(long.blur, long.sharp) + 1


def test_light_adds_up_where_frames_are_averaged_as_they_are_encoded() -> None:
    black, white = np.zeros_like(PHOTO), np.full_like(PHOTO, 255)
    light, encoded = (made(kind, photo=black, other=white).blur.astype(int) for kind in ("object", "frames"))
    # the same arc at first, by the same chance; a half of white's light is encoded as 188, the mean of the codes is 128
    between = (encoded[..., 0] > 100) & (encoded[..., 0] < 156)
    assert between.sum() > 50
    assert (light - encoded)[between].mean() > 30


def test_nine_frames_are_seen_one_by_one() -> None:
    black, white = np.zeros_like(PHOTO), np.full_like(PHOTO, 255)
    levels, counts = np.unique(made("frames", 60, black, white).blur[..., 0], return_counts=True)
    steps = [counts[np.abs(levels - 255 * frame / 9) <= 3].sum() for frame in range(1, 9)]
    # flat steps, between which only edges and compression lie
    assert sum(steps) > 0.5 * counts[(levels > 10) & (levels < 245)].sum()


def test_what_turns_stays_sharp_in_its_middle() -> None:
    blur, sharp, mask = made("turning", 12)
    rows, columns = np.nonzero(mask)
    middle = np.hypot(*(np.indices(mask.shape) - np.array([rows.mean(), columns.mean()])[:, None, None])) < 3
    assert mask[middle].mean() < 0.9
    assert psnr(blur, sharp, middle) > psnr(blur, sharp, mask) + 3


def test_what_is_filtered_is_the_photo_itself() -> None:
    assert np.array_equal(made("filtered").sharp, PHOTO)


def test_each_photo_is_restored_once_for_each_kind(photos: Path, tmp_path: Path) -> None:
    config = TransferConfig(data=str(photos), model="small", device="cpu", out=str(tmp_path / "out"))
    measured = [each.figures for each in benchmark_transfer(config)]
    assert [(each.kind, each.photo) for each in measured] == [
        (kind, photo) for kind in KINDS for photo in ("chelsea.png", "coffee.png")
    ]
    assert all(8 <= each.path_px <= 34 for each in measured)
    assert len({each.path_px for each in measured}) == len(measured)
    assert measured == [each.figures for each in benchmark_transfer(config)]


def test_the_table_holds_means_and_the_least_gain() -> None:
    config = {"photo": "a", "path_px": 10.0, "psnr": 30.0, "outside": 50.0, "mask_iou": 0.5}
    measured = [
        TransferFigures(kind="object", gain_w=1.0, gain=-0.5, **config),
        TransferFigures(kind="object", gain_w=3.0, gain=0.5, **config),
        TransferFigures(kind="frames", gain_w=-1.0, gain=1.0, **config),
    ]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in to_table(measured).splitlines()[2:]]
    assert rows[0] == ["object", "2", "30.00", "+2.00", "+1.00", "+0.00", "50%", "50.0", "0.500"]
    assert rows[1][:5] == ["frames", "1", "30.00", "-1.00", "-1.00"]
    assert rows[2][:5] == ["all", "3", "30.00", "+1.00", "-1.00"]
    assert len(to_table(measured[2:]).splitlines()) == 3
    # where nothing is blurred there is no gain to take a mean of
    nothing = TransferFigures(kind="frames", gain_w=math.nan, gain=0.0, **config)
    assert (
        to_table([*measured[2:], nothing]).splitlines()[2].split("|")[4:6]
        == to_table(measured[2:]).splitlines()[2].split("|")[4:6]
    )


def test_photos_too_small_for_their_blur_end_in_a_table_all_the_same(tmp_path: Path) -> None:
    for name, size in (("a", (3, 4)), ("b", (30, 40))):
        write_image(tmp_path / "photos" / f"{name}.png", PHOTO[: size[0], : size[1]])
    out = tmp_path / "out"
    assert main(f"transfer --data {tmp_path / 'photos'} --model small --device cpu --out {out}".split()) == 0
    assert (out / "transfer.png").stat().st_size > 0


def test_the_command_writes_table_figures_and_picture(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = f"transfer --data {photos} --model small --kinds object filtered --device cpu --out {out}"
    assert main(words.split()) == 0
    table = capsys.readouterr().out
    assert (out / "transfer.md").read_text() == table
    content = json.loads((out / "transfer.json").read_text())
    assert [each["kind"] for each in content["measurements"]] == ["object"] * 2 + ["filtered"] * 2
    assert all(math.isfinite(each["gain_w"]) for each in content["measurements"])
    with Image.open(out / "transfer.png") as sheet:
        # the best and the worst of each kind
        assert sheet.height > 4 * 100


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kinds": ("object", "smear")}, "there is no kind of blur called 'smear'; choose some of object"),
        ({"kinds": ()}, "choose some of object"),
        ({"path_px": (20, 8)}, "path_px is 20 to 8"),
        ({"area": (0.1, 0.9)}, "area is 0.1 to 0.9"),
        ({"limit": 0}, "give at least 1"),
        ({"threshold": 2.0}, "threshold"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        TransferConfig(data="photos", **changes)


def test_a_network_that_does_not_look_for_blur_is_refused(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "nafnet.safetensors"
    save_model(NAFNet(4, (1, 1), 1, (1, 1)), path)
    with pytest.raises(InputError, match="choose a model that finds it"):
        next(benchmark_transfer(TransferConfig(data=str(photos), model=str(path), device="cpu")))
