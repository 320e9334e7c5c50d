"""What every data source yields."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Samples of one size, side by side.

    blur, sharp (B, 3, H, W) in [0, 1], sRGB; mask (B, 1, H, W), 1 = blurred; start, end (B, 2, H, W): true
    displacement (y, x) in pixels from mid-exposure, 0 where nothing moved or where the truth is not known;
    motion_known (B) bool: whether it is.
    """

    blur: Tensor
    sharp: Tensor
    mask: Tensor
    start: Tensor
    end: Tensor
    motion_known: Tensor


class Source(Protocol):
    """An endless, numbered source of samples: (seed, number) decides a sample alone, whatever the batch."""

    def batch(self, seed: int, first: int, count: int, device: torch.device | str = "cpu") -> Batch:
        """Give samples first .. first + count - 1 of a seed, on a device."""
