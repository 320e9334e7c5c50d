"""What a run learns from: made blur, pairs of every layout, mixtures, and what is held out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from m2aenet_core.errors import InputError
from m2aenet_core.training.config import TrainConfig
from m2aenet_core.training.sources import make_sources

Write = Callable[[Path, int], None]


def write(path: Path, level: int, size: int = 40) -> None:
    """Write a photo of one grey level, so that a sample tells where it comes from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size, size, 3), level, np.uint8)).save(path)


def write_mask(path: Path, rows: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((40, 40), np.uint8)
    mask[:rows] = 255
    Image.fromarray(mask).save(path)


@pytest.fixture
def gopro(tmp_path: Path) -> Path:
    """Blurred photos of level 10 to train on and 20 to test on; blur_gamma is 30; sharp ones are lighter by 100."""
    root = tmp_path / "GOPRO_Large"
    for split, level in (("train", 10), ("test", 20)):
        for number in range(3):
            scene = root / split / f"GOPR000{number}_11_00"
            write(scene / "blur" / "000001.png", level)
            write(scene / "blur_gamma" / "000001.png", 30)
            write(scene / "sharp" / "000001.png", level + 100)
    return root


@pytest.fixture
def reloblur(tmp_path: Path) -> Path:
    """Blurred photos of level 50 to train on and 60 to test on, with masks."""
    root = tmp_path / "ReLoBlur"
    for split, level in (("train", 50), ("test", 60)):
        for number in range(2):
            folder = root / "dataset" / split / "s01" / f"{number:02d}"
            write(folder / "01_blur.png", level)
            write(folder / "01_sharp.png", level + 100)
            write_mask(root / "masks" / split / "s01" / f"{number:02d}" / "01.png")
    return root


def levels(images: torch.Tensor) -> list[int]:
    """Give the level of each sample in the middle."""
    return [round(image[0, 16, 16].item() * 255) for image in images]


def test_made_blur_needs_photos_alone(config: TrainConfig) -> None:
    training, validation, notes = make_sources(config)
    batch = training.batch(config.seed, 0, 8)
    assert batch.blur.shape == (8, 3, 32, 32)
    assert batch.motion_known.all()
    assert len(validation.blur) == config.validation_samples
    # validation samples are not those of the training
    assert not any(torch.equal(image, other) for image in batch.blur for other in validation.blur)
    assert notes == (f"made blur from {config.data}: 2 photos and 0 cut-outs",)


def test_validation_photos_can_be_others(config: TrainConfig, tmp_path: Path) -> None:
    write(tmp_path / "held out" / "grey.png", 77, size=64)
    quiet = replace(config, blur=replace(config.blur, noise=0, jpeg_share=0))
    validation = make_sources(replace(quiet, validation=str(tmp_path / "held out"))).validation
    assert (validation.sharp == 77 / 255).float().mean() > 0.2
    assert (make_sources(quiet).validation.sharp == 77 / 255).float().mean() < 0.1


def test_gopro_counts_as_blurred_everywhere_and_is_validated_on_its_test_split(
    config: TrainConfig, gopro: Path
) -> None:
    training, validation, notes = make_sources(replace(config, data=None, pairs=(str(gopro),)))
    batch = training.batch(0, 0, 6)
    assert set(levels(batch.blur)) == {10}
    assert set(levels(batch.sharp)) == {110}
    assert batch.mask.min() == 1
    assert not batch.motion_known.any()
    assert set(levels(validation.blur)) == {20}
    assert [note.partition(" from ")[0] for note in notes] == ["pairs", "validation pairs"]


def test_the_other_averages_of_gopro_are_a_choice(config: TrainConfig, gopro: Path) -> None:
    changed = replace(config, data=None, pairs=(str(gopro),), gopro_blur="blur_gamma")
    assert set(levels(make_sources(changed).training.batch(0, 0, 4).blur)) == {30}


def test_what_is_held_out_is_found_whatever_photos_and_masks_are_chosen(
    config: TrainConfig, gopro: Path, reloblur: Path
) -> None:
    for path in sorted(gopro.glob("*/*/blur/*.png")):
        path.unlink()
    for path in sorted(gopro.glob("test/*/blur_gamma/*.png")):
        write(path, 40)
    gamma = replace(config, data=None, pairs=(str(gopro),), gopro_blur="blur_gamma")
    assert set(levels(make_sources(gamma).validation.blur)) == {40}
    for path in sorted(reloblur.glob("masks/**/*.png")):
        write_mask(reloblur / "masks_v2" / path.relative_to(reloblur / "masks"), rows=40)
    second = replace(config, data=None, pairs=(str(reloblur),), masks="masks_v2")
    validation = make_sources(second).validation
    assert set(levels(validation.blur)) == {60}
    assert validation.mask.min() == 1


def test_a_held_out_split_that_cannot_be_used_is_not_passed_over(config: TrainConfig, gopro: Path) -> None:
    write(gopro / "test" / "GOPR0000_11_00" / "blur" / "000001.jpg", 20)
    with pytest.raises(InputError, match=r"are both the blurred photo of GOPR0000_11_00/000001; keep one"):
        make_sources(replace(config, data=None, pairs=(str(gopro),)))


def test_a_set_without_the_masks_that_were_chosen_keeps_its_own(
    config: TrainConfig, gopro: Path, reloblur: Path
) -> None:
    for path in sorted(reloblur.glob("masks/**/*.png")):
        write_mask(reloblur / "by_hand" / path.relative_to(reloblur / "masks"), rows=0)
    for chosen in ("by_hand", str(reloblur / "by_hand")):
        both = replace(config, data=None, pairs=(str(gopro), str(reloblur)), masks=chosen)
        batch = make_sources(both).training.batch(0, 0, 8)
        assert {(level, float(mask.max())) for level, mask in zip(levels(batch.blur), batch.mask, strict=True)} == {
            (10, 1.0),
            (50, 0.0),
        }
    with pytest.raises(InputError, match=r"there is no folder of masks at .*gone"):
        make_sources(replace(both, masks="gone"))


def test_reloblur_comes_with_its_masks(config: TrainConfig, reloblur: Path) -> None:
    training, validation, _ = make_sources(replace(config, data=None, pairs=(str(reloblur),)))
    batch = training.batch(0, 0, 8)
    assert set(levels(batch.blur)) == {50}
    assert 0 < batch.mask.mean() < 1
    assert set(levels(validation.blur)) == {60}


def test_sources_are_mixed_in_equal_shares_or_in_given_ones(config: TrainConfig, gopro: Path, reloblur: Path) -> None:
    both = replace(config, data=None, pairs=(str(gopro), str(reloblur)))
    assert sorted(levels(make_sources(both).training.batch(0, 0, 8).blur)) == [10] * 4 + [50] * 4
    shares = replace(both, shares=(1.0, 3.0))
    assert sorted(levels(make_sources(shares).training.batch(0, 0, 8).blur)) == [10] * 2 + [50] * 6
    # validation takes what each set holds out
    assert set(levels(make_sources(both).validation.blur)) == {20, 60}


def test_made_blur_and_pairs_are_mixed(config: TrainConfig, gopro: Path) -> None:
    mixed = make_sources(replace(config, pairs=(str(gopro),), validation_samples=4))
    known = mixed.training.batch(0, 0, 4).motion_known
    assert known.tolist().count(True) == 2
    assert mixed.validation.motion_known.tolist().count(True) == 2


def test_what_is_asked_to_be_validated_on_is_all_that_is(config: TrainConfig, gopro: Path, reloblur: Path) -> None:
    asked = replace(config, pairs=(str(gopro),), validation_pairs=(str(reloblur),))
    assert set(levels(make_sources(asked).validation.blur)) == {60}


def test_pairs_without_splits_are_validated_on_themselves(config: TrainConfig, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / "mine" / "blur" / f"{name}.png", 5)
        write(tmp_path / "mine" / "sharp" / f"{name}.png", 105)
    sources = make_sources(replace(config, data=None, pairs=(str(tmp_path / "mine"),)))
    assert set(levels(sources.validation.blur)) == {5}


@pytest.fixture
def faulty(gopro: Path) -> Path:
    """A data set with a photo of no bytes and a sharp photo missing."""
    (gopro / "train" / "GOPR0000_11_00" / "blur" / "000001.png").write_bytes(b"")
    (gopro / "train" / "GOPR0001_11_00" / "sharp" / "000001.png").unlink()
    return gopro


def test_all_that_is_wrong_with_the_data_is_said_at_once(config: TrainConfig, faulty: Path) -> None:
    with pytest.raises(InputError, match="2 of 3 samples cannot be used") as caught:
        make_sources(replace(config, data=None, pairs=(str(faulty),)))
    assert "GOPR0000_11_00/blur/000001.png" in str(caught.value)
    assert "GOPR0001_11_00/sharp/000001.png" in str(caught.value)


def test_bad_pairs_can_be_left_out(config: TrainConfig, faulty: Path) -> None:
    sources = make_sources(replace(config, data=None, pairs=(str(faulty),), skip_bad=True))
    assert set(levels(sources.training.batch(0, 0, 4).blur)) == {10}
    assert "1 pairs, 0 with masks" in sources.notes[0]
    assert "2 of 3 samples are left out" in sources.notes[0]


def test_bad_photos_can_be_left_out(config: TrainConfig, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "some bad"
    folder.mkdir()
    (folder / "good.png").write_bytes((photos / "chelsea.png").read_bytes())
    (folder / "bad.png").write_bytes((photos / "chelsea.png").read_bytes()[:500])
    with pytest.raises(InputError, match=r"bad\.png"):
        make_sources(replace(config, data=str(folder)))
    assert "1 photos" in make_sources(replace(config, data=str(folder), skip_bad=True)).notes[0]


def test_photos_that_are_smaller_than_the_crop_are_told(config: TrainConfig, tmp_path: Path) -> None:
    folder = tmp_path / "sizes"
    for name, size in (("small", 24), ("large", 64)):
        write(folder / f"{name}.png", 90, size)
    mixed = replace(config, data=str(folder))
    told = "2 photos and 0 cut-outs, 1 of them smaller than crops of 32 pixels and enlarged for them"
    assert make_sources(mixed).notes[0].endswith(told)
    with pytest.raises(InputError, match=r"crop_px is 65, and no photo in .* is that large \(the largest is 64x64\)"):
        make_sources(replace(mixed, blur=replace(config.blur, crop_px=65)))


def test_bad_cutouts_are_told_and_can_be_left_out(config: TrainConfig, tmp_path: Path) -> None:
    folder = tmp_path / "cutouts"
    folder.mkdir()
    for name in ("good", "bad"):
        Image.fromarray(np.full((40, 40, 4), 255, np.uint8)).save(folder / f"{name}.png")
    (folder / "bad.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"1 of 2 samples cannot be used \(1 empty file\)"):
        make_sources(replace(config, cutouts=str(folder)))
    notes = make_sources(replace(config, cutouts=str(folder), skip_bad=True)).notes
    assert notes[0].startswith(f"cut-outs from {folder}: 1 cut-outs; 1 of 2 samples are left out")
    assert notes[1].endswith("2 photos and 1 cut-outs")
