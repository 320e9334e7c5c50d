"""Random numbers that belong to a sample."""

import math

import pytest
import torch

from m2aenet_core.ops.draws import Draws


def seeds_of(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def test_a_sample_draws_the_same_in_whatever_batch() -> None:
    whole, half = Draws(seeds_of(3, 4, 5, 6)), Draws(seeds_of(5, 6))
    for shape in ((2, 7, 5), (4,)):
        assert torch.equal(whole.uniform(*shape)[2:], half.uniform(*shape))


def test_rows_hold_as_many_numbers_of_each_sample() -> None:
    rows = Draws(seeds_of(3, 4)).uniform_rows(10)
    assert torch.equal(rows.view(2, 5), Draws(seeds_of(3, 4)).uniform(5))


def test_the_same_seed_draws_the_same_again() -> None:
    assert torch.equal(Draws(seeds_of(9)).uniform(50), Draws(seeds_of(9)).uniform(50))


@pytest.mark.parametrize("other", [1, 2**31, 2**32, 2**63 - 1, -1])
def test_other_seeds_and_later_calls_draw_other_numbers(other: int) -> None:
    draws = Draws(seeds_of(0, other))
    first, second = draws.uniform(1000), draws.uniform(1000)
    for one, two in ((first[0], first[1]), (first[0], second[0]), (first[1], second[0])):
        # equal by chance about once in 8000 draws
        assert (one == two).sum() < 5
        assert abs(torch.corrcoef(torch.stack([one, two]))[0, 1].item()) < 0.15


def test_numbers_are_spread_evenly_between_0_and_1() -> None:
    numbers = Draws(torch.arange(20)).uniform(10_000)
    assert numbers.min() > 0
    assert numbers.max() < 1
    counts = numbers.histc(bins=20, min=0, max=1) / numbers.numel()
    torch.testing.assert_close(counts, torch.full((20,), 0.05), atol=0.0025, rtol=0)
    # neighbours within a sample, and the same place in the next sample, know nothing of each other
    for pair in ((numbers[:, :-1], numbers[:, 1:]), (numbers[:-1], numbers[1:])):
        flat = torch.stack([part.flatten() for part in pair])
        assert abs(torch.corrcoef(flat)[0, 1].item()) < 0.01


def test_gumbel_numbers_have_the_distribution_and_are_finite() -> None:
    numbers = Draws(torch.arange(50)).gumbel(10_000)
    assert torch.isfinite(numbers).all()
    assert numbers.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert numbers.var().item() == pytest.approx(math.pi**2 / 6, rel=0.02)
