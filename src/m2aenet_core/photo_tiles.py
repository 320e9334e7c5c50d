"""Analyze a photo in tiles as large as the memory allows, and blend what they say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m2aenet_core.analysis import Tile
from m2aenet_core.models.mask_predictor import blur_probability
from m2aenet_core.models.network import Encoded
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.ops.padding import round_up
from m2aenet_core.pixels import Image, ValueRange, to_tensor
from m2aenet_core.runner import Runner
from m2aenet_core.tiling import Box, feather, plan_tiles

ProgressCallback = Callable[[int, int], None]

# wide enough for the reach of the convolutions, so that neighbouring tiles agree where they meet
TILE_OVERLAP_PX = 96


class Photo(NamedTuple):
    """An image as the network is to see it: its border repeated until both sides are multiples of `multiple`."""

    image: Image
    value_range: ValueRange
    multiple: int
    linear_light: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width with the repeated border."""
        height, width = self.image.shape[:2]
        return round_up(height, self.multiple), round_up(width, self.multiple)

    def tile(self, box: Box, device: torch.device) -> Tensor:
        """Give a tile (1, 3, h, w) in [0, 1]: a whole photo in float32 would take more memory than its features."""
        pixels = self.image[box.top : box.bottom, box.left : box.right]
        tensor = to_tensor(pixels, self.value_range, linear_light=self.linear_light).to(device)
        # repeated rather than black, which would look like an edge that moves
        right, bottom = box.width - tensor.shape[-1], box.height - tensor.shape[-2]
        if right or bottom:
            tensor = torch.nn.functional.pad(tensor, (0, right, 0, bottom), mode="replicate")
        return tensor.contiguous(memory_format=torch.channels_last)


class Found(NamedTuple):
    """What tiles say together.

    probability (1, 1, h, w) and motion of the network's cells; tiles with the features that are kept; multiply-adds.
    """

    probability: Tensor
    motion: Motion | None
    tiles: list[Tile]
    macs: int


def analyze_tiles(runner: Runner, photo: Photo, tile_px: int | None, progress: ProgressCallback | None) -> Found:
    """Analyze each tile, and blend probability and motion where tiles overlap.

    tile_px: largest side of a tile, or None for as large as the memory allows.
    """
    height, width = photo.size
    network, cell = runner.network, runner.network.cell_px
    side = runner.tile_side(height, width) if tile_px is None else tile_px
    waiting = deque(plan_tiles(height, width, side, TILE_OVERLAP_PX, network.size_multiple))
    blend = _Blend(height // cell, width // cell, TILE_OVERLAP_PX // cell)
    tiles: list[Tile] = []
    macs, room, motion = 0, runner.bytes_to_keep(), None
    while waiting:
        if progress is not None:
            progress(len(tiles), len(tiles) + len(waiting))
        box = waiting.popleft()
        try:
            encoded = runner.network.analyze(photo.tile(box, runner.device))
        except Exception as error:
            waiting.extendleft(reversed(runner.make_room(error, box, TILE_OVERLAP_PX)))
            continue
        blend.add(box.over(cell), _found(encoded, (box.height // cell, box.width // cell)))
        macs += network.analyze_macs(box.height, box.width, encoded.masks)
        motion = encoded.motion
        room -= encoded.nbytes
        tiles.append(Tile(box, encoded if room > 0 else None))
    if progress is not None:
        progress(len(tiles), len(tiles))
    field = torch.from_numpy(blend.mean()).unsqueeze(0).to(runner.device)
    return Found(field[:, :1], None if motion is None else motion._replace(field=field[:, 1:]), tiles, macs)


def encode(runner: Runner, photo: Photo, box: Box) -> Encoded:
    """Give the features of a tile again, on the CPU where the device's memory is too small now."""
    try:
        return runner.network.analyze(photo.tile(box, runner.device))
    except Exception as error:
        runner.fall_back(error)
        return runner.network.analyze(photo.tile(box, runner.device))


class _Blend:
    """The weighted mean of fields on boxes that overlap."""

    def __init__(self, height: int, width: int, ramp: int) -> None:
        self._weights = np.zeros((height, width), np.float32)
        self._sums: NDArray[np.float32] | None = None
        self._ramp = ramp

    def add(self, box: Box, field: Tensor) -> None:
        """Add a field (1, C, h, w)."""
        if self._sums is None:
            self._sums = np.zeros((field.shape[1], *self._weights.shape), np.float32)
        weight = feather(box, *self._weights.shape, self._ramp)
        where = np.s_[box.top : box.bottom, box.left : box.right]
        self._sums[(slice(None), *where)] += weight * field[0].float().cpu().numpy()
        self._weights[where] += weight

    def mean(self) -> NDArray[np.float32]:
        """Give the mean (C, H, W)."""
        assert self._sums is not None
        return self._sums / self._weights


def _found(encoded: Encoded, size: tuple[int, int]) -> Tensor:
    """Give the blur probability of cells, 1 where the network finds none, and their displacements, side by side."""
    if encoded.blur_logits is None:
        probability = encoded.image.new_ones(len(encoded.image), 1, *size)
    else:
        probability = blur_probability(encoded.blur_logits)
    if encoded.motion is None:
        return probability
    return torch.cat([probability, encoded.motion.field.to(probability.dtype)], dim=1)
