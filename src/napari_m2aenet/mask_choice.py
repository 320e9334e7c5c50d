"""How the mask is made: from the threshold, by hand, or from another layer; everywhere or inside a selection.

A choice is immutable and small, so that a history of them costs little: masks are packed to bits and compressed.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.settings import THRESHOLD


class MaskSource(StrEnum):
    """Where the mask comes from; the value is the word of the record."""

    THRESHOLD = "threshold"
    PAINTED = "painted"
    LAYER = "layer"


@dataclass(frozen=True)
class PackedMask:
    """A mask (H, W) in few bytes; two are equal where all their pixels are."""

    shape: tuple[int, int]
    bits: bytes

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> PackedMask:
        """Return a mask packed: eight pixels a byte, then compressed, since neighbours are mostly alike."""
        height, width = mask.shape
        return cls((height, width), zlib.compress(np.packbits(mask).tobytes(), level=1))

    def unpack(self) -> NDArray[np.bool_]:
        """Return the mask, an array of its own."""
        packed = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        height, width = self.shape
        return np.unpackbits(packed, count=height * width).view(np.bool_).reshape(self.shape)


@dataclass(frozen=True)
class MaskChoice:
    """How the mask is made.

    `given` is the mask of PAINTED and LAYER, `layer_key` and `layer_name` say which layer it was read from. `painted`
    are the strokes made last, also while they are not used. `selection` limits every source; None is the whole photo.
    """

    source: MaskSource = MaskSource.THRESHOLD
    threshold: float = THRESHOLD.default
    given: PackedMask | None = None
    painted: PackedMask | None = None
    layer_key: Hashable = None
    layer_name: str | None = None
    selection: PackedMask | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the threshold alone makes the mask, as on the command line."""
        return self.source is MaskSource.THRESHOLD and self.selection is None

    def makes_same_mask(self, other: MaskChoice) -> bool:
        """Say whether both give the same mask on one photo."""
        if (self.source is MaskSource.THRESHOLD) != (other.source is MaskSource.THRESHOLD):
            return False
        is_from_threshold = self.source is MaskSource.THRESHOLD
        same = self.threshold == other.threshold if is_from_threshold else self.given == other.given
        return same and self.selection == other.selection

    def mask(self, probability: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return the mask on a photo with this blur probability (H, W)."""
        mask = probability > self.threshold if self.given is None else self.given.unpack()
        if self.selection is not None:
            mask &= self.selection.unpack()
        return mask

    def count_pixels(self) -> int:
        """Return how many pixels a given mask marks inside the selection."""
        assert self.given is not None
        mask = self.given.unpack()
        return int(np.count_nonzero(mask if self.selection is None else mask & self.selection.unpack()))

    def description(self) -> dict[str, object]:
        """Return what the record says about it."""
        return {
            "source": str(self.source),
            "is_given": self.given is not None,
            "layer": self.layer_name,
            "selected_pixels": None if self.selection is None else int(np.count_nonzero(self.selection.unpack())),
        }


def packed_bytes(choice: MaskChoice) -> int:
    """Return how much memory the masks of a choice take."""
    masks = {id(mask): mask for mask in (choice.given, choice.painted, choice.selection) if mask is not None}
    return sum(len(mask.bits) for mask in masks.values())
