"""Random numbers that belong to a sample, whatever batch, process or device it is computed in."""

from __future__ import annotations

import torch
from torch import Tensor

_LOW_32 = 0xFFFF_FFFF
_FRACTION_BITS = 23  # a half more than a whole number of these is a float32 strictly between 0 and 1


class Draws:
    """Random numbers for the samples of a batch, each sample's from a seed of its own.

    Each call gives new numbers. They follow from the seed and from how many calls came before alone, so a batch that
    is split between processes, or taken in parts, draws what the whole batch would.
    """

    def __init__(self, seeds: Tensor) -> None:
        """Begin with seeds (B) of int64, on the device that the numbers are for."""
        self.seeds = seeds
        self._calls = 0

    def uniform(self, *shape: int) -> Tensor:
        """Give (B, *shape) float32, evenly distributed, strictly between 0 and 1."""
        seeds = self.seeds.view(-1, *([1] * len(shape)))
        self._calls += 1
        key = _mixed(_mixed(_mixed(seeds >> 32) ^ seeds) + self._calls)
        numbers = torch.arange(torch.Size(shape).numel(), device=seeds.device).view(1, *shape)
        # the numbers are mixed before the key comes in, or near keys would give the same numbers, shifted
        bits = _mixed(_mixed(numbers) ^ key) >> (32 - _FRACTION_BITS)
        return (bits.float() + 0.5) / 2**_FRACTION_BITS

    def uniform_rows(self, count: int) -> Tensor:
        """Give `count` numbers of `uniform`, as many for each sample, sample after sample."""
        return self.uniform(count // len(self.seeds)).flatten()

    def gumbel(self, *shape: int) -> Tensor:
        """Give (B, *shape) float32 of the standard Gumbel distribution."""
        return -(-self.uniform(*shape).log()).log()


def _mixed(numbers: Tensor) -> Tensor:
    """Give 32 bits of which each depends on all of the low 32 bits of int64 numbers.

    Multipliers and shifts of lowbias32 (Wellons, Prospecting for Hash Functions, 2018).
    """
    numbers = numbers & _LOW_32
    numbers = ((numbers ^ (numbers >> 16)) * 0x7FEB_352D) & _LOW_32
    numbers = ((numbers ^ (numbers >> 15)) * 0x846C_A68B) & _LOW_32
    return numbers ^ (numbers >> 16)
