"""Attention inside windows against the textbook's, its biases and its seams."""

import pytest
import torch
from torch import Tensor, nn

from m2aenet_core.models.window_attention import WindowAttention
from m2aenet_core.ops.windows import across_seam

WINDOW, CHANNELS, HEADS = 4, 12, 3
PIXELS = WINDOW**2


@pytest.fixture
def attention() -> WindowAttention:
    layer = WindowAttention(CHANNELS, HEADS, WINDOW, shift=2).double()
    nn.init.normal_(layer.position_bias)
    return layer


def textbook(attention: WindowAttention, tokens: Tensor) -> Tensor:
    """One window, one head, one query at a time."""
    width = CHANNELS // HEADS
    query, key, value = attention.query_key_value(tokens).chunk(3, dim=-1)
    out = torch.zeros_like(tokens)
    for head in range(HEADS):
        channels = slice(head * width, (head + 1) * width)
        for at in range(PIXELS):
            logits = query[:, at : at + 1, channels] @ key[..., channels].transpose(1, 2) / width**0.5
            for to in range(PIXELS):
                y, x = at // WINDOW - to // WINDOW, at % WINDOW - to % WINDOW
                logits[..., to] += attention.position_bias[head, y + WINDOW - 1, x + WINDOW - 1]
            out[:, at : at + 1, channels] = logits.softmax(dim=-1) @ value[..., channels]
    return attention.project(out)


def test_it_is_the_attention_of_the_textbook(attention: WindowAttention) -> None:
    tokens = torch.randn(2, PIXELS, CHANNELS, dtype=torch.float64)
    with torch.no_grad():
        expected = textbook(attention, tokens)
        torch.testing.assert_close(attention(tokens, None), expected)
        no_seam = torch.zeros(2, dtype=torch.long)
        torch.testing.assert_close(attention(tokens, no_seam), expected)


@pytest.mark.parametrize("seam", [1, 2, 3])
def test_nothing_is_seen_across_a_seam(attention: WindowAttention, seam: int) -> None:
    tokens = torch.randn(1, PIXELS, CHANNELS, dtype=torch.float64)
    changed = tokens.clone()
    changed[:, 0] += 1
    with torch.no_grad():
        before, after = (attention(window, torch.tensor([seam])) for window in (tokens, changed))
    is_beyond = across_seam(WINDOW, 2)[seam, 0]
    differs = (before != after).any(dim=-1)[0]
    assert torch.equal(differs, ~is_beyond)
    assert is_beyond.any()


def test_windows_have_the_seams_they_are_given(attention: WindowAttention) -> None:
    tokens = torch.randn(1, PIXELS, CHANNELS, dtype=torch.float64).expand(4, -1, -1)
    with torch.no_grad():
        together = attention(tokens, torch.tensor([3, 0, 2, 1]))
        alone = torch.cat([attention(tokens[:1], torch.tensor([seam])) for seam in (3, 0, 2, 1)])
    torch.testing.assert_close(together, alone)
    assert (together[0] != together[1]).any()
