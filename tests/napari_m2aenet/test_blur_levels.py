"""Levels answer what the probability would, for every threshold that can be set."""

from __future__ import annotations

import numpy as np

from napari_m2aenet.blur_levels import STEPS, BlurLevels

SETTABLE = [round(k / 100, 2) for k in range(101)]


def probabilities() -> np.ndarray:
    """Any values, and those right at, above and below each threshold, where rounding could tell another story."""
    rng = np.random.default_rng(0)
    exact = np.array(SETTABLE, np.float32)
    rows = [rng.random((300, 101)).astype(np.float32), exact[None]]
    rows += [np.nextafter(exact, np.float32(end)).clip(0, 1)[None] for end in (-1, 2)]
    return np.concatenate(rows)


def test_the_mask_of_levels_is_the_mask_of_the_probability_at_every_threshold() -> None:
    probability = probabilities()
    levels = BlurLevels.of(probability)
    for threshold in SETTABLE:
        np.testing.assert_array_equal(levels.mask(threshold), probability > threshold)
        assert levels.blurred_pixels(threshold) == np.count_nonzero(probability > threshold)


def test_the_bars_hold_every_pixel_once_and_the_blurred_ones_right_of_the_cut() -> None:
    probability = probabilities()
    levels = BlurLevels.of(probability)
    assert levels.bars.shape == (STEPS,)
    assert levels.bars.sum() == probability.size
    assert levels.bars[30:].sum() == levels.blurred_pixels(0.3)


def test_a_selection_leaves_nothing_blurred_outside() -> None:
    probability = probabilities()
    selection = np.zeros(probability.shape, bool)
    selection[10:200, 5:60] = True
    levels = BlurLevels.of(probability).inside(selection)
    np.testing.assert_array_equal(levels.mask(0.4), (probability > 0.4) & selection)


def test_a_mask_is_written_where_it_is_wanted() -> None:
    levels = BlurLevels.of(probabilities())
    out = np.ones(levels.levels.shape, bool)
    assert levels.mask(0.5, out) is out
    np.testing.assert_array_equal(out, levels.mask(0.5))
