"""Several sources as one."""

from __future__ import annotations

import pytest
import torch

from m2aenet_core.data.mixture import MixedSource
from m2aenet_core.data.sample import Batch
from m2aenet_core.errors import InputError


class Counted:
    """A source whose samples hold its name, the seed and their number."""

    def __init__(self, name: int, crop_px: int = 2) -> None:
        self.name, self.crop_px = name, crop_px
        self.calls: list[tuple[int, int]] = []

    def batch(self, seed: int, first: int, count: int, device: torch.device | str = "cpu") -> Batch:
        self.calls.append((first, count))
        side = self.crop_px
        numbers = torch.arange(first, first + count, dtype=torch.float64, device=device)
        values = torch.stack([torch.full_like(numbers, self.name), numbers, torch.full_like(numbers, seed % 2**40)], 1)
        image = values[:, :, None, None].expand(-1, -1, side, side)
        still = torch.zeros(count, 2, side, side)
        return Batch(image, image, image[:, :1], still, still, torch.zeros(count, dtype=torch.bool))


def names_and_numbers(mixed: MixedSource, first: int, count: int, seed: int = 0) -> list[tuple[int, int]]:
    pixels = mixed.batch(seed, first, count).blur[:, :, 0, 0]
    return [(int(name), int(number)) for name, number, _ in pixels.tolist()]


def test_one_to_one_takes_turns_and_leaves_no_sample_out() -> None:
    mixed = MixedSource([Counted(0), Counted(1)])
    assert names_and_numbers(mixed, 0, 6) == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize(
    ("shares", "wanted"),
    [
        ((2, 1), (2 / 3, 1 / 3)),
        ((0.3, 0.7), (0.3, 0.7)),
        ((1, 1, 1), (1 / 3, 1 / 3, 1 / 3)),
        ((5, 1, 2), (5 / 8, 1 / 8, 2 / 8)),
        ((1, 0.004), (1 / 1.004, 0.004 / 1.004)),
        ((2**0.5, 1), (2**0.5 / (1 + 2**0.5), 1 / (1 + 2**0.5))),
    ],
)
def test_every_stretch_of_samples_holds_the_shares(shares: tuple[float, ...], wanted: tuple[float, ...]) -> None:
    mixed = MixedSource([Counted(name) for name in range(len(shares))], shares)
    names = torch.tensor([name for name, _ in names_and_numbers(mixed, 0, 3000)])
    for index, share in enumerate(wanted):
        taken = (names == index).double()
        assert abs(float(taken.mean()) - share) < 0.001 * share + 1 / 3000
        behind = taken.cumsum(0) - share * torch.arange(1, 3001)
        assert behind.abs().max() < len(shares) + 3000 * 0.001


@pytest.mark.parametrize("shares", [(1, 1), (2, 1), (0.3, 0.7), (5, 1, 2)])
@pytest.mark.parametrize("size", [1, 4, 7])
def test_a_sample_is_the_same_in_whatever_batch(shares: tuple[float, ...], size: int) -> None:
    mixed = MixedSource([Counted(name) for name in range(len(shares))], shares)
    whole = mixed.batch(5, 0, 28)
    parts = [mixed.batch(5, first, size) for first in range(0, 28, size)]
    for tensor, *others in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat(others), tensor)


def test_each_source_is_asked_once_for_a_batch_and_its_numbers_have_no_gaps() -> None:
    sources = [Counted(0), Counted(1)]
    mixed = MixedSource(sources, (2, 1))
    for first in range(0, 24, 6):
        mixed.batch(0, first, 6)
    assert sources[0].calls == [(0, 4), (4, 4), (8, 4), (12, 4)]
    assert sources[1].calls == [(0, 2), (2, 2), (4, 2), (6, 2)]


def test_sources_draw_from_different_random_numbers() -> None:
    batch = MixedSource([Counted(0), Counted(0)]).batch(0, 0, 2)
    assert batch.blur[0, 2, 0, 0] != batch.blur[1, 2, 0, 0]
    again = MixedSource([Counted(0), Counted(0)]).batch(0, 0, 2)
    assert torch.equal(batch.blur, again.blur)


def test_crops_of_different_sizes_are_named() -> None:
    with pytest.raises(InputError, match="crops of 2 and 4 pixels; make them of one size"):
        MixedSource([Counted(0, 2), Counted(1, 4)]).batch(0, 0, 2)


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ((1,), "2 sources and 1 shares; give a share for each"),
        ((1, 0), "each has to be above 0"),
        ((1, -1), "each has to be above 0"),
        ((1, float("nan")), "each has to be above 0"),
        ((1, 1e-6), "too unequal; make each at least a hundredth"),
    ],
)
def test_shares_that_cannot_be_kept_are_named(shares: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        MixedSource([Counted(0), Counted(1)], shares)
