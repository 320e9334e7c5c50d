"""What is drawn for a sample."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from m2aenet_core.data.blur_config import MadeBlurConfig
from m2aenet_core.data.draw_sample import Pool, draw_sample
from m2aenet_core.data.draws import SampleDraw
from m2aenet_core.data.paths import Paths
from m2aenet_core.errors import InputError

PLAIN = MadeBlurConfig(crop_px=64, object_px=(24, 60), path_px=(4, 20))
POOL = Pool([(200, 300), (150, 150)], [(80, 60)])
ALL = replace(
    PLAIN,
    shake_share=0.5,
    occluder_share=0.5,
    soft_share=0.5,
    defocus_share=0.5,
    highlight_share=0.5,
    sensor_noise_share=0.5,
    tone_share=0.5,
    halved_colour_share=0.5,
    encoded_share=0.5,
    few_frames_share=0.5,
)


def draws(config: MadeBlurConfig, count: int = 200) -> list[SampleDraw]:
    return [draw_sample(np.random.default_rng((3, number)), config, POOL) for number in range(count)]


SHARES: dict[str, Callable[[SampleDraw], bool]] = {
    "still_share": lambda draw: (
        not any(any(each.path.velocity) for each in draw.objects) and not (draw.camera or draw.in_place)
    ),
    "in_place_share": lambda draw: draw.in_place is not None,
    "shake_share": lambda draw: draw.camera is not None,
    "occluder_share": lambda draw: len(draw.objects) > 1 and not any(draw.objects[-1].path.velocity),
    "defocus_share": lambda draw: draw.defocus is not None or any(each.defocus_px for each in draw.objects),
    "highlight_share": lambda draw: draw.highlights is not None,
    "sensor_noise_share": lambda draw: draw.noise.read is not None,
    "soft_share": lambda draw: draw.softness_px > 0,
    "same_photo_share": lambda draw: draw.objects[0].brightness == 1.0,
    "encoded_share": lambda draw: draw.is_encoded,
    "tone_share": lambda draw: draw.tone is not None,
    "jpeg_share": lambda draw: draw.jpeg is not None,
    "cutout_share": lambda draw: draw.objects[0].shape is None,
}


@pytest.mark.parametrize("name", SHARES)
def test_a_share_is_as_large_as_asked(name: str) -> None:
    base = replace(PLAIN, still_share=0.0, jpeg_share=0.0, cutout_share=0.0, objects=1)
    for share, low, high in ((0.0, 0, 0), (0.4, 0.3, 0.5), (1.0, 1, 1)):
        found = np.mean([SHARES[name](draw) for draw in draws(replace(base, **{name: share}))])
        assert low <= found <= high


def test_effects_that_are_off_leave_every_other_draw_as_it_was() -> None:
    for plain, full in zip(draws(PLAIN, 60), draws(ALL, 60), strict=True):
        if full.camera is None and full.margin == 0:
            assert full.background == plain.background
            assert full.noise.deviation == plain.noise.deviation
            for ours, theirs in zip(plain.objects, full.objects[: len(plain.objects)], strict=True):
                assert theirs._replace(defocus_px=0.0, highlights=None, lights=()) == ours


def test_few_frames_are_odd_in_number_and_a_share_of_the_encoded_samples() -> None:
    encoded = draws(replace(PLAIN, encoded_share=1.0, few_frames_share=0.5, few_frames=(8, 13)))
    assert 0.4 < np.mean([draw.frames > 0 for draw in encoded]) < 0.6
    assert {draw.instants for draw in encoded if draw.frames} == {9, 11, 13}
    light = draws(replace(PLAIN, few_frames_share=1.0))
    assert not any(draw.frames for draw in light)


def test_what_moves_in_place_moves_as_objects_do_and_alone() -> None:
    config = replace(PLAIN, objects=1, shake_share=0.5, shake_px=(100, 200), occluder_share=0.5, spin_deg=9.0)
    for drawn in draws(replace(config, in_place_share=1.0, still_share=0.0), 60):
        assert drawn.objects == ()
        assert drawn.camera is None
        assert drawn.in_place is not None
        assert 24 <= drawn.in_place.size <= 60
        assert all(0 <= at <= side for at, side in zip(drawn.in_place.centre, drawn.size, strict=True))
        # a path of 4 to 20 pixels, or as much of it as the margin of 16 pixels holds
        assert 1 <= math.hypot(*drawn.in_place.path.velocity) <= 10
        assert abs(drawn.in_place.path.spin) <= math.radians(9)
    still = draws(replace(config, in_place_share=1.0, still_share=1.0), 20)
    assert all(draw.in_place is None and draw.camera is None for draw in still)


@pytest.mark.parametrize(("quarter_turns", "expected"), [(True, {0, 1, 2, 3}), (False, {0})])
def test_without_quarter_turns_everything_is_upright_or_mirrored(quarter_turns: bool, expected: set[int]) -> None:
    drawn = draws(replace(PLAIN, quarter_turns=quarter_turns), 60)
    turns = [draw.turn for draw in drawn] + [each.turn for draw in drawn for each in draw.objects]
    assert {turn.quarters for turn in turns} == expected
    assert {turn.is_mirrored for turn in turns} == {False, True}


def test_halved_colour_is_a_share_of_the_compressed_samples() -> None:
    compressed = [draw.jpeg for draw in draws(replace(PLAIN, jpeg_share=0.5, halved_colour_share=0.5)) if draw.jpeg]
    assert 0.35 < np.mean([jpeg.halve_colour for jpeg in compressed]) < 0.65


def test_the_camera_moves_alone_and_over_objects_and_sometimes_follows_them() -> None:
    shaken = draws(replace(PLAIN, shake_share=1.0, still_share=0.0, panning_share=0.4), 400)
    over_objects = [draw for draw in shaken if draw.objects]
    assert 0.4 < len(over_objects) / len(shaken) < 0.6
    followed = [draw for draw in over_objects if all(each.is_followed for each in draw.objects)]
    assert 0.3 < len(followed) / len(over_objects) < 0.5
    sharp = [draw for draw in followed if not any(any(each.path.velocity) for each in draw.objects)]
    assert 0.3 < len(sharp) / len(followed) < 0.7


def test_a_moving_camera_never_sees_beyond_its_margin() -> None:
    for size in (None, (60, 90), (400, 300)):
        for number in range(40):
            config = replace(
                ALL, shake_share=1.0, still_share=0.0, shake_px=(2.0, 60.0), shake_roll_deg=2.0, shake_zoom=0.05
            )
            draw = draw_sample(np.random.default_rng(number), config, POOL, size)
            assert draw.camera is not None
            assert min(draw.size) > 0
            height, width = draw.size
            times = np.linspace(-1, 1, 41)[None]
            moves = Paths.of([((height - 1) / 2, (width - 1) / 2)], [draw.camera]).moves(times).inverse()
            corners = np.array([[0, 0], [0, width - 1], [height - 1, 0], [height - 1, width - 1]], float)
            seen = np.einsum("nij,kj->nki", moves.matrix[0], corners) + moves.offset[0][:, None]
            assert seen.min() >= -draw.margin + 1
            assert (seen.max(axis=(0, 1)) <= np.array(draw.size) + draw.margin - 2).all()


def test_what_moves_in_place_never_comes_from_beyond_its_margin() -> None:
    for size in (None, (60, 90), (400, 300)):
        for number in range(40):
            config = replace(ALL, in_place_share=1.0, still_share=0.0, path_px=(4, 50), spin_deg=20.0, growth=0.2)
            draw = draw_sample(np.random.default_rng(number), config, POOL, size)
            assert draw.in_place is not None
            (top, left), half = draw.in_place.centre, draw.in_place.size / 2
            moves = Paths.of([draw.in_place.centre], [draw.in_place.path]).moves(np.linspace(-1, 1, 41)[None]).inverse()
            low = [max(0.0, at - half) for at in (top, left)]
            high = [min(side - 1.0, at + half) for at, side in zip((top, left), draw.size, strict=True)]
            corners = np.array([[y, x] for y in (low[0], high[0]) for x in (low[1], high[1])])
            seen = np.einsum("nij,kj->nki", moves.matrix[0], corners) + moves.offset[0][:, None]
            assert seen.min() >= -draw.margin + 1
            assert (seen.max(axis=(0, 1)) <= np.array(draw.size) + draw.margin - 2).all()


def test_between_two_instants_nothing_moves_by_more_than_a_pixel() -> None:
    for draw in draws(replace(ALL, still_share=0.0, in_place_share=0.3, few_frames_share=0.0)):
        step = 2 / (draw.instants - 1)
        shake = draw.camera.top_speed(math.hypot(*draw.size) / 2) if draw.camera else 0.0
        if draw.in_place:
            shake = draw.in_place.path.top_speed(draw.in_place.size / math.sqrt(2))
            assert shake * step <= 1
        for each in draw.objects:
            assert (each.path.top_speed(each.size / 2) + shake) * step <= 1


def test_a_whole_photo_is_taken_as_it_is() -> None:
    draw = draw_sample(np.random.default_rng(0), PLAIN, POOL, (123, 77))
    assert draw.size == (123, 77)
    assert draw.background[1:] == (0, 0, 123, 77)
    assert (draw.turn.quarters, draw.turn.is_mirrored, draw.margin) == (0, False, 0)


def test_what_is_out_of_focus_varies() -> None:
    soft = draws(replace(PLAIN, defocus_share=1.0))
    kinds = {
        (
            draw.defocus is not None,
            draw.defocus is not None and draw.defocus.ramp is not None,
            draw.objects[0].defocus_px > 0,
        )
        for draw in soft
    }
    assert kinds == {(True, True, False), (True, False, False), (True, False, True), (False, False, True)}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"shake_share": 1.5}, "shake_share is 1.5; give a share between 0 and 1"),
        ({"path_px": (9.0, 3.0)}, "path_px goes from 9.0 to 3.0; give the smaller number first"),
        ({"objects": 0}, "objects is 0; give at least 1"),
        ({"jpeg_quality": (90, 120)}, "jpeg_quality"),
        ({"noise": -0.1}, "noise is -0.1; give 0 or more"),
        ({"noise": math.nan}, "noise is nan; give 0 or more"),
        ({"path_px": (3.0, math.inf)}, "path_px goes from 3.0 to inf"),
        ({"growth": 1.0}, "growth is 1.0; give less than 1"),
        ({"few_frames": (1, 9)}, "few_frames starts at 1; give at least 3"),
        ({"few_frames": (8, 8)}, "few_frames is 8 alone; give a range that holds an odd number"),
        ({"shake_zoom": 2.0}, "shake_zoom is 2.0; give less than 1"),
    ],
)
def test_a_config_that_cannot_be_is_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        replace(PLAIN, **change)
