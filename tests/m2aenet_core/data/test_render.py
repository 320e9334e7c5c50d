"""An exposure and its truth."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.data.draws import RigidPath
from m2aenet_core.data.layers import View, Window
from m2aenet_core.data.paths import Paths
from m2aenet_core.data.render import MASK_ALPHA, Exposure, MovingObjects, displacements, expose, expose_light
from m2aenet_core.ops.light import to_linear

SIDE = 64
CENTRE = (31.5, 31.5)  # so that canvas and image pixels coincide


@dataclass(frozen=True)
class Ball:
    """A textured ball, soft at its edge."""

    radius: float = 12
    colour: float | None = None
    size: int = 40

    def canvas(self) -> Tensor:
        axis = torch.arange(self.size) - self.size / 2 + 0.5
        distance = torch.hypot(axis.view(-1, 1), axis.view(1, -1))
        alpha = (self.radius - distance + 0.5).clamp(0, 1)
        texture = torch.rand(3, self.size, self.size, generator=torch.Generator().manual_seed(3))
        colours = texture if self.colour is None else torch.full_like(texture, self.colour)
        return torch.cat([colours, alpha.unsqueeze(0)]).unsqueeze(0)

    def moving(
        self,
        velocity: tuple[float, float] = (0, 0),
        acceleration: tuple[float, float] = (0, 0),
        spin: float = 0,
        growth: float = 0,
        centre: tuple[float, float] = CENTRE,
    ) -> MovingObjects:
        return MovingObjects(
            canvas=self.canvas(),
            centre=torch.tensor([centre]),
            velocity=torch.tensor([velocity], dtype=torch.float32),
            acceleration=torch.tensor([acceleration], dtype=torch.float32),
            spin=torch.tensor([spin], dtype=torch.float32),
            growth=torch.tensor([growth], dtype=torch.float32),
        )


def background(value: float | None = None) -> Tensor:
    texture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
    return texture if value is None else torch.full_like(texture, value)


def test_an_object_that_stands_still_is_not_blurred() -> None:
    exposure = expose(background(), [Ball().moving()], instants=9)
    torch.testing.assert_close(exposure.blur, exposure.sharp, atol=1e-5, rtol=0)
    for truth in (exposure.mask, exposure.start, exposure.end):
        assert truth.abs().sum() == 0


def test_without_objects_the_photo_comes_back() -> None:
    exposure = expose(background(), [], instants=5)
    torch.testing.assert_close(exposure.blur, background(), atol=1e-5, rtol=0)
    assert exposure.mask.sum() == 0


def test_the_sharp_image_is_the_middle_instant_whatever_the_motion() -> None:
    still = expose(background(), [Ball().moving()], instants=3).sharp
    moving = Ball().moving(velocity=(5, -7), acceleration=(2, 1), spin=0.3, growth=0.1)
    torch.testing.assert_close(expose(background(), [moving], instants=21).sharp, still, atol=1e-5, rtol=0)


def test_a_canvas_pixel_is_an_image_pixel_at_mid_exposure() -> None:
    canvas = Ball().canvas()
    sharp = expose(background(0.0), [Ball().moving()], instants=3).sharp
    opaque = canvas[:, 3:] == 1
    seen = sharp[..., 12:52, 12:52]
    torch.testing.assert_close(seen[opaque.expand_as(seen)], canvas[:, :3][opaque.expand_as(seen)], atol=1e-4, rtol=0)


def test_a_ball_that_moves_right_starts_left_of_mid_exposure_and_ends_right_of_it() -> None:
    exposure = expose(background(), [Ball().moving(velocity=(0, 8))], instants=17)
    inside = exposure.mask[0, 0] > 0
    assert inside[31, 31]
    for field, x in ((exposure.start, -8.0), (exposure.end, 8.0)):
        torch.testing.assert_close(field[0, 0][inside], torch.zeros(int(inside.sum())), atol=1e-5, rtol=0)
        torch.testing.assert_close(field[0, 1][inside], torch.full((int(inside.sum()),), x), atol=1e-5, rtol=0)
        assert field[0, :, ~inside].abs().sum() == 0


def test_rotation_and_growth_move_points_as_those_of_a_rigid_body() -> None:
    spin, growth = 0.4, 0.1
    moving = Ball().moving(velocity=(1, 2), acceleration=(0.5, -1), spin=spin, growth=growth)
    fields = displacements(View(moving.layer(), Window(0, SIDE, 0, SIDE)), None, torch.device("cpu"))
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    # image points as complex numbers, x + iy; y grows downwards
    point = torch.complex(columns - CENTRE[1], rows - CENTRE[0])
    for field, s in zip(fields, (-1, 1), strict=True):
        turn = (1 + growth * s) * torch.exp(torch.tensor(1j * spin * s))
        moved = point * turn + (2 * s - 1) + 1j * (s + 0.5)
        torch.testing.assert_close(torch.complex(field[0, 1], field[0, 0]), moved - point, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("spin", [0.3, -0.5])
def test_what_is_drawn_moves_as_the_truth_says(spin: float) -> None:
    """A white dot off the centre of a turning, growing, accelerating canvas, at its first and last instant."""
    dot = Ball(radius=2, colour=1.0, size=64)
    moving = dot.moving(velocity=(3, 9), acceleration=(-2, 1), spin=spin, growth=0.2)
    canvas = torch.roll(moving.canvas, (10, 6), dims=(2, 3))
    exposure = expose(background(0.0), [moving._replace(canvas=canvas)], instants=3)
    start_and_end = 3 * to_linear(exposure.blur) - to_linear(exposure.sharp)
    fields = displacements(View(moving.layer(), Window(0, SIDE, 0, SIDE)), None, torch.device("cpu"))
    expected = {
        (round(41.5 + field[0, 0, 41:43, 37:39].mean().item()), round(37.5 + field[0, 1, 41:43, 37:39].mean().item()))
        for field in fields
    }
    assert len(expected) == 2
    for y, x in expected:
        assert start_and_end[0, 0, y - 1 : y + 2, x - 1 : x + 2].mean() > 0.7
    assert (start_and_end[0, 0] > 0.5).sum() < 60


def test_light_is_averaged_not_its_srgb_code() -> None:
    half_covered = expose(background(0.0), [Ball(radius=14, colour=1.0).moving(velocity=(0, 14))], instants=57)
    linear = to_linear(half_covered.blur[0, 0, 31])
    # a point r from the path's middle sees a ball of radius 14 with |x - v s| < 14: all of the way, then less
    assert linear[31].item() == pytest.approx(1.0, abs=0.03)
    assert linear[31 + 14].item() == pytest.approx(0.5, abs=0.03)
    assert half_covered.blur[0, 0, 31, 31 + 14].item() == pytest.approx(0.735, abs=0.02)


@pytest.mark.parametrize("velocity", [(0, 10), (6, 6), (-12, 3)])
def test_the_mask_covers_all_that_changed_by_more_than_its_share_of_light(velocity: tuple[float, float]) -> None:
    for behind, colour in ((0.0, 1.0), (1.0, 0.0), (None, None)):
        exposure = expose(background(behind), [Ball(colour=colour).moving(velocity=velocity)], instants=41)
        change = (to_linear(exposure.blur) - to_linear(exposure.sharp)).abs().amax(dim=1, keepdim=True)
        assert change[exposure.mask == 0].max() <= MASK_ALPHA + 1e-4
        assert change[exposure.mask == 1].max() > 0.3


@pytest.mark.parametrize("velocity", [(0, 10), (6, 6), (-12, 3)])
def test_before_a_photo_of_middle_tones_the_mask_covers_every_visible_change(velocity: tuple[float, float]) -> None:
    behind = 0.4 + 0.6 * background()
    exposure = expose(behind, [Ball().moving(velocity=velocity, spin=0.05)], instants=41)
    levels = ((exposure.blur - exposure.sharp).abs() * 255).amax(dim=1, keepdim=True)
    assert levels[exposure.mask == 0].max() < 8


def test_the_mask_is_where_the_object_went_and_nowhere_else() -> None:
    exposure = expose(background(), [Ball(radius=10).moving(velocity=(0, 10))], instants=41)
    rows, columns = torch.nonzero(exposure.mask[0, 0], as_tuple=True)
    assert 20 <= rows.min() <= 23
    assert 40 <= rows.max() <= 43
    assert 10 <= columns.min() <= 14
    assert 49 <= columns.max() <= 53


def test_what_stands_still_in_front_hides_what_moves_behind() -> None:
    behind, front = Ball().moving(velocity=(0, 10)), Ball(radius=8).moving()
    exposure = expose(background(), [behind, front], instants=21)
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    hidden = torch.hypot(rows - CENTRE[0], columns - CENTRE[1]) < 7
    assert exposure.mask[0, 0][hidden].sum() == 0
    assert exposure.end[0, :, hidden].abs().sum() == 0
    torch.testing.assert_close(exposure.blur[..., hidden], exposure.sharp[..., hidden], atol=1e-5, rtol=0)
    assert exposure.mask.sum() > 300


def test_an_object_may_leave_the_image() -> None:
    exposure = expose(background(), [Ball().moving(velocity=(0, 30), centre=(10.5, 0.5))], instants=61)
    assert torch.isfinite(exposure.blur).all()
    assert 0 < exposure.mask.sum() < SIDE * SIDE


def test_what_swings_there_and_back_is_blurred() -> None:
    exposure = expose(background(), [Ball().moving(acceleration=(0, 8))], instants=21)
    assert exposure.mask[0, 0, 31, 31] == 1


def test_samples_of_a_batch_do_not_mix() -> None:
    ball, other = Ball().moving(velocity=(0, 8)), Ball().moving(velocity=(6, 0), centre=(20.5, 40.5))
    together = MovingObjects(*(torch.cat(pair) for pair in zip(ball, other, strict=True)))
    both = expose(background().expand(2, -1, -1, -1), [together], instants=9)
    for index, layer in enumerate((ball, other)):
        alone = expose(background(), [layer], instants=9)
        for field, expected in zip(both, alone, strict=True):
            torch.testing.assert_close(field[index : index + 1], expected, atol=1e-5, rtol=0)


MARGIN = 16


def camera(
    velocity: tuple[float, float] = (0, 0), acceleration: tuple[float, float] = (0, 0), roll: float = 0, batch: int = 1
) -> Paths:
    middle = (SIDE - 1) / 2
    return Paths(
        *(np.tile(np.array(pair, float), (batch, 1)) for pair in ((middle, middle), velocity, acceleration)),
        np.full(batch, roll),
        np.zeros(batch),
    )


def wide_scene(batch: int = 1) -> Tensor:
    side = SIDE + 2 * MARGIN
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(9))


def within_margin(image: Tensor, y: int = 0, x: int = 0) -> Tensor:
    """The image that a camera sees which has moved the scene by (y, x)."""
    return image[..., MARGIN - y : MARGIN - y + SIDE, MARGIN - x : MARGIN - x + SIDE]


def test_a_moving_camera_blurs_the_whole_frame_with_one_displacement() -> None:
    scene = wide_scene()
    exposure = expose_light(scene, [], [13], camera(velocity=(2, -6)), MARGIN)
    assert exposure.mask.min() == 1
    for field, s in ((exposure.start, -1), (exposure.end, 1)):
        expected = torch.tensor([2.0 * s, -6.0 * s]).view(1, 2, 1, 1).expand(1, 2, SIDE, SIDE)
        torch.testing.assert_close(field, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(exposure.sharp, within_margin(scene), atol=1e-4, rtol=0)


def test_a_moving_camera_averages_the_scene_as_it_passes() -> None:
    scene = wide_scene()
    exposure = expose_light(scene, [], [5], camera(velocity=(0, 4)), MARGIN)
    # five instants, two pixels from one to the next
    expected = torch.stack([within_margin(scene, x=x) for x in (-4, -2, 0, 2, 4)]).mean(dim=0)
    torch.testing.assert_close(exposure.blur, expected, atol=1e-4, rtol=0)


def test_no_border_is_invented_for_a_moving_camera() -> None:
    white = torch.ones_like(wide_scene())
    exposure = expose_light(white, [], [25], camera(velocity=(9, 8), acceleration=(1, -2), roll=0.02), MARGIN)
    torch.testing.assert_close(exposure.blur, torch.ones_like(exposure.blur), atol=1e-5, rtol=0)


def test_the_camera_adds_its_displacement_to_an_objects_own() -> None:
    moving = Ball().moving(velocity=(0, 8))
    alone = expose_light(wide_scene(), [moving.layer()], [25], None, MARGIN)
    under = expose_light(wide_scene(), [moving.layer()], [25], camera(velocity=(3, -4)), MARGIN)
    inside = under.end[0, :, 31, 31]
    torch.testing.assert_close(inside, alone.end[0, :, 31, 31] + torch.tensor([3.0, -4.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(under.end[0, :, 2, 2], torch.tensor([3.0, -4.0]), atol=1e-4, rtol=0)
    assert under.mask.min() == 1
    torch.testing.assert_close(under.sharp, alone.sharp, atol=1e-4, rtol=0)


@pytest.mark.parametrize("roll", [0.02, -0.1])
def test_a_camera_that_rolls_turns_object_and_scene_about_the_middle_of_the_image(roll: float) -> None:
    moving = Ball().moving(velocity=(2, 5), centre=(40.5, 20.5))
    exposure = expose_light(wide_scene(), [moving.layer()], [15], camera(velocity=(1, 1), roll=roll), MARGIN)
    middle = complex((SIDE - 1) / 2, (SIDE - 1) / 2)
    for field, s in ((exposure.start, -1), (exposure.end, 1)):
        for (y, x), own in (((40, 20), complex(5, 2) * s), ((8, 50), 0)):
            # image points as complex numbers, x + iy; y grows downwards
            seen = middle + (complex(x, y) + own - middle) * np.exp(1j * roll * s) + complex(s, s)
            assert complex(*field[0, :, y, x].flip(0).tolist()) == pytest.approx(seen - complex(x, y), abs=1e-3)


def test_an_object_that_the_camera_follows_is_sharp_before_a_blurred_scene() -> None:
    followed = Ball().moving().layer()._replace(is_followed=np.array([True]))
    exposure = expose_light(wide_scene(), [followed], [25], camera(velocity=(0, 8)), MARGIN)
    assert exposure.mask[0, 0, 28:35, 28:35].sum() == 0
    assert exposure.mask[0, 0, :8].min() == 1
    middle = (slice(None), slice(None), slice(28, 35), slice(28, 35))
    torch.testing.assert_close(exposure.blur[middle], exposure.sharp[middle], atol=1e-4, rtol=0)


def test_a_camera_that_stands_still_changes_nothing() -> None:
    layer = Ball().moving(velocity=(0, 8)).layer()
    for ours, theirs in zip(
        expose_light(wide_scene(), [layer], [17], camera(), MARGIN),
        expose_light(wide_scene(), [layer], [17], None, MARGIN),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_light_beyond_the_sensors_range_counts_in_the_mean_and_is_clipped_after_it() -> None:
    canvas = Ball(radius=4, colour=1.0).moving(velocity=(0, 12)).layer()
    lamp = canvas._replace(canvas=torch.cat([canvas.canvas[:, :3] * 20, canvas.canvas[:, 3:]], dim=1))
    scene = torch.zeros(1, 3, SIDE, SIDE)
    plain, bright = (expose_light(scene, [layer], [49]) for layer in (canvas, lamp))
    assert plain.blur.max() < 0.5
    assert bright.blur.max() == bright.sharp.max() == 1
    # a streak that is white over nearly its whole length
    assert (bright.blur[0, 0, 31] == 1).sum() > 24


def two_samples(instants: list[int]) -> Exposure:
    ball, other = Ball().moving(velocity=(0, 8)), Ball(size=48).moving(velocity=(3, 2), centre=(20.5, 40.5))
    canvas = F.pad(ball.canvas, (4, 4, 4, 4))
    together = MovingObjects(*(torch.cat(pair) for pair in zip(ball._replace(canvas=canvas), other, strict=True)))
    return expose_light(wide_scene(2), [together.layer()], instants, camera(velocity=(1, 2), batch=2), MARGIN)


def test_samples_rendered_together_keep_their_own_instants() -> None:
    together = two_samples([17, 7])
    for index, instants in enumerate((17, 7)):
        alone = two_samples([instants, instants])
        for field, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(field[index], expected[index], atol=1e-4, rtol=0)


@pytest.mark.parametrize(("velocity", "acceleration"), [((0, 12), (0, 0)), ((0, 9), (0, 3)), ((8, 8), (2, -1))])
def test_with_the_instants_that_are_drawn_a_thin_line_leaves_a_streak_and_no_ghosts(
    velocity: tuple[float, float], acceleration: tuple[float, float]
) -> None:
    """A line of one pixel, upright, is the hardest case; its streak holds the time spent at each place."""
    line = Ball(size=40, colour=1.0).moving(velocity=velocity, acceleration=acceleration)
    canvas = torch.zeros_like(line.canvas)
    canvas[..., 20] = 1.0
    path = RigidPath(velocity, acceleration)

    def streak(instants: int) -> Tensor:
        layer = line._replace(canvas=canvas).layer()
        return expose_light(torch.zeros(1, 3, SIDE, SIDE), [layer], [instants]).blur[0, 0, 32]

    drawn, fine = streak(2 * math.ceil(path.top_speed(0)) + 1), streak(1201)
    inside = fine > 0.1 * fine.max()
    assert inside.sum() > 8
    # without its ends, where a single instant counts
    middle = torch.nonzero(inside).flatten()[2:-2]
    assert (drawn[middle] / fine[middle] - 1).abs().max() < 0.12
    # what fewer instants would leave: gaps
    assert (streak(9)[middle] / fine[middle] - 1).abs().max() > 0.25
