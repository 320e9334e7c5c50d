"""Results that can be made again: as text to copy, and from a record that is opened.

`read_record_layers` gives the photo of a record, and with it what is needed to repeat the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from m2aenet_core.errors import InputError
from napari_m2aenet.settings import DEVICE, THRESHOLD
from napari_m2aenet.source import FILE_KEY, RANGE_KEY

RECORD_KEY = "m2aenet"
"""Where the metadata of a result layer hold its record."""

REPEAT_KEY = "m2aenet_repeat"
"""Where the metadata of a photo that a record was opened for hold a `Repeat`, until its run was started."""

Found = TypeVar("Found")
LayerDataTuple = tuple[Any, dict[str, Any], str]


@dataclass(frozen=True, eq=False)
class Repeat:
    """A run to be made again. `mask` (H, W) takes the place of the threshold where one was given."""

    record: dict[str, Any]
    mask: NDArray[np.bool_] | None = None

    @property
    def is_stack(self) -> bool:
        """Whether all frames of a stack are to be restored."""
        return "frames" in self.record

    @property
    def model(self) -> str:
        """Name or file of the weights."""
        return str(self.record["model"]["name"])

    @property
    def threshold(self) -> float | None:
        """The threshold as the window can set it; None where a mask was given."""
        threshold = self.record["settings"]["threshold"]
        return None if threshold is None else round(float(threshold), THRESHOLD.decimals)

    @property
    def scale(self) -> str:
        """The working scale, as the window's list names it."""
        scale = self.record["settings"].get("scale", 1.0)
        return scale if isinstance(scale, str) else f"{scale:g}"

    @property
    def ensemble(self) -> str:
        """The number of turned copies, as the window's list names it; one in records of before there was a choice."""
        return str(self.record["settings"].get("ensemble", 1))

    def device(self) -> str:
        """The device of the record, or the automatic one where this machine lacks it; loads torch."""
        from m2aenet_core.device import resolve_device

        wanted = str(self.record["settings"]["device"])
        try:
            resolve_device(wanted)
        except InputError:
            return DEVICE.default
        return wanted

    def verdict(self, restored: NDArray[Any]) -> str:
        """What the status line says about the pixels that came out this time."""
        from m2aenet_core.record import pixels_sha256

        if pixels_sha256(restored) == self.record["result"]["pixels_sha256"]:
            return "The same pixels came out as in the record."
        settings = self.record["settings"]
        reasons = []
        if settings["threshold"] is not None and settings["threshold"] != self.threshold:
            reasons.append(f"its threshold {settings['threshold']:g} has more digits than ε here")
        if settings["execution"] != "adaptive" or settings["precision"] != "float32":
            reasons.append(f"it was made with {settings['execution']} execution in {settings['precision']}")
        if settings.get("linear_light"):
            reasons.append("its values were taken for light, which the window does not do")
        if settings["tile_px"] is not None:
            reasons.append(f"it was made in tiles of {settings['tile_px']} px")
        why = "; ".join(reasons) or f"it was made on {settings['device']} with torch {self._torch()}"
        return f"Not quite the pixels of the record came out: {why}. The tab Record copies a command that repeats it."

    def _torch(self) -> str:
        return str(self.record.get("versions", {}).get("torch", "of another version"))


@dataclass(frozen=True, eq=False)
class Copyable:
    """A result that is to be copied as text: its record, its mask, and how napari's console finds its pixels.

    `layer_name`: what the photo's layer is called now, where it is still there.
    """

    record: dict[str, Any]
    mask: NDArray[np.bool_] | None = None
    is_multiscale: bool = False
    layer_name: str | None = None

    @property
    def is_stack(self) -> bool:
        """Whether it has many frames."""
        return "frames" in self.record

    def python(self) -> str:
        """Python that makes it again; from its file where that still holds the pixels, else from the layer."""
        from m2aenet_core.repeat import find_photo, find_stack
        from m2aenet_core.repeat_text import as_python, frames_as_python

        if self.is_stack:
            stack = _if_found(find_stack, self.record)
            return frames_as_python(self.record, stack, otherwise=self._in_console(()))
        photo = _if_found(find_photo, self.record)
        frame = tuple((self.record.get("layer") or {}).get("frame", ()))
        return as_python(self.record, photo, mask=self.mask, otherwise=self._in_console(frame))

    def command(self) -> str:
        """The command line that makes it again. Raises InputError where no command can."""
        from m2aenet_core.repeat import find_photo
        from m2aenet_core.repeat_text import as_command

        if self.is_stack:
            raise InputError("The command restores photos, and this is a stack; copy it as Python.")
        return as_command(self.record, find_photo(self.record))

    def _in_console(self, frame: tuple[int, ...]) -> str:
        name = self.layer_name or (self.record.get("layer") or {}).get("name", "")
        level = "[0]" if self.is_multiscale else ""
        index = f"[{', '.join(map(str, frame))}]" if frame else ""
        return f"np.array(viewer.layers[{name!r}].data{level}{index})  # in napari's console"


def is_record_file(path: str) -> bool:
    """Whether a file holds the record of a restored photo."""
    from m2aenet_core.repeat import read_record

    try:
        read_record(path)
    except InputError:
        return False
    return True


def read_record_layers(path: str) -> list[LayerDataTuple]:
    """The photo of a record, as a layer that carries what is needed to repeat the run.

    Raises:
        InputError: the photo, the mask or the weights are gone, or are others by now.
    """
    from m2aenet_core.repeat import check_weights, find_photo, read_record

    record, folder = read_record(path), Path(path).parent
    check_weights(record)
    if "frames" in record:
        return [_stack_layer(record, folder)]
    photo = find_photo(record, folder)
    pixels = photo.read()
    low, high = (float(limit) for limit in record["image"]["value_range"])
    keywords: dict[str, Any] = {
        "name": photo.path.stem + "".join(f" {index}" for index in photo.frame),
        "rgb": pixels.ndim == 3 and pixels.shape[2] in (3, 4),
        "metadata": {FILE_KEY: str(photo.path), REPEAT_KEY: Repeat(record, _mask_of(record, folder))},
    }
    if keywords["rgb"] or pixels.dtype == np.uint8:
        # of these, what is shown does not say what is black and white
        keywords["metadata"][RANGE_KEY] = (low, high)
    if not keywords["rgb"]:
        pixels = pixels.reshape(pixels.shape[:2])
        keywords["contrast_limits"] = (low, high)
    return [(pixels, keywords, "image")]


def _stack_layer(record: dict[str, Any], folder: Path) -> LayerDataTuple:
    import tifffile

    from m2aenet_core.repeat import find_stack

    path = find_stack(record, folder)
    pixels = tifffile.imread(path)
    low, high = record["frames"][0]["image"]["value_range"]
    is_colour = pixels.ndim == len(record["frames"][0]["frame"]) + 3
    keywords = {
        "name": path.stem,
        "rgb": is_colour,
        "metadata": {FILE_KEY: str(path), REPEAT_KEY: Repeat(record)},
        **({} if is_colour else {"contrast_limits": (low, high)}),
    }
    return pixels, keywords, "image"


def _if_found(find: Callable[[dict[str, Any]], Found], record: dict[str, Any]) -> Found | None:
    try:
        return find(record)
    except InputError:
        return None


def _mask_of(record: dict[str, Any], folder: Path) -> NDArray[np.bool_] | None:
    """The mask that the result was made with, from the file beside the record."""
    from m2aenet_core.deblur_files import read_mask
    from m2aenet_core.record import mask_sha256

    if record["settings"]["threshold"] is not None:
        return None
    named = record["settings"]["mask"]
    if named is None:
        raise InputError("the mask of this result is in no file, so its run cannot be repeated; save it in napari")
    for path in (folder / named["name"], folder.parent / named["name"]):
        if path.is_file():
            mask = read_mask(path)
            if mask_sha256(mask) == record["settings"]["mask_sha256"]:
                return mask
    raise InputError(f"the mask {named['name']} is not beside the record, or is another by now; put it there")
