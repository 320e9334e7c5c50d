"""The two halves of a NAFNet block on a CPU, for inference: some pixels at a time, all layers of a half in one go.

At full resolution a block computes little for each value that it reads. Layer after layer over the whole frame, every
layer waits for memory; here the values of a pass stay in the processor's cache from the first layer to the last. The
results are those of the layers one by one, up to rounding. Pixels are rows (N, C) with their channels side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.ops.passes import passes
from m2aenet_core.ops.sparse import KeptPixels, depthwise_at_kept, gather

Affine = tuple[Tensor, Tensor]
"""Weight (out, in) and bias of a pointwise layer, or scale and shift (C) of a normalisation."""

NORM_EPS = 1e-6

# measured at 32 to 512 channels: what the values of one pass and thread may take, at their widest. A convolution reads
# its neighbours too, and computes them again at the border of each piece: larger pieces repay the second-level cache
_PIECE_BYTES = 2 << 20
_ROWS_BYTES = 1 << 20


def runs_fused(features: Tensor) -> bool:
    """Tell whether the halves of a block are to be computed in passes: float32 on a CPU, and nobody looks on.

    A compiler fuses by itself, an export writes layers down, autograd wants their values, autocast their types.
    """
    return (
        features.device.type == "cpu"
        and features.dtype == torch.float32
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_grad_enabled()
    )


def pixel_rows(features: Tensor) -> Tensor:
    """Give (B, C, H, W) as (B, H * W, C): a view of channels_last memory, or a copy."""
    return features.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def gated_convolution(features: Tensor, norm: Affine, expand: Affine, kernel: Affine) -> Tensor:
    """Give the gate of the depthwise 3x3 of the 1x1 of the normalised features: (B, H, W, C).

    features (B, C, H, W); expand (2C, C); kernel (2C, 1, 3, 3) with its bias.

    Memory: the result, and 5 MB for each thread.
    """
    images = features.permute(0, 2, 3, 1)
    _, height, width, channels = images.shape
    gated = images.new_empty(images.shape)
    for image, out in zip(images, gated, strict=True):
        for top, bottom, left, right in _pieces(height, width, 2 * channels * images.element_size()):
            above, before = min(top, 1), min(left, 1)
            piece = image[top - above : bottom + 1, left - before : right + 1]
            expanded = _linear(_normalised(piece, norm), expand).permute(2, 0, 1).unsqueeze(0)
            # inner borders are padded too, and cut off again
            convolved = F.conv2d(expanded, *kernel, padding=1, groups=2 * channels)
            inside = convolved[0, :, above : above + bottom - top, before : before + right - left].permute(1, 2, 0)
            first, second = inside.chunk(2, dim=-1)
            torch.mul(first, second, out=out[top:bottom, left:right])
    return gated


def gated_convolution_at(features: Tensor, norm: Affine, expand: Affine, kernel: Affine, kept: KeptPixels) -> Tensor:
    """Give the same at kept pixels, and the squares of the normalised features elsewhere: eq. (5) and Figure 2c.

    Memory: the result, and 5 C values for each pixel of the dilated mask.
    """
    batch, channels, height, width = features.shape
    rows = features.permute(0, 2, 3, 1).reshape(-1, channels)
    gated = torch.empty_like(rows)
    for first, last in _row_passes(rows):
        torch.square(_normalised(rows[first:last], norm), out=gated[first:last])
    # the 1x1 runs on the dilated mask: the depthwise kernel reads its neighbours
    expanded = _linear(_normalised(gather(features, kept.dilated), norm), expand)
    left, right = depthwise_at_kept(expanded, *kernel, kept).chunk(2, dim=1)
    gated.index_copy_(0, kept.kept, left * right)
    return gated.view(batch, height, width, channels)


def scaled(layer: Affine, outputs: Tensor, inputs: Tensor | None = None) -> Affine:
    """Give the 1x1 (C, C) whose results, and whose inputs where given, are multiplied by a scale (C)."""
    weight = layer[0] if inputs is None else layer[0] * inputs
    return weight * outputs.unsqueeze(1), layer[1] * outputs


def add_halves(rows: Tensor, gated: Tensor, project1: Affine, norm: Affine, expand: Affine, project2: Affine) -> Tensor:
    """Add both halves of a block to the rows (N, C) of one image, into `gated` (N, C), which is overwritten.

    project1, project2 (C, C): with attention, beta and gamma in them; expand (2C, C).
    """
    for first, last in _row_passes(rows):
        middle = _plus(rows[first:last], gated[first:last], project1)
        expanded = _linear(_normalised(middle, norm), expand)
        torch.add(middle, _gated_linear(expanded, project2), out=gated[first:last])
    return gated


def add_first_half(
    rows: Tensor, gated: Tensor, project1: Affine, norm: Affine, expand: Affine, expanded: Tensor
) -> Tensor:
    """Add the first half of a block to the rows (N, C), into `gated`; begin the second in `expanded` (N, 2C)."""
    for first, last in _row_passes(rows):
        middle = _plus(rows[first:last], gated[first:last], project1)
        torch.mm(_normalised(middle, norm), expand[0].t(), out=expanded[first:last]).add_(expand[1])
        gated[first:last] = middle
    return gated


def add_second_half(rows: Tensor, convolved: Iterable[tuple[int, int, Tensor]], project2: Affine) -> Tensor:
    """Add the second half to the rows (N, C), in place; convolved: (first, last, (last - first, 2C)) pass by pass."""
    for first, last, some in convolved:
        rows[first:last] += _gated_linear(some, project2)
    return rows


def _normalised(rows: Tensor, norm: Affine) -> Tensor:
    return F.layer_norm(rows, (rows.shape[-1],), *norm, NORM_EPS)


def _plus(rows: Tensor, gated: Tensor, project: Affine) -> Tensor:
    return _linear(gated, project).add_(rows)


def _gated_linear(expanded: Tensor, project: Affine) -> Tensor:
    first, second = expanded.chunk(2, dim=1)
    return _linear(first * second, project)


def _linear(rows: Tensor, layer: Affine) -> Tensor:
    # with its bias, the library first fills the result with it, and then adds to that: 5 to 20 % slower
    return F.linear(rows, layer[0]).add_(layer[1])


def _row_passes(rows: Tensor) -> Iterator[tuple[int, int]]:
    return passes(len(rows), 2 * rows.shape[1] * rows.element_size(), _ROWS_BYTES, rows.device)


def _pieces(height: int, width: int, pixel_bytes: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut an image into pieces (top, bottom, left, right) about as high as wide: so the fewest borders are shared."""
    pixels = max(1, _PIECE_BYTES * torch.get_num_threads() // pixel_bytes)
    # equal pieces: a narrow rest would be mostly border
    columns = -(-width // math.isqrt(pixels))
    wide = -(-width // columns)
    tall = max(1, pixels // wide)
    for left in range(0, width, wide):
        for top in range(0, height, tall):
            yield top, min(height, top + tall), left, min(width, left + wide)
