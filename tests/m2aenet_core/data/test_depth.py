"""Photos of many depths in 8 bits."""

import numpy as np
import pytest

from m2aenet_core.data.depth import alike_in_eight_bits, eight_bits


@pytest.mark.parametrize(
    ("dtype", "brightest", "darkest"), [("uint16", 18000, 15000), ("float32", 300, 200), ("float64", 0.9, 0.2)]
)
def test_images_of_a_scene_stay_as_bright_beside_each_other_as_they_were(
    dtype: str, brightest: float, darkest: float
) -> None:
    values = np.linspace(0, brightest, 600).astype(dtype).reshape(20, 30)
    bright, dark = alike_in_eight_bits([values, np.minimum(values, np.array(darkest, dtype))])
    same = values <= darkest
    assert np.array_equal(bright[same], dark[same])
    assert dark.max() == pytest.approx(int(bright.max()) * darkest / brightest, abs=1)


def test_eight_bits_and_sixteen_bits_of_a_scene_do_not_share_a_range() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for deep in (levels.astype(np.uint16) * 257, levels / 255):
        first, second = alike_in_eight_bits([levels, deep])
        assert np.array_equal(first, levels)
        assert np.array_equal(second, levels)


def test_floats_a_little_above_1_are_white() -> None:
    values = np.linspace(0, 1, 256).reshape(16, 16)
    values[3, 3] = 1.001
    expected = np.arange(256).reshape(16, 16)
    expected[3, 3] = 255
    assert np.array_equal(eight_bits(values), expected)
    assert eight_bits(values * 200).max() == 200
