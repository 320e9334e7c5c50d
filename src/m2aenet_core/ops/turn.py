"""Images, and displacements in them, turned by quarters and mirrored, there and back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Turn(NamedTuple):
    """How an image is turned counter-clockwise by quarters, and then mirrored from left to right."""

    quarters: int
    is_mirrored: bool

    def of(self, image: Tensor) -> Tensor:
        """Turn the last two axes; a view where nothing is mirrored."""
        image = torch.rot90(image, self.quarters, dims=(-2, -1)) if self.quarters else image
        return image.flip(-1) if self.is_mirrored else image

    def back(self, image: Tensor) -> Tensor:
        """Give what `of` was given."""
        image = image.flip(-1) if self.is_mirrored else image
        return torch.rot90(image, -self.quarters, dims=(-2, -1)) if self.quarters else image

    def of_vectors(self, field: Tensor) -> Tensor:
        """Turn a field (B, 2 * K, H, W) of vectors (y, x), its places and its vectors."""
        y, x = self.of(field[:, 0::2]), self.of(field[:, 1::2])
        for _ in range(self.quarters % 4):
            y, x = -x, y
        return _side_by_side(y, -x if self.is_mirrored else x)

    def back_vectors(self, field: Tensor) -> Tensor:
        """Give what `of_vectors` was given."""
        y, x = self.back(field[:, 0::2]), self.back(field[:, 1::2])
        x = -x if self.is_mirrored else x
        for _ in range(self.quarters % 4):
            y, x = x, -y
        return _side_by_side(y, x)


def _side_by_side(y: Tensor, x: Tensor) -> Tensor:
    return torch.stack([y, x], dim=2).flatten(1, 2)
