"""Numpy in, numpy out: analyze a photo once, restore it for any threshold or mask.

This is the only door between images as people hold them and the networks; the window and the commands use it alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from m2aenet_core.analysis import Analysis, DeblurResult, Tile
from m2aenet_core.checkpoint import load_model, sha256, weights_path
from m2aenet_core.device import free_bytes, resolve_device
from m2aenet_core.errors import InputError
from m2aenet_core.models.mask_predictor import blur_probability
from m2aenet_core.models.network import Decision, Encoded, Network
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.ops.padding import pad_to_multiple
from m2aenet_core.ops.resize import shrink_mask
from m2aenet_core.pixels import (
    Image,
    ValueRange,
    add_residual,
    check_image,
    check_value_range,
    to_tensor,
    value_range_of,
)
from m2aenet_core.tiling import Box, blurred_regions, feather, plan_tiles

ProgressCallback = Callable[[int, int], None]

EXECUTIONS = ("auto", "exact", "adaptive", "dense")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")

# around a blurred region: what its pixels draw on, and room to fade into the photo
HALO_PX = 32
# wide enough for the reach of the convolutions, so that neighbouring tiles agree where they meet
TILE_OVERLAP_PX = 96


class Deblurrer:
    """A network on a device, ready for photos of any size.

    model: embedded weights ("default", "small"), a .safetensors path or a network. device: "auto", "cpu", "mps",
    "cuda", "cuda:N". precision: "float32" ("auto"), "bfloat16" or "float16". execution: "exact" (the whole frame,
    pixels pruned inside the blocks), "adaptive" (only regions that hold blur; "auto"), "dense" (multiplied by the
    mask). tile_px: largest side of a tile; by default as large as half of the free memory allows.

    Raises InputError for unknown names, devices and files that are no weights.
    """

    def __init__(
        self,
        model: str | Path | nn.Module = "default",
        *,
        device: str = "auto",
        precision: str = "auto",
        execution: str = "auto",
        tile_px: int | None = None,
    ) -> None:
        self.device = resolve_device(device)
        self.precision = "float32" if _known("precision", precision, PRECISIONS) == "auto" else precision
        self.execution = _resolve_execution(execution)
        self.tile_px = tile_px
        self.weights_sha256: str | None = None
        if isinstance(model, nn.Module):
            if not isinstance(model, Network):
                raise InputError(f"a {type(model).__name__} is none of our networks; give M2AENet, LMDViT or NAFNet")
            self.model_name, network = type(model).__name__, model
        else:
            path = weights_path(model)
            self.model_name, network = str(model), load_model(model)
            self.weights_sha256 = sha256(path)
        self._network: Network | None = _placed(network, self.device)
        self._spare = network

    @property
    def model(self) -> Network:
        """The network, on the device."""
        if self._network is None:
            self._network = _placed(self._spare, self.device)
        return self._network

    def __call__(
        self,
        image: Image,
        threshold: float = 0.5,
        *,
        mask: Image | None = None,
        value_range: ValueRange | None = None,
        execution: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> DeblurResult:
        """Analyze and restore at once."""
        # what can be wrong with the second half is said before the first one costs time
        check_threshold(threshold)
        if mask is not None:
            check_image(image)
            check_mask(mask, image.shape[:2])
        analysis = self.analyze(image, value_range=value_range, progress=progress)
        return self.restore(analysis, threshold, mask=mask, execution=execution, progress=progress)

    def analyze(
        self, image: Image, *, value_range: ValueRange | None = None, progress: ProgressCallback | None = None
    ) -> Analysis:
        """Give blur probability, displacements and features of a photo, computed once for all thresholds.

        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), integers or floats, from 1x1 on. value_range: the values
        that stand for black and white (by default `value_range_of`). progress(done, total) is called between
        tiles, and may raise Cancelled.
        """
        check_image(image)
        value_range = value_range_of(image) if value_range is None else value_range
        check_value_range(value_range)
        started = time.perf_counter()
        with self._inference():
            padded = self._padded(image, value_range)
            height, width = padded.shape[-2:]
            boxes = plan_tiles(height, width, self._tile_side(), TILE_OVERLAP_PX, self.model.size_multiple)
            probability, motion, tiles, macs = self._analyze_tiles(padded, boxes, progress)
        return Analysis(
            image=image,
            value_range=value_range,
            seconds=time.perf_counter() - started,
            model_name=self.model_name,
            coarse_probability=probability,
            coarse_motion=motion,
            tiles=tiles,
            padded_size=(height, width),
            macs=macs,
            has_mask=self.model.has_mask,
            decides_windows=self.model.decides_windows,
        )

    def restore(
        self,
        analysis: Analysis,
        threshold: float = 0.5,
        *,
        mask: Image | None = None,
        execution: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> DeblurResult:
        """Give the restored photo for a threshold, or for a mask (H, W) whose non-zero pixels are blurred.

        With a mask, `threshold` is not used. progress(done, total) is called between regions, and may raise
        Cancelled.
        """
        execution = self.execution if execution is None else _resolve_execution(execution)
        check_threshold(threshold)
        started = time.perf_counter()
        with self._inference():
            if mask is None:
                full = analysis.blur_probability > threshold
                coarse = (analysis.coarse_probability > threshold).float()
                if execution == "adaptive":
                    # a lone cell may exceed the threshold where no pixel between cells does: only what the mask
                    # shows is restored
                    coarse = coarse * self._coarse_mask(analysis, full)
            else:
                full = check_mask(mask, analysis.image.shape[:2])
                coarse = self._coarse_mask(analysis, full)
            # a network that decides along takes its own decisions at the threshold
            decides = mask is None and self.model.decides_along
            residual, macs = self._restore_regions(
                analysis, coarse, threshold if decides else None, execution, progress
            )
        restored = add_residual(analysis.image, residual, analysis.value_range)
        return DeblurResult(
            restored=restored,
            mask=full,
            density=float(full.mean()),
            macs=macs,
            seconds=time.perf_counter() - started,
            threshold=float(threshold) if mask is None else None,
            execution=execution,
            analysis=analysis,
        )

    def release(self) -> None:
        """Give the device's memory back; the network returns to it with the next photo."""
        self._network = None
        self._spare.to("cpu")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()

    # -- tiles -------------------------------------------------------------------------------------------------

    def _analyze_tiles(
        self, padded: Tensor, boxes: list[Box], progress: ProgressCallback | None
    ) -> tuple[Tensor, Motion | None, list[Tile], int]:
        """Analyze each tile, and blend probability and motion where tiles overlap; count the multiply-adds."""
        height, width = padded.shape[-2:]
        cell = self.model.cell_px
        blended: NDArray[np.float32] | None = None
        weights = np.zeros((height // cell, width // cell), np.float32)
        tiles, macs, motion = [], 0, None
        room = free_bytes(self.device) / 4
        for index, box in enumerate(boxes):
            if progress is not None:
                progress(index, len(boxes))
            encoded = self.model.analyze(_cut(padded, box).to(memory_format=torch.channels_last))
            motion = encoded.motion
            field = _found(encoded, (box.height // cell, box.width // cell))[0]
            blended = np.zeros((len(field), *weights.shape), np.float32) if blended is None else blended
            macs += self.model.analyze_macs(box.height, box.width, encoded.masks)
            coarse = Box(*(side // cell for side in box))
            weight = feather(coarse, *weights.shape, TILE_OVERLAP_PX // cell)
            where = np.s_[coarse.top : coarse.bottom, coarse.left : coarse.right]
            blended[(slice(None), *where)] += weight * field.float().cpu().numpy()
            weights[where] += weight
            room -= _bytes(encoded)
            tiles.append(Tile(box, encoded if room > 0 else None))
        if progress is not None:
            progress(len(boxes), len(boxes))
        assert blended is not None
        field = torch.from_numpy(blended / weights).unsqueeze(0).to(self.device)
        return field[:, :1], None if motion is None else Motion(field[:, 1:], motion.form), tiles, macs

    def _restore_regions(
        self,
        analysis: Analysis,
        coarse: Tensor,
        threshold: float | None,
        execution: str,
        progress: ProgressCallback | None,
    ) -> tuple[NDArray[np.float32], int]:
        """Give the residual (H, W, 3) to add to the photo, and the multiply-adds it took.

        coarse: which cells are blurred; threshold: what the network decides by itself with, if it does.
        """
        height, width = analysis.padded_size
        residual = np.zeros((height, width, 3), np.float32)
        weights = np.zeros((height, width, 1), np.float32)
        work = self._plan_restoration(analysis, coarse, execution)
        ramp = HALO_PX // 2 if execution == "adaptive" else TILE_OVERLAP_PX
        macs = 0
        for index, (tile, box) in enumerate(work):
            if progress is not None:
                progress(index, len(work))
            decision = _cut(coarse, self._cells(box)) if threshold is None else threshold
            difference, box_macs = self._restore_box(analysis, tile, box, decision, pruned=execution != "dense")
            weight = feather(box, height, width, ramp)[..., None]
            where = np.s_[box.top : box.bottom, box.left : box.right]
            residual[where] += weight * difference
            weights[where] += weight
            macs += box_macs
        if progress is not None:
            progress(len(work), len(work))
        # where regions overlap beyond their ramps, the weights add up to more than one
        residual /= np.maximum(weights, 1)
        return residual[: analysis.image.shape[0], : analysis.image.shape[1]], macs

    def _plan_restoration(self, analysis: Analysis, coarse: Tensor, execution: str) -> list[tuple[Tile, Box]]:
        """Give the boxes to restore, each inside one tile."""
        if execution != "adaptive":
            return [(tile, tile.box) for tile in analysis.tiles]
        blurred = coarse[0, 0].cpu().numpy() > 0
        cell, work = self.model.cell_px, []
        for tile in analysis.tiles:
            box = tile.box
            inside = blurred[box.top // cell : box.bottom // cell, box.left // cell : box.right // cell]
            for region in blurred_regions(inside, cell, HALO_PX, self.model.size_multiple):
                work.append((tile, Box(region.top + box.top, region.left + box.left, region.height, region.width)))
        return work

    def _restore_box(
        self, analysis: Analysis, tile: Tile, box: Box, decision: Decision, *, pruned: bool
    ) -> tuple[NDArray[np.float32], int]:
        """Give what the network adds to the photo in a box, (height, width, 3), and the multiply-adds it took."""
        encoded = tile.encoded
        if encoded is None:
            padded = self._padded(analysis.image, analysis.value_range)
            encoded = self.model.analyze(_cut(padded, tile.box).to(memory_format=torch.channels_last))
        part = encoded.crop(box.top - tile.box.top, box.left - tile.box.left, box.height, box.width)
        if analysis.coarse_motion is not None:
            # the blended motion, so that tiles agree where they meet
            cells = self._cells(box)
            part = part._replace(motion=analysis.coarse_motion.map(lambda field: _cut(field, cells)))
        restored, masks = self.model.restore(part, decision, pruned=pruned)
        macs = self.model.restore_macs(box.height, box.width, masks if pruned else None)
        return (restored.float().clamp(0, 1) - part.image)[0].permute(1, 2, 0).cpu().numpy(), macs

    def _coarse_mask(self, analysis: Analysis, mask: NDArray[np.bool_]) -> Tensor:
        """Give a mask at the motion scale: a cell is blurred where any of its pixels is."""
        tensor = torch.from_numpy(mask.astype(np.float32))[None, None].to(self.device)
        height, width = analysis.padded_size
        padding = (0, width - mask.shape[1], 0, height - mask.shape[0])
        return shrink_mask(torch.nn.functional.pad(tensor, padding), self.model.cell_px)

    def _padded(self, image: Image, value_range: ValueRange) -> Tensor:
        # the border is repeated rather than black, which would look like an edge that moves
        return pad_to_multiple(to_tensor(image, value_range).to(self.device), self.model.size_multiple, "replicate")

    def _cells(self, box: Box) -> Box:
        """Give a box of pixels in cells."""
        return Box(*(side // self.model.cell_px for side in box))

    def _tile_side(self) -> int:
        if self.tile_px is not None:
            return self.tile_px
        bytes_per_pixel = 4 * self.model.live_values
        return max(256, math.isqrt(free_bytes(self.device) // 2 // bytes_per_pixel))

    @contextmanager
    def _inference(self) -> Iterator[None]:
        """Compute without gradients, in the chosen precision."""
        is_mixed = self.precision != "float32"
        dtype = getattr(torch, self.precision) if is_mixed else None
        with torch.inference_mode(), torch.autocast(self.device.type, dtype, enabled=is_mixed):
            yield


def check_threshold(threshold: float) -> None:
    """Raise InputError for a threshold outside 0..1."""
    if not 0 <= threshold <= 1:
        raise InputError(f"the threshold is {threshold}; give a number from 0 to 1")


def check_mask(mask: Image, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Give the mask (H, W) as booleans. Raises InputError for another size than the image's."""
    if mask.shape != tuple(size):
        shape = "x".join(str(side) for side in mask.shape)
        raise InputError(f"mask is {shape} but the image is {size[0]}x{size[1]}; resize one of them")
    return np.asarray(mask != 0, np.bool_)


def _known(what: str, name: str, choices: Sequence[str]) -> str:
    if name not in choices:
        raise InputError(f"there is no {what} {name!r}; choose one of {', '.join(choices)}")
    return name


def _resolve_execution(name: str) -> str:
    return "adaptive" if _known("execution", name, EXECUTIONS) == "auto" else name


def _found(encoded: Encoded, size: tuple[int, int]) -> Tensor:
    """Give the blur probability of cells, 1 where the network finds none, and their displacements, side by side."""
    if encoded.blur_logits is None:
        probability = encoded.image.new_ones(len(encoded.image), 1, *size)
    else:
        probability = blur_probability(encoded.blur_logits)
    if encoded.motion is None:
        return probability
    return torch.cat([probability, encoded.motion.field.to(probability.dtype)], dim=1)


def _placed(network: Network, device: torch.device) -> Network:
    network.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _cut(tensor: Tensor, box: Box) -> Tensor:
    return tensor[..., box.top : box.bottom, box.left : box.right]


def _bytes(encoded: Encoded) -> int:
    tensors = (encoded.image, *encoded.skips, encoded.features)
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
