"""Identities of the quadratic trajectory (eq. 4)."""

import pytest
import torch

from m2aenet_core.models.trajectory import exposure_times, quadratic_trajectory

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
