"""Choosing the picture that a run works on: one frame of an image layer.

Works on anything that looks like a napari image layer, so that it needs no napari and no window.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.errors import InputError
from napari_m2aenet.placement import Placement

FILE_KEY = "m2aenet_file"
"""Where the metadata of a layer that this plugin opened name its file."""

RANGE_KEY = "m2aenet_value_range"
"""Where the metadata of a layer say what counts as black and white, whatever is shown so."""


@dataclass(frozen=True, eq=False)
class Source:
    """One picture to deblur.

    `read` gives the pixels, (H, W) or (H, W, C); it may take long (dask, files) and is called in the worker thread.
    `value_range` is what counts as black and white; None leaves it to the data type. `file` is where the
    layer came from.
    """

    name: str
    key: Hashable
    placement: Placement
    rgb: bool
    read: Callable[[], NDArray[Any]]
    value_range: tuple[float, float] | None = None
    file: str | None = None

    def description(self) -> dict[str, object]:
        """Return what the record says about where the picture came from."""
        return {"name": self.name, "frame": list(self.placement.frame), "file": self.file}

    def is_same_picture(self, other: Source | None) -> bool:
        """Say whether both are the same frame of the same layer."""
        return other is not None and (self.key, self.placement.frame) == (other.key, other.placement.frame)


def source_of_layer(layer: Any, point: Sequence[float] = ()) -> Source:
    """Return the frame of an image layer that is shown at `point`, a position in world coordinates.

    Raises:
        InputError: the layer is not an image, is empty, or has nothing at `point`.
    """
    if not hasattr(layer, "rgb"):
        raise InputError(f"“{layer.name}” is not an image layer; choose an image layer.")
    data = layer.data[0] if layer.multiscale else layer.data
    if 0 in data.shape:
        raise InputError(f"“{layer.name}” is empty ({_size(data.shape)}); choose a layer that holds a picture.")
    frame = frame_at(layer, point)
    return Source(
        name=str(layer.name),
        key=layer.unique_id,
        placement=Placement.of_layer(layer, frame),
        rgb=bool(layer.rgb),
        read=lambda: read_frame(data, frame),
        value_range=shown_range(layer),
        file=layer.metadata.get(FILE_KEY) or layer.source.path,
    )


def frame_at(layer: Any, point: Sequence[float]) -> tuple[int, ...]:
    """Return the indices before (y, x) of what the layer shows at `point`; () for a plain picture.

    Raises:
        InputError: the layer shows nothing there.
    """
    leading = layer.ndim - 2
    if leading == 0:
        return ()
    data = layer.data[0] if layer.multiscale else layer.data
    frame = tuple(int(i) for i in np.floor(np.asarray(layer.world_to_data(point))[:leading] + 0.5))
    counts = data.shape[:leading]
    if any(not 0 <= index < count for index, count in zip(frame, counts, strict=True)):
        raise InputError(
            f"“{layer.name}” shows nothing here; move the slider below the picture to one of its "
            f"{_size(counts)} frames."
        )
    return frame


def require_seen_frame(layer: Any, displayed: Sequence[int], ndim: int) -> None:
    """Raise InputError where a stack is seen from another side than its frames: rows or columns are no axis shown.

    displayed: the axes that the viewer shows, of its `ndim`. In 3D all of a stack is seen, and the slider counts.
    """
    if layer.ndim > 2 and len(displayed) == 2 and {axis - ndim for axis in displayed} != {-2, -1}:
        raise InputError(
            f"“{layer.name}” is seen from another side, so no frame of it is shown; change the order of the visible "
            "axes (Ctrl+E over the picture) until you see its frames."
        )


def shown_range(layer: Any) -> tuple[float, float] | None:
    """Return the values shown as black and white where they say more than the data type does.

    A 16-bit micrograph uses a small part of its range: the network has to see what the person sees. Colour and 8-bit
    layers are shown over the whole range of their type, so there None leaves it to the type. A record that is
    repeated says it for all.
    """
    if (told := layer.metadata.get(RANGE_KEY)) is not None:
        return float(told[0]), float(told[1])
    if layer.rgb or np.dtype(layer.dtype) == np.uint8:
        return None
    low, high = (float(limit) for limit in layer.contrast_limits)
    return (low, high) if low < high else None


def read_frame(data: Any, frame: tuple[int, ...]) -> NDArray[Any]:
    """Compute or copy the frame of an array: a copy, because a person may paint on the layer while the run goes on."""
    return np.array(data[frame] if frame else data)


def _size(shape: Sequence[int]) -> str:
    return " × ".join(str(n) for n in shape)
