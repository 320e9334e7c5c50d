"""Several sources as one, in fixed shares."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from m2aenet_core.data.sample import Batch, Source
from m2aenet_core.errors import InputError

# the order of sources repeats after at most so many samples
_LONGEST = 1000
# relative errors of a share: no better one is looked for, no worse one is taken
_FINEST, _COARSEST = 0.001, 0.05


class MixedSource:
    """Samples of several sources in turn, each as often as its share says.

    With shares 1 : 1 every second sample is of the first source, so that a batch holds as many of each. Sample
    (seed, number) is the same in whatever batch; each source's own samples are numbered without gaps.
    """

    def __init__(self, sources: Sequence[Source], shares: Sequence[float] | None = None) -> None:
        """Mix sources of one crop size; shares are relative, and equal if they are not given."""
        shares = [1.0] * len(sources) if shares is None else shares
        if not sources or len(sources) != len(shares):
            raise InputError(f"there are {len(sources)} sources and {len(shares)} shares; give a share for each source")
        if not all(math.isfinite(share) and share > 0 for share in shares):
            raise InputError(f"the shares are {', '.join(map(str, shares))}; each has to be above 0")
        self.sources = list(sources)
        self._turns = np.array(_turns(shares))

    def batch(self, seed: int, first: int, count: int, device: torch.device | str = "cpu") -> Batch:
        """Give samples first .. first + count - 1 of a seed, on a device."""
        numbers = np.arange(first, first + count)
        chosen = self._turns[numbers % len(self._turns)]
        parts, places = [], []
        for index, source in enumerate(self.sources):
            places.append(np.flatnonzero(chosen == index))
            if len(places[-1]):
                own_first = self._own_number(index, first)
                parts.append(source.batch(_seed_of(seed, index), own_first, len(places[-1]), device))
        sides = sorted({part.blur.shape[-1] for part in parts})
        if len(sides) > 1:
            raise InputError(f"the sources give crops of {' and '.join(map(str, sides))} pixels; make them of one size")
        back = torch.from_numpy(np.argsort(np.concatenate(places))).to(device)
        return Batch(*(torch.cat(tensors)[back] for tensors in zip(*parts, strict=True)))

    def _own_number(self, index: int, number: int) -> int:
        """Give how many samples of a source come before a number."""
        rounds, rest = divmod(number, len(self._turns))
        is_own = self._turns == index
        return int(rounds * is_own.sum() + is_own[:rest].sum())


def _turns(shares: Sequence[float]) -> list[int]:
    """Give the order of sources: each time the one that is furthest behind its share."""
    weights = _weights(shares)
    order: list[int] = []
    for number in range(1, sum(weights) + 1):
        behind = [number * weight - sum(weights) * order.count(index) for index, weight in enumerate(weights)]
        order.append(behind.index(max(behind)))
    return order


def _weights(shares: Sequence[float]) -> list[int]:
    """Give the smallest whole numbers that stand to each other as the shares do, to a thousandth of each."""
    parts = np.array(shares) / sum(shares)
    best, smallest_error = None, _COARSEST
    for total in range(1, _LONGEST + 1):
        weights = np.rint(parts * total)
        error = float(np.abs(weights / total / parts - 1).max())
        if weights.min() > 0 and weights.sum() == total and error < smallest_error:
            best, smallest_error = weights, error
        if smallest_error < _FINEST:
            break
    if best is None:
        raise InputError(f"the shares {', '.join(map(str, shares))} are too unequal; make each at least a hundredth")
    return [int(weight) for weight in best]


def _seed_of(seed: int, index: int) -> int:
    """Give each source random numbers of its own."""
    return int(np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0])
