"""Between an image as numpy knows it and the network's (1, 3, H, W) in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m2aenet_core.errors import InputError
from m2aenet_core.ops.light import to_linear, to_srgb

Image = NDArray[Any]
ValueRange = tuple[float, float]

# the tops of the usual bit depths: a 12-bit photo in 16-bit pixels is not a dark one
_TOPS = (255, 1023, 4095, 16383, 65535, 2**24 - 1, 2**32 - 1)
# Bicubic resizing and sharpening swing beyond white, by some per cent and at hard edges by some tenths of it; lights in
# linear floats may be brighter than paper. In units of 0 to 255 such a photo would be black all over.
_BRIGHTEST_FOR_WHITE_1 = 2.0


def check_image(image: Image) -> None:
    """Raise InputError for anything that is not a photo: shape, dtype, emptiness, NaN or infinity."""
    shape = "x".join(str(side) for side in np.shape(image))
    if not isinstance(image, np.ndarray) or image.dtype.kind not in "uif":
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"the image is of type {kind}; give a numpy array of integers or floats")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise InputError(
            f"the image has the shape {shape}; give (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), one frame at a time"
        )
    if image.size == 0:
        raise InputError(f"the image is empty ({shape}); give one with at least one pixel")
    if image.dtype.kind == "f" and not np.isfinite(colours(image)).all():
        raise InputError("the image holds NaN or infinity; replace them (numpy.nan_to_num does) and try again")


def colours(image: Image) -> Image:
    """Give the image as (H, W, 1) or (H, W, 3), without its alpha channel."""
    if image.ndim == 2:
        return image[..., None]
    return image[..., :3]


def value_range_of(image: Image) -> ValueRange:
    """Give the values that stand for black and white.

    uint8: 0 and 255. Floats up to 2: 0 and 1, as resizing swings beyond white. Others, and integers: 0 and the top of
    the smallest usual depth that holds the image (255, 1023, 4095, 16383, 65535 ...). With negative values: the image's
    own extremes.
    """
    values = colours(image)
    low, high = float(values.min()), float(values.max())
    if image.dtype == np.uint8:
        return 0.0, 255.0
    if low < 0 or high > _TOPS[-1]:
        return low, high if high > low else low + 1.0
    if image.dtype.kind == "f" and high <= _BRIGHTEST_FOR_WHITE_1:
        return 0.0, 1.0
    return 0.0, float(next(top for top in _TOPS if high <= top))


def check_value_range(value_range: ValueRange) -> None:
    """Raise InputError where black is not below white."""
    low, high = value_range
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"value_range is {low} to {high}; give black first, then a larger white")


def to_tensor(image: Image, value_range: ValueRange, *, linear_light: bool = False) -> Tensor:
    """Give (1, 3, H, W) float32, black = 0, white = 1; grey is repeated three times.

    linear_light: whether values are in proportion to light; they are encoded as sRGB then.
    """
    low, high = value_range
    scaled = (colours(image).astype(np.float64) - low) / (high - low)
    tensor = torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1).unsqueeze(0).clamp(0, 1)
    return (to_srgb(tensor) if linear_light else tensor).expand(-1, 3, -1, -1)


def to_uint8(image: Tensor) -> NDArray[np.uint8]:
    """Give (3, H, W) in [0, 1] as (H, W, 3) uint8, clamped and rounded."""
    return (image.float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def value_limits(image: Image, value_range: ValueRange) -> ValueRange:
    """Give the lowest and the highest value that a restored image may hold: black and white, or the image's own."""
    values = colours(image)
    return min(value_range[0], float(values.min())), max(value_range[1], float(values.max()))


def add_residual(
    image: Image,
    residual: NDArray[np.float32],
    value_range: ValueRange,
    limits: ValueRange | None = None,
    *,
    linear_light: bool = False,
) -> Image:
    """Give the image plus a residual (H, W, 3) in units of the range, in the image's shape and dtype.

    limits: `value_limits` of the photo, where the image is a part of it. linear_light: whether the image's values are
    in proportion to light; the residual is one of sRGB all the same, as `to_tensor` gives it.
    Where the residual is exactly 0 the image's own values stay, bit for bit; alpha always does.
    """
    low, high = value_range
    restored = image.copy()
    target = colours(restored)
    if target.shape[2] == 1:
        residual = residual.mean(axis=2, keepdims=True)
    changed = (residual != 0).any(axis=2)
    values, added = target[changed].astype(np.float64), residual[changed].astype(np.float64)
    if linear_light:
        added = _light_added((values - low) / (high - low), added)
    values += added * (high - low)
    values = np.clip(values, *(value_limits(image, value_range) if limits is None else limits))
    if image.dtype.kind in "ui":
        holds = np.iinfo(image.dtype)
        values = np.clip(np.rint(values), holds.min, holds.max)
    target[changed] = values.astype(image.dtype)
    return restored


def _light_added(light: NDArray[np.float64], residual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give what a residual of the sRGB adds to light in [0, 1]; to what lies beyond black and white, as at these."""
    seen = torch.from_numpy(light.clip(0, 1))
    return (to_linear(to_srgb(seen) + torch.from_numpy(residual)) - seen).numpy()
