"""Where samples are cut out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from m2aenet_core.data.crops import Crop, CropConfig, draw_crop
from m2aenet_core.errors import InputError

Scene = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]
SHAPE = (40, 60)


def crops_of(mask: np.ndarray | None, draws: int, **config: object) -> list[Crop]:
    rng = np.random.default_rng(3)
    return [draw_crop(rng, SHAPE, mask, CropConfig(crop_px=8, **config)) for _ in range(draws)]  # type: ignore[arg-type]


def spot() -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[30, 20] = True
    return mask


def test_all_images_of_a_pair_are_cut_at_one_place_and_turned_alike(
    scene: Scene, marks: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> None:
    blur, sharp, mask = scene(*SHAPE)
    for crop in crops_of(mask, 100):
        cut, other, cut_mask = crop.of(blur), crop.of(sharp), crop.of(mask)
        assert cut.shape == other.shape == (8, 8, 3)
        assert np.array_equal(cut[..., :2], other[..., :2])
        assert np.array_equal(cut_mask, marks(cut[..., 0], cut[..., 1]))
        assert (cut[..., 0].min(), cut[..., 1].min()) == (crop.top, crop.left)


def test_the_eight_ways_to_lay_a_square_come_equally_often(scene: Scene) -> None:
    blur = scene(*SHAPE)[0]
    draws = 4000
    ways = [crop.of(blur)[[0, 0, 7], [0, 7, 0], :2].astype(int) for crop in crops_of(None, draws)]
    names = [tuple(np.sign(np.concatenate([way[1] - way[0], way[2] - way[0]]))) for way in ways]
    counts = {name: names.count(name) for name in set(names)}
    assert len(counts) == 8
    assert max(abs(count / draws - 1 / 8) for count in counts.values()) < 0.02


def test_without_quarter_turns_up_stays_up_or_down(scene: Scene) -> None:
    blur = scene(*SHAPE)[0]
    for crop in crops_of(None, 50, quarter_turns=False):
        assert len(set(crop.of(blur)[0, :, 0])) == 1  # a row is still a row


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_set_share_of_samples_is_centred_on_blur(share: float) -> None:
    draws = 4000
    crops = crops_of(spot(), draws, blur_centred_share=share)
    centred = sum((crop.top, crop.left) == (26, 16) for crop in crops)
    by_chance = (1 - share) / (33 * 53)
    assert abs(centred / draws - share - by_chance) < 0.025


def test_every_blurred_pixel_is_a_centre_equally_often() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[[10, 20, 20, 30], [10, 30, 31, 50]] = True
    crops = crops_of(mask, 4000, blur_centred_share=1.0)
    centres = [(crop.top + 4, crop.left + 4) for crop in crops]
    counts = {centre: centres.count(centre) for centre in set(centres)}
    assert counts.keys() == {(10, 10), (20, 30), (20, 31), (30, 50)}
    assert max(abs(count / 4000 - 1 / 4) for count in counts.values()) < 0.03


@pytest.mark.parametrize("corner", [(0, 0), (0, 59), (39, 0), (39, 59)])
def test_blur_at_the_edge_is_in_the_crop(corner: tuple[int, int]) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[corner] = True
    for crop in crops_of(mask, 20, blur_centred_share=1.0):
        assert crop.of(mask).shape == (8, 8)
        assert crop.of(mask).any()


@pytest.mark.parametrize("mask", [None, np.ones(SHAPE, bool), np.zeros(SHAPE, bool)], ids=["none", "all", "nothing"])
def test_where_all_or_nothing_is_blurred_every_place_is_equally_likely(mask: np.ndarray | None) -> None:
    crops = crops_of(mask, 4000, blur_centred_share=1.0)
    for places, count in ((np.array([crop.top for crop in crops]), 33), (np.array([crop.left for crop in crops]), 53)):
        assert (places.min(), places.max()) == (0, count - 1)
        # crops stopped at the edge would come far more often
        assert np.bincount(places, minlength=count).max() < 2 * 4000 / count


def test_a_crop_may_be_the_whole_photo() -> None:
    crop = draw_crop(np.random.default_rng(0), (8, 8), None, CropConfig(crop_px=8))
    assert (crop.top, crop.left) == (0, 0)


@pytest.mark.parametrize("shape", [(7, 60), (60, 7)])
def test_a_photo_smaller_than_the_crop_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"is {shape[1]}x{shape[0]}, smaller than the crop of 8; choose a smaller"):
        draw_crop(np.random.default_rng(0), shape, None, CropConfig(crop_px=8))
