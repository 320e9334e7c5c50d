"""Photos with made local blur under File > Open Sample, made when they are opened: each with its truth, hidden."""

from __future__ import annotations

from typing import Any

import numpy as np

LayerDataTuple = tuple[Any, dict[str, Any], str]


def coffee() -> list[LayerDataTuple]:
    """Return a table on which a cup of coffee moved, and its truth."""
    return sample_layers("coffee")


def rocket() -> list[LayerDataTuple]:
    """Return a launch pad on which a rocket moved, and its truth."""
    return sample_layers("rocket")


def cat() -> list[LayerDataTuple]:
    """Return a cat that moved, and its truth."""
    return sample_layers("cat")


def sample_layers(name: str) -> list[LayerDataTuple]:
    """Return the blurred photo, and hidden: the mask of what is blurred, and the sharp photo."""
    from m2aenet_core.data.samples import make_sample

    sample = make_sample(name)
    truth = {"visible": False}
    return [
        (sample.blur, {"name": name, "rgb": True}, "image"),
        (sample.sharp, {"name": f"{name}: sharp photo (truth)", "rgb": True, **truth}, "image"),
        (sample.mask.astype(np.uint8), {"name": f"{name}: blurred pixels (truth)", **truth}, "labels"),
    ]
