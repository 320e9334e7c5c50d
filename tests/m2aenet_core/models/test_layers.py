"""The small parts of every block."""

import torch

from m2aenet_core.models.layers import NORM_EPS, ChannelAttention, LayerNorm2d, Upsample, downsample


def test_each_pixel_is_normalised_over_its_channels() -> None:
    features = torch.randn(2, 16, 5, 6) * 3 + 1
    normed = LayerNorm2d(16)(features)
    expected = (features - features.mean(1, keepdim=True)) / (
        features.var(1, keepdim=True, correction=0) + NORM_EPS
    ).sqrt()
    torch.testing.assert_close(normed, expected, atol=1e-5, rtol=1e-5)


def test_attention_scales_whole_channels_by_a_mix_of_the_means() -> None:
    attention, features = ChannelAttention(4), torch.rand(2, 4, 5, 6)
    scale = attention(features) / features
    torch.testing.assert_close(scale, scale[..., :1, :1].expand_as(scale))
    mixed = features.mean(dim=(2, 3)) @ attention.mix.weight.flatten(1).t() + attention.mix.bias
    torch.testing.assert_close(scale[..., 0, 0], mixed)


def test_going_down_and_up_gives_the_shape_back() -> None:
    features = torch.randn(1, 4, 8, 6)
    down = downsample(4)(features)
    assert down.shape == (1, 8, 4, 3)
    assert Upsample(8)(down).shape == features.shape
