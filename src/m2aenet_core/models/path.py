"""Paths that are the same in both directions of time, which is all that a photo tells of a motion."""

from __future__ import annotations

import math

import torch
from torch import Tensor

FORWARDS = math.radians(30)
"""To the right and a little down: things move across and up and down more often than aslant, so that neighbours whose
angles differ a little seldom lie on both sides of where the direction of time changes."""

# keeps the angle of a path of no length finite, and its gradient
_NO_LENGTH = 1e-6


def path_of_ends(start: Tensor, end: Tensor) -> Tensor:
    """Give a path (B, 4, H, W) that is the same in both directions of time, from displacements (B, 2, H, W), (y, x).

    The first two are the chord, from start to end, its angle doubled and its length kept; the others the bend, which
    is the mean of both ends. Where time runs backwards, start and end change places, the chord turns by half a circle
    and its doubled angle by a whole one.
    """
    y, x = (end - start).unbind(dim=1)
    length = (y.square() + x.square() + _NO_LENGTH).sqrt()
    chord = torch.stack([(x.square() - y.square()) / length, 2 * x * y / length], dim=1)
    return torch.cat([chord, (start + end) / 2], dim=1)


def ends_of_path(path: Tensor, forwards: float = FORWARDS) -> Tensor:
    """Give the displacements (B, 4, H, W), start before end, of a path as `path_of_ends` gives it.

    Of the two directions of time, the one nearer to the angle `forwards`, in radians from right to down.
    """
    cosine, sine, bend = path[:, :1], path[:, 1:2], path[:, 2:]
    length = (cosine.square() + sine.square() + _NO_LENGTH).sqrt()
    # the doubled angle from the preferred direction, whose half lies within a quarter turn of it
    turned_cosine = cosine * math.cos(2 * forwards) + sine * math.sin(2 * forwards)
    turned_sine = sine * math.cos(2 * forwards) - cosine * math.sin(2 * forwards)
    angle = torch.atan2(turned_sine, turned_cosine + _NO_LENGTH) / 2 + forwards
    half = torch.cat([angle.sin(), angle.cos()], dim=1) * length / 2
    return torch.cat([bend - half, bend + half], dim=1)


def usual_direction(path: Tensor, weights: Tensor) -> float:
    """Give the angle of the chords (1, 4, H, W) that most of a photo has, in radians, with weights (1, 1, H, W).

    Taken as forwards, it keeps those angles at which time turns round away from what moves.
    """
    cosine, sine = (path[:, :2] * weights).sum(dim=(0, 2, 3)).tolist()
    return math.atan2(sine, cosine) / 2
