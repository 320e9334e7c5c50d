"""The feed-forward network stays inside its window."""

import torch
import torch.nn.functional as F

from m2aenet_core.models.leff import LeFF

WINDOW, CHANNELS, HIDDEN = 4, 3, 10


def test_the_middle_layer_is_a_depthwise_convolution_of_the_mirrored_window() -> None:
    layer, tokens = LeFF(CHANNELS, HIDDEN, WINDOW), torch.randn(5, WINDOW**2, CHANNELS)
    with torch.no_grad():
        hidden = F.gelu(layer.expand(tokens)).transpose(1, 2).reshape(5, HIDDEN, WINDOW, WINDOW)
        mirror = [1, 0, 1, 2, 3, 2]
        framed = hidden[:, :, mirror][..., mirror]
        expected = layer.depthwise.bias.view(1, -1, 1, 1).expand(5, HIDDEN, WINDOW, WINDOW)
        for y in range(3):
            for x in range(3):
                tap = layer.depthwise.weight[:, 0, y, x].view(1, -1, 1, 1)
                expected = expected + tap * framed[..., y : y + WINDOW, x : x + WINDOW]
        expected = layer.project(F.gelu(expected).flatten(2).transpose(1, 2))
        torch.testing.assert_close(layer(tokens), expected)


def test_a_window_does_not_see_the_others() -> None:
    layer, tokens = LeFF(CHANNELS, HIDDEN, WINDOW), torch.randn(3, WINDOW**2, CHANNELS)
    changed = tokens.clone()
    changed[1] += 1
    with torch.no_grad():
        differs = (layer(tokens) != layer(changed)).any(dim=-1)
    assert differs[1].all()
    assert not differs[[0, 2]].any()
