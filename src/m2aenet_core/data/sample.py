"""What every data source yields."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Samples of one size, side by side.

    blur, sharp (B, 3, H, W) in [0, 1], sRGB; mask (B, 1, H, W), 1 = blurred; start, end (B, 2, H, W): true
    displacement (y, x) in pixels from mid-exposure, 0 where nothing moved.
    """

    blur: Tensor
    sharp: Tensor
    mask: Tensor
    start: Tensor
    end: Tensor
