"""Reading a mask from a layer that a person chose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.source import frame_at, read_frame


def can_be_mask(layer: Any, size: tuple[int, ...]) -> bool:
    """Say whether a layer holds one value for each pixel of a photo (H, W): labels, or an image without colours."""
    if getattr(layer, "rgb", True) and not hasattr(layer, "selected_label"):
        return False
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(data.shape[-2:]) == tuple(size)


def mask_of_layer(layer: Any, point: Sequence[float] = ()) -> NDArray[np.bool_]:
    """Return the mask (H, W) that a layer shows at `point`: any label, or what is brighter than mid-grey as it is seen.

    Raises:
        InputError: the layer shows nothing there.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    values = read_frame(data, frame_at(layer, point))
    if hasattr(layer, "selected_label") or values.dtype == np.bool_:
        return np.asarray(values != 0, np.bool_)
    low, high = layer.contrast_limits
    return np.asarray(values > (low + high) / 2, np.bool_)
