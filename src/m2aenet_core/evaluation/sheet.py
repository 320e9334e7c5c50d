"""Contact sheets: what became of the photos that gained most and least, around their blur."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from m2aenet_core.atomic import encode_text
from m2aenet_core.data.folder import Pixels
from m2aenet_core.evaluation.contender import INPUT, Contender
from m2aenet_core.evaluation.partial import ScoredPhoto
from m2aenet_core.evaluation.scores import PhotoScores, Score
from m2aenet_core.evaluation.truth import Truth
from m2aenet_core.metrics import Mask

CELL_PX = (280, 210)
"""Width and largest height of a picture."""
_MARGIN_PX = 24
_GAP_PX = 4
_TEXT_PX = 15
_LINE_PX = 22
_PAPER, _INK = (255, 255, 255), (20, 20, 20)
_UNKNOWN = 128


class SheetRow(NamedTuple):
    """A strip (`strip_png`), and the line above it."""

    strip: bytes
    caption: str


def ranked_sheets(
    titles: Sequence[str], photos: Sequence[ScoredPhoto], strip_path: Callable[[int], Path], rows: int
) -> dict[str, bytes]:
    """Give the sheets of the best and the worst by file name, ranked by what the first network gained.

    titles: `column_titles`; strip_path: where the strip of a photo is, by its number in `photos`; rows: at most so
    many photos on a sheet. Without a network there is nothing to show.
    """
    scores = [_of_networks(photo) for photo in photos]
    if not scores[0]:
        return {}
    ranked = sorted(range(len(photos)), key=lambda number: _gain(scores[number][0]), reverse=True)

    def sheet(numbers: Sequence[int]) -> bytes:
        shown = [SheetRow(strip_path(number).read_bytes(), _caption(scores[number])) for number in numbers]
        return sheet_png(titles, shown)

    return {
        "contact_sheet_best.png": sheet(ranked[:rows]),
        "contact_sheet_worst.png": sheet(ranked[::-1][:rows]),
    }


def column_titles(contenders: Sequence[Contender], *, has_masks: bool) -> list[str]:
    """Give what the pictures of a strip are, from left to right."""
    networks = [contender for contender in contenders if contender.label != INPUT]
    titles = ["blur", *(f"restored, {contender.label}" for contender in networks), "sharp"]
    titles += [f"probability, {contender.label}" for contender in networks if contender.has_mask]
    return [*titles, *(["true mask"] if has_masks else [])]


def strip_png(truth: Truth, results: Sequence[PhotoScores], *, has_masks: bool) -> bytes:
    """Give the pictures of a photo side by side, in the order of `column_titles`; each model's first execution."""
    networks = [result for result in results if result.scores[0].model != INPUT]
    pictures: list[Pixels] = [truth.blur, *(result.outcomes[0].restored for result in networks), truth.sharp]
    pictures += [heat(result.found.probability) for result in networks if result.found.probability is not None]
    if has_masks:
        pictures.append(np.full_like(truth.blur, _UNKNOWN) if truth.mask is None else mask_picture(truth.mask))
    top, bottom, left, right = around(truth.mask, truth.blur.shape[:2])
    return side_by_side_png([picture[top:bottom, left:right] for picture in pictures])


def around(mask: Mask | None, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Give top, bottom, left, right around the blur in a cell's proportions; all of the photo where none is known."""
    if mask is None or not mask.any():
        return 0, size[0], 0, size[1]
    first, last = (np.array([side(axis) for axis in np.nonzero(mask)]) for side in (np.min, np.max))
    needed = last - first + 1 + 2 * _MARGIN_PX
    cell = np.array(CELL_PX[::-1])
    window = np.minimum(np.ceil(cell * (needed / cell).max()), size).astype(int)
    corner = np.clip((first + last + 1 - window) // 2, 0, size - window)
    (top, left), (bottom, right) = corner.tolist(), (corner + window).tolist()
    return top, bottom, left, right


def side_by_side_png(pictures: Sequence[Pixels]) -> bytes:
    """Give pictures (H, W) or (H, W, 3) as large as cells in a strip for `sheet_png`; below a flat one is paper."""
    cells = [_fitted(picture) for picture in pictures]
    height = max(len(cell) for cell in cells)
    cells = [np.pad(cell, ((0, height - len(cell)), (0, 0), (0, 0)), constant_values=_PAPER[0]) for cell in cells]
    return _png(np.concatenate(_with_gaps(cells), axis=1))


def largest_sheet_px(columns: int, rows: int) -> tuple[int, int]:
    """Give width and height of a sheet whose photos are as high as any."""
    return columns * (CELL_PX[0] + _GAP_PX) - _GAP_PX, _LINE_PX + rows * (_LINE_PX + CELL_PX[1])


def sheet_png(titles: Sequence[str], rows: Sequence[SheetRow]) -> bytes:
    """Give a contact sheet: the titles once, then each strip under its caption."""
    strips = [np.asarray(Image.open(io.BytesIO(row.strip))) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    height = _LINE_PX + sum(_LINE_PX + strip.shape[0] for strip in strips)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw, font = ImageDraw.Draw(sheet), _font()
    for column, title in enumerate(titles):
        draw.text((column * (CELL_PX[0] + _GAP_PX) + 4, 3), title, fill=_INK, font=font)
    at = _LINE_PX
    for row, strip in zip(rows, strips, strict=True):
        # a name that is not UTF-8 could not be drawn
        draw.text((4, at + 3), encode_text(row.caption).decode(), fill=_INK, font=font)
        sheet.paste(Image.fromarray(strip), (0, at + _LINE_PX))
        at += _LINE_PX + strip.shape[0]
    return _png(np.asarray(sheet))


def _of_networks(photo: ScoredPhoto) -> list[Score]:
    """Give the scores of each network's first execution."""
    firsts = {score.model: score for score in reversed(photo.scores) if score.model != INPUT}
    return list(firsts.values())[::-1]


def _gain(score: Score) -> float:
    """Give what was gained inside the blur or, where that is not known, everywhere."""
    return score.gain if math.isnan(score.gain_w) else score.gain_w


def _caption(scores: Sequence[Score]) -> str:
    """Give name and sample of a photo, and what each network gained, in the blur and in all."""
    gains = [
        f"{score.model} {score.gain:+.2f} dB"
        if math.isnan(score.gain_w)
        else f"{score.model} {score.gain_w:+.2f} dB in the blur, {score.gain:+.2f} dB in all"
        for score in scores
    ]
    return f"{scores[0].image} ({scores[0].sample})    gain: {';  '.join(gains)}"


def heat(probability: NDArray[np.float32]) -> Pixels:
    """Give a probability (H, W) as colours (H, W, 3) from black (0) to pale yellow (1)."""
    from matplotlib import colormaps

    return np.asarray(colormaps["magma"](probability, bytes=True)[..., :3], np.uint8)


def mask_picture(mask: Mask) -> Pixels:
    """Give a mask (H, W) as a picture (H, W, 3), white where it is set."""
    return np.repeat(mask[..., None].astype(np.uint8) * np.uint8(255), 3, axis=2)


def _fitted(picture: Pixels) -> Pixels:
    """Give the picture as large as it fits into a cell; beside a narrow one there is paper, a flat one is lower."""
    image = Image.fromarray(picture)
    scale = min(CELL_PX[0] / image.width, CELL_PX[1] / image.height)
    width, height = (max(1, round(side * scale)) for side in image.size)
    cell = Image.new("RGB", (CELL_PX[0], height), _PAPER)
    filter_ = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    cell.paste(image.resize((width, height), filter_), ((CELL_PX[0] - width) // 2, 0))
    return np.asarray(cell)


def _with_gaps(cells: Sequence[Pixels]) -> list[Pixels]:
    gap = np.full((len(cells[0]), _GAP_PX, 3), _PAPER, np.uint8)
    return [part for cell in cells for part in (cell, gap)][:-1]


def _font() -> ImageFont.FreeTypeFont:
    # it comes with matplotlib, so that sheets look alike everywhere
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), _TEXT_PX)


def _png(picture: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
