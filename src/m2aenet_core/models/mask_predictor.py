"""The mask predictor: where the image is blurred (M2AENet, section 3.1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from m2aenet_core.ops.draws import Draws
from m2aenet_core.ops.local_means import local_means, spread

PredictorForm = Literal["lmdvit", "dynamicvit"]

# softmax((1.5, -1.5)) = 0.95: at the first step nearly every pixel is kept, so that the blocks see gradients
_KEEP_LOGIT = 1.5


class MaskPredictor(nn.Module):
    """Per-pixel logits of (blurred, sharp), from local features and their global mean (eq. 1).

    Half of the embedded channels stay local, the other half is replaced by its mean over all pixels. The embedding
    is LMD-ViT's or DynamicViT's (Rao et al., 2021), which the paper follows both. cell: side in pixels of the cells
    that local means are made of, or 0 for the mean over all pixels.
    """

    def __init__(self, channels: int, form: PredictorForm = "lmdvit") -> None:
        super().__init__()
        self.cell = 0
        if form == "lmdvit":
            self.embed = nn.Sequential(
                nn.Linear(channels, channels),
                nn.GELU(),
                nn.LayerNorm(channels),
                nn.Linear(channels, channels),
            )
        else:
            self.embed = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, channels), nn.GELU())
        self.decide = nn.Sequential(
            nn.Linear(channels, channels // 2),
            nn.GELU(),
            nn.Linear(channels // 2, channels // 4),
            nn.GELU(),
            nn.Linear(channels // 4, 2),
        )
        last = self.decide[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=0.01)
        last.bias.data = torch.tensor([_KEEP_LOGIT, -_KEEP_LOGIT])

    def forward(self, features: Tensor) -> Tensor:
        """Give logits (B, 2, H, W) for features (B, C, H, W); channel 0 is "blurred"."""
        embedded = self.embed(features.permute(0, 2, 3, 1))
        local, wide = embedded.chunk(2, dim=-1)
        logits: Tensor = self.decide(torch.cat([local, self._average(wide)], dim=-1))
        return logits.permute(0, 3, 1, 2)

    def _average(self, wide: Tensor) -> Tensor:
        if not self.cell:
            return wide.mean(dim=(1, 2), keepdim=True).expand_as(wide)
        coarse = local_means(wide.permute(0, 3, 1, 2), self.cell)
        return spread(coarse, self.cell, (wide.shape[1], wide.shape[2])).permute(0, 2, 3, 1)


def blur_probability(logits: Tensor) -> Tensor:
    """Give the probability of blur (B, 1, H, W) in [0, 1] from logits (B, 2, H, W)."""
    return logits.softmax(dim=1)[:, :1]


def sample_mask(logits: Tensor, temperature: float = 1.0, draws: Draws | None = None) -> Tensor:
    """Draw a training mask (B, 1, H, W): hard 0/1 forward, soft gradient backward (eq. 2).

    draws: each sample's random numbers; without them they are torch's.
    """
    noise = _gumbel_like(logits) if draws is None else draws.gumbel(*logits.shape[1:])
    # log-probabilities, as Gumbel-Softmax expects; the paper's text passes probabilities
    noisy = (logits.log_softmax(dim=1) + noise) / temperature
    soft = noisy.softmax(dim=1)[:, :1]
    hard = (noisy[:, :1] > noisy[:, 1:]).to(soft.dtype)
    return hard - soft.detach() + soft


def _gumbel_like(logits: Tensor) -> Tensor:
    return -torch.empty_like(logits).exponential_().log()


def threshold_mask(logits: Tensor, threshold: float | Tensor) -> Tensor:
    """Give the test mask (B, 1, H, W): 1 where the probability of blur exceeds the threshold (eq. 3)."""
    return (blur_probability(logits) > threshold).to(logits.dtype)
