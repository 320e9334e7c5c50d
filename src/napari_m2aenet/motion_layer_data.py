"""What the layers about motion, film and trust hold, as plain arrays and keywords: no napari, no Qt."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.layer_data import LayerData
from napari_m2aenet.motion_wheel import Overview
from napari_m2aenet.probes import Pin, Probe
from napari_m2aenet.source import Source

EXPOSURE_AXIS = "exposure"
"""The name of the slider that moves through a film."""

_DIFFERENCE_SHOWN = 0.15  # share of the value range that is drawn in the brightest colour
# where there is no difference the picture is seen
_DOUBT = {
    "name": "m2aenet doubt",
    "colors": [[0.9, 0.0, 0.1, 0.0], [0.9, 0.0, 0.1, 0.7], [1.0, 0.6, 0.0, 0.9], [1.0, 1.0, 0.6, 1.0]],
}


class MotionRole(StrEnum):
    """What a layer of the tab “Motion” shows; also the start of its name."""

    REBLURRED = "blurred again"
    FILM = "film"
    DIFFERENCE = "difference to the photo"
    OVERVIEW = "motion colours"
    PINS = "pinned probes"
    PROBE = "probe"


POINT_SCREEN_PX = {MotionRole.PROBE: 11.0, MotionRole.PINS: 8.0}
"""How large the positions of probes are on the screen, at any zoom."""


def overview_layer(source: Source, overview: Overview) -> LayerData:
    """Return the motion as colours, transparent outside the mask."""
    placed = source.placement.keywords(overview.corner, overview.step)
    return _image(MotionRole.OVERVIEW, source, overview.colours, {**placed, "rgb": True, "opacity": 0.85})


def reblurred_layer(source: Source, reblurred: NDArray[Any]) -> LayerData:
    """Return the restored photo blurred again; hidden, as it looks like the photo where all is well."""
    keywords: dict[str, Any] = {"rgb": source.rgb, "visible": False, **_limits(source)}
    return _image(MotionRole.REBLURRED, source, reblurred, keywords)


def difference_layer(source: Source, difference: NDArray[np.float32]) -> LayerData:
    """Return the distance between the photo and the restored one blurred again, in shares of the value range."""
    keywords = {"rgb": False, "colormap": _DOUBT, "contrast_limits": (0.0, _DIFFERENCE_SHOWN)}
    return _image(MotionRole.DIFFERENCE, source, difference, keywords)


def film_layer(source: Source, film: NDArray[Any], record: dict[str, object]) -> LayerData:
    """Return the film (N, H, W) or (N, H, W, C) with a slider of its own."""
    placed = source.placement.keywords_with_axis(EXPOSURE_AXIS)
    axes = tuple(range(1, 1 + len(source.placement.frame)))
    keywords = {
        "name": f"{MotionRole.FILM}: {source.name}",
        **placed,
        "rgb": source.rgb,
        "metadata": {"m2aenet": record},
        **_limits(source),
    }
    return LayerData(MotionRole.FILM, "image", np.expand_dims(film, axes), keywords)


def probe_layer(source: Source, probe: Probe, px_per_screen_px: float) -> LayerData:
    """Return the nine positions of a probe as points, cyan at the start and magenta at the end."""
    return _points(MotionRole.PROBE, source, [probe], {}, px_per_screen_px)


def pins_layer(source: Source, pins: list[Pin], px_per_screen_px: float) -> LayerData:
    """Return the positions of pinned probes, each with its number in the middle."""
    numbers = [str(pin.number) for pin in pins]
    instants = len(pins[0].probe.positions)
    texts = [number if instant == instants // 2 else "" for number in numbers for instant in range(instants)]
    text = {"string": "{number}", "color": "white", "size": 11, "anchor": "lower_left"}
    more = {"text": text, "features": {"number": texts}}
    return _points(MotionRole.PINS, source, [pin.probe for pin in pins], more, px_per_screen_px)


def time_colours(count: int) -> NDArray[np.float32]:
    """Return the colours (count, 4) of even instants, as those of the curves: from cyan to magenta."""
    late = np.linspace(0, 1, count)
    ones = np.ones(count)
    return np.stack([late, 1 - late, ones, ones], axis=1).astype(np.float32)


def _points(
    role: MotionRole,
    source: Source,
    probes: list[Probe],
    more: dict[str, Any],
    px_per_screen_px: float,
) -> LayerData:
    positions = np.concatenate([probe.positions for probe in probes])
    data = np.zeros((len(positions), source.placement.ndim), np.float32)
    data[:, -2:] = positions
    keywords = {
        "name": f"{role}: {source.name}",
        **source.placement.keywords(),
        "face_color": np.tile(time_colours(len(probes[0].positions)), (len(probes), 1)),
        "border_width": 0,  # it would hide positions that lie close
        # napari's own limits of the size on the screen count the border too, and then show nothing else
        "size": POINT_SCREEN_PX[role] * px_per_screen_px,
        **more,
    }
    return LayerData(role, "points", data, keywords)


def _image(role: MotionRole, source: Source, data: NDArray[Any], keywords: dict[str, Any]) -> LayerData:
    axes = tuple(range(len(source.placement.frame)))
    placed = {"name": f"{role}: {source.name}", **source.placement.keywords(), **keywords}
    return LayerData(role, "image", np.expand_dims(data, axes), placed)


def _limits(source: Source) -> dict[str, Any]:
    """Black and white of a grey photo as they were."""
    return {} if source.rgb or source.value_range is None else {"contrast_limits": source.value_range}
