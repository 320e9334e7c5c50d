"""The confidence predictor: which windows are blurred (LMD-ViT)."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2aenet_core.models.mask_predictor import MaskPredictor
from m2aenet_core.ops.windows import pixels_at_once, window_mean


class ConfidencePredictor(MaskPredictor):
    """Logits of (blurred, sharp) for each window: the mean of the mask predictor's over its pixels.

    The same function of the same parameters, with less work. Between the two halves there is no nonlinearity, so the
    channels that are replaced by their mean are averaged before their layer instead of after it; and without gradients
    the pixels pass through in portions that stay in the cache.
    """

    def __init__(self, channels: int, window: int, shift: int) -> None:
        super().__init__(channels)
        self.window = window
        self.shift = shift

    def forward(self, features: Tensor) -> Tensor:
        """Give logits (B, 2, H / window, W / window) for features (B, C, H, W); channel 0 is "blurred"."""
        batch, channels, height, width = features.shape
        pixels = features.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        logits = self._pixel_logits(pixels, pixels_at_once(pixels))
        return window_mean(logits.transpose(1, 2).reshape(batch, 2, height, width), self.window, self.shift)

    def _pixel_logits(self, pixels: Tensor, at_once: int) -> Tensor:
        """Give logits (B, N, 2) for pixels (B, N, C)."""
        half = pixels.shape[-1] // 2
        embed, mix = self.embed[:-1], cast("nn.Linear", self.embed[-1])
        first, decide = cast("nn.Linear", self.decide[0]), self.decide[1:]
        local, total = [], pixels.new_zeros(())
        for part in pixels.split(at_once, dim=1):
            embedded = embed(part)
            total = total + embedded.sum(dim=1, keepdim=True)
            mixed = F.linear(embedded, mix.weight[:half], mix.bias[:half])
            local.append(F.linear(mixed, first.weight[:, :half]))
        spread = F.linear(total / pixels.shape[1], mix.weight[half:], mix.bias[half:])
        everywhere = F.linear(spread, first.weight[:, half:], first.bias)
        return torch.cat([decide(part + everywhere) for part in local], dim=1)


def confidence_macs(channels: int, pixels: int) -> int:
    """Give the multiply-adds for one image of so many pixels."""
    half, quarter = channels // 2, channels // 4
    for_each = channels**2 + channels * half + half**2 + half * quarter + 2 * quarter
    return pixels * for_each + channels * half + half**2
