"""Identities of the trajectories: quadratic (eq. 4), linear (eq. 12) and learnable."""

import pytest
import torch

from m2aenet_core.models.trajectory import (
    Motion,
    TrajectoryForm,
    exposure_times,
    linear_trajectory,
    quadratic_trajectory,
    sampled_trajectory,
)

INSTANTS = [3, 9, 31]


def two_ends() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 2, 5, 6), torch.randn(2, 2, 5, 6)


@pytest.mark.parametrize("instants", INSTANTS)
def test_it_goes_from_start_through_nothing_at_mid_exposure_to_end(instants: int) -> None:
    start, end = two_ends()
    path = quadratic_trajectory(start, end, instants)
    assert path.shape == (instants, 2, 2, 5, 6)
    torch.testing.assert_close(path[0], start)
    torch.testing.assert_close(path[-1], end)
    torch.testing.assert_close(path[instants // 2], torch.zeros_like(start), atol=1e-6, rtol=0)


def test_swapping_start_and_end_reverses_time() -> None:
    start, end = two_ends()
    torch.testing.assert_close(quadratic_trajectory(end, start), quadratic_trajectory(start, end).flip(0))


def test_opposite_ends_make_a_straight_even_path() -> None:
    _, end = two_ends()
    times = torch.linspace(-1, 1, 9).view(-1, 1, 1, 1, 1)
    torch.testing.assert_close(quadratic_trajectory(-end, end), times * end)


def test_equal_ends_make_a_path_there_and_back() -> None:
    _, end = two_ends()
    times = torch.linspace(-1, 1, 9).view(-1, 1, 1, 1, 1)
    torch.testing.assert_close(quadratic_trajectory(end, end), times**2 * end)


def test_the_unit_of_the_displacement_does_not_matter() -> None:
    start, end = two_ends()
    torch.testing.assert_close(quadratic_trajectory(8 * start, 8 * end), 8 * quadratic_trajectory(start, end))


def test_times_run_from_minus_one_to_one_through_zero() -> None:
    times = exposure_times(5, torch.zeros(1, dtype=torch.float64))
    assert times.dtype == torch.float64
    assert times.tolist() == [-1, -0.5, 0, 0.5, 1]


@pytest.mark.parametrize("instants", INSTANTS)
def test_the_linear_form_is_the_papers_two_lines(instants: int) -> None:
    """Eq. (12), written out instant by instant; at mid-exposure, which it leaves out, nothing has moved."""
    start, end = two_ends()
    path = linear_trajectory(start, end, instants)
    for n in range(instants):
        share = 2 * n / (instants - 1)
        expected = (1 - share) * start if share < 1 else (share - 1) * end
        torch.testing.assert_close(path[n], expected, atol=1e-6, rtol=1e-5)


def test_an_even_motion_is_the_same_in_the_linear_and_the_quadratic_form() -> None:
    _, end = two_ends()
    torch.testing.assert_close(linear_trajectory(-end, end), quadratic_trajectory(-end, end))


def test_samples_are_the_learnable_trajectory_at_their_own_instants_and_lines_between_them() -> None:
    samples = torch.randn(9, 2, 2, 5, 6)
    assert torch.equal(sampled_trajectory(samples, 9), samples)
    finer = sampled_trajectory(samples, 17)
    torch.testing.assert_close(finer[::2], samples)
    torch.testing.assert_close(finer[1::2], (samples[1:] + samples[:-1]) / 2)
    torch.testing.assert_close(sampled_trajectory(samples, 3), samples[::4])


@pytest.mark.parametrize("form", ["quadratic", "linear"])
def test_a_motion_begins_at_its_start_and_stops_at_its_end(form: TrajectoryForm) -> None:
    start, end = two_ends()
    motion = Motion.of(start, end, form)
    path = motion.trajectory(9)
    torch.testing.assert_close(path[0], motion.start)
    torch.testing.assert_close(path[-1], motion.end)
    torch.testing.assert_close(path[4], torch.zeros_like(start), atol=1e-6, rtol=0)
    torch.testing.assert_close(Motion.of(end, start, form).trajectory(9), path.flip(0))


@pytest.mark.parametrize("tells_time", [False, True])
def test_a_motion_of_the_wanted_size_stays_as_it_is(tells_time: bool) -> None:
    motion = Motion.of(*two_ends())._replace(tells_time=tells_time)
    assert motion.resized((5, 6)) is motion
    assert motion.resized((10, 12)).field.shape[-2:] == (10, 12)


def test_a_learnable_motion_holds_its_displacements_in_order_of_time() -> None:
    samples = torch.randn(9, 2, 2, 5, 6)
    motion = Motion(samples.transpose(0, 1).reshape(2, 18, 5, 6), "learnable")
    assert torch.equal(motion.trajectory(9), samples)
    assert torch.equal(motion.start, samples[0])
    assert torch.equal(motion.end, samples[-1])
    assert torch.equal(motion.map(torch.neg).trajectory(9), -samples)
