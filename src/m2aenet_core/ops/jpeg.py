"""What JPEG does to a picture, computed on the picture's own device: nothing is encoded, only lost as JPEG loses it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.ops.transfer import to_device

_BLOCK = 8
_QUARTERS = 4 * 8**0.5
# the quantisation tables of ITU-T T.81, annex K, rows from low to high vertical frequency; encoders scale these
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE_CORNER = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))
# ITU-R BT.601 as JFIF uses it: luma, blue and red difference
_TO_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)


class _Constants(NamedTuple):
    to_ycc: Tensor  # (3, 3)
    cosines: Tensor  # (8, 8), orthonormal, a row for each frequency
    tables: Tensor  # (2, 8, 8): luminance, chrominance


def compress_as_jpeg(image: Tensor, quality: Sequence[int], halve_colour: bool = False) -> Tensor:
    """Give images (B, 3, H, W) in [0, 1] as they come back from JPEG files, in steps of 1/255.

    quality: 1 to 100 for each image, in the scale of libjpeg. halve_colour: store colour at half the resolution
    (4:2:0), as cameras do; otherwise at full (4:4:4). The arithmetic is that of libjpeg but for the rounding inside
    its integer cosine transform: nearly all pixels come out the same, the others a step apart. Not differentiable.
    """
    height, width = image.shape[-2:]
    constants = _constants(image.device)
    tables = _scaled_tables(constants.tables, quality)
    levels = (image * 255).round()
    ycc = torch.einsum("kc,bchw->bkhw", constants.to_ycc, levels)
    ycc[:, 1:] += 128
    luma, colour = ycc.round_().split((1, 2), dim=1)
    luma = _quantised(luma, tables[:, :1], constants.cosines)
    if halve_colour:
        colour = _twice_as_large(_quantised(_half_as_large(colour), tables[:, 1:], constants.cosines), height, width)
    else:
        colour = _quantised(colour, tables[:, 1:], constants.cosines)
    return _to_rgb(luma, colour) / 255


@cache
def _constants(device: torch.device) -> _Constants:
    chrominance = torch.full((_BLOCK, _BLOCK), 99.0)
    chrominance[:4, :4] = torch.tensor(_CHROMINANCE_CORNER)
    steps = torch.arange(_BLOCK, dtype=torch.float64)
    cosines = torch.cos((2 * steps + 1) * steps.view(-1, 1) * torch.pi / (2 * _BLOCK)) / 2
    cosines[0] /= 2**0.5
    tables = torch.stack([torch.tensor(_LUMINANCE, dtype=torch.float32), chrominance])
    return _Constants(torch.tensor(_TO_YCC).to(device), cosines.float().to(device), tables.to(device))


def _scaled_tables(tables: Tensor, quality: Sequence[int]) -> Tensor:
    """Give the tables (B, 2, 8, 8) of each quality."""
    if not all(1 <= each <= 100 for each in quality):
        raise ValueError(f"JPEG qualities go from 1 to 100, got {list(quality)}")
    percent = [5000 // each if each < 50 else 200 - 2 * each for each in quality]
    scale = to_device(torch.tensor(percent, dtype=torch.float32), tables.device).view(-1, 1, 1, 1)
    return ((tables * scale + 50) / 100).floor().clamp(1, 255)


def _quantised(planes: Tensor, tables: Tensor, cosines: Tensor) -> Tensor:
    """Give planes (B, C, H, W) of levels after the loss of their blocks' cosine coefficients, rounded."""
    height, width = planes.shape[-2:]
    padded = F.pad(planes - 128, (0, -width % _BLOCK, 0, -height % _BLOCK), mode="replicate")
    batch, channels, rows, columns = padded.shape
    blocks = padded.view(batch, channels, rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK).transpose(3, 4)
    step = tables.view(batch, 1 if tables.shape[1] == 1 else channels, 1, 1, _BLOCK, _BLOCK)
    # the integer transforms leave quarters of sqrt(8) after the first direction, and eighths after both
    along_rows = (blocks @ cosines.T * _QUARTERS).round_() / _QUARTERS
    eighths = (cosines @ along_rows * 8).round_()
    # a half, which is frequent then, is rounded away from zero
    kept = (eighths.abs() / (8 * step) + 0.5).floor_() * step * eighths.sign()
    along_columns = (cosines.T @ kept * _QUARTERS).round_() / _QUARTERS
    back = (along_columns @ cosines).transpose(3, 4).reshape(batch, channels, rows, columns)
    return (back[..., :height, :width] + 128).round_().clamp_(0, 255)


def _half_as_large(colour: Tensor) -> Tensor:
    """Give means of 2 x 2 levels; a half is rounded down and up in turn, so that no tint builds up."""
    height, width = colour.shape[-2:]
    # to whole blocks of the small plane: what lies beyond the border is coded as well
    even = F.pad(colour, (0, -width % (2 * _BLOCK), 0, -height % (2 * _BLOCK)), mode="replicate")
    bias = torch.arange(even.shape[-1] // 2, device=colour.device) % 2 * 0.25 + 0.25
    return (F.avg_pool2d(even, 2) + bias).floor_()


def _twice_as_large(colour: Tensor, height: int, width: int) -> Tensor:
    """Give colour at full size, (B, 2, height, width): three quarters of the nearer sample, a quarter of the other."""
    colour = colour[..., : (height + 1) // 2, : (width + 1) // 2]
    rows = _interleaved(colour, dim=-2)
    columns = _interleaved(rows, dim=-1)
    # sixteenths, rounded up at the left and down at the right of a half
    bias = torch.arange(columns.shape[-1], device=colour.device) % 2
    return ((columns + 8 - bias) / 16).floor_()[..., :height, :width]


def _interleaved(values: Tensor, dim: int) -> Tensor:
    """Give quadruple values at twice the size along a dimension: 3 a + its neighbour before, 3 a + the one after."""
    size = values.shape[dim]
    before = torch.cat([values.narrow(dim, 0, 1), values.narrow(dim, 0, size - 1)], dim)
    after = torch.cat([values.narrow(dim, 1, size - 1), values.narrow(dim, size - 1, 1)], dim)
    both = torch.stack([3 * values + before, 3 * values + after], dim=values.dim() + dim + 1)
    return both.flatten(values.dim() + dim, values.dim() + dim + 1)


def _to_rgb(luma: Tensor, colour: Tensor) -> Tensor:
    blue, red = (colour - 128).split(1, dim=1)
    channels = [
        luma + (1.402 * red).round(),
        luma + (-0.344136286 * blue - 0.714136286 * red).round(),
        luma + (1.772 * blue).round(),
    ]
    return torch.cat(channels, dim=1).clamp_(0, 255)
