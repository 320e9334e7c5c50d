"""A sample of made blur as it was drawn: numbers only, so that its pictures can be made on any device."""

from __future__ import annotations

import math
from typing import NamedTuple

from m2aenet_core.ops.turn import Turn


class Box(NamedTuple):
    """A part of a picture, which is known by its number; pixels."""

    picture: int
    top: int
    left: int
    height: int
    width: int


class RigidPath(NamedTuple):
    """A rigid motion over the exposure, times s in [-1, 1]: velocity * s + acceleration * s^2, pixels, (y, x).

    spin in radians and relative growth count from mid-exposure, times s.
    """

    velocity: tuple[float, float] = (0.0, 0.0)
    acceleration: tuple[float, float] = (0.0, 0.0)
    spin: float = 0.0
    growth: float = 0.0

    def top_speed(self, radius: float) -> float:
        """Give a bound on the speed, in pixels for a unit of s, of what lies within a radius of the centre."""
        (vy, vx), (ay, ax) = self.velocity, self.acceleration
        along = max(math.hypot(vy + 2 * s * ay, vx + 2 * s * ax) for s in (-1, 1))
        return along + math.hypot(self.spin * (1 + abs(self.growth)), self.growth) * radius

    def scaled(self, share: float) -> RigidPath:
        """Give a share of the motion."""
        (vy, vx), (ay, ax) = self.velocity, self.acceleration
        return RigidPath((vy * share, vx * share), (ay * share, ax * share), self.spin * share, self.growth * share)


class ShapeDraw(NamedTuple):
    """A random smooth star-shaped or box-like outline."""

    turn: float
    aspect: float
    power: float
    radius: float
    ripples: tuple[tuple[float, float], ...]  # amplitude and phase, for frequencies from 2 on
    softness_px: float


class InPlaceDraw(NamedTuple):
    """A part of the background that moves, within an outline that stands still on a square of size x size.

    centre (y, x): of the outline, about which the part turns and grows too, pixels.
    """

    shape: ShapeDraw
    size: int
    centre: tuple[float, float]
    path: RigidPath


class HighlightDraw(NamedTuple):
    """Linear light above which a picture is brightened, and by how many times at 1."""

    threshold: float
    gain: float


class LightDraw(NamedTuple):
    """A lamp on an object: centre (y, x) as a share of its half size, radius in pixels, linear light (r, g, b)."""

    centre: tuple[float, float]
    radius: float
    colour: tuple[float, float, float]


class ObjectDraw(NamedTuple):
    """A cut-out (shape is None), or a shape filled with a box of a photo, on a square canvas of size x size."""

    box: Box
    size: int
    shape: ShapeDraw | None
    brightness: float
    turn: Turn
    centre: tuple[float, float] = (0.0, 0.0)
    path: RigidPath = RigidPath()
    is_followed: bool = False  # by the camera, so that it moves by nothing but its own path in the image
    defocus_px: float = 0.0
    highlights: HighlightDraw | None = None
    lights: tuple[LightDraw, ...] = ()


class DefocusDraw(NamedTuple):
    """Radius of the lens blur; if ramp is given, the radius grows along a direction: (angle, middle, width)."""

    radius: float
    ramp: tuple[float, float, float] | None


class ToneDraw(NamedTuple):
    """What a camera does between sensor and file."""

    gains: tuple[float, float, float]
    gamma: float
    contrast: float
    saturation: float
    sharpening: float
    sharpening_px: float


class NoiseDraw(NamedTuple):
    """Standard deviation at mid-grey, of the range; read is the share of read noise, None for even noise."""

    deviation: float
    seed: int
    read: float | None


class JpegDraw(NamedTuple):
    """How a file is compressed."""

    quality: int
    halve_colour: bool


class SampleDraw(NamedTuple):
    """All that decides a sample, beside the pictures. Its height and width are (H, W) = size."""

    size: tuple[int, int]
    background: Box
    turn: Turn
    margin: int  # of background beyond the image on each side, for the camera to move into
    objects: tuple[ObjectDraw, ...]
    camera: RigidPath | None
    defocus: DefocusDraw | None
    highlights: HighlightDraw | None
    softness_px: float
    tone: ToneDraw | None
    noise: NoiseDraw
    jpeg: JpegDraw | None
    is_encoded: bool = False  # the mean of encoded frames, as of a video, rather than of light
    frames: int = 0  # so many of them, and no more
    in_place: InPlaceDraw | None = None  # the camera stands still then

    @property
    def instants(self) -> int:
        """An odd number, so many that nothing moves by more than a pixel from one to the next, or the few frames."""
        if self.frames:
            return self.frames
        diagonal = math.hypot(*self.size) / 2
        shake = self.camera.top_speed(diagonal) if self.camera else 0.0
        in_place = self.in_place.path.top_speed(self.in_place.size / math.sqrt(2)) if self.in_place else 0.0
        own = max((each.path.top_speed(each.size / 2) for each in self.objects), default=0.0)
        return 2 * math.ceil(own + shake + in_place) + 1
