"""How the mask of each photo was decided so far: the present choice, and the way back through the earlier ones."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.history import History
from napari_m2aenet.mask_choice import MaskChoice, MaskSource, PackedMask, packed_bytes
from napari_m2aenet.source import Source

Picture = tuple[Hashable, tuple[int, ...]]


@dataclass
class _Kept:
    """What is known of the masks of one photo."""

    choice: MaskChoice
    shape: tuple[int, int] = (0, 0)
    history: History[MaskChoice] = field(default_factory=lambda: History(packed_bytes))


class MaskDecisions:
    """One history of thresholds, strokes and other masks for each photo; `choice` is the present photo's newest.

    A photo that comes back, because it is run again, has its choice and its history back.
    """

    def __init__(self) -> None:
        self._picture: Picture | None = None
        self._present = _Kept(MaskChoice())
        self._others: dict[Picture, _Kept] = {}

    @property
    def choice(self) -> MaskChoice:
        """How the mask is made now."""
        return self._present.choice

    @property
    def can_undo(self) -> bool:
        """Whether the mask of this photo was made otherwise before."""
        return self._present.history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether something was undone."""
        return self._present.history.can_redo

    def open(self, source: Source, shape: tuple[int, int], threshold: float) -> None:
        """Turn to a photo of this size (H, W): with the threshold, and with the mask that was given it before, if any.

        The threshold may have moved while another photo was here; a given mask stays as it was given.
        """
        if self._picture is not None:
            self._others[self._picture] = self._present
        self._picture = _picture(source)
        kept = self._others.pop(self._picture, None)
        # earlier masks of another size could not be gone back to
        self._present = kept if kept is not None and kept.shape == shape else _Kept(MaskChoice(), shape)
        self._present.choice = replace(self.choice, threshold=threshold)

    def forget(self, key: Hashable) -> None:
        """Drop what is known of the photos of a layer that was removed."""
        self._others = {picture: kept for picture, kept in self._others.items() if picture[0] != key}
        if self._picture is not None and self._picture[0] == key:
            self._picture, self._present = None, _Kept(MaskChoice(threshold=self.choice.threshold))

    def take_threshold(self, threshold: float) -> None:
        """Take the mask from a threshold; the same one as before changes nothing."""
        if threshold != self.choice.threshold:
            self._decide(source=MaskSource.THRESHOLD, threshold=threshold, given=None, layer_name=None)

    def take_source(self, source: MaskSource, shown: NDArray[np.bool_]) -> None:
        """Take the mask from the threshold, or from strokes: those made last, else those to come on what is shown."""
        if source is MaskSource.THRESHOLD:
            self._decide(source=source, given=None, layer_name=None)
        elif source is MaskSource.PAINTED:
            painted = self.choice.painted or PackedMask.of(shown)
            self._decide(source=source, given=painted, painted=painted, layer_name=None)

    def start_painting(self, shown: NDArray[np.bool_]) -> None:
        """Take the mask that is shown as the ground for strokes; nothing to undo, since it stays as it is."""
        painted = PackedMask.of(shown)
        self._present.choice = replace(
            self.choice, source=MaskSource.PAINTED, given=painted, painted=painted, layer_name=None
        )

    def take_painted(self, mask: NDArray[np.bool_]) -> None:
        """Take a mask (H, W) as it was painted."""
        painted = PackedMask.of(mask)
        self._decide(source=MaskSource.PAINTED, given=painted, painted=painted, layer_name=None)

    def take_layer(self, mask: NDArray[np.bool_], key: Hashable, name: str) -> None:
        """Take a mask (H, W) that was read from a layer."""
        self._decide(source=MaskSource.LAYER, given=PackedMask.of(mask), layer_key=key, layer_name=name)

    def take_selection(self, selection: NDArray[np.bool_] | None) -> None:
        """Limit the mask to a selection (H, W); None, or one without a pixel, is the whole photo."""
        is_drawn = selection is not None and bool(selection.any())
        self._decide(selection=PackedMask.of(selection) if is_drawn and selection is not None else None)

    def undo(self) -> None:
        """Go back to how the mask was made before. IndexError where nothing was."""
        self._present.choice = self._present.history.undo(self.choice)

    def redo(self) -> None:
        """Go forward to what was undone. IndexError where nothing was."""
        self._present.choice = self._present.history.redo(self.choice)

    def _decide(self, **changes: object) -> None:
        choice = replace(self.choice, **changes)  # type: ignore[arg-type]
        if choice != self.choice:
            self._present.history.remember(self.choice)
            self._present.choice = choice


def _picture(source: Source) -> Picture:
    return source.key, source.placement.frame
