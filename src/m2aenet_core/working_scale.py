"""A photo at a smaller size, where blur longer than the networks know is short enough, and the way back to full size.

What is computed at the smaller size comes back as a difference to be added, so that the photo keeps its own detail.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from m2aenet_core.errors import InputError
from m2aenet_core.ops.sampling import read_at
from m2aenet_core.pixels import Image, ValueRange, colours, to_tensor
from m2aenet_core.tiling import Box

AUTO: Literal["auto"] = "auto"
Scale = float | Literal["auto"]
"""The share of a photo's sides that is worked at, above 0 and up to 1; or "auto", chosen from what is found."""

Size = tuple[int, int]

# rows that are made narrower at a time, so that no second copy of the photo in float32 is needed
_BAND_PX = 256


def check_scale(scale: float | str, size: Size | None = None) -> None:
    """Raise InputError for a scale that is none, or that leaves nothing of a photo of a size."""
    if scale == AUTO:
        return
    if isinstance(scale, str) or not 0 < scale <= 1:  # NaN too
        raise InputError(f"the working scale is {scale}; give a number above 0 and up to 1, or auto")
    if size is not None and 0 in _rounded(size, scale):
        raise InputError(f"a working scale of {scale} leaves nothing of {size[0]}x{size[1]} pixels; give a larger one")


def reduced_size(size: Size, scale: float) -> Size:
    """Give height and width of a photo at a scale. Raises InputError as `check_scale` does."""
    check_scale(scale, size)
    return _rounded(size, scale)


def _rounded(size: Size, scale: float) -> Size:
    return math.floor(size[0] * scale + 0.5), math.floor(size[1] * scale + 0.5)


def reduced_photo(image: Image, value_range: ValueRange, size: Size) -> NDArray[np.float32]:
    """Give a photo at a smaller size (h, w, 1) or (h, w, 3), black = 0 and white = 1, without aliasing.

    Bicubic over the pixels that fall together. Alpha is left out. Takes the result, and a colour of full height beside.
    """
    reduced = np.empty((*size, colours(image).shape[2]), np.float32)
    for channel in range(reduced.shape[2]):
        narrow = [_resized(band, (band.shape[-2], size[1])) for band in _bands(image, channel, value_range)]
        # a cubic swings beyond the values that it goes through
        reduced[..., channel] = _resized(torch.cat(narrow, dim=-2), size).clamp_(0, 1)[0, 0].numpy()
    return reduced


def _bands(image: Image, channel: int, value_range: ValueRange) -> Iterator[torch.Tensor]:
    for top in range(0, image.shape[0], _BAND_PX):
        yield to_tensor(colours(image)[top : top + _BAND_PX, :, channel], value_range)[:, :1]


def _resized(image: torch.Tensor, size: Size) -> torch.Tensor:
    return F.interpolate(image, size=size, mode="bicubic", align_corners=False, antialias=True)


def reduced_mask(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """Give a mask (H, W) at a smaller size (h, w): which pixels hold any pixel of it."""
    rows, columns = (_edges(full, small)[:-1] for full, small in zip(mask.shape, size, strict=True))
    reduced: NDArray[np.bool_] = np.logical_or.reduceat(np.logical_or.reduceat(mask, rows, axis=0), columns, axis=1)
    return reduced


def _edges(full: int, small: int) -> NDArray[np.int64]:
    """Give where each of `small` pixels begins among `full` ones, and the end: a pixel belongs where its centre is."""
    return np.ceil(np.arange(small + 1) * (full / small) - 0.5).astype(np.int64)


class Enlargement(NamedTuple):
    """From the pixels of a reduced copy to those of its photo; height and width of both."""

    reduced: Size
    full: Size

    def box(self, box: Box) -> Box:
        """Give a rectangle of the reduced copy in pixels of the photo; like padding it may reach beyond the photo."""
        top, left = self._edge(box.top, 0), self._edge(box.left, 1)
        return Box(top, left, self._edge(box.bottom, 0) - top, self._edge(box.right, 1) - left)

    def part(self, values: NDArray[np.float32], box: Box, wanted: Box) -> NDArray[np.float32]:
        """Give a rectangle of the photo of what is known for a rectangle of the reduced copy, smoothly (bicubic).

        values (box.height, box.width, C); box: theirs in the reduced copy; wanted: in the photo.
        """
        known = torch.from_numpy(values).permute(2, 0, 1).unsqueeze(0)
        rows = self._positions(wanted.top, wanted.bottom, 0) - box.top
        columns = self._positions(wanted.left, wanted.right, 1) - box.left
        return read_at(known, rows, columns)[0].permute(1, 2, 0).numpy()

    def _ratio(self, axis: int) -> float:
        return self.full[axis] / self.reduced[axis]

    def _edge(self, position: int, axis: int) -> int:
        return math.ceil(position * self._ratio(axis) - 0.5)

    def _positions(self, first: int, last: int, axis: int) -> torch.Tensor:
        """Where the centres of pixels of the photo lie, in pixels of the reduced copy."""
        return (torch.arange(first, last, dtype=torch.float64) + 0.5) / self._ratio(axis) - 0.5
