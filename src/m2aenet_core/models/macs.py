"""Multiply-adds of a whole network, for tables and plans."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from m2aenet_core.models.network import Network
from m2aenet_core.ops.padding import round_up


def count_macs(model: Network, height: int, width: int, density: float = 1.0) -> int:
    """Give the multiply-adds of restoring an image whose share `density` in [0, 1] is blurred.

    Counted at the padded size, as the network evaluates pruned: what is blurred is taken as one ellipse in the middle,
    whose border decides how much the dilated mask adds. For networks with the masks at one stage this is analysis
    and restoration; networks that decide along run as a whole in restoration.
    """
    if not 0 <= density <= 1:
        raise ValueError(f"the density is {density}; give a number from 0 to 1")
    height, width = (round_up(side, model.size_multiple) for side in (height, width))
    masks = [ellipse_mask(*grid, density) for grid in model.decision_grids(height, width)]
    restoration = model.restore_macs(height, width, masks if model.has_mask else None)
    return restoration if model.decides_along else restoration + model.analyze_macs(height, width)


def ellipse_mask(height: int, width: int, density: float) -> Tensor:
    """Give a mask (1, 1, H, W) whose share `density` nearest to the middle is 1."""
    y = torch.arange(height, dtype=torch.float64).view(-1, 1) - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    # measured along the sides, so that the ellipse fits as long as it can
    stretch = math.sqrt(height / width)
    distance = ((y / stretch) ** 2 + (x * stretch) ** 2).flatten()
    mask = torch.zeros(height * width)
    mask[distance.argsort()[: round(density * height * width)]] = 1
    return mask.view(1, 1, height, width)
