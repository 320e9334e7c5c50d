"""A picture of a set: a row for each of some samples, with what the photo shows and what is known of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from m2aenet_core.atomic import encode_text
from m2aenet_core.data.folder import Pixels
from m2aenet_core.figures import grid_points
from m2aenet_core.synthesis.set_folder import StoredSample

TITLES = ("blur", "sharp", "mask", "displacement", "paths")
_WIDTH_PX = 300
_TALLEST_PX = 300
_GAP_PX, _TITLE_PX, _CAPTION_PX = 4, 20, 16
_INSTANTS = 17
_FINER = 2  # curves are drawn so much larger, and shrunk, for smooth lines
# white would hide the mask of a photo that is blurred throughout
_PAPER, _INK = (225, 225, 225), (20, 20, 20)


def preview_png(samples: Sequence[StoredSample], captions: Sequence[str]) -> bytes:
    """Give the picture as a PNG file: blur, sharp, mask, displacement, paths, and a caption below each row.

    The hue of a displacement is its direction from start to end, and its strength the length, up to the longest of
    the sample. Paths run from cyan at the start to magenta at the end.
    """
    rows = [[_fitted(draw(sample)) for draw in _PANELS] for sample in samples]
    tops = np.cumsum([_TITLE_PX, *(cells[0].height + _CAPTION_PX + _GAP_PX for cells in rows)])
    step_px = _WIDTH_PX + _GAP_PX
    sheet = Image.new("RGB", (len(TITLES) * step_px, int(tops[-1])), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(TITLES):
        pen.text((column * step_px + 2, 4), title, fill=_INK)
    for top, cells, caption in zip(tops, rows, captions, strict=False):
        for column, cell in enumerate(cells):
            sheet.paste(cell, (column * step_px, int(top)))
        pen.text((2, int(top) + cells[0].height + 1), encode_text(caption).decode(), fill=_INK)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _fitted(picture: Pixels) -> Image.Image:
    """Give a picture as large as fits into a cell."""
    image = Image.fromarray(picture)
    scale = min(_WIDTH_PX / image.width, _TALLEST_PX / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST)


def _mask(sample: StoredSample) -> Pixels:
    return np.repeat(np.where(sample.mask, np.uint8(255), np.uint8(0))[..., None], 3, axis=2)


def displacement_colours(path: NDArray[np.float32]) -> Pixels:
    """Give colours (H, W, 3) of paths (H, W, 2), (y, x): hue is the direction, strength the length; none is black."""
    length = np.hypot(path[..., 0], path[..., 1])
    hue = (np.arctan2(path[..., 0], path[..., 1]) / (2 * np.pi)) % 1.0
    longest = float(length.max())
    value = 0.35 + 0.65 * length / longest if longest else length
    planes = [hue, np.full_like(hue, 0.85), np.where(length > 0, value, 0)]
    levels = np.rint(np.stack(planes, axis=-1) * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(levels, "HSV").convert("RGB"))


def _displacement(sample: StoredSample) -> Pixels:
    return displacement_colours(sample.end - sample.start)


def _paths(sample: StoredSample) -> Pixels:
    """Give the blurred photo, paler, with the curves of some of its points."""
    enlarge = max(1, round(_WIDTH_PX / sample.blur.shape[1])) * _FINER
    pale = (sample.blur // 2 + 127).repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    canvas = Image.fromarray(pale)
    lengths = np.hypot(*np.moveaxis(sample.end - sample.start, -1, 0))[sample.mask]
    # in a cell, the curves of a large photo stand as far apart as those of a small one
    room = max(float(np.median(lengths)) if len(lengths) else 0.0, 12 * sample.blur.shape[1] / _WIDTH_PX)
    times = np.linspace(-1, 1, _INSTANTS)[:, None]
    width = max(1, round(canvas.width / _WIDTH_PX))
    pen = ImageDraw.Draw(canvas)
    for y, x in grid_points(sample.mask, room):
        start, end = sample.start[y, x], sample.end[y, x]
        # M2AENet, eq. (4)
        curve = (np.array([y, x]) + 0.5 + (start + end) / 2 * times**2 + (end - start) / 2 * times) * enlarge
        points = [(float(at[1]), float(at[0])) for at in curve]
        pen.line(points, fill=(40, 40, 40), width=3 * width)
        for step, ends in enumerate(pairwise(points)):
            share = step / (_INSTANTS - 2)
            pen.line(list(ends), fill=(round(255 * share), round(255 * (1 - share)), 255), width=2 * width)
    size = (canvas.width // _FINER, canvas.height // _FINER)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX))


_PANELS: tuple[Callable[[StoredSample], Pixels], ...] = (
    lambda sample: sample.blur,
    lambda sample: sample.sharp,
    _mask,
    _displacement,
    _paths,
)
