"""Boxes of pictures, cut on the CPU or looked up on a device."""

import numpy as np
import pytest
import torch

from m2aenet_core.data.draws import Box
from m2aenet_core.data.pixel_bank import PixelBank

CPU = torch.device("cpu")
BOXES = [Box(0, 3, 5, 10, 12), Box(1, 0, 0, 7, 9), Box(0, 10, 0, 14, 14)]


@pytest.fixture
def pictures(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.integers(0, 256, shape, np.uint8) for shape in ((24, 30, 3), (7, 9, 3))]


def test_boxes_are_cut_out_and_filled_up_with_zeros(pictures: list[np.ndarray]) -> None:
    cut = PixelBank(pictures, budget_mb=0).boxes(BOXES, CPU)
    assert cut.shape == (3, 3, 14, 14)
    assert cut.dtype == torch.uint8
    for image, box in zip(cut, BOXES, strict=True):
        part = pictures[box.picture][box.top : box.top + box.height, box.left : box.left + box.width]
        assert np.array_equal(image[:, : box.height, : box.width], part.transpose(2, 0, 1))
        assert image[:, box.height :].sum() == image[:, :, box.width :].sum() == 0


def test_a_device_that_keeps_the_pictures_gives_the_same_boxes(pictures: list[np.ndarray]) -> None:
    bank = PixelBank(pictures, budget_mb=1)
    looked_up = bank._look_up(BOXES, (14, 14), CPU)
    assert torch.equal(looked_up, bank._cut(BOXES, (14, 14)))


def test_pictures_are_kept_where_they_fit_into_the_budget(pictures: list[np.ndarray]) -> None:
    size_mb = sum(picture.nbytes for picture in pictures) / 1e6
    assert PixelBank(pictures, budget_mb=size_mb).fits
    assert not PixelBank(pictures, budget_mb=0.9 * size_mb).fits
