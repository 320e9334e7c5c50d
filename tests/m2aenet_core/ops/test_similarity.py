"""Structural similarity as the metrics take it, with gradients."""

import numpy as np
import pytest
import torch

from m2aenet_core.metrics import ssim_map
from m2aenet_core.ops.similarity import gaussian_mean, structural_similarity


def levels(height: int, width: int) -> torch.Tensor:
    """Images of whole levels, as the metrics take them."""
    return (torch.rand(2, 3, height, width, dtype=torch.float64) * 255).round() / 255


def to_pixels(image: torch.Tensor) -> np.ndarray:
    return np.asarray((image * 255).round().permute(1, 2, 0).numpy(), np.uint8)


@pytest.mark.parametrize("size", [(11, 11), (24, 37)])
def test_it_is_the_map_of_the_metrics(size: tuple[int, int]) -> None:
    first = levels(*size)
    second = ((first + 0.1 * torch.randn_like(first)).clamp(0, 1) * 255).round() / 255
    found = structural_similarity(first, second)
    for index in range(2):
        expected = ssim_map(to_pixels(first[index]), to_pixels(second[index]))
        np.testing.assert_allclose(found[index].permute(1, 2, 0).numpy(), expected, atol=1e-6)


def test_equal_images_are_alike_and_noise_is_not() -> None:
    first, second = levels(32, 32).float(), levels(32, 32).float()
    torch.testing.assert_close(structural_similarity(first, first), torch.ones(2, 3, 22, 22), atol=1e-4, rtol=0)
    assert structural_similarity(first, second).mean() < 0.2


def test_a_mean_of_equal_values_is_the_value_and_a_point_becomes_a_gaussian() -> None:
    torch.testing.assert_close(gaussian_mean(torch.full((1, 20, 25), 0.3)), torch.full((1, 10, 15), 0.3))
    point = torch.zeros(21, 21)
    point[10, 10] = 1
    spread = gaussian_mean(point)
    assert spread.sum().item() == pytest.approx(1)
    assert spread.argmax().item() == 5 * 11 + 5
    assert (spread[5, 7] / spread[5, 5]).item() == pytest.approx(np.exp(-(2**2) / (2 * 1.5**2)))


def test_gradients_are_those_of_differences() -> None:
    first, second = levels(12, 13)[:1, :1].requires_grad_(), levels(12, 13)[:1, :1]
    assert torch.autograd.gradcheck(structural_similarity, (first, second))
