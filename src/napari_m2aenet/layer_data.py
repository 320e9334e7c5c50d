"""What the four layers of a run hold, as plain arrays and keywords: no napari, no Qt.

Every function returns `LayerData`, the data and the keywords of `viewer.add_<kind>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.figures import TIME_COLOURS
from napari_m2aenet.placement import Placement
from napari_m2aenet.settings import TRAJECTORY_INSTANTS, TRAJECTORY_SEGMENTS
from napari_m2aenet.source import Source

MASK_COLOUR = "#00d5ff"


class Role(StrEnum):
    """What a layer shows; also the start of its name."""

    RESTORED = "restored"
    PROBABILITY = "blur probability"
    MASK = "blur mask"
    TRAJECTORIES = "trajectories"


@dataclass(frozen=True, eq=False)
class LayerData:
    """A layer to be: `kind` is image, labels or vectors."""

    role: StrEnum
    kind: str
    data: NDArray[Any]
    keywords: dict[str, Any]


class KnowsTrajectories(Protocol):
    """The part of an analysis that the curves are drawn from."""

    def trajectory_at(self, points_yx: NDArray[np.intp], n: int = 9) -> NDArray[np.float32]:
        """Return the displacements (K, n, 2) from mid-exposure at the pixels (K, 2)."""
        ...


@dataclass(frozen=True, eq=False)
class Curves:
    """Trajectories as line segments.

    `segments` (K, 2, 2) float32: start and displacement of each, (y, x) in pixels; `times` (K,) float32 in [-1, 1].
    """

    segments: NDArray[np.float32]
    times: NDArray[np.float32]


def restored_layer(source: Source, restored: NDArray[Any], record: dict[str, object]) -> LayerData:
    """Return the restored photo, rgb or grey as the input is, with the record of how it was made."""
    keywords: dict[str, Any] = {"rgb": source.rgb, "metadata": {"m2aenet": record}}
    if not source.rgb and source.value_range is not None:
        keywords["contrast_limits"] = source.value_range
    return _layer(Role.RESTORED, "image", source, restored, keywords)


def probability_layer(source: Source, probability: NDArray[np.float32]) -> LayerData:
    """Return the blur probability, hidden: it covers the photo, and the mask says the same more clearly."""
    keywords = {
        "rgb": False,
        "colormap": "magma",
        "contrast_limits": (0.0, 1.0),
        "opacity": 0.7,
        "visible": False,
    }
    return _layer(Role.PROBABILITY, "image", source, probability, keywords)


def mask_layer(source: Source, mask: NDArray[np.bool_]) -> LayerData:
    """Return the blur mask as labels, 1 where the photo is blurred."""
    # whatever label a person paints with counts as blurred, and is seen as that
    keywords = {"opacity": 0.2, "colormap": {0: "transparent", None: MASK_COLOUR}}
    return _layer(Role.MASK, "labels", source, mask.astype(np.uint8), keywords)


def trajectories_layer(source: Source, shape: tuple[int, int], curves: Curves) -> LayerData:
    """Return the trajectories as vectors whose colour tells the time, as in the figures: cyan at the start."""
    keywords = {
        "features": {"time": curves.times},
        "edge_color": "time",
        "edge_colormap": TIME_COLOURS,
        "edge_contrast_limits": (-1.0, 1.0),
        "edge_width": max(1.0, max(shape) / 400),
        "vector_style": "line",
        "opacity": 0.9,
    }
    data = _with_leading_zeros(curves.segments, source.placement)
    return LayerData(Role.TRAJECTORIES, "vectors", data, _keywords(Role.TRAJECTORIES, source, keywords))


def trajectory_curves(
    analysis: KnowsTrajectories,
    mask: NDArray[np.bool_],
    *,
    max_segments: int = TRAJECTORY_SEGMENTS,
    instants: int = TRAJECTORY_INSTANTS,
) -> Curves:
    """Return the trajectories inside the mask, thinned to a regular grid of at most `max_segments` segments."""
    return curves_through(analysis, grid_points(mask, max_segments // (instants - 1)), instants)


def curves_through(
    analysis: KnowsTrajectories, points: NDArray[np.intp], instants: int = TRAJECTORY_INSTANTS
) -> Curves:
    """Return the trajectories of pixels (K, 2), (y, x); one segment without length where K is 0."""
    if not len(points):
        return _nothing_to_draw()
    positions = points[:, None, :] + np.asarray(analysis.trajectory_at(points, instants))
    segments = np.stack([positions[:, :-1], np.diff(positions, axis=1)], axis=2)
    middles = np.linspace(-1, 1, instants)[:-1] + 1 / (instants - 1)
    return Curves(
        segments.reshape(-1, 2, 2).astype(np.float32),
        np.tile(middles, len(points)).astype(np.float32),
    )


def grid_points(mask: NDArray[np.bool_], max_points: int) -> NDArray[np.intp]:
    """Return pixels (K, 2) of the mask on a regular grid, (y, x); at least one if the mask holds any."""
    count = int(np.count_nonzero(mask))
    if count == 0:
        return np.zeros((0, 2), dtype=np.intp)
    # curves closer than this hide each other at the zoom that shows the whole photo
    step = max(6, round(max(mask.shape) / 50), int(np.sqrt(count / max_points)))
    points = _on_grid(mask, step)
    while len(points) > max_points:
        step += 1
        points = _on_grid(mask, step)
    return points if len(points) else _nearest_to_centre(mask)


def _on_grid(mask: NDArray[np.bool_], step: int) -> NDArray[np.intp]:
    first = step // 2
    return np.argwhere(mask[first::step, first::step]) * step + first


def _nearest_to_centre(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """A region that falls between the grid's points is still shown by one curve."""
    pixels = np.argwhere(mask)
    distances = np.linalg.norm(pixels - pixels.mean(axis=0), axis=1)
    nearest: NDArray[np.intp] = pixels[[int(distances.argmin())]]
    return nearest


def _nothing_to_draw() -> Curves:
    # one segment without length: a Vectors layer that was empty once shows wrong controls ever after
    return Curves(np.zeros((1, 2, 2), dtype=np.float32), np.zeros(1, dtype=np.float32))


def _layer(role: Role, kind: str, source: Source, data: NDArray[Any], keywords: dict[str, Any]) -> LayerData:
    axes_before = tuple(range(len(source.placement.frame)))
    return LayerData(role, kind, np.expand_dims(data, axes_before), _keywords(role, source, keywords))


def _keywords(role: Role, source: Source, keywords: dict[str, Any]) -> dict[str, Any]:
    return {"name": f"{role}: {source.name}", **source.placement.keywords(), **keywords}


def _with_leading_zeros(segments: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Vectors carry a coordinate for every axis; the placement already stands on the frame, hence zero."""
    data = np.zeros((len(segments), 2, placement.ndim), dtype=np.float32)
    data[..., -2:] = segments
    return data
