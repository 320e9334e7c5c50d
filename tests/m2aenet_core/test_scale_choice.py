"""The scale is chosen from what is found: long blur goes down, short blur and none stay, at next to no cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch

from m2aenet_core.analysis import Analysis
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import Cancelled
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.scale_choice import analyze_at_best, finds_longer


@pytest.fixture
def deblurrer(tiny_model: M2AENet) -> Deblurrer:
    return Deblurrer(tiny_model, device="cpu")


@pytest.fixture
def analyze(deblurrer: Deblurrer) -> Callable[..., Analysis]:
    """Analyze a photo of 800 x 801 pixels; a third of it moved so far to the right, in the photo's pixels."""
    large = np.tile(skimage.data.chelsea(), (3, 2, 1))[:800, :801]

    def found(scale: float, path_px: float, share: float = 0.33) -> Analysis:
        analysis = deblurrer.analyze(large, scale=scale)
        probability = torch.zeros_like(analysis.coarse_probability)
        probability[..., : int(probability.shape[-1] * share)] = 1
        cell_px = 8 / scale
        field = torch.zeros_like(analysis.coarse_motion.field)
        field[:, 1], field[:, 3] = -path_px / 2 / cell_px, path_px / 2 / cell_px
        return replace(analysis, coarse_probability=probability, coarse_motion=Motion(field))

    return found


def test_paths_are_compared_in_pixels_of_the_photo(analyze: Callable[..., Analysis]) -> None:
    own = analyze(1.0, 20)
    assert not finds_longer(analyze(0.25, 20), own)
    assert not finds_longer(analyze(0.25, 29), own)
    assert finds_longer(analyze(0.25, 31), own)
    assert finds_longer(analyze(0.125, 31), analyze(0.5, 20))
    assert not finds_longer(analyze(0.25, 50), analyze(1.0, 20, share=0))


def test_a_look_that_does_not_see_the_blur_says_nothing(analyze: Callable[..., Analysis]) -> None:
    own = analyze(1.0, 20, share=0.5)
    assert not finds_longer(analyze(0.25, 60, share=0.05), own)
    assert finds_longer(analyze(0.25, 60, share=0.2), own)


@pytest.mark.parametrize(
    ("true_px", "scales", "looks"),
    [(12, [1.0], [0.25]), (40, [1.0, 0.5], [0.25, 0.125]), (80, [1.0, 0.5, 0.25], [0.25, 0.125])],
)
def test_it_goes_down_until_the_blur_fits(
    analyze: Callable[..., Analysis], true_px: float, scales: list[float], looks: list[float]
) -> None:
    """As a network that finds nothing longer than 24 of its own pixels; the last copy is too small for another look."""
    asked: dict[bool, list[float]] = {True: [], False: []}

    def found(scale: float, is_look: bool) -> Analysis:
        asked[is_look].append(scale)
        return replace(analyze(scale, min(true_px, 24 / scale)), seconds=1.0, macs=10)

    best = analyze_at_best(found, (800, 801))
    assert asked == {True: looks, False: scales}
    assert best.scale == scales[-1]
    count = len(scales) + len(looks)
    assert (best.seconds, best.macs) == (count, 10 * count)


def test_a_photo_without_blur_is_analyzed_once(analyze: Callable[..., Analysis]) -> None:
    asked = []

    def found(scale: float, is_look: bool) -> Analysis:
        asked.append(scale)
        return analyze(scale, 20, share=0)

    assert analyze_at_best(found, (800, 801)).scale == 1
    assert asked == [1.0]


def test_a_photo_that_stays_at_full_size_is_analyzed_as_without_a_choice(
    deblurrer: Deblurrer, photo: np.ndarray
) -> None:
    chosen, plain = deblurrer.analyze(photo, scale="auto"), deblurrer.analyze(photo)
    assert chosen.scale == 1
    assert np.array_equal(chosen.blur_probability, plain.blur_probability)
    assert np.array_equal(deblurrer.restore(chosen).restored, deblurrer.restore(plain).restored)


def test_the_look_can_be_stopped(deblurrer: Deblurrer) -> None:
    large = np.tile(skimage.data.chelsea(), (2, 1, 1))[:400, :400]
    calls = []

    def stop_in_the_look(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) > 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        deblurrer.analyze(large, scale="auto", progress=stop_in_the_look)
    assert calls == [(0, 1), (1, 1), (1, 1)]


@pytest.mark.slow
def test_real_weights_go_down_for_long_blur_and_stay_for_short() -> None:
    """A picture of a cat, part of which moved to the right before the rest of it, a little and far."""
    photo = np.tile(skimage.data.chelsea(), (2, 2, 1))[:512, :800]
    scales = {}
    for path_px in (8, 72):
        moved = [np.roll(photo, shift, axis=1) for shift in range(-path_px // 2, path_px // 2 + 1)]
        blurred, rows, columns = photo.copy(), slice(90, 420), slice(200, 600)
        blurred[rows, columns] = np.mean(moved, axis=0)[rows, columns]
        scales[path_px] = Deblurrer("small", device="cpu").analyze(blurred, scale="auto").scale
    assert scales[8] == 1
    assert scales[72] < 1
