"""Linear light and sRGB."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def to_linear(srgb: Tensor) -> Tensor:
    """Give linear light in [0, 1] from sRGB in [0, 1] (IEC 61966-2-1)."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: Tensor) -> Tensor:
    """Give sRGB in [0, 1] from linear light in [0, 1]."""
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055)


def levels_to_linear(levels: Tensor) -> Tensor:
    """Give linear light in [0, 1] from sRGB levels 0 to 255, whole numbers of any type."""
    return _table(levels.device).index_select(0, levels.flatten().int()).view(levels.shape)


@cache
def _table(device: torch.device) -> Tensor:
    return to_linear(torch.arange(256, device=device) / 255)
