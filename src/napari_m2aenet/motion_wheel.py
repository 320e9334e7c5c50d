"""Motion as colours: the hue says where a pixel moved, the strength of the colour how far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_HUES, _LENGTHS = 360, 64
# where nothing moves the photo shows through
_FAINTEST = 0.4
_ROUND = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
# the longest motions of all are often mistakes at a border
_SHARE_WITHIN_LIMIT = 0.9
_LOOKED_AT = 200_000
# more coloured pixels than a screen has show nothing more of the whole
_COLOURED = 4_000_000


@dataclass(frozen=True, eq=False)
class Overview:
    """A photo's motion in colours, (h, w, 4) uint8, transparent where it is not blurred.

    limit_px: the length, from the start of the exposure to its end, that has the full colour; so has all beyond it.
    step: how many pixels of the photo apart the colours are; 1 but for large blurred areas.
    """

    colours: NDArray[np.uint8]
    limit_px: float
    step: int = 1

    @property
    def corner(self) -> tuple[int, int]:
        """The photo's pixel (y, x) that the first colour is of."""
        return self.step // 2, self.step // 2


def motion_overview(
    start: NDArray[np.float32], end: NDArray[np.float32], mask: NDArray[np.bool_], limit_px: float | None = None
) -> Overview:
    """Return the colours of the displacements (H, W, 2) inside the mask (H, W).

    The time follows the blurred area, not the photo, and is bounded: of large areas only some pixels are coloured.
    limit_px: by default what nine in ten pixels stay within.
    """
    step = max(1, int(np.ceil(np.sqrt(np.count_nonzero(mask) / _COLOURED))))
    thinned = np.s_[step // 2 :: step, step // 2 :: step]
    start, end, mask = start[thinned], end[thinned], mask[thinned]
    colours = np.zeros((*mask.shape, 4), np.uint8)
    motion = end[mask] - start[mask]
    if limit_px is None:
        limit_px = usual_limit_px(motion)
    colours[mask] = motion_colours(motion, limit_px)
    return Overview(colours, limit_px, step)


def motion_colours(motion: NDArray[np.floating], limit_px: float) -> NDArray[np.uint8]:
    """Return the RGBA colours (..., 4) of motions (..., 2), (y, x) in pixels, y downwards as in a picture."""
    turn = np.arctan2(-motion[..., 0], motion[..., 1]) / (2 * np.pi)
    length = np.hypot(motion[..., 0], motion[..., 1]) / limit_px
    hue = np.rint(turn * _HUES).astype(np.intp) % _HUES
    strength = np.rint(np.minimum(length, 1) * (_LENGTHS - 1)).astype(np.intp)
    return _table()[hue, strength]


def wheel_picture(side: int) -> NDArray[np.uint8]:
    """Return the legend (side, side, 4): every direction around the middle, the full length at the rim."""
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    motion = np.stack(np.broadcast_arrays(axis[:, None], axis[None, :]), axis=-1)
    picture = motion_colours(motion, 1.0)
    # a soft rim, one pixel wide
    rim = np.clip((1 - np.hypot(motion[..., 0], motion[..., 1])) * side / 2 + 0.5, 0, 1)
    picture[..., 3] = np.rint(255 * rim)
    return picture


def usual_limit_px(motion: NDArray[np.floating]) -> float:
    """Return a round length that nine in ten motions (K, 2) stay within; 1 where there is none."""
    some = motion[:: 1 + len(motion) // _LOOKED_AT]
    if not len(some):
        return 1.0
    longest = float(np.quantile(np.hypot(some[:, 0], some[:, 1]), _SHARE_WITHIN_LIMIT))
    if longest <= 1:
        return 1.0
    power = 10.0 ** np.floor(np.log10(longest))
    return next(float(step * power) for step in _ROUND if longest <= step * power * (1 + 1e-9))


def _table() -> NDArray[np.uint8]:
    """The colours (hue, strength, RGBA): full hues that fade to white, and lose their cover, as motion gets shorter."""
    hue = np.arange(_HUES)[:, None] / _HUES * 6
    pure = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    strength = np.linspace(0, 1, _LENGTHS)[None, :, None]
    colour = 1 - strength * (1 - pure[:, None])
    cover = np.broadcast_to(_FAINTEST + (1 - _FAINTEST) * strength, (_HUES, _LENGTHS, 1))
    return np.rint(255 * np.concatenate([colour, cover], axis=2)).astype(np.uint8)
