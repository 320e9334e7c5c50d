"""Pictures of many sizes, cut into boxes on the device that needs them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from m2aenet_core.data.draws import Box
from m2aenet_core.data.folder import Pixels
from m2aenet_core.ops.transfer import to_device


class PixelBank:
    """Pictures (H, W, C) uint8, all with the same C, which a GPU keeps if they fit into a budget.

    There every picture lies behind the other in one tensor, so that the boxes of a whole batch are one look-up, and
    the host sends nothing but numbers. On a CPU, and beyond the budget, each box is cut out where the picture is.
    """

    def __init__(self, pictures: Sequence[Pixels], budget_mb: float) -> None:
        self.pictures = pictures
        self.sizes = [(picture.shape[0], picture.shape[1]) for picture in pictures]
        areas = [height * width for height, width in self.sizes]
        self._starts = np.cumsum([0, *areas], dtype=np.int64)
        self.fits = sum(picture.nbytes for picture in pictures) <= budget_mb * 1e6
        self._resident: dict[torch.device, Tensor] = {}

    def boxes(self, boxes: Sequence[Box], device: torch.device) -> Tensor:
        """Give boxes as (B, C, H, W) uint8; those smaller than the largest end in zeros, at the bottom and right."""
        shape = (max(box.height for box in boxes), max(box.width for box in boxes))
        if self.fits and device.type != "cpu":
            return self._look_up(boxes, shape, device)
        return to_device(self._cut(boxes, shape), device)

    def _cut(self, boxes: Sequence[Box], shape: tuple[int, int]) -> Tensor:
        cut = np.zeros((len(boxes), self.pictures[boxes[0].picture].shape[2], *shape), np.uint8)
        for target, box in zip(cut, boxes, strict=True):
            picture = self.pictures[box.picture]
            part = picture[box.top : box.top + box.height, box.left : box.left + box.width]
            target[:, : box.height, : box.width] = part.transpose(2, 0, 1)
        return torch.from_numpy(cut)

    def _look_up(self, boxes: Sequence[Box], shape: tuple[int, int], device: torch.device) -> Tensor:
        pixels = self._pixels_on(device)
        numbers = [
            (self._starts[box.picture], self.sizes[box.picture][1], box.top, box.left, box.height, box.width)
            for box in boxes
        ]
        start, stride, top, left, height, width = to_device(
            torch.from_numpy(np.array(numbers, np.int64).T.copy()), device
        ).view(6, -1, 1, 1)
        row = torch.arange(shape[0], device=device).view(1, -1, 1)
        column = torch.arange(shape[1], device=device).view(1, 1, -1)
        is_inside = (row < height) & (column < width)
        index = torch.where(is_inside, start + (top + row) * stride + left + column, 0)
        return (pixels[index] * is_inside.unsqueeze(-1)).permute(0, 3, 1, 2)

    def _pixels_on(self, device: torch.device) -> Tensor:
        """Give all pixels on a device, one after the other, (pixels, C) uint8."""
        if device not in self._resident:
            every = np.concatenate([picture.reshape(-1, picture.shape[2]) for picture in self.pictures])
            self._resident[device] = torch.from_numpy(every).to(device)
        return self._resident[device]
