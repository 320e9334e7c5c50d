"""What a probe tells about the motion at a pixel, and the table of pinned ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_m2aenet.jobs import Analyzed
from napari_m2aenet.settings import TRAJECTORY_INSTANTS

# eight sectors of 45 degrees, counter-clockwise from the right
_DIRECTIONS = (
    ("→", "right"),
    ("↗", "up and right"),
    ("↑", "up"),
    ("↖", "up and left"),
    ("←", "left"),
    ("↙", "down and left"),
    ("↓", "down"),
    ("↘", "down and right"),
)
# a shorter way has no direction that could be seen
_STILL_PX = 0.05


@dataclass(frozen=True, eq=False)
class Probe:
    """The motion of one pixel during the exposure. Positions and directions are the picture's, (y, x), y downwards."""

    photo: str
    key: Hashable
    frame: tuple[int, ...]
    y: int
    x: int
    positions: NDArray[np.float32]
    """(9, 2): where the pixel was at even instants, in pixels; the middle one is (y, x) itself."""
    blur_probability: float
    length_world: float | None
    """The way's length in `unit`; None where the layer has no scale of its own."""
    unit: str
    """The unit of the layer, µm for example; empty where it has a scale without a unit."""

    @property
    def length_px(self) -> float:
        """The length of the way through all positions."""
        return float(np.linalg.norm(np.diff(self.positions, axis=0), axis=1).sum())

    @property
    def direction_deg(self) -> float | None:
        """From start to end, counter-clockwise from the right, 0 to 360; None where both are the same place."""
        y, x = self.positions[-1] - self.positions[0]
        if np.hypot(y, x) < _STILL_PX:
            return None
        return float(np.degrees(np.arctan2(-y, x)) % 360)

    @property
    def acceleration(self) -> float:
        """How fast the velocity changes, in pixels per exposure squared: 4 |start + end| for a quadratic way."""
        middle = len(self.positions) // 2
        change = self.positions[0] + self.positions[-1] - 2 * self.positions[middle]
        # half of the exposure lies between two of the three instants
        return float(4 * np.hypot(*change))

    @property
    def place(self) -> str:
        """The pixel in words."""
        return f"y {self.y}, x {self.x}"

    @property
    def length(self) -> str:
        """The length in words, in the layer's units too."""
        text = f"{self.length_px:.1f} px"
        if self.length_world is None:
            return text
        return f"{text} = {self.length_world:.3g} {self.unit or 'in the layer’s scale'}"

    @property
    def direction(self) -> str:
        """The direction in words, with an arrow."""
        degrees = self.direction_deg
        if degrees is None:
            return "none: it ends where it began" if self.length_px > _STILL_PX else "none: it stands still"
        arrow, words = _DIRECTIONS[round(degrees / 45) % 8]
        return f"{arrow} {words}, {degrees:.0f}°"


def probe_at(analyzed: Analyzed, y: int, x: int) -> Probe | None:
    """Return what is known of a pixel; None outside the photo."""
    analysis, source = analyzed.analysis, analyzed.source
    height, width = analysis.blur_probability.shape
    if not (0 <= y < height and 0 <= x < width):
        return None
    offsets = analysis.trajectory_at(np.array([[y, x]]), TRAJECTORY_INSTANTS)[0]
    steps = source.placement.world_steps(np.diff(offsets, axis=0))
    unit = source.placement.unit
    has_scale = unit != "" or not np.allclose(source.placement.world_steps(np.eye(2))[:, -2:], np.eye(2))
    return Probe(
        photo=source.name,
        key=source.key,
        frame=source.placement.frame,
        y=y,
        x=x,
        positions=(offsets + np.array([y, x], np.float32)).astype(np.float32),
        blur_probability=float(analysis.blur_probability[y, x]),
        length_world=float(np.linalg.norm(steps, axis=1).sum()) if has_scale else None,
        unit=unit,
    )


@dataclass(frozen=True, eq=False)
class Pin:
    """A probe that was kept, with the number it is shown by."""

    number: int
    probe: Probe


class Pins:
    """The pinned probes of a window, in the order they were pinned. Numbers are not used twice."""

    def __init__(self) -> None:
        self.all: list[Pin] = []
        self._last_number = 0

    def add(self, probe: Probe) -> Pin:
        """Keep a probe."""
        self._last_number += 1
        pin = Pin(self._last_number, probe)
        self.all.append(pin)
        return pin

    def remove(self, numbers: Iterable[int]) -> None:
        """Drop the pins with these numbers."""
        gone = set(numbers)
        self.all = [pin for pin in self.all if pin.number not in gone]

    def of(self, analyzed: Analyzed) -> list[Pin]:
        """Return the pins on the frame that was analyzed."""
        key, frame = analyzed.source.key, analyzed.source.placement.frame
        return [pin for pin in self.all if (pin.probe.key, pin.probe.frame) == (key, frame)]

    def measure_again(self, analyzed: Analyzed) -> None:
        """Take the values of a new analysis at the places pinned on the same frame; a place that is gone is dropped."""
        own = {pin.number for pin in self.of(analyzed)}
        measured = (
            replace_probe(pin, probe_at(analyzed, pin.probe.y, pin.probe.x)) if pin.number in own else pin
            for pin in self.all
        )
        self.all = [pin for pin in measured if pin is not None]

    def to_csv(self) -> bytes:
        """Return the table as CSV in UTF-8: a row for each pin, the nine positions in its last columns."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        writer.writerows(_row(pin) for pin in self.all)
        return text.getvalue().encode()


CSV_COLUMNS = (
    "number",
    "photo",
    "frame",
    "y_px",
    "x_px",
    "blur_probability",
    "length_px",
    "length_layer",
    "layer_unit",
    "direction_deg",
    "acceleration_px_per_exposure2",
    *(f"{axis}{instant}_px" for instant in range(1, TRAJECTORY_INSTANTS + 1) for axis in "yx"),
)
"""The columns of the table as a file."""


def replace_probe(pin: Pin, probe: Probe | None) -> Pin | None:
    """Return the pin with another probe; None without one."""
    return None if probe is None else replace(pin, probe=probe)


def _row(pin: Pin) -> list[object]:
    probe = pin.probe
    direction = probe.direction_deg
    return [
        pin.number,
        probe.photo,
        " ".join(str(index) for index in probe.frame),
        probe.y,
        probe.x,
        f"{probe.blur_probability:.4f}",
        f"{probe.length_px:.3f}",
        "" if probe.length_world is None else f"{probe.length_world:.6g}",
        probe.unit,
        "" if direction is None else f"{direction:.2f}",
        f"{probe.acceleration:.3f}",
        *(f"{value:.3f}" for value in probe.positions.ravel()),
    ]
