"""The exposure as a film: sharp pictures of its instants, from a restored photo and its trajectories."""

from __future__ import annotations

import numpy as np
import torch

from m2aenet_core.analysis import DeblurResult
from m2aenet_core.deblurrer import ProgressCallback
from m2aenet_core.device import free_bytes
from m2aenet_core.errors import InputError
from m2aenet_core.instants import MovingTiles
from m2aenet_core.pixels import Image, colours


def exposure_film(result: DeblurResult, instants: int = 9, *, progress: ProgressCallback | None = None) -> Image:
    """Give the photo at even instants from the start of the exposure to its end, (N, H, W) or (N, H, W, C).

    The blurred pixels of the restored photo are moved along their trajectories, in front of what stays. The picture at
    mid-exposure, which an odd number of instants has, is the restored photo; so is every pixel that nothing reaches, in
    its own values and data type. Alpha stays as it is. progress(done, total) is called between tiles, and may raise
    Cancelled.

    Raises InputError where the network found no motion, for fewer than two instants, and for more than fit into the
    memory.
    """
    tiles = MovingTiles(result, instants)
    _check_memory(result.restored, instants)
    film = np.repeat(result.restored[None], instants, axis=0)
    for index, tile in enumerate(tiles):
        if progress is not None:
            progress(index, len(tiles))
        still = tile.still(result.restored)
        box = tile.box
        for instant, frame in enumerate(film):
            seen, share = tile.at(instant, still)
            target = colours(frame)[box.top : box.bottom, box.left : box.right]
            changed = share.numpy() > 0
            target[changed] = _values(seen, film.dtype)[changed]
    if progress is not None:
        progress(len(tiles), len(tiles))
    return film


def _values(seen: torch.Tensor, dtype: np.dtype) -> Image:
    """The picture (C, h, w) as (h, w, C) in a photo's own data type."""
    values = seen.permute(1, 2, 0).numpy()
    # a mean lies between the values it is of, so that none is out of range
    return (np.rint(values) if dtype.kind in "ui" else values).astype(dtype)


def _check_memory(photo: Image, instants: int) -> None:
    needed, free = photo.nbytes * instants, free_bytes(torch.device("cpu"))
    if needed > 0.8 * free:
        raise InputError(
            f"a film of {instants} instants takes {needed / 2**30:.1f} GB and {free / 2**30:.1f} GB are free; "
            "choose fewer instants, or a part of the photo"
        )
