"""Samples cut out of pairs on disk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from m2aenet_core.data.crops import CropConfig, draw_crop
from m2aenet_core.data.folder import Pixels
from m2aenet_core.data.pair_cache import PairCache
from m2aenet_core.data.pair_pixels import PairPixels, read_pair
from m2aenet_core.data.pairs import Pair
from m2aenet_core.data.sample import Batch
from m2aenet_core.errors import InputError


class _Cut(NamedTuple):
    blur: Pixels
    sharp: Pixels
    mask: NDArray[np.uint8]


class PairSource:
    """An endless, numbered source of crops of pairs; every pair comes once before one comes again.

    How a pair's objects moved is not known: displacements are 0 and `motion_known` is False.
    """

    def __init__(self, pairs: Sequence[Pair], config: CropConfig | None = None, cache_bytes: int | None = None) -> None:
        """Take pairs that `check_pairs` found good.

        cache_bytes: memory for decoded pairs, shared by forked processes; half of what is free now, if it is None.
        Processes that each make a source share the machine, so give each its part.
        """
        if not pairs:
            raise ValueError("a source needs at least one pair")
        self.config = config or CropConfig()
        self.pairs = pairs
        free = psutil.virtual_memory().available // 2 if cache_bytes is None else cache_bytes
        self._cache = PairCache(len(pairs), free)

    def batch(self, seed: int, first: int, count: int, device: torch.device | str = "cpu") -> Batch:
        """Give samples first .. first + count - 1 of a seed, on a device.

        Raises InputError for a pair that cannot be read, or is smaller than the crop.
        """
        cuts = [self._cut(seed, number) for number in range(first, first + count)]
        blur, sharp, mask = (_to_tensor(images, device) for images in zip(*cuts, strict=True))
        still = torch.zeros(count, 2, *blur.shape[-2:], device=device)
        unknown = torch.zeros(count, dtype=torch.bool, device=device)
        return Batch(blur / 255, sharp / 255, mask, still, still.clone(), unknown)

    def _cut(self, seed: int, number: int) -> _Cut:
        epoch, place = divmod(number, len(self.pairs))
        pair, pixels = self._pixels(int(_order(seed, epoch, len(self.pairs))[place]))
        try:
            crop = draw_crop(np.random.default_rng((seed, number)), pixels.blur.shape, pixels.mask, self.config)
        except InputError as error:
            raise InputError(f"{pair.blur} {error}") from error
        mask = np.ones(pixels.blur.shape[:2], np.uint8) if pixels.mask is None else pixels.mask.view(np.uint8)
        return _Cut(crop.of(pixels.blur), crop.of(pixels.sharp), crop.of(mask[..., None]))

    def _pixels(self, index: int) -> tuple[Pair, PairPixels]:
        pair, pixels = self.pairs[index], self._cache.get(index)
        if pixels is None:
            pixels = read_pair(pair)
            self._cache.put(index, pixels)
        return pair, pixels


@lru_cache(maxsize=16)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.intp]:
    # three numbers, so that no sample's own random numbers are these
    return np.random.default_rng((seed, epoch, count)).permutation(count)


def _to_tensor(images: Sequence[NDArray[np.uint8]], device: torch.device | str) -> Tensor:
    """Give (B, C, H, W) float32 of (H, W, C) images, their values as they are; they travel as bytes."""
    stacked = torch.from_numpy(np.stack(images)).to(device)
    return stacked.permute(0, 3, 1, 2).float().contiguous()
