"""Pairs as whole photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from m2aenet_core.data.whole_pairs import PairsOnDisk, whole_pairs
from m2aenet_core.errors import InputError

Save = Callable[[Path, np.ndarray], Path]
Scene = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]


@pytest.fixture
def reloblur(tmp_path: Path, save: Save, scene: Scene) -> Path:
    for split, count in (("train", 3), ("test", 2)):
        for number in range(count):
            blur, sharp, mask = scene(number=number)
            folder = tmp_path / "dataset" / split / "s01" / "00"
            save(folder / f"{number:02}_blur.png", blur)
            save(folder / f"{number:02}_sharp.png", sharp)
            save(tmp_path / "masks" / split / "s01" / "00" / f"{number:02}.png", mask.astype(np.uint8))
    return tmp_path


@pytest.mark.parametrize("given", ["", "dataset", "dataset/test"])
def test_the_pairs_of_a_split_come_whole_and_in_order(reloblur: Path, scene: Scene, given: str) -> None:
    pairs = whole_pairs(reloblur / given)
    assert len(pairs) == 2
    for _ in range(2):  # they can be gone through again
        for number, (name, *images) in enumerate(pairs):
            assert name == f"s01/00/{number:02}"
            assert all(np.array_equal(a, b) for a, b in zip(images, scene(number=number), strict=True))  # type: ignore[arg-type]


def test_another_split_can_be_asked_for(reloblur: Path) -> None:
    assert len(whole_pairs(reloblur, split="train")) == 3


def test_a_set_without_masks_has_none(reloblur: Path) -> None:
    pairs = PairsOnDisk([pair._replace(mask=None) for pair in whole_pairs(reloblur).pairs])
    assert [pair.mask for pair in pairs] == [None, None]


def test_a_broken_pair_is_named_when_its_turn_comes(reloblur: Path) -> None:
    pairs = whole_pairs(reloblur)
    pairs.pairs[1].sharp.write_bytes(b"")
    stream = iter(pairs)
    assert next(stream).name == "s01/00/00"
    with pytest.raises(InputError, match=r"01_sharp\.png is empty"):
        next(stream)
