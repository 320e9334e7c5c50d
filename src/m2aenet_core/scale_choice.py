"""The working scale that a photo's own blur asks for.

A network gives paths that are about as long as those it learned from; longer blur it sees, but calls too short. In a
reduced copy such blur is short enough, and the paths that are found there, in pixels of the photo, are longer. So a
look at a smaller size tells whether to go down. No figure of the training is needed for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from m2aenet_core.analysis import Analysis
from m2aenet_core.ops.sampling import read_at

# cells that count as blurred for the choice; the person's threshold is not known yet
_BLURRED = 0.5
# cells in which a look sees blur too, which it is less sure of; and the least share of the blurred cells it must see
_SEEN, _LEAST_SHARE = 0.2, 0.15
# a look takes a sixteenth of the work of an analysis, and there blur beyond the range of training stands out most
_LOOK = 0.25
_STEP = 0.5
# by this factor a look has to find longer paths
_LONGER = 1.5
# the shortest side of a look: a smaller one shows networks too little of what lies around
_SMALLEST_PX = 96


def analyze_at_best(analyze: Callable[[float, bool], Analysis], size: tuple[int, int]) -> Analysis:
    """Analyze a photo of a size at full size, and by halves at smaller sizes while its blur is too long.

    analyze(scale, is_look) gives an analysis at a scale; of a look nothing but what it finds is used. A photo without
    blur takes one analysis, and one with short blur a sixteenth more. The last analysis says time and work of all.
    """
    found = analyze(1.0, False)
    seconds, macs = found.seconds, found.macs
    while _may_go_down(found) and min(size) * found.scale * _LOOK >= _SMALLEST_PX:
        look = analyze(found.scale * _LOOK, True)
        seconds, macs = seconds + look.seconds, macs + look.macs
        if not finds_longer(look, found):
            break
        found.drop_features()
        found = analyze(found.scale * _STEP, False)
        seconds, macs = seconds + found.seconds, macs + found.macs
    return replace(found, seconds=seconds, macs=macs)


def finds_longer(look: Analysis, found: Analysis) -> bool:
    """Tell whether a look at a smaller size sees the blur too, and finds much longer paths there on average.

    What is only smooth, such as a sky, may have long paths in a look, but does not look blurred in it.
    """
    places = _places(look, found)
    blurred = _inside(found.coarse_probability, found) > _BLURRED
    seen = blurred & (read_at(look.coarse_probability, *places) > _SEEN)
    if int(seen.sum()) < max(1.0, _LEAST_SHARE * int(blurred.sum())):
        return False
    longer, own = read_at(_path_lengths(look), *places)[seen], _inside(_path_lengths(found), found)[seen]
    return float(longer.mean()) > _LONGER * float(own.mean())


def _may_go_down(found: Analysis) -> bool:
    return found.has_mask and found.has_motion and bool((found.coarse_probability > _BLURRED).any())


def _path_lengths(analysis: Analysis) -> Tensor:
    """How far each cell moved from start to end, (1, 1, h, w), as a share of the photo's height."""
    assert analysis.coarse_motion is not None
    moved = analysis.coarse_motion.end - analysis.coarse_motion.start
    return moved.norm(dim=1, keepdim=True) / _cells(analysis)[0]


def _cells(analysis: Analysis) -> tuple[float, float]:
    """How many cells the photo has down and across, without its padding."""
    (height, width), (rows, columns) = analysis.seen[0].shape[:2], analysis.coarse_probability.shape[-2:]
    return height * rows / analysis.padded_size[0], width * columns / analysis.padded_size[1]


def _inside(field: Tensor, analysis: Analysis) -> Tensor:
    """The field without the cells whose centre lies in the padding."""
    rows, columns = (max(1, round(count)) for count in _cells(analysis))
    return field[..., :rows, :columns]


def _places(look: Analysis, found: Analysis) -> list[Tensor]:
    """Where the centres of the cells of `found` lie in the cells of `look`, rows and columns."""
    device = found.coarse_probability.device
    return [
        (torch.arange(max(1, round(own)), device=device) + 0.5) * (other / own) - 0.5
        for own, other in zip(_cells(found), _cells(look), strict=True)
    ]
