"""The picture of a validation: what came in, what the network made of it, and the truth, a row for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from m2aenet_core.data.folder import Pixels
from m2aenet_core.data.sample import Batch
from m2aenet_core.figures import grid_points
from m2aenet_core.models.network import NetworkOutput
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.pixels import to_uint8
from m2aenet_core.training.validation import field_of, found_motion, found_probability

_PANEL_PX = 192  # smaller samples are enlarged, or their curves would be a few dots
_TITLE_PX = 18
_GAP_PX = 4
_INSTANTS = 17
_FINER = 2  # curves are drawn so much larger, and shrunk, for smooth lines
_MOVING_PX = 1.5
_BACKGROUND = (216, 216, 216)  # neither black nor white, which masks are


def validation_picture(outputs: Sequence[NetworkOutput], truth: Batch, samples: int = 6) -> Pixels:
    """Give blur, restored, sharp, probability, mask and trajectories of the first samples, (H, W, 3) uint8.

    Found and true curves run from cyan to magenta in the course of the exposure; which end comes first cannot be seen
    in a photo, so a found curve may run the other way. What a network does not predict has no column.
    """
    rows = [_panels(output, Batch(*(x[i : i + 1] for x in truth))) for i, output in enumerate(outputs[:samples])]
    titles = [title for title, _ in rows[0]]
    side_y, side_x = rows[0][0][1].shape[:2]
    size = (len(titles) * (side_x + _GAP_PX), _TITLE_PX + len(rows) * (side_y + _GAP_PX))
    sheet = Image.new("RGB", size, _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((column * (side_x + _GAP_PX) + 2, 3), title, fill="black")
    for row, panels in enumerate(rows):
        for column, (_, panel) in enumerate(panels):
            place = (column * (side_x + _GAP_PX), _TITLE_PX + row * (side_y + _GAP_PX))
            sheet.paste(Image.fromarray(panel), place)
    return np.asarray(sheet)


def _panels(output: NetworkOutput, sample: Batch) -> list[tuple[str, Pixels]]:
    height, width = sample.blur.shape[-2:]
    enlarge = max(1, round(_PANEL_PX / width))
    blur, restored, sharp = (to_uint8(x[0]) for x in (sample.blur, output.restored, sample.sharp))
    mask = sample.mask[0, 0].cpu().numpy()
    panels = {"blur": blur, "restored": restored, "sharp": sharp}
    probability = found_probability(output, (height, width))
    if output.blur_logits:
        panels["blur probability"] = _grey(probability)
    panels["true mask"] = _grey(mask)
    panels = {title: _enlarged(panel, enlarge) for title, panel in panels.items()}
    motion = found_motion(output, (height, width))
    if motion is not None:
        moving = (probability > 0.5) & (_path_px(motion) > _MOVING_PX)
        panels["trajectories"] = _with_curves(blur, motion, moving, enlarge)
        if bool(sample.motion_known[0]):
            panels["true trajectories"] = _with_curves(blur, Motion.of(sample.start, sample.end), mask > 0.5, enlarge)
        else:
            panels["true trajectories"] = np.full_like(panels["blur"], _BACKGROUND)
    return list(panels.items())


def _with_curves(photo: Pixels, motion: Motion, mask: NDArray[np.bool_], enlarge: int) -> Pixels:
    """Give the photo, paler, with the curves of points inside the mask."""
    scale = enlarge * _FINER
    canvas = Image.fromarray(_enlarged(photo // 2 + 127, scale))
    usual_px = float(np.median(_path_px(motion)[mask])) if mask.any() else 0.0
    points = grid_points(mask, max(usual_px, 2 * _PANEL_PX / scale))
    trajectory = torch.movedim(motion.trajectory(_INSTANTS)[:, 0], 1, -1).cpu().numpy()
    curves = [(point + 0.5 + trajectory[:, point[0], point[1]]) * scale for point in points]
    pen = ImageDraw.Draw(canvas)
    for curve in curves:
        pen.line([(x, y) for y, x in curve], fill=(40, 40, 40), width=4 * _FINER)
    for curve in curves:
        for step, (first, second) in enumerate(pairwise(curve)):
            share = step / (_INSTANTS - 2)
            colour = (round(255 * share), round(255 * (1 - share)), 255)
            pen.line([(first[1], first[0]), (second[1], second[0])], fill=colour, width=2 * _FINER)
    size = (canvas.width // _FINER, canvas.height // _FINER)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX))


def _path_px(motion: Motion) -> NDArray[np.float32]:
    """Give the distance (H, W) between start and end."""
    return np.asarray(np.hypot(*np.moveaxis(field_of(motion.end[0] - motion.start[0]), -1, 0)), np.float32)


def _grey(values: NDArray[np.float32]) -> Pixels:
    grey = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _enlarged(pixels: Pixels, factor: int) -> Pixels:
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
