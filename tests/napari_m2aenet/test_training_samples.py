from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2aenet_core.data.check import check_pairs
from m2aenet_core.data.pair_pixels import read_pair
from m2aenet_core.data.pairs import read_pairs
from m2aenet_core.errors import InputError
from napari_m2aenet.comparing import Box
from napari_m2aenet.training_preview import preview_box
from napari_m2aenet.training_samples import Correction, free_name, save_sample

RNG = np.random.default_rng(5)
PHOTO, SHARP = RNG.integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)
MASK = np.zeros((40, 50), bool)
MASK[10:20, 5:30] = True


def test_a_sample_is_read_back_as_it_was_and_passes_the_trainers_check(tmp_path: Path) -> None:
    assert save_sample(tmp_path, Correction("street: 1", PHOTO, MASK, SHARP, (0, 255))) == "street-1"
    pairs = read_pairs(tmp_path)
    assert check_pairs(pairs, 32, show_progress=False) == []
    pixels = read_pair(pairs[0])
    np.testing.assert_array_equal(pixels.blur, PHOTO)
    np.testing.assert_array_equal(pixels.sharp, SHARP)
    assert pixels.mask is not None
    np.testing.assert_array_equal(pixels.mask, MASK)


def test_a_deep_grey_photo_is_saved_as_the_network_sees_it(tmp_path: Path) -> None:
    grey = np.linspace(100, 1100, 40 * 50).reshape(40, 50).astype(np.uint16)
    save_sample(tmp_path, Correction("cells", grey, MASK, grey, (100, 1100)))
    saved = np.asarray(Image.open(tmp_path / "blur" / "cells.png"))
    assert (saved.dtype, saved.min(), saved.max()) == (np.uint8, 0, 255)


def test_no_sample_is_replaced(tmp_path: Path) -> None:
    correction = Correction("street", PHOTO, MASK, SHARP, (0, 255))
    assert [save_sample(tmp_path, correction) for _ in range(3)] == ["street", "street-2", "street-3"]
    assert len(read_pairs(tmp_path)) == 3


@pytest.mark.parametrize("name", ["img_blur", "mask", "a/b\\c", "..", "Straße №1"])
def test_any_name_of_a_layer_makes_a_file_that_is_read_by_its_folder(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        save_sample(tmp_path, Correction(name, PHOTO, MASK, SHARP, (0, 255)))
    pairs = read_pairs(tmp_path)
    assert len(pairs) == 2
    assert check_pairs(pairs, show_progress=False) == []
    assert all(pair.mask is not None for pair in pairs)
    assert free_name(tmp_path, name) not in {pair.name for pair in pairs}


def test_without_blur_the_photo_is_its_own_sharp_partner(tmp_path: Path) -> None:
    save_sample(tmp_path, Correction("still", PHOTO, np.zeros_like(MASK), None, (0, 255)))
    pairs = read_pairs(tmp_path)
    assert check_pairs(pairs, show_progress=False) == []
    np.testing.assert_array_equal(read_pair(pairs[0]).sharp, PHOTO)


def test_a_sharp_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another size"):
        save_sample(tmp_path, Correction("street", PHOTO, MASK, SHARP[:30], (0, 255)))
    assert list(tmp_path.iterdir()) == []


def test_a_preview_takes_all_of_a_small_photo_and_the_middle_of_what_is_seen_of_a_large_one() -> None:
    assert preview_box((40, 50, 3), Box(0, 0, 9, 9), 2000) == Box(0, 0, 40, 50)
    seen = preview_box((4000, 5000, 3), Box(1000, 2000, 1100, 2100), 1_000_000)
    assert seen == Box(1000, 2000, 1100, 2100)
    part = preview_box((4000, 5000, 3), Box(-50, -50, 4050, 5050), 1_000_000)
    assert (part.bottom - part.top) * (part.right - part.left) <= 1_000_000
    assert abs((part.top + part.bottom) / 2 - 2000) <= 1
    assert preview_box((4000, 5000), Box(9000, 0, 9500, 10), 100) == preview_box((4000, 5000), None, 100)
