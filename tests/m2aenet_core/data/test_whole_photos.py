"""Made blur on whole photos."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from m2aenet_core.data import whole_photos
from m2aenet_core.data.folder import list_images, read_rgb
from m2aenet_core.data.whole_photos import WholePhotosConfig, blurred_photos, blurred_sample, count_blurred_photos
from m2aenet_core.errors import InputError


@pytest.fixture
def config(photo: np.ndarray, tmp_path: Path) -> WholePhotosConfig:
    for name, pixels in (("a", photo[:100, :120]), ("b", photo[150:250, 200:330]), ("c", photo[100:190, 300:400])):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return WholePhotosConfig(data=str(tmp_path), path_px=(4.0, 8.0), area=(0.05, 0.3))


def test_every_photo_comes_as_often_as_asked_with_itself(config: WholePhotosConfig) -> None:
    made = list(blurred_photos(config))
    assert [blurred.path.name for blurred in made] == ["a.png", "a.png", "b.png", "b.png", "c.png", "c.png"]
    assert count_blurred_photos(config) == 6
    for path, photo, sample in made:
        assert np.array_equal(photo, np.asarray(Image.open(path)))
        assert sample.blur.shape == (1, 3, *photo.shape[:2])
        # what is not covered by the object is the photo, with a little noise
        untouched = torch.from_numpy(photo.copy()).permute(2, 0, 1) / 255
        assert ((sample.sharp[0] - untouched).abs().amax(dim=0) < 0.1).float().mean() > 0.5


@pytest.mark.parametrize("area", [(0.03, 0.08), (0.15, 0.3)])
def test_one_object_blurs_a_share_in_the_range(config: WholePhotosConfig, area: tuple[float, float]) -> None:
    shares = [float(blurred.sample.mask.mean()) for blurred in blurred_photos(replace(config, area=area))]
    assert area[0] <= min(shares)
    assert max(shares) <= area[1]


def test_the_seed_decides_every_sample(config: WholePhotosConfig) -> None:
    first, again, other = (
        [blurred.sample.blur for blurred in blurred_photos(replace(config, seed=seed))] for seed in (0, 0, 1)
    )
    for ours, same, changed in zip(first, again, other, strict=True):
        assert torch.equal(ours, same)
        assert not torch.equal(ours, changed)


def test_paths_are_as_long_as_asked(config: WholePhotosConfig) -> None:
    def longest(config: WholePhotosConfig) -> float:
        return max(float((made.sample.end - made.sample.start).norm(dim=1).max()) for made in blurred_photos(config))

    assert longest(config) < longest(replace(config, path_px=(25.0, 30.0)))


def test_objects_are_cut_from_all_other_photos_of_a_small_folder(config: WholePhotosConfig) -> None:
    photos = [read_rgb(path) for path in list_images(config.data)]
    for number, made in enumerate(blurred_photos(config)):
        index, sample = divmod(number, 2)
        rng = np.random.default_rng((config.seed, index, sample))
        expected = blurred_sample(config, photos[index], photos[:index] + photos[index + 1 :], [], rng)
        for ours, same in zip(made.sample, expected, strict=True):
            assert torch.equal(ours, same)


def test_of_a_large_folder_few_photos_are_read_before_the_first_sample(
    config: WholePhotosConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        (tmp_path / f"d{number}.png").symlink_to(tmp_path / "a.png")
    read: list[str] = []
    monkeypatch.setattr(whole_photos, "read_rgb", lambda path: read.append(path.name) or read_rgb(path))  # type: ignore[func-returns-value]
    first, second, third = (
        made.path.name for made, _ in zip(blurred_photos(replace(config, samples=1)), "123", strict=False)
    )
    assert (first, second, third) == ("a.png", "b.png", "c.png")
    assert len(read) <= 64 + 4
    assert len(set(read)) == len(read)


def test_the_manifest_counts_for_cutouts_too(config: WholePhotosConfig, tmp_path: Path) -> None:
    (tmp_path / "cutouts").mkdir()
    Image.fromarray(np.full((80, 80, 4), 255, np.uint8)).save(tmp_path / "cutouts" / "white.png")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("file,clear_licence\na.png,yes\n")
    with pytest.raises(InputError, match=r"none of the 1 images in .*cutouts is marked yes"):
        next(blurred_photos(replace(config, manifest=str(manifest), cutouts=str(tmp_path / "cutouts"))))


def test_cutouts_move_where_they_are_given(config: WholePhotosConfig, tmp_path: Path) -> None:
    (tmp_path / "cutouts").mkdir()
    green = np.full((80, 80, 4), (0, 255, 0, 255), np.uint8)
    Image.fromarray(green).save(tmp_path / "cutouts" / "green.png")
    photos = tmp_path / "photos"
    photos.mkdir()
    (tmp_path / "a.png").rename(photos / "a.png")
    moved = replace(config, data=str(photos), cutouts=str(tmp_path / "cutouts"), samples=6)
    is_green = [bool((made.sample.sharp[0, 1] - made.sample.sharp[0, 0] > 0.5).any()) for made in blurred_photos(moved)]
    # half of the objects, as near as six draws come to it
    assert any(is_green)
    assert not all(is_green)


def test_a_photo_alone_is_its_own_source_of_objects(config: WholePhotosConfig, tmp_path: Path) -> None:
    for name in ("b", "c"):
        (tmp_path / f"{name}.png").unlink()
    assert all(made.sample.mask.any() for made in blurred_photos(config))


def test_encoded_frames_may_be_averaged_instead_of_light(config: WholePhotosConfig) -> None:
    for light, encoded in zip(blurred_photos(config), blurred_photos(replace(config, encoded=True)), strict=True):
        assert torch.equal(light.sample.mask, encoded.sample.mask)
        moved = light.sample.mask[:, 0] > 0
        mean_of_light, mean_of_frames = (each.sample.blur[:, :, moved[0]].mean() for each in (light, encoded))
        assert mean_of_light > mean_of_frames


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"samples": 0}, "samples is 0; give at least 1"),
        ({"seed": -1}, "seed is -1; give 0 or more"),
        ({"path_px": (34.0, 8.0)}, r"path_px is \[34.0, 8.0\]; give the shortest"),
        ({"area": (0.2, 0.02)}, r"area is \[0.2, 0.02\]; give the smallest"),
    ],
)
def test_what_no_samples_can_be_drawn_from_gets_a_sentence(
    config: WholePhotosConfig, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        replace(config, **changes)
