"""A network on a device: its memory, and what is done when that is too small."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from m2aenet_core.device import free_bytes, is_out_of_memory
from m2aenet_core.errors import InputError
from m2aenet_core.models.network import Network
from m2aenet_core.tiling import Box, plan_tiles

# smaller tiles are mostly overlap
_SMALLEST_PX = 256
# features of a photo of 3 megapixels at width 32; a photo of 48 leaves room for its own arrays below 4 GB
_MOST_FEATURE_BYTES = 2 << 30
# of which tiles of one photo share: the photo's own arrays come beside them
_SHARE_OF_MANY = 0.6


class Runner:
    """A network on a device, in one precision.

    notes: what a person should know of how the last photo was computed, in sentences.
    """

    def __init__(self, network: Network, device: torch.device, precision: str) -> None:
        self.device, self.precision = device, precision
        self.notes: list[str] = []
        self._network: Network | None = _placed(network, device)
        self._spare = network

    @property
    def network(self) -> Network:
        """The network, on the device."""
        if self._network is None:
            self._network = _placed(self._spare, self.device)
        return self._network

    def release(self) -> None:
        """Give the device's memory back; the network returns to it with the next photo."""
        self._network = None
        self._spare.to("cpu")
        _empty_cache(self.device)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute without gradients, in the chosen precision."""
        is_mixed = self.precision != "float32"
        dtype = getattr(torch, self.precision) if is_mixed else None
        with torch.inference_mode(), torch.autocast(self.device.type, dtype, enabled=is_mixed):
            yield

    # -- memory ------------------------------------------------------------------------------------------------

    def tile_side(self, height: int, width: int) -> int:
        """Give the side of a tile for a photo of this size, pixels: all of it, if the features have room."""
        room = self._feature_bytes() // (4 * self._live_values())
        if height * width <= room:
            return max(height, width)
        return max(_SMALLEST_PX, math.isqrt(int(_SHARE_OF_MANY * room)))

    def bytes_to_keep(self) -> float:
        """Give how many bytes of features may be kept from the analysis to the restoration."""
        return self._feature_bytes() / 2

    def make_room(self, error: Exception, box: Box, overlap_px: int) -> list[Box]:
        """Give what to compute instead of a box for which the memory was too small: smaller ones, or it on the CPU.

        Raises the error if it is another one, and InputError where nothing helps.
        """
        if not is_out_of_memory(error):
            raise error
        _empty_cache(self.device)
        side = max(box.height, box.width) // 2
        smaller = plan_tiles(box.height, box.width, side + overlap_px, overlap_px, self.network.size_multiple)
        if side >= _SMALLEST_PX / 2 and max(part.area for part in smaller) < box.area:
            self._note(f"The memory of {self._named()} was too small for the tiles; smaller ones were taken.")
            return [part.moved(box.top, box.left) for part in smaller]
        self.fall_back(error)
        return [box]

    def fall_back(self, error: Exception) -> None:
        """Go on on the CPU. Raises the error if it does not tell of too little memory, InputError on the CPU itself."""
        if not is_out_of_memory(error):
            raise error
        if self.device.type == "cpu":
            raise InputError("there is not enough memory for this photo; close other programs, or crop it") from error
        self._note(f"The memory of {self._named()} was too small even for small tiles; the CPU went on.")
        self.release()
        self.device, self.precision = torch.device("cpu"), "float32"

    def _feature_bytes(self) -> int:
        half = free_bytes(self.device) // 2
        return min(half, _MOST_FEATURE_BYTES) if self.device.type == "cpu" else half

    def _live_values(self) -> int:
        is_fused = self.device.type == "cpu" and self.precision == "float32"
        return self.network.fused_live_values if is_fused else self.network.live_values

    def _named(self) -> str:
        return "this computer" if self.device.type == "cpu" else str(self.device)

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def _placed(network: Network, device: torch.device) -> Network:
    network.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _empty_cache(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
