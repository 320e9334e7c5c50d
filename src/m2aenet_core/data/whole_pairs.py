"""Pairs on disk as whole photos, for scoring rather than for training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.data.folder import Pixels
from m2aenet_core.data.pair_pixels import read_pair
from m2aenet_core.data.pairs import Pair, read_pairs


class WholePair(NamedTuple):
    """blur, sharp (H, W, 3) uint8; mask (H, W) bool, or None where everything counts as blurred."""

    name: str
    blur: Pixels
    sharp: Pixels
    mask: NDArray[np.bool_] | None


class PairsOnDisk:
    """Pairs to go through, in the order of their names, one photo in memory at a time; `len` tells how many."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        """Take pairs of `read_pairs`, or what `raise_or_skip` left of them."""
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[WholePair]:
        for pair in self.pairs:
            yield WholePair(pair.name, *read_pair(pair))


def whole_pairs(
    root: str | Path,
    split: str = "test",
    blur: Literal["blur", "blur_gamma"] = "blur",
    masks: str | Path | None = None,
) -> PairsOnDisk:
    """Give the pairs of a folder, as `read_pairs` finds them; a broken one raises InputError when it is reached."""
    return PairsOnDisk(read_pairs(root, split, blur, masks))
