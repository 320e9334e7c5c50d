"""The models and devices to choose from, and the one model that is kept in memory.

Nothing here imports torch before it is called; call it in a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m2aenet_core.deblurrer import Deblurrer

OpenDeblurrer = Callable[[str, str, int | None], "Deblurrer"]


@dataclass(frozen=True)
class Choice:
    """An entry of a list: `value` goes into the settings, `label` is shown."""

    value: str
    label: str


def open_deblurrer(model: str, device: str, ensemble: int | None) -> Deblurrer:
    """Return the deblurrer of a model's name or file, on a device; it takes the mean over as many turned copies.

    Raises:
        InputError: there is no such model or device.
    """
    from m2aenet_core.deblurrer import Deblurrer

    return Deblurrer(model, device=device, ensemble=ensemble)


def device_choices() -> list[Choice]:
    """Return the devices of this machine, with their free memory."""
    from m2aenet_core.device import available_devices

    return [Choice(device.name, device.label) for device in available_devices()]


def model_choices() -> list[Choice]:
    """Return the weights that come with the package."""
    from m2aenet_core.checkpoint import embedded_weights

    return [Choice(name, name) for name in embedded_weights()]


class ModelShelf:
    """Keeps the deblurrer that was asked for last, so that a second run does not load it again."""

    def __init__(self, opener: OpenDeblurrer = open_deblurrer) -> None:
        self._opener = opener
        self._key: tuple[object, ...] | None = None
        self._deblurrer: Deblurrer | None = None

    def deblurrer(self, model: str, device: str, ensemble: int | None) -> Deblurrer:
        """Return the deblurrer, opened now if it is another one than before."""
        key = (model, device, ensemble, _written(model))
        if self._deblurrer is None or self._key != key:
            self._deblurrer = self._opener(model, device, ensemble)
            self._key = key
        return self._deblurrer

    def release(self) -> None:
        """Give the device's memory back, and keep the deblurrer: its network returns with the next photo."""
        if self._deblurrer is not None:
            self._deblurrer.release()

    def clear(self) -> None:
        """Forget the deblurrer and give its memory back."""
        if self._deblurrer is not None:
            self._deblurrer.release()
        self._deblurrer, self._key = None, None


def _written(model: str) -> int | None:
    """Return when a file of weights was written: a run that goes on writes better ones to the same file."""
    try:
        return Path(model).stat().st_mtime_ns
    except OSError:
        return None
