"""What the network of a run makes of a layer while the run goes on. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from napari_m2aenet.comparing import Box
from napari_m2aenet.jobs import Job
from napari_m2aenet.source import Source

PREVIEW_PIXELS = 1_000_000
"""Of a larger photo, the part around the middle of what is seen is restored: training and preview share the machine."""


def preview_box(shape: tuple[int, ...], seen: Box | None, max_pixels: int = PREVIEW_PIXELS) -> Box:
    """Return the part of a photo (H, W, ...) to restore: all of a small one, else what is seen, up to max_pixels."""
    height, width = shape[:2]
    whole = Box(0, 0, height, width)
    if height * width <= max_pixels:
        return whole
    top, left, bottom, right = seen or whole
    top, left, bottom, right = max(0, top), max(0, left), min(height, bottom), min(width, right)
    if bottom <= top or right <= left:
        top, left, bottom, right = whole
    share = min(1.0, math.sqrt(max_pixels / ((bottom - top) * (right - left))))
    high, wide = max(1, int((bottom - top) * share)), max(1, int((right - left) * share))
    top, left = (top + bottom - high) // 2, (left + right - wide) // 2
    return Box(top, left, top + high, left + wide)


@dataclass(frozen=True, eq=False)
class Preview:
    """The part of a photo, restored with the weights of a step."""

    source: Source
    box: Box
    restored: NDArray[Any]
    step: int


class PreviewJob(Job[Preview]):
    """Read the averaged weights of a run's newest checkpoint, and restore a part of a layer with them."""

    def __init__(
        self, folder: str, source: Source, seen: Box | None, *, device: str = "auto", threshold: float = 0.5
    ) -> None:
        super().__init__(f"a preview of the training on {source.name}")
        self.folder, self.source, self.seen = folder, source, seen
        self.device, self.threshold = device, threshold

    def work(self) -> Preview:
        """Return the restored part."""
        from m2aenet_core.deblurrer import Deblurrer
        from m2aenet_core.pixels import value_range_of
        from m2aenet_core.training.averaged import newest_averaged

        pixels = self.source.read()
        box = preview_box(pixels.shape, self.seen)
        self.check()
        averaged = newest_averaged(self.folder)
        self.check()
        deblurrer = Deblurrer(averaged.network, device=self.device)
        try:
            part = pixels[box.top : box.bottom, box.left : box.right]
            # black and white are those of the whole photo
            value_range = self.source.value_range or value_range_of(pixels)
            analysis = deblurrer.analyze(part, value_range=value_range, progress=self.report)
            result = deblurrer.restore(analysis, self.threshold, progress=self.report)
        finally:
            deblurrer.release()
        return Preview(self.source, box, result.restored, averaged.step)
