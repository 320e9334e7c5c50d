"""The mean of what a network makes of a photo and of turned copies of it: the geometric self-ensemble of EDSR.

What a network gets wrong differs from copy to copy, so the mean is nearer to the truth (Lim et al., "Enhanced Deep
Residual Networks for Single Image Super-Resolution", 2017, section 3.4). Here blur and motion are averaged first:
every copy is then restored along the same path, which is a better one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from m2aenet_core.errors import InputError
from m2aenet_core.models.network import Decision, Encoded, Network, Restored
from m2aenet_core.models.path import ends_of_path, path_of_ends
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.ops.turn import Turn

COPIES = (1, 2, 4, 8)
"""How many copies there may be: the photo; and turned by a quarter; by all quarters; mirrored as well."""

_TURNS = tuple(Turn(quarters, is_mirrored) for is_mirrored in (False, True) for quarters in range(4))
# features that are kept for each pixel and further copy, in channels: skips at full, half and quarter size, and less
_KEPT_CHANNELS = 2


def as_ensemble(network: Network, copies: int | None = None) -> Network:
    """Give a network that takes the mean over copies; the network itself for one.

    copies: by default as many as the network's config says. Raises InputError for other numbers than `COPIES`.
    """
    copies = getattr(network.config, "ensemble", 1) if copies is None else copies
    check_copies(copies)
    return network if copies == 1 else SelfEnsemble(network, copies)


def check_copies(copies: int) -> None:
    """Raise InputError for a number of copies that is not in `COPIES`."""
    if copies not in COPIES:
        raise InputError(f"an ensemble of {copies} is not known; give one of {', '.join(map(str, COPIES))}")


class SelfEnsemble(Network):
    """A network that looks at copies of an image, which are turned, and gives the mean of what it makes of them.

    Multiply-adds are those of all copies. Decisions that are given back are those of the image as it is; a network
    that decides along is counted as if its copies had taken the same.
    """

    def __init__(self, network: Network, copies: int) -> None:
        """Take the mean over some copies, one of `COPIES`."""
        super().__init__()
        self.network = network
        self.turns = _TURNS[:copies]
        self.config = network.config
        self.size_multiple, self.cell_px = network.size_multiple, network.cell_px
        self.has_mask, self.has_motion = network.has_mask, network.has_motion
        self.decides_along, self.decides_windows = network.decides_along, network.decides_windows
        kept = _KEPT_CHANNELS * network.config.width * (copies - 1)
        self.live_values = network.live_values + kept
        self.fused_live_values = network.fused_live_values + kept

    def analyze(self, image: Tensor) -> Encoded:
        """Find blur and motion: the mean of the logits, and of the paths.

        `skips` holds the features of all copies, turned back so that parts of them can be cut out.
        """
        found = [_back(self.network.analyze(_laid_out(turn.of(image))), turn) for turn in self.turns]
        logits = [each.blur_logits for each in found if each.blur_logits is not None]
        motions = [each.motion for each in found if each.motion is not None]
        return Encoded(
            image,
            torch.stack(logits).mean(dim=0) if logits else None,
            _mean_motion(motions) if motions else None,
            tuple(tensor for each in found for tensor in _kept(each)),
            masks=found[0].masks,
        )

    def restore(self, encoded: Encoded, decision: Decision, *, pruned: bool = False) -> Restored:
        """Give the mean of the restored copies, each along the motion of `encoded`."""
        first = self._restore_copy(encoded, decision, 0, pruned=pruned)
        total = first.image
        for number in range(1, len(self.turns)):
            total = total + self._restore_copy(encoded, decision, number, pruned=pruned).image
        return Restored(total / len(self.turns), first.masks)

    def _restore_copy(self, encoded: Encoded, decision: Decision, number: int, *, pruned: bool) -> Restored:
        """Give a restored copy as it lies in the image, with the decisions as the copy had them."""
        turn = self.turns[number]
        decided = turn.of(decision) if isinstance(decision, Tensor) else decision
        restored = self.network.restore(self._of_copy(encoded, number), decided, pruned=pruned)
        return restored._replace(image=turn.back(restored.image))

    def _of_copy(self, encoded: Encoded, number: int) -> Encoded:
        turn = self.turns[number]
        count = len(encoded.skips) // len(self.turns)
        kept = [_laid_out(turn.of(each)) for each in encoded.skips[number * count : (number + 1) * count]]
        logits, motion = encoded.blur_logits, encoded.motion
        return Encoded(
            _laid_out(turn.of(encoded.image)),
            None if logits is None else turn.of(logits),
            None if motion is None else _one_direction(motion.map(turn.of_vectors), turn),
            tuple(kept[:-1]),
            kept[-1] if kept else None,
        )

    def analyze_macs(self, height: int, width: int, masks: Sequence[Tensor] = ()) -> int:
        """Give the multiply-adds of `analyze` for all copies."""
        return sum(
            self.network.analyze_macs(*_turned_size(height, width, turn), [turn.of(mask) for mask in masks])
            for turn in self.turns
        )

    def decision_grids(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Give height and width of each mask that `restore` reports."""
        return self.network.decision_grids(height, width)

    def restore_macs(self, height: int, width: int, masks: Sequence[Tensor] | None = None) -> int:
        """Give the multiply-adds of `restore` for all copies."""
        return sum(
            self.network.restore_macs(
                *_turned_size(height, width, turn), None if masks is None else [turn.of(mask) for mask in masks]
            )
            for turn in self.turns
        )


def _kept(encoded: Encoded) -> tuple[Tensor, ...]:
    """Give what a restoration goes on from."""
    assert encoded.features is not None or not encoded.skips
    return encoded.skips if encoded.features is None else (*encoded.skips, encoded.features)


def _back(encoded: Encoded, turn: Turn) -> Encoded:
    """Give what was found in a copy as it lies in the image."""
    turned = encoded.map(turn.back)
    if encoded.motion is None:
        return turned
    return turned._replace(motion=_one_direction(encoded.motion.map(turn.back_vectors), turn))


def _mean_motion(motions: Sequence[Motion]) -> Motion:
    if motions[0].tells_time:
        return motions[0].map(lambda _: torch.stack([motion.field for motion in motions]).mean(dim=0))
    # the mean of a path and the same path backwards would be none at all
    paths = [path_of_ends(motion.start, motion.end) for motion in motions]
    return motions[0].map(lambda _: ends_of_path(torch.stack(paths).mean(dim=0)))


def _one_direction(motion: Motion, turn: Turn) -> Motion:
    """Give a motion that was turned with time running as the network takes it to run, where it cannot tell."""
    if motion.tells_time or turn == _TURNS[0]:
        return motion
    return motion.map(lambda _: ends_of_path(path_of_ends(motion.start, motion.end)))


def _laid_out(tensor: Tensor) -> Tensor:
    """Give a tensor in the memory that convolutions are quickest in."""
    return tensor.contiguous(memory_format=torch.channels_last)


def _turned_size(height: int, width: int, turn: Turn) -> tuple[int, int]:
    return (width, height) if turn.quarters % 2 else (height, width)
