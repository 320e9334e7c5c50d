"""Samples cut out of pairs."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from m2aenet_core.data import pair_source
from m2aenet_core.data.crops import CropConfig
from m2aenet_core.data.loader import batches
from m2aenet_core.data.pair_source import PairSource
from m2aenet_core.data.pairs import Pair, read_pairs
from m2aenet_core.data.sample import Batch
from m2aenet_core.errors import InputError

Save = Callable[[Path, np.ndarray], Path]
Scene = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]
PAIRS = 5


@pytest.fixture
def pairs(tmp_path: Path, save: Save, scene: Scene) -> list[Pair]:
    for number in range(PAIRS):
        blur, sharp, mask = scene(number=number)
        save(tmp_path / "blur" / f"{number}.png", blur)
        save(tmp_path / "sharp" / f"{number}.png", sharp)
        save(tmp_path / "mask" / f"{number}.png", mask.astype(np.uint8) * 255)
    return read_pairs(tmp_path)


@pytest.fixture
def source(pairs: list[Pair]) -> PairSource:
    return PairSource(pairs, CropConfig(crop_px=16), cache_bytes=0)


def joined(parts: list[Batch]) -> Batch:
    return Batch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def assert_same(ours: Batch, theirs: Batch) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def test_samples_have_the_shapes_and_ranges_of_a_batch_and_no_motion(source: PairSource) -> None:
    batch = source.batch(seed=1, first=0, count=4)
    assert batch.blur.shape == batch.sharp.shape == (4, 3, 16, 16)
    assert batch.mask.shape == (4, 1, 16, 16)
    assert batch.start.shape == batch.end.shape == (4, 2, 16, 16)
    assert {tensor.dtype for tensor in batch[:5]} == {torch.float32}
    assert not batch.start.any()
    assert not batch.end.any()
    assert batch.motion_known.tolist() == [False] * 4
    assert set(batch.mask.unique().tolist()) == {0.0, 1.0}
    assert all(tensor.is_contiguous() for tensor in batch)


def test_blur_sharp_and_mask_come_from_one_place_of_one_pair(
    source: PairSource, marks: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> None:
    batch = source.batch(seed=1, first=0, count=60)
    blur, sharp = ((images * 255).round().byte().numpy() for images in (batch.blur, batch.sharp))
    assert np.array_equal(blur[:, :2], sharp[:, :2])
    assert np.array_equal(blur[:, 2] + 100, sharp[:, 2])
    assert np.array_equal(batch.mask[:, 0].numpy() > 0.5, marks(blur[:, 0], blur[:, 1]))


def test_every_pair_comes_once_before_one_comes_again(source: PairSource) -> None:
    numbers = (source.batch(seed=1, first=0, count=4 * PAIRS).blur[:, 2, 0, 0] * 255).round().int().tolist()
    rounds = [numbers[at : at + PAIRS] for at in range(0, len(numbers), PAIRS)]
    assert all(sorted(one) == list(range(PAIRS)) for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_sample_is_the_same_in_whatever_batch(source: PairSource, size: int) -> None:
    whole = source.batch(seed=7, first=0, count=15)
    parts = [source.batch(seed=7, first=first, count=size) for first in range(0, 15, size)]
    assert_same(joined(parts), whole)


def test_another_seed_gives_other_samples(source: PairSource) -> None:
    assert not torch.equal(source.batch(seed=1, first=0, count=4).blur, source.batch(seed=2, first=0, count=4).blur)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_the_same_samples_and_leave_what_they_read_to_the_others(
    pairs: list[Pair], source: PairSource, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CropConfig(crop_px=16)
    expected = source.batch(seed=1, first=0, count=12)
    sharing = PairSource(pairs, config, cache_bytes=10_000_000)
    assert_same(joined(list(batches(sharing, seed=1, size=3, first=0, last=4, workers=workers))), expected)
    if "fork" in multiprocessing.get_all_start_methods():
        # all pairs have been read, by the workers: nothing is read any more
        monkeypatch.setattr(pair_source, "read_pair", lambda pair: pytest.fail(f"{pair.name} was read again"))
        assert_same(sharing.batch(seed=1, first=0, count=12), expected)


def test_what_is_kept_in_memory_changes_no_sample(pairs: list[Pair], source: PairSource) -> None:
    config = CropConfig(crop_px=16)
    for limit in (0, 40 * 60 * 7 * 2, 10_000_000, None):
        cached = PairSource(pairs, config, cache_bytes=limit)
        for _ in range(2):
            assert_same(cached.batch(seed=3, first=2, count=9), source.batch(seed=3, first=2, count=9))


def test_a_pair_without_a_mask_is_blurred_everywhere(pairs: list[Pair]) -> None:
    source = PairSource([pair._replace(mask=None) for pair in pairs], CropConfig(crop_px=16), cache_bytes=0)
    assert source.batch(seed=1, first=0, count=4).mask.min() == 1


def test_samples_are_centred_on_blur_in_the_set_share(pairs: list[Pair], save: Save) -> None:
    for pair in pairs:
        mask = np.zeros((40, 60), np.uint8)
        mask[12, 50] = 1
        assert pair.mask is not None
        save(pair.mask, mask)
    for share in (0.5, 1.0):
        source = PairSource(pairs, CropConfig(crop_px=8, blur_centred_share=share), cache_bytes=10_000_000)
        with_blur = source.batch(seed=1, first=0, count=1000).mask.amax(dim=(1, 2, 3))
        by_chance = (1 - share) * 64 / (33 * 53)
        assert abs(float(with_blur.mean()) - share - by_chance) < 0.05


def test_a_photo_smaller_than_the_crop_is_named(pairs: list[Pair]) -> None:
    with pytest.raises(InputError, match=r"\.png is 60x40, smaller than the crop of 64; choose a smaller crop_px"):
        PairSource(pairs, CropConfig(crop_px=64), cache_bytes=0).batch(seed=0, first=0, count=1)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_breaks_during_training_is_named_in_a_sentence(pairs: list[Pair], workers: int) -> None:
    source = PairSource(pairs[:1], CropConfig(crop_px=16), cache_bytes=0)
    pairs[0].sharp.write_bytes(b"")
    stream = batches(source, seed=0, size=1, first=0, last=2, workers=workers)
    with pytest.raises(InputError) as caught:
        next(stream)
    assert str(caught.value).startswith(f"{pairs[0].sharp} is empty (0 bytes)")
