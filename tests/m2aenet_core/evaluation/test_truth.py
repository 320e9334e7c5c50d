"""What is scored: recognised by what a folder holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2aenet_core.data.whole_photos import blurred_photos
from m2aenet_core.errors import InputError
from m2aenet_core.evaluation.config import EvaluateConfig
from m2aenet_core.evaluation.truth import open_truths
from m2aenet_core.pixels import to_uint8


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(photo: np.ndarray, tmp_path: Path) -> Path:
    write(tmp_path / "photos" / "a.png", photo[:100, :120])
    write(tmp_path / "photos" / "trip" / "a.png", photo[150:250, 200:330])
    return tmp_path / "photos"


@pytest.fixture
def reloblur(photo: np.ndarray, tmp_path: Path) -> Path:
    """Two test pairs in ReLoBlur's layout, with masks, and one train pair."""
    root = tmp_path / "ReLoBlur"
    mask = np.zeros((64, 80), np.uint8)
    mask[20:40, 30:50] = 7
    for split, number, left in (("test", "01", 0), ("test", "02", 100), ("train", "01", 200)):
        sharp = photo[:64, left : left + 80]
        write(root / "dataset" / split / "s01" / "00" / f"{number}_sharp.png", sharp)
        write(root / "dataset" / split / "s01" / "00" / f"{number}_blur.png", sharp // 2)
        write(root / "masks" / split / "s01" / "00" / f"{number}.png", mask)
    return root


def small(folder: Path) -> EvaluateConfig:
    return EvaluateConfig(data=str(folder), path_px=(4.0, 8.0), area=(0.05, 0.3))


def test_sharp_photos_get_the_blur_that_the_seed_decides(photos: Path) -> None:
    config = small(photos)
    truths = open_truths(config)
    assert len(truths) == 4
    assert truths.has_masks
    assert truths.kind == "made blur"
    found, made = list(truths), list(blurred_photos(config))
    assert [(truth.name, truth.sample) for truth in found] == [
        ("a.png", 1),
        ("a.png", 2),
        ("trip/a.png", 1),
        ("trip/a.png", 2),
    ]
    for truth, (_, photo, sample) in zip(found, made, strict=True):
        assert np.array_equal(truth.photo, photo)
        assert np.array_equal(truth.blur, to_uint8(sample.blur[0]))
        assert np.array_equal(truth.sharp, to_uint8(sample.sharp[0]))
        assert truth.mask is not None
        assert np.array_equal(truth.mask, sample.mask[0, 0].numpy() > 0.5)
        assert truth.motion is not None
        assert np.array_equal(truth.motion.end[..., 1], sample.end[0, 1].numpy())
        # what moved is what is blurred
        assert np.abs(truth.motion.start[truth.mask]).max() > 0
    assert "encoded" not in truths.description


def test_what_was_averaged_as_encoded_frames_says_so(photos: Path) -> None:
    light, encoded = (open_truths(replace(small(photos), encoded=each)) for each in (False, True))
    assert "averaged as encoded frames" in encoded.description
    for ours, theirs in zip(light, encoded, strict=True):
        assert not np.array_equal(ours.blur, theirs.blur)


def test_reloblur_is_recognised_and_read_as_it_is(reloblur: Path, photo: np.ndarray) -> None:
    truths = open_truths(small(reloblur))
    assert truths.kind == "pairs"
    assert len(truths) == 2
    first = next(iter(truths))
    assert np.array_equal(first.sharp, photo[:64, :80])
    assert np.array_equal(first.blur, photo[:64, :80] // 2)
    assert first.photo is first.sharp
    assert first.mask is not None
    assert first.mask.sum() == 400
    assert first.motion is None


def test_gopro_has_no_mask_and_a_blur_to_choose(photo: np.ndarray, tmp_path: Path) -> None:
    scene = tmp_path / "GOPRO_Large" / "test" / "GOPR0001_11_00"
    for folder, factor in (("blur", 2), ("blur_gamma", 3), ("sharp", 1)):
        write(scene / folder / "000001.png", photo[:64, :80] // factor)
    config = small(tmp_path / "GOPRO_Large")
    truths = open_truths(config)
    assert not truths.has_masks
    (truth,) = truths
    assert truth.mask is None
    assert np.array_equal(truth.blur, photo[:64, :80] // 2)
    (other,) = open_truths(replace(config, blur="blur_gamma"))
    assert np.array_equal(other.blur, photo[:64, :80] // 3)


def test_a_folder_of_pairs_can_be_taken_for_sharp_photos_when_told_so(reloblur: Path) -> None:
    truths = open_truths(replace(small(reloblur / "dataset" / "train"), pairs=False))
    assert truths.kind == "made blur"


def test_a_folder_of_sharp_photos_is_no_folder_of_pairs(photos: Path) -> None:
    with pytest.raises(InputError, match="holds no pairs in a layout that is known"):
        open_truths(replace(small(photos), pairs=True))


def test_a_missing_split_gets_its_own_sentence(reloblur: Path) -> None:
    with pytest.raises(InputError, match="holds test and train but no val"):
        open_truths(replace(small(reloblur), split="val"))


@pytest.mark.parametrize("damage", ["empty", "missing", "size"])
def test_an_unreadable_pair_gets_a_sentence_that_names_it(reloblur: Path, damage: str) -> None:
    path = reloblur / "dataset" / "test" / "s01" / "00" / "02_sharp.png"
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "missing":
        path.unlink()
    else:
        write(path, np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(InputError, match=r"02_sharp\.png"):
        list(open_truths(small(reloblur)))


def test_the_first_photos_alone_are_scored_where_asked(photos: Path, reloblur: Path) -> None:
    for folder, count in ((photos, 3), (reloblur, 1)):
        truths = open_truths(replace(small(folder), limit=count))
        assert len(truths) == len(list(truths)) == count
    assert len(open_truths(replace(small(reloblur), limit=100))) == 2


def test_a_photo_that_changed_is_another_one(photos: Path) -> None:
    before = open_truths(small(photos)).fingerprint
    assert open_truths(small(photos)).fingerprint == before
    write(photos / "a.png", np.zeros((100, 120, 3), np.uint8))
    assert open_truths(small(photos)).fingerprint != before


def test_a_folder_that_is_not_there_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        open_truths(small(tmp_path / "nothing"))
