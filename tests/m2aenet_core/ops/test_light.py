"""Linear light and sRGB."""

import torch

from m2aenet_core.ops.light import levels_to_linear, to_linear, to_srgb


def test_linear_light_and_srgb_are_inverse() -> None:
    levels = torch.linspace(0, 1, 4096, dtype=torch.float64)
    torch.testing.assert_close(to_srgb(to_linear(levels)), levels, atol=1e-6, rtol=0)
    torch.testing.assert_close(to_linear(to_srgb(levels)), levels, atol=1e-6, rtol=0)


def test_srgb_has_its_known_values() -> None:
    levels = torch.tensor([0.0, 0.04045, 0.5, 1.0], dtype=torch.float64)
    expected = torch.tensor([0.0, 0.0031308, 0.2140411, 1.0], dtype=torch.float64)
    torch.testing.assert_close(to_linear(levels), expected, atol=1e-6, rtol=0)


def test_levels_are_looked_up_as_they_would_be_computed() -> None:
    levels = torch.arange(256).view(2, 1, 8, 16)
    expected = to_linear(levels / 255)
    for kind in (torch.uint8, torch.float32, torch.int64):
        assert torch.equal(levels_to_linear(levels.to(kind)), expected)
