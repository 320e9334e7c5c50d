"""Restored photo against photo and against a reference: the wipe, the difference, the figures. No Qt, no napari."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.jobs import Job, Restored
from napari_m2aenet.source import Source

Image = NDArray[Any]

LEAST_CONTRAST = 2 / 255
"""A difference is never stretched further than this share of the range: rounding is not to look like a change."""

SHOWN_PERCENTILE = 99.5
"""Of the pixels that changed, so many per cent lie within the colours of the difference."""

PIECE_PIXELS = 500_000
"""The most pixels that are drawn again for each move of the wipe line."""


# -- the wipe -------------------------------------------------------------------------------------------------------


class Line(StrEnum):
    """How the wipe line stands in the photo's own axes."""

    UPRIGHT = "upright"
    LEVEL = "level"

    @property
    def axis(self) -> int:
        """The axis along which the line moves: 1 (columns) for an upright one."""
        return 1 if self is Line.UPRIGHT else 0


class Box(NamedTuple):
    """Pixels top <= y < bottom, left <= x < right of a photo."""

    top: int
    left: int
    bottom: int
    right: int


class Piece(NamedTuple):
    """A part of a photo, every `step`-th pixel of it; `corner` (y, x): where the middle of its first pixel lies."""

    pixels: Image
    corner: tuple[float, float]
    step: int


def photo_side(
    photo: Image, line: Line, cut: int, seen: Box | None = None, max_pixels: int = PIECE_PIXELS
) -> Piece | None:
    """Return the part of a photo (H, W, ...) before the line, left of it or above; None where that is nothing.

    Args:
        photo: the photo; the piece is a view of it.
        line: how the line stands.
        cut: the pixels before the line, counted along its axis.
        seen: while the line moves, the box that can be seen: only what lies in it, thinned to `max_pixels`, is given.
            Without it, all pixels are.
        max_pixels: the most pixels of a thinned piece.
    """
    height, width = photo.shape[:2]
    box = seen or Box(0, 0, height, width)
    top, left = max(0, box.top), max(0, box.left)
    bottom, right = min(height, box.bottom), min(width, box.right)
    # from the box and not from the piece: while the line moves, the pixels of the piece keep their places
    step = 1 if seen is None else max(1, math.ceil(math.sqrt((bottom - top) * (right - left) / max_pixels)))
    if line is Line.UPRIGHT:
        right = min(right, cut)
    else:
        bottom = min(bottom, cut)
    # whole steps only, so that the piece ends at the line or before it
    rows, columns = (bottom - top) // step, (right - left) // step
    if rows <= 0 or columns <= 0:
        return None
    middle = (step - 1) // 2
    pixels = photo[top + middle : bottom : step, left + middle : right : step][:rows, :columns]
    return Piece(pixels, (top + (step - 1) / 2, left + (step - 1) / 2), step)


def line_segments(shape: tuple[int, ...], line: Line, cut: int, handle_px: float) -> NDArray[np.float64]:
    """Return the line and its handle, two arrow heads in the middle: segments (5, 2, 2), start and vector, (y, x).

    handle_px: length of the strokes of the arrow heads, in pixels of the photo.
    """
    along, across = float(shape[0]), float(shape[1])
    if line is Line.LEVEL:
        along, across = across, along
    at, middle, reach = cut - 0.5, along / 2 - 0.5, handle_px
    # for an upright line: (y, x)
    segments = np.array(
        [
            [[-0.5, at], [along, 0]],
            [[middle, at - 2 * reach], [-reach, reach]],
            [[middle, at - 2 * reach], [reach, reach]],
            [[middle, at + 2 * reach], [-reach, -reach]],
            [[middle, at + 2 * reach], [reach, -reach]],
        ]
    )
    return segments if line is Line.UPRIGHT else segments[..., ::-1].copy()


# -- the difference -------------------------------------------------------------------------------------------------


class DifferenceKind(StrEnum):
    """What is shown of restored - photo."""

    SIGNED = "signed"
    MAGNITUDE = "magnitude"


@dataclass(frozen=True, eq=False)
class Difference:
    """`values` (H, W) float32 in units of the photo, with the limits of its colours."""

    values: NDArray[np.float32]
    limits: tuple[float, float]


def difference(photo: Image, restored: Image, kind: DifferenceKind, value_range: tuple[float, float]) -> Difference:
    """Return restored - photo.

    signed: the mean over the colours, with limits that are even around 0. magnitude: the largest change of a colour.
    photo, restored: (H, W) or (H, W, C); a fourth channel (transparency) does not count.
    """
    change = _colours(restored).astype(np.float32) - _colours(photo).astype(np.float32)
    is_signed = kind is DifferenceKind.SIGNED
    values = change.mean(axis=-1) if is_signed else np.abs(change).max(axis=-1)
    sizes = np.abs(values[values != 0])
    least = LEAST_CONTRAST * (value_range[1] - value_range[0])
    top = max(float(np.percentile(sizes, SHOWN_PERCENTILE)) if sizes.size else 0.0, least)
    return Difference(values, (-top if is_signed else 0.0, top))


class DifferenceJob(Job[Difference]):
    """Subtract a photo from its restored photo."""

    def __init__(self, restored: Restored, kind: DifferenceKind) -> None:
        super().__init__(f"subtracting {restored.analyzed.source.name}")
        self.restored = restored
        self.kind = kind

    def work(self) -> Difference:
        """Return the difference."""
        analysis = self.restored.analyzed.analysis
        return difference(analysis.image, self.restored.result.restored, self.kind, analysis.value_range)


# -- figures against a reference ------------------------------------------------------------------------------------


class Likeness(NamedTuple):
    """How near an image is to the reference. Infinite PSNR for equal ones, NaN where there is no pixel to compare."""

    psnr_db: float
    ssim: float


class BeforeAfter(NamedTuple):
    """The photo and the restored photo, each against the reference."""

    photo: Likeness
    restored: Likeness


class ReferenceScores(NamedTuple):
    """In the whole photo, where the mask says blurred, and where it does not."""

    everywhere: BeforeAfter
    inside: BeforeAfter
    outside: BeforeAfter


def reference_scores(
    photo: Image,
    restored: Image,
    reference: Image,
    mask: NDArray[np.bool_],
    value_range: tuple[float, float],
    check: Callable[[], None] = lambda: None,
) -> ReferenceScores:
    """Return PSNR and SSIM as `m2aenet evaluate` takes them: on 8 bits, black and white as in `value_range`.

    photo, restored, reference: (H, W) or (H, W, C) of one size; mask: (H, W), True = blurred. `check` is called
    between the parts and may raise Cancelled.
    """
    from m2aenet_core.metrics import psnr, ssim_in, ssim_map

    truth = as_8_bits(reference, value_range)
    rows: list[list[Likeness]] = []
    for image in (photo, restored):
        check()
        pixels = as_8_bits(image, value_range)
        similarity = ssim_map(pixels, truth)
        check()
        rows.append([Likeness(psnr(pixels, truth, m), ssim_in(similarity, m)) for m in (None, mask, ~mask)])
    return ReferenceScores(*(BeforeAfter(*pair) for pair in zip(*rows, strict=True)))


class ScoreJob(Job[ReferenceScores]):
    """Read the reference, and compare photo and restored photo with it."""

    def __init__(self, restored: Restored, reference: Source) -> None:
        super().__init__(f"comparing with {reference.name}")
        self.restored = restored
        self.reference = reference

    def work(self) -> ReferenceScores:
        """Return the figures."""
        result, analysis = self.restored.result, self.restored.analyzed.analysis
        reference = self.reference.read()
        if reference.dtype != analysis.image.dtype:
            reference = rescaled(reference, self.reference.value_range, analysis.value_range)
        return reference_scores(
            analysis.image, result.restored, reference, result.mask, analysis.value_range, self.check
        )


def rescaled(image: Image, own: tuple[float, float] | None, wanted: tuple[float, float]) -> NDArray[np.float64]:
    """Return an image of another data type with its black and white brought to those that are wanted."""
    from m2aenet_core.pixels import value_range_of

    low, high = own or value_range_of(image)
    return (image.astype(np.float64) - low) / (high - low) * (wanted[1] - wanted[0]) + wanted[0]


def table_html(scores: ReferenceScores) -> str:
    """Return the figures as a small table; a row for each region, photo → restored."""
    head = "<tr><td></td><td align='right'>PSNR&nbsp;(dB)</td><td align='right'>SSIM</td></tr>"
    names = ("whole photo", "in the mask", "outside of it")
    rows = "".join(
        f"<tr><td>{name}</td><td align='right'>{_arrow(pair.photo.psnr_db, pair.restored.psnr_db, 2)}</td>"
        f"<td align='right'>{_arrow(pair.photo.ssim, pair.restored.ssim, 4)}</td></tr>"
        for name, pair in zip(names, scores, strict=True)
    )
    return f"<table cellspacing='7'>{head}{rows}</table>"


def _arrow(before: float, after: float, digits: int) -> str:
    return f"{_figure(before, digits)}&nbsp;→&nbsp;<b>{_figure(after, digits)}</b>"


def _figure(value: float, digits: int) -> str:
    if math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else f"{value:.{digits}f}"


def as_8_bits(image: Image, value_range: tuple[float, float]) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 as the network sees it and as scores are taken; transparency is left out."""
    from m2aenet_core.pixels import to_tensor, to_uint8

    return to_uint8(to_tensor(image, value_range)[0])


def _colours(image: Image) -> Image:
    return image[..., None] if image.ndim == 2 else image[..., :3]
