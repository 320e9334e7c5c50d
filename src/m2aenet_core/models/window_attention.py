"""Self-attention among the pixels of a window, with learned biases for their relative positions (LMD-ViT)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2aenet_core.ops.windows import across_seam

# the released network's; a finite number, since it adds it to logits that have no bound
_PARTED = -100.0


class WindowAttention(nn.Module):
    """Multi-head attention inside windows of window x window pixels.

    position_bias (heads, 2 * window - 1, 2 * window - 1): what a head adds to the logit of a query that lies (y, x)
    pixels from the key, entry [y + window - 1, x + window - 1]. shift: that of the windows, 0 for none; pixels that a
    seam parts do not attend to each other.
    """

    seam_bias: Tensor | None

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.position_bias = nn.Parameter(torch.empty(heads, 2 * window - 1, 2 * window - 1).normal_(std=0.02))
        self.project = nn.Linear(channels, channels)
        seam_bias = _PARTED * across_seam(window, shift).float() if shift else None
        self.register_buffer("seam_bias", seam_bias, persistent=False)

    def forward(self, tokens: Tensor, seams: Tensor | None) -> Tensor:
        """Attend inside windows (K, N, C); seams (K): the kind of seam each holds, for shifted windows alone."""
        windows, pixels, channels = tokens.shape
        mixed = self.query_key_value(tokens).view(windows, pixels, 3, self.heads, channels // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=self.bias(seams))
        out: Tensor = self.project(attended.transpose(1, 2).reshape(windows, pixels, channels))
        return out

    def bias(self, seams: Tensor | None) -> Tensor:
        """Give what is added to the logits, (1, heads, N, N), or (K, heads, N, N) for windows with seams."""
        pixels = self.window**2
        # [head, y, x, i, j] is the table at [y + i, x + j]; turned round, i and j count the key's place backwards
        slid = self.position_bias.unfold(1, self.window, 1).unfold(2, self.window, 1)
        position = slid.flip(3, 4).reshape(1, self.heads, pixels, pixels)
        if seams is None or self.seam_bias is None:
            return position
        return (position + self.seam_bias.unsqueeze(1)).index_select(0, seams)


def attention_macs(channels: int, window: int) -> int:
    """Give the multiply-adds for one window: its linear layers, and each pixel with each."""
    pixels = window**2
    return 4 * pixels * channels**2 + 2 * pixels**2 * channels
