"""Numpy in, numpy out: analyze a photo once, restore it for any threshold or mask.

This is the only door between images as people hold them and the networks; the window and the commands use it alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from m2aenet_core.analysis import Analysis, DeblurResult
from m2aenet_core.checkpoint import load_model, model_name, sha256, weights_path
from m2aenet_core.device import resolve_device
from m2aenet_core.errors import InputError
from m2aenet_core.models.ensemble import SelfEnsemble, as_ensemble
from m2aenet_core.models.network import Network
from m2aenet_core.photo_tiles import Photo, ProgressCallback, analyze_tiles
from m2aenet_core.pixels import Image, ValueRange, check_image, check_value_range, value_range_of
from m2aenet_core.restoration import HALO_PX, Restoration, paste
from m2aenet_core.runner import Runner
from m2aenet_core.scale_choice import analyze_at_best
from m2aenet_core.working_scale import Scale, check_scale, reduced_photo, reduced_size

__all__ = ["EXECUTIONS", "HALO_PX", "PRECISIONS", "Deblurrer", "ProgressCallback", "check_mask", "check_threshold"]

EXECUTIONS = ("auto", "exact", "adaptive", "dense")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


class Deblurrer:
    """A network on a device, ready for photos of any size.

    model: embedded weights ("small", "full", or "default", which is "full" on an NVIDIA GPU and "small" elsewhere), a
    .safetensors path or a network. device: "auto", "cpu", "mps", "cuda", "cuda:N". precision: "float32" ("auto"),
    "bfloat16" or "float16". execution: "exact" (the whole frame, pixels pruned inside the blocks), "adaptive" (only
    regions that hold blur; "auto"), "dense" (multiplied by the mask). tile_px: largest side of a tile; by default as
    large as half of the free memory allows. ensemble: of how many turned copies of a photo the mean is taken, 1, 2, 4
    or 8, for as many times the work; by default what the weights say, which is 2 for the embedded ones.

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
        ensemble: int | None = None,
    ) -> None:
        device_of_it = resolve_device(device)
        precision = "float32" if _known("precision", precision, PRECISIONS) == "auto" else precision
        self.execution = _resolve_execution(execution)
        self.tile_px = tile_px
        self.weights_sha256: str | None = None
        if isinstance(model, nn.Module):
            if not isinstance(model, Network):
                raise InputError(f"a {type(model).__name__} is none of our networks; give M2AENet, LMDViT or NAFNet")
            self.model_name, network = type(model).__name__, model
        else:
            self.model_name = model_name(model, device_of_it.type)
            network = load_model(self.model_name)
            self.weights_sha256 = sha256(weights_path(self.model_name))
        network = as_ensemble(network, ensemble)
        self.ensemble = len(network.turns) if isinstance(network, SelfEnsemble) else 1
        self._runner = Runner(network, device_of_it, precision)

    @property
    def model(self) -> Network:
        """The network, on the device."""
        return self._runner.network

    @property
    def device(self) -> torch.device:
        """Where it runs: the CPU, once the memory of the device that was asked for was too small."""
        return self._runner.device

    @property
    def precision(self) -> str:
        """The precision it computes in."""
        return self._runner.precision

    def __call__(
        self,
        image: Image,
        threshold: float = 0.5,
        *,
        mask: Image | None = None,
        value_range: ValueRange | None = None,
        scale: Scale = 1.0,
        linear_light: bool = False,
        execution: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> DeblurResult:
        """Analyze and restore at once."""
        # what can be wrong with the second half is said before the first one costs time
        check_threshold(threshold)
        if execution is not None:
            _resolve_execution(execution)
        if mask is not None:
            check_image(image)
            check_mask(mask, image.shape[:2])
        analysis = self.analyze(
            image, value_range=value_range, scale=scale, linear_light=linear_light, progress=progress
        )
        return self.restore(analysis, threshold, mask=mask, execution=execution, progress=progress)

    def analyze(
        self,
        image: Image,
        *,
        value_range: ValueRange | None = None,
        scale: Scale = 1.0,
        linear_light: bool = False,
        progress: ProgressCallback | None = None,
    ) -> Analysis:
        """Give blur probability, displacements and features of a photo, computed once for all thresholds.

        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), integers or floats, from 1x1 on. value_range: the values
        that stand for black and white (by default `value_range_of`). scale: share of the photo's sides that is worked
        at: 0.5 for blur longer than the network knows, some 40 pixels and more; "auto" is chosen from what is found
        (`scale_choice`). What it gives is in the photo's own pixels all the same. linear_light: whether values add up
        as light does, as in micrographs and in means of a video's frames; if not, they are sRGB. progress(done, total)
        is called between tiles, and may raise Cancelled. Raises InputError for a photo, range or scale that is none.
        """
        check_image(image)
        value_range = value_range_of(image) if value_range is None else value_range
        check_value_range(value_range)
        check_scale(scale, image.shape[:2])
        if scale != "auto":
            return self._analyze(image, value_range, scale, linear_light, progress)

        def analyze(at: float, is_look: bool) -> Analysis:
            return self._analyze(
                image, value_range, at, linear_light, _only_cancelling(progress) if is_look else progress
            )

        return analyze_at_best(analyze, image.shape[:2])

    def _analyze(
        self,
        image: Image,
        value_range: ValueRange,
        scale: float,
        linear_light: bool,
        progress: ProgressCallback | None,
    ) -> Analysis:
        started = time.perf_counter()
        self._runner.notes.clear()
        size = reduced_size(image.shape[:2], scale)
        reduced = reduced_photo(image, value_range, size) if size != image.shape[:2] else None
        multiple = self.model.size_multiple
        if reduced is None:
            photo = Photo(image, value_range, multiple, linear_light)
        else:
            photo = Photo(reduced, (0.0, 1.0), multiple, linear_light)
        with self._runner.computing():
            found = analyze_tiles(self._runner, photo, self.tile_px, progress)
        return Analysis(
            image=image,
            value_range=value_range,
            seconds=time.perf_counter() - started,
            model_name=self.model_name,
            coarse_probability=found.probability,
            coarse_motion=found.motion,
            tiles=found.tiles,
            padded_size=photo.size,
            scale=scale if reduced is not None else 1.0,
            reduced=reduced,
            linear_light=linear_light,
            macs=found.macs,
            has_mask=self.model.has_mask,
            decides_windows=self.model.decides_windows,
            notes=tuple(self._runner.notes),
        )

    def restore(
        self,
        analysis: Analysis,
        threshold: float = 0.5,
        *,
        mask: Image | None = None,
        execution: str | None = None,
        previous: DeblurResult | None = None,
        progress: ProgressCallback | None = None,
    ) -> DeblurResult:
        """Give the restored photo for a threshold, or for a mask (H, W) whose non-zero pixels are blurred.

        With a mask, `threshold` is not used. previous: another result of this analysis; regions whose mask is the
        same are taken over from it, so that a stroke costs what it touches. progress(done, total) is called between
        regions, and may raise Cancelled. Raises InputError for a result of another analysis.
        """
        execution = self.execution if execution is None else _resolve_execution(execution)
        check_threshold(threshold)
        if previous is not None and previous.analysis is not analysis:
            raise InputError("the previous result belongs to another analysis; leave it out")
        known = previous.pieces if previous is not None and self._is_alike(previous, execution) else ()
        started = time.perf_counter()
        self._runner.notes.clear()
        full, cells = self._mask(analysis, threshold, mask, execution)
        # a network that decides along takes its own decisions at the threshold
        own = threshold if mask is None and self.model.decides_along else None
        with self._runner.computing():
            pieces = Restoration(self._runner, analysis, cells, own, execution).pieces(known, progress)
        return DeblurResult(
            restored=paste(analysis, pieces, execution),
            mask=full,
            density=float(full.mean()),
            macs=sum(piece.macs for piece in pieces),
            seconds=time.perf_counter() - started,
            threshold=float(threshold) if mask is None else None,
            execution=execution,
            analysis=analysis,
            pieces=pieces,
            notes=tuple(self._runner.notes),
        )

    def _is_alike(self, previous: DeblurResult, execution: str) -> bool:
        """Whether an earlier result is what would be made of the same cells now."""
        took_its_own_decisions = self.model.decides_along and previous.threshold is not None
        return previous.execution == execution and not took_its_own_decisions

    def release(self) -> None:
        """Give the device's memory back; the network returns to it with the next photo."""
        self._runner.release()

    def _mask(
        self, analysis: Analysis, threshold: float, mask: Image | None, execution: str
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Give which pixels (H, W), and which cells (h, w) of the padded photo are blurred."""
        cell = self.model.cell_px
        if mask is not None:
            full = check_mask(mask, analysis.image.shape[:2])
            return full, analysis.cells_of(full, cell)
        full = analysis.blur_probability > threshold
        cells = analysis.coarse_probability[0, 0].cpu().numpy() > threshold
        if execution == "adaptive":
            # a lone cell may exceed the threshold where no pixel between cells does: only what the mask shows is
            # restored
            cells = cells & analysis.cells_of(full, cell)
        return full, cells


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


def _only_cancelling(progress: ProgressCallback | None) -> ProgressCallback | None:
    """A look is short: the bar stays full, but the work can be stopped."""
    return None if progress is None else lambda _done, _total: progress(1, 1)


def _known(what: str, name: str, choices: Sequence[str]) -> str:
    if name not in choices:
        raise InputError(f"there is no {what} {name!r}; choose one of {', '.join(choices)}")
    return name


def _resolve_execution(name: str) -> str:
    return "adaptive" if _known("execution", name, EXECUTIONS) == "auto" else name
