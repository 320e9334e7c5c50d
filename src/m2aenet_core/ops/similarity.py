"""Structural similarity of images as tensors, differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

_REACH_PX = 5
_SIGMA_PX = 1.5
_C1, _C2 = 0.01**2, 0.03**2


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Give the similarity of images (B, C, H, W) in [0, 1] at each pixel, (B, C, H - 10, W - 10).

    11x11 Gaussian of sigma 1.5 where it lies inside the image, C1 = 0.01^2, C2 = 0.03^2, each channel by itself: the
    protocol of `metrics.ssim_map`. Both sides must be at least 11.
    """
    products = torch.stack([first, second, first * first, second * second, first * second])
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = gaussian_mean(products).unbind()
    variances = mean_xx - mean_x * mean_x + mean_yy - mean_y * mean_y
    covariance = mean_xy - mean_x * mean_y
    brightness = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    return brightness * (2 * covariance + _C2) / (variances + _C2)


def gaussian_mean(images: Tensor) -> Tensor:
    """Give the weighted mean (..., H - 10, W - 10) around each pixel of (..., H, W) whose window lies inside.

    The window is a product of rows and columns, and each is a matrix: on a CPU multiplying by both takes a sixth of the
    time of a convolution with 121 weights, and on GPUs matrices are what is quickest.
    """
    height, width = images.shape[-2:]
    return _means(height, images) @ images @ _means(width, images).t()


def _means(size: int, like: Tensor) -> Tensor:
    """Give the matrix (size - 10, size) that takes the weighted means of a line of pixels."""
    distance = torch.arange(size, device=like.device) - torch.arange(size - 2 * _REACH_PX, device=like.device).view(
        -1, 1
    )
    distance = (distance - _REACH_PX).to(like.dtype)
    weights = torch.exp(-(distance**2) / (2 * _SIGMA_PX**2)) * (distance.abs() <= _REACH_PX)
    return weights / weights.sum(dim=1, keepdim=True)
