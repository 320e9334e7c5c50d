"""The picture of a set."""

import io

import numpy as np
import pytest
from PIL import Image

from m2aenet_core.synthesis.preview import TITLES, displacement_colours, preview_png
from m2aenet_core.synthesis.set_folder import StoredSample


@pytest.fixture
def sample(photo: np.ndarray) -> StoredSample:
    mask = np.zeros((90, 120), bool)
    mask[30:60, 40:80] = True
    end = np.zeros((90, 120, 2), np.float32)
    end[mask] = (0, 6)
    return StoredSample(photo[:90, :120], photo[:90, :120], mask, -end, end, {})


def panels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_there_is_a_row_for_each_sample(sample: StoredSample) -> None:
    one, three = (panels(preview_png([sample] * count, ["caption"] * count)) for count in (1, 3))
    assert one.shape[1] == three.shape[1]
    assert three.shape[0] > 2.5 * one.shape[0]


def test_curves_are_drawn_where_something_moved(sample: StoredSample) -> None:
    width = panels(preview_png([sample], [""])).shape[1] // len(TITLES)

    def coloured(each: StoredSample) -> int:
        paths = panels(preview_png([each], [""]))[20:240, -width:].astype(int)
        return int((np.abs(paths - [128, 128, 255]).max(axis=-1) < 60).sum())

    still = sample._replace(mask=np.zeros_like(sample.mask), start=sample.start * 0, end=sample.end * 0)
    assert coloured(sample) > coloured(still) + 50


def test_direction_is_hue_length_is_strength_and_nothing_is_black() -> None:
    path = np.zeros((1, 4, 2), np.float32)
    path[0, :3] = [(0, 8), (0, 4), (0, -8)]
    right, shorter, left, nothing = displacement_colours(path)[0].astype(int)
    assert right[0] > 200 > right[2]
    assert left[2] > 200 > left[0]
    assert right.max() > shorter.max() > 0
    assert nothing.sum() == 0
