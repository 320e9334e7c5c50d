"""What every network of this package offers to training and to inference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from m2aenet_core.models.trajectory import Motion
from m2aenet_core.ops.padding import NO_PADDING, Padding

Decision = Tensor | float
"""What decides where a network restores: a mask (B, 1, h, w) of its cells, 1 = blurred, or a threshold."""


class Encoded(NamedTuple):
    """What `analyze` gives, and `restore` goes on from.

    image (B, 3, H, W), height and width multiples of `size_multiple`; blur_logits (B, 2, h, w) for cells of
    `cell_px` pixels, channel 0 is "blurred", None for networks without a mask; motion at the cells' scale, None for
    networks without motion; skips: output of each encoder stage that does not depend on the decision; features:
    input of the first stage that does; masks: decisions that were already taken on the way, for counting.
    """

    image: Tensor
    blur_logits: Tensor | None
    motion: Motion | None
    skips: tuple[Tensor, ...] = ()
    features: Tensor | None = None
    masks: tuple[Tensor, ...] = ()

    def crop(self, top: int, left: int, height: int, width: int) -> Encoded:
        """Give a rectangle of the image and of everything computed from it.

        All four numbers in image pixels, multiples of the network's `size_multiple`.
        """

        def cut(tensor: Tensor) -> Tensor:
            step = self.image.shape[-1] // tensor.shape[-1]
            rows = slice(top // step, (top + height) // step)
            return tensor[..., rows, left // step : (left + width) // step]

        return self._replace(masks=()).map(cut)

    def to(self, device: torch.device) -> Encoded:
        """Give the same on another device."""
        return self.map(lambda tensor: tensor.to(device))

    @property
    def nbytes(self) -> int:
        """Bytes of the image and of the features."""
        tensors = (self.image, *self.skips, self.features)
        return sum(tensor.nbytes for tensor in tensors if tensor is not None)

    def map(self, change: Callable[[Tensor], Tensor]) -> Encoded:
        """Give the same with a function applied to every tensor."""
        return Encoded(
            image=change(self.image),
            blur_logits=None if self.blur_logits is None else change(self.blur_logits),
            motion=None if self.motion is None else self.motion.map(change),
            skips=tuple(change(skip) for skip in self.skips),
            features=None if self.features is None else change(self.features),
            masks=tuple(change(mask) for mask in self.masks),
        )


class Restored(NamedTuple):
    """image (B, 3, H, W), not clamped; masks: the decisions it was computed with, in the network's order."""

    image: Tensor
    masks: tuple[Tensor, ...]


class NetworkOutput(NamedTuple):
    """What a forward pass gives to training.

    restored (B, 3, H, W); blur_logits, for each predictor (B, 2, h, w), channel 0 is "blurred"; masks, the decisions
    taken from them; displacements, for each analyzer; shifts_px, for each predictor by how many image pixels its
    cells lie further down and right (LMD-ViT's shifted windows), empty where none is; padding, by which the image grew
    to what logits, masks and displacements belong to.
    """

    restored: Tensor
    blur_logits: tuple[Tensor, ...] = ()
    masks: tuple[Tensor, ...] = ()
    displacements: tuple[Motion, ...] = ()
    shifts_px: tuple[int, ...] = ()
    padding: Padding = NO_PADDING


class Network(nn.Module, ABC):
    """A deblurring network that analyzes first and restores then.

    config: the frozen dataclass it was built from. size_multiple: `analyze` takes heights and widths that are
    multiples of it. cell_px: side in pixels of the cells that masks and motion are given for. has_mask, has_motion:
    whether it predicts them; without a mask everything counts as blurred, without motion nothing moves.
    decides_along: whether decisions are taken on the way, from features that depend on earlier ones, so that no mask
    can stand for a threshold, and `restore` runs the whole network. decides_windows: whether cells are windows that
    are restored as wholes. live_values: about how many float32 values are alive at once for each pixel, for the size
    of tiles; fused_live_values: where blocks are computed in passes (`ops.fused`).
    """

    config: Any
    size_multiple: int
    cell_px: int
    has_mask: bool
    has_motion: bool
    decides_along: bool = False
    decides_windows: bool = False
    live_values: int
    fused_live_values: int

    @abstractmethod
    def analyze(self, image: Tensor) -> Encoded:
        """Find blur and motion in an image (B, 3, H, W) in [0, 1]."""

    @abstractmethod
    def restore(self, encoded: Encoded, decision: Decision, *, pruned: bool = False) -> Restored:
        """Restore what was analyzed, where a mask or a threshold says.

        pruned: compute what was decided to be blurred alone; equal to dense evaluation up to rounding.
        """

    @abstractmethod
    def analyze_macs(self, height: int, width: int, masks: Sequence[Tensor] = ()) -> int:
        """Give the multiply-adds of `analyze` at a padded size; masks: those in what it gave."""

    @abstractmethod
    def decision_grids(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Give height and width of each mask that `restore` reports, for an image of a padded size."""

    @abstractmethod
    def restore_macs(self, height: int, width: int, masks: Sequence[Tensor] | None = None) -> int:
        """Give the multiply-adds of `restore` at a padded size, pruned by the masks it gave, or dense without."""


def as_output(output: Tensor | NetworkOutput) -> NetworkOutput:
    """Give what a forward pass gave as a NetworkOutput; NAFNet gives the restored image alone."""
    return output if isinstance(output, NetworkOutput) else NetworkOutput(output)
