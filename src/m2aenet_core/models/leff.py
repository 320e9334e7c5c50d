"""The locally enhanced feed-forward network (Uformer; LMD-ViT evaluates it inside the window)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class LeFF(nn.Module):
    """Linear, depthwise 3x3, linear, with GELU between: each window on its own, mirrored at its border."""

    def __init__(self, channels: int, hidden: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.expand = nn.Linear(channels, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, padding_mode="reflect", groups=hidden)
        self.project = nn.Linear(hidden, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Give the windows (K, N, C) after the three layers."""
        hidden = F.gelu(self.expand(tokens)).unflatten(1, (self.window, self.window))
        # the permuted view is channels_last memory, which the convolution keeps
        hidden = F.gelu(self.depthwise(hidden.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        out: Tensor = self.project(hidden.flatten(1, 2))
        return out


def leff_macs(channels: int, hidden: int, window: int) -> int:
    """Give the multiply-adds for one window."""
    return window**2 * (2 * channels * hidden + 9 * hidden)
