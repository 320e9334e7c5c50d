"""All frames of an image layer: stacks, time lapses, channels; each is restored by itself, with one model.

Works on anything that looks like a napari image layer. Only the frame in hand is read, so a layer may be larger than
the memory (dask, zarr).
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.errors import Cancelled, InputError
from napari_m2aenet.jobs import Job
from napari_m2aenet.models import ModelShelf
from napari_m2aenet.placement import Placement
from napari_m2aenet.session import sentence
from napari_m2aenet.settings import Settings
from napari_m2aenet.source import FILE_KEY, read_frame, shown_range

Frame = tuple[int, ...]


class StackRole(StrEnum):
    """What a stack's layer shows; also the start of its name."""

    RESTORED = "restored frames"
    MASK = "blur mask of frames"


_STEPS = 100
"""Steps of the progress bar for one frame."""


@dataclass(frozen=True, eq=False)
class FrameStack:
    """The frames of a layer.

    `counts`: how many there are along each axis before (y, x). `shape` and `dtype` are those of the whole layer, at
    its finest level. `read` gives the pixels of one frame, and may take long.
    """

    name: str
    key: Hashable
    placement: Placement
    rgb: bool
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Frame], NDArray[Any]]
    value_range: tuple[float, float] | None = None
    file: str | None = None

    @property
    def counts(self) -> Frame:
        """Number of frames along each axis before (y, x)."""
        return self.shape[: self.placement.ndim - 2]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame."""
        height, width = self.shape[self.placement.ndim - 2 : self.placement.ndim]
        return height, width

    def __len__(self) -> int:
        return math.prod(self.counts)

    def frames(self, first: Frame = ()) -> Iterator[Frame]:
        """The indices of all frames, from `first` to the last one, then from the beginning."""
        frames = list(np.ndindex(*self.counts))
        start = frames.index(first) if first in frames else 0
        yield from frames[start:]
        yield from frames[:start]

    def description(self) -> dict[str, object]:
        """What the record says about where the pixels came from."""
        return {"name": self.name, "frames": list(self.counts), "file": self.file}


@dataclass(frozen=True, eq=False)
class FrameDone:
    """One frame: its restored pixels, mask and record; or `failure`, a sentence."""

    frame: Frame
    restored: NDArray[Any] | None = None
    mask: NDArray[np.bool_] | None = None
    record: dict[str, Any] | None = None
    failure: str | None = None

    def line(self) -> str:
        """What is said about it."""
        name = f"Frame {_number(self.frame)}"
        if self.record is None:
            return f"⚠ {name}: {self.failure}"
        result = self.record["result"]
        moved = result["mean_displacement_px"]
        movement = "" if moved is None else f", moved {moved:.1f} px"
        notes = "".join(f". {note.removesuffix('.')}" for note in self.record["notes"])
        return f"{name}: {result['density']:.1%} blurred{movement}{notes}"


class FramesJob(Job[int]):
    """Restore every frame; the value is how many were. Those that are done wait in `arrived` to be shown.

    `first`: the frame to begin with, as it is the one that a person sees.
    """

    def __init__(self, stack: FrameStack, settings: Settings, shelf: ModelShelf, first: Frame = ()) -> None:
        super().__init__(f"restoring {len(stack)} frames of {stack.name}")
        self.stack = stack
        self.settings = settings
        # the one thing that both threads touch; append and popleft are atomic
        self.arrived: deque[FrameDone] = deque()
        self._shelf = shelf
        self._first = first

    def work(self) -> int:
        """Restore one frame after the other; a frame that fails costs the others nothing."""
        deblurrer = self._shelf.deblurrer(self.settings.model, self.settings.device, self.settings.ensemble)
        restored = 0
        for index, frame in enumerate(self.stack.frames(self._first)):
            self.check()
            self._show(index, 0, 1, 0)
            try:
                done = self._restore(deblurrer, index, frame)
            except Cancelled:
                raise
            except Exception as error:
                done = FrameDone(frame, failure=sentence(error))
            restored += done.failure is None
            self.arrived.append(done)
        self.report(len(self.stack) * _STEPS, len(self.stack) * _STEPS)
        return restored

    def _restore(self, deblurrer: Any, index: int, frame: Frame) -> FrameDone:
        from m2aenet_core.record import make_record

        pixels = self.stack.read(frame)
        self.check()
        analysis = deblurrer.analyze(
            pixels,
            value_range=self.stack.value_range,
            scale=self.settings.scale,
            progress=lambda done, total: self._show(index, done, total, 0),
        )
        result = deblurrer.restore(
            analysis, self.settings.threshold, progress=lambda done, total: self._show(index, done, total, _STEPS // 2)
        )
        return FrameDone(frame, result.restored, result.mask, make_record(deblurrer, result))

    def _show(self, index: int, done: int, total: int, offset: int) -> None:
        part = offset + (_STEPS // 2) * done // max(total, 1)
        self.report(index * _STEPS + part, len(self.stack) * _STEPS)


class FrameResults:
    """The result of a stack while it grows: arrays that the frames are written into, and their common record.

    `restored` has the shape and dtype of the layer, `mask` (..., H, W) is uint8 with 1 where blurred; frames that have
    not arrived are 0. Both lie in memory where a quarter of the free memory holds them, else in an unnamed file.
    """

    def __init__(self, stack: FrameStack) -> None:
        self.stack = stack
        self.restored = blank_array(stack.shape, stack.dtype)
        self.mask = blank_array((*stack.counts, *stack.size), np.dtype(np.uint8))
        self.failures: list[str] = []
        self._frames: list[dict[str, Any]] = []
        self._common: dict[str, Any] = {}

    def __len__(self) -> int:
        """How many frames have arrived."""
        return len(self._frames)

    def put(self, done: FrameDone) -> None:
        """Write a frame where it belongs."""
        if done.record is None or done.restored is None or done.mask is None:
            self.failures.append(done.line())
            return
        self.restored[done.frame] = done.restored
        self.mask[done.frame] = done.mask
        self._common = {key: done.record[key] for key in ("created", "model", "settings", "versions")}
        own = {
            "image": done.record["image"],
            "scale": self._common["settings"]["scale"],
            "result": done.record["result"],
        }
        self._frames.append({"frame": list(done.frame), **own})

    def record(self) -> dict[str, Any]:
        """How the frames were made: what they share, and what is of each."""
        settings = {key: value for key, value in self._common.get("settings", {}).items() if key != "mask_sha256"}
        if len({frame["scale"] for frame in self._frames}) > 1:
            settings["scale"] = "auto"
        return {
            **self._common,
            "settings": settings,
            "layer": self.stack.description(),
            "frames": sorted(self._frames, key=lambda frame: frame["frame"]),
            "failures": list(self.failures),
        }

    def summary(self, *, is_complete: bool) -> str:
        """The sentence at the end."""
        densities = [frame["result"]["density"] for frame in self._frames]
        blurred = f" On average {np.mean(densities):.1%} of a frame are blurred." if densities else ""
        failed = f" {len(self.failures)} failed; they are listed." if self.failures else ""
        name, total = self.stack.name, len(self.stack)
        if is_complete:
            return f"“{name}”: {len(self)} of {total} frames are restored.{failed}{blurred}"
        if not len(self):
            return f"Stopped. No frame of “{name}” is restored.{failed}"
        return f"Stopped. {len(self)} of {total} frames of “{name}” are restored; they stay.{failed}{blurred}"


def stack_of_layer(layer: Any) -> FrameStack:
    """All frames of an image layer.

    Raises:
        InputError: the layer is not an image, is a plain picture, or is empty.
    """
    if not hasattr(layer, "rgb"):
        raise InputError(f"“{layer.name}” is not an image layer; choose an image layer.")
    data = layer.data[0] if layer.multiscale else layer.data
    if layer.ndim == 2:
        raise InputError(f"“{layer.name}” is one picture and no stack; press Run for it.")
    if 0 in data.shape:
        raise InputError(f"“{layer.name}” is empty; choose a layer that holds pictures.")
    return FrameStack(
        name=str(layer.name),
        key=layer.unique_id,
        placement=Placement.of_layer(layer),
        rgb=bool(layer.rgb),
        shape=tuple(int(n) for n in data.shape),
        dtype=np.dtype(layer.dtype),
        read=lambda frame: read_frame(data, frame),
        value_range=shown_range(layer),
        file=layer.metadata.get(FILE_KEY) or layer.source.path,
    )


def frame_count(layer: Any) -> Frame:
    """How many frames a layer has along each axis before (y, x); () for a plain picture."""
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(n) for n in data.shape[: layer.ndim - 2])


def blank_array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros, in memory where a quarter of what is free holds them, else in a file that vanishes with the array.

    Raises:
        InputError: the disk for temporary files is too small for them.
    """
    import psutil

    count = math.prod(shape) * dtype.itemsize
    if count <= psutil.virtual_memory().available // 4:
        return np.zeros(shape, dtype)
    folder = tempfile.gettempdir()
    if count > shutil.disk_usage(folder).free:
        raise InputError(
            f"The result takes {count / 2**30:.1f} GB, more than is free in memory and in {folder}; crop the layer, "
            "or set TMPDIR to a folder on a larger disk."
        )
    with tempfile.TemporaryFile() as file:  # the array keeps it open
        return np.memmap(file, dtype, "w+", shape=shape)


def _number(frame: Frame) -> str:
    return ", ".join(map(str, frame))
