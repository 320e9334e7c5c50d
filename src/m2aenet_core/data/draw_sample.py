"""Random draws of samples of made blur.

Each optional effect draws from a stream of its own: turning one on leaves all other draws of a sample as they were,
but for the part of the photo, of which a moving camera needs more, and for the noise of a sample that JPEG is added to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from m2aenet_core.data.blur_config import MadeBlurConfig
from m2aenet_core.data.draws import (
    Box,
    DefocusDraw,
    HighlightDraw,
    InPlaceDraw,
    JpegDraw,
    LightDraw,
    NoiseDraw,
    ObjectDraw,
    RigidPath,
    SampleDraw,
    ShapeDraw,
    ToneDraw,
)
from m2aenet_core.ops.turn import Turn

# centres of objects keep so far from the border, as a share of the side
_CENTRE_MARGIN = 0.1
# of the samples in which the camera moves, those without objects; of what a camera follows, what does not move at all
_ALONE_SHARE, _EXACTLY_FOLLOWED_SHARE = 0.5, 0.5
_FOLLOWED_REST = 0.4  # largest share of its path that is left to what a camera follows
_MOST_LIGHTS = 4
_SPARE_PX = 2  # for interpolation
# from the sharp edge of a hub to water that flows into water
_IN_PLACE_EDGE_PX = (0.7, 6.0)

Size = tuple[int, int]


class Pool(NamedTuple):
    """The sizes (H, W) of the pictures to choose from."""

    photos: Sequence[Size]
    cutouts: Sequence[Size]


class _Streams(NamedTuple):
    """Where the optional effects draw from."""

    camera: Generator
    same_photo: Generator
    occluder: Generator
    defocus: Generator
    highlights: Generator
    softness: Generator
    noise: Generator
    tone: Generator
    colour: Generator
    encoding: Generator
    place: Generator


def draw_sample(rng: Generator, config: MadeBlurConfig, pool: Pool, photo: Size | None = None) -> SampleDraw:
    """Draw a sample on a crop of a random photo, or, given the size (H, W) of a photo, on that photo as a whole."""
    streams = _Streams(*rng.spawn(len(_Streams._fields)))
    is_in_place = _is(streams.place, config.in_place_share)
    is_shaken = bool(streams.camera.random() < config.shake_share) and not is_in_place
    whole = photo or (config.crop_px, config.crop_px)
    margin = _in_place_margin(config, whole) if is_in_place else _shake_margin(config, whole) if is_shaken else 0
    if photo is None:
        size = (config.crop_px, config.crop_px)
        background, turn = _draw_background(rng, config, pool, config.crop_px + 2 * margin)
    else:
        # a margin is cut off: nothing may be invented beyond the photo's border
        size = (photo[0] - 2 * margin, photo[1] - 2 * margin)
        background, turn = Box(0, 0, 0, *photo), Turn(0, is_mirrored=False)
    count = int(rng.integers(1, config.objects + 1))
    is_still = bool(rng.random() < config.still_share)
    sides = [_draw_side(rng, config) for _ in range(count)]
    objects = [_draw_object(rng, config, pool, side) for side in sides]
    objects = [_moved(rng, config, each, size, is_still) for each in objects]
    deviation = float(rng.uniform(0, config.noise)) if rng.random() < 0.7 else 0.0
    quality = (
        int(rng.integers(config.jpeg_quality[0], config.jpeg_quality[1] + 1)) if _is(rng, config.jpeg_share) else 0
    )
    noise = NoiseDraw(deviation, int(rng.integers(2**31)), _draw_read_noise(streams.noise, config))
    if photo is None:
        objects = [_with_own_photo(streams.same_photo, config, pool, each, background) for each in objects]
    if _is(streams.occluder, config.occluder_share):
        objects.append(_draw_occluder(streams.occluder, config, pool, objects[0]))
    camera = in_place = None
    if is_in_place:
        in_place = None if is_still else _draw_in_place(streams.place, objects[0], margin)
        objects = []
    elif is_shaken and not is_still:
        camera = _draw_camera(streams.camera, config, size, margin)
        objects = _under_camera(streams.camera, config, objects)
    defocus, objects = _draw_defocus(streams.defocus, config, objects)
    highlights, objects = _draw_highlights(streams.highlights, config, objects)
    is_encoded = _is(streams.encoding, config.encoded_share)
    return SampleDraw(
        size=size,
        background=background,
        turn=turn,
        margin=margin,
        objects=tuple(objects),
        camera=camera,
        defocus=defocus,
        highlights=highlights,
        softness_px=_draw_softness(streams.softness, config),
        tone=_draw_tone(streams.tone) if _is(streams.tone, config.tone_share) else None,
        noise=noise,
        jpeg=JpegDraw(quality, _is(streams.colour, config.halved_colour_share)) if quality else None,
        is_encoded=is_encoded,
        frames=_draw_frames(streams.encoding, config) if is_encoded else 0,
        in_place=in_place,
    )


def _is(rng: Generator, share: float) -> bool:
    return bool(rng.random() < share)


def _draw_background(rng: Generator, config: MadeBlurConfig, pool: Pool, side: int) -> tuple[Box, Turn]:
    """Draw a square of a photo, often shrunk; a photo smaller than `side` is enlarged."""
    number = int(rng.integers(len(pool.photos)))
    height, width = pool.photos[number]
    own = min(height, width, round(side * (1.0 if rng.random() < 0.6 else rng.uniform(1.0, 2.0))))
    top, left = int(rng.integers(0, height - own + 1)), int(rng.integers(0, width - own + 1))
    return Box(number, top, left, own, own), _draw_turn(rng, config)


def _draw_turn(rng: Generator, config: MadeBlurConfig) -> Turn:
    quarters, is_mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)
    return Turn(quarters if config.quarter_turns else 0, is_mirrored)


def _draw_side(rng: Generator, config: MadeBlurConfig) -> int:
    smallest, largest = config.object_px
    return 2 * round(float(np.exp(rng.uniform(np.log(smallest), np.log(largest)))) / 2)


def _draw_object(rng: Generator, config: MadeBlurConfig, pool: Pool, side: int) -> ObjectDraw:
    """Draw what an object looks like; where and how it moves comes later."""
    shape = None
    if len(pool.cutouts) and rng.random() < config.cutout_share:
        number = int(rng.integers(len(pool.cutouts)))
        box = Box(number, 0, 0, *pool.cutouts[number])
    else:
        number = int(rng.integers(len(pool.photos)))
        shape = draw_shape(rng)
        box = _draw_piece(rng, number, pool.photos[number], side)
    brightness = float(rng.uniform(0.75, 1.2))
    return ObjectDraw(box, side, shape, brightness, _draw_turn(rng, config))


def draw_shape(rng: Generator) -> ShapeDraw:
    """Draw a random smooth star-shaped or box-like outline."""
    turn, aspect = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.4, 1.0))
    power = float(rng.choice([2.0, 2.0, 4.0, 12.0]))
    radius = float(rng.uniform(0.7, 0.95))
    ripples = [(float(rng.normal(0, 0.25 / each)), float(rng.uniform(0, 2 * np.pi))) for each in range(2, 7)]
    return ShapeDraw(turn, aspect, power, radius, tuple(ripples), softness_px=float(rng.uniform(0.7, 2.0)))


def _draw_piece(rng: Generator, number: int, photo: Size, side: int) -> Box:
    """Draw a square of a photo to be shrunk at random, enlarged only where the photo is small."""
    own = int(min(*photo, side * rng.uniform(1.0, 2.0)))
    top, left = int(rng.integers(0, photo[0] - own + 1)), int(rng.integers(0, photo[1] - own + 1))
    return Box(number, top, left, own, own)


def _moved(rng: Generator, config: MadeBlurConfig, thing: ObjectDraw, size: Size, is_still: bool) -> ObjectDraw:
    """Give an object its place in an image of a size, and its path."""
    low, high = _CENTRE_MARGIN, 1 - _CENTRE_MARGIN
    # a half makes canvas and image pixels coincide at mid-exposure, so that the truth is not softened
    centre = [float(np.floor(rng.uniform(low * side, high * side))) + 0.5 for side in size]
    path = _draw_path(rng, config.path_px, config.curvature)
    if is_still:
        return thing._replace(centre=(centre[0], centre[1]), path=RigidPath())
    spin = math.radians(rng.uniform(-config.spin_deg, config.spin_deg))
    growth = float(rng.uniform(-config.growth, config.growth))
    return thing._replace(centre=(centre[0], centre[1]), path=path._replace(spin=spin, growth=growth))


def _draw_path(rng: Generator, length_px: tuple[float, float], curvature: float) -> RigidPath:
    half = rng.uniform(*length_px) / 2
    direction = rng.uniform(0, 2 * np.pi)
    speed_up, bend = rng.uniform(-curvature, curvature, size=2) * half
    along, across = np.array([np.sin(direction), np.cos(direction)]), np.array([np.cos(direction), -np.sin(direction)])
    velocity, acceleration = half * along, speed_up * along + bend * across
    return RigidPath(
        (float(velocity[0]), float(velocity[1])), (float(acceleration[0]), float(acceleration[1])), 0.0, 0.0
    )


def _with_own_photo(
    rng: Generator, config: MadeBlurConfig, pool: Pool, thing: ObjectDraw, background: Box
) -> ObjectDraw:
    """Give an object, if it is a shape, sometimes filled from the photo that it moves over."""
    is_own, number = _is(rng, config.same_photo_share), background.picture
    box = _draw_piece(rng, number, pool.photos[number], thing.size)
    return thing._replace(box=box, brightness=1.0) if is_own and thing.shape else thing


def _draw_occluder(rng: Generator, config: MadeBlurConfig, pool: Pool, moving: ObjectDraw) -> ObjectDraw:
    """Draw a thing that stands still, its centre somewhere on a moving one, so that it covers a part of it."""
    thing = _draw_object(rng, config, pool, _draw_side(rng, config))
    reach = moving.size / 2
    centre = [math.floor(at + rng.uniform(-reach, reach)) + 0.5 for at in moving.centre]
    return thing._replace(centre=(centre[0], centre[1]))


def _shake_margin(config: MadeBlurConfig, size: Size) -> int:
    """Give how far the camera may see beyond the image, in whole pixels; of a small photo at least half is left."""
    return _margin(_longest(config, config.shake_px[1], config.shake_roll_deg, config.shake_zoom), size, size)


def _in_place_margin(config: MadeBlurConfig, size: Size) -> int:
    """Give how far what moves in place comes from beyond the image, as for a camera that moves."""
    side = config.object_px[1]
    return _margin(_longest(config, config.path_px[1], config.spin_deg, config.growth), (side, side), size)


def _longest(config: MadeBlurConfig, length_px: float, spin_deg: float, growth: float) -> RigidPath:
    """Give a motion that goes as far as any of its kind."""
    half = length_px / 2
    return RigidPath((half, 0.0), (half * config.curvature * math.sqrt(2), 0.0), math.radians(spin_deg), growth)


def _margin(longest: RigidPath, moving: Size, size: Size) -> int:
    return min(math.ceil(_reach(longest, moving)) + _SPARE_PX, min(size) // 4)


def _within(margin: int, path: RigidPath, moving: Size) -> RigidPath:
    """Give as much of a motion as a margin holds; that of a small photo holds only so much."""
    return path.scaled(min(1.0, max(0.0, margin - _SPARE_PX) / max(_reach(path, moving), 1e-6)))


def _reach(camera: RigidPath, size: Size) -> float:
    """Give a bound on how far a point of what moves, of a size, goes from mid-exposure to either end."""
    outermost = math.hypot(*size) / 2
    # a point beyond the border has further to go than one on it
    turning = math.hypot(camera.spin, camera.growth) * outermost / (1 - abs(camera.growth))
    return math.hypot(*camera.velocity) + math.hypot(*camera.acceleration) + turning


def _draw_camera(rng: Generator, config: MadeBlurConfig, size: Size, margin: int) -> RigidPath:
    roll = math.radians(rng.uniform(-config.shake_roll_deg, config.shake_roll_deg))
    zoom = float(rng.uniform(-config.shake_zoom, config.shake_zoom))
    camera = _draw_path(rng, config.shake_px, config.curvature)._replace(spin=roll, growth=zoom)
    return _within(margin, camera, size)


def _draw_in_place(rng: Generator, thing: ObjectDraw, margin: int) -> InPlaceDraw:
    """Draw an outline in the place of an object, in which the background moves as the object would have."""
    shape = draw_shape(rng)._replace(softness_px=float(rng.uniform(*_IN_PLACE_EDGE_PX)))
    return InPlaceDraw(shape, thing.size, thing.centre, _within(margin, thing.path, (thing.size, thing.size)))


def _draw_frames(rng: Generator, config: MadeBlurConfig) -> int:
    """Draw an odd number of frames, 0 for as many as it takes."""
    are_few, fewest, most = _is(rng, config.few_frames_share), *config.few_frames
    return 2 * int(rng.integers(fewest // 2, (most - 1) // 2 + 1)) + 1 if are_few else 0


def _under_camera(rng: Generator, config: MadeBlurConfig, objects: list[ObjectDraw]) -> list[ObjectDraw]:
    """Give the objects that are there when the camera moves: none, or all, which the camera sometimes follows."""
    is_alone, is_followed = _is(rng, _ALONE_SHARE), _is(rng, config.panning_share)
    rest = 0.0 if _is(rng, _EXACTLY_FOLLOWED_SHARE) else float(rng.uniform(0, _FOLLOWED_REST))
    if is_alone:
        return []
    if not is_followed:
        return objects
    return [each._replace(is_followed=True, path=each.path.scaled(rest)) for each in objects]


def _draw_defocus(
    rng: Generator, config: MadeBlurConfig, objects: list[ObjectDraw]
) -> tuple[DefocusDraw | None, list[ObjectDraw]]:
    """Draw what is out of focus: background, a part of it, everything, or the objects alone."""
    is_soft, kind = _is(rng, config.defocus_share), float(rng.random())
    radius = float(np.exp(rng.uniform(*np.log(np.maximum(config.defocus_px, 0.1)))))
    ramp = (float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(-0.5, 0.5)), float(rng.uniform(0.05, 1.0)))
    if not is_soft:
        return None, objects
    if kind < 0.65:
        return DefocusDraw(radius, ramp if kind < 0.35 else None), objects
    soft = [each._replace(defocus_px=radius) for each in objects]
    return (DefocusDraw(radius, None) if kind < 0.9 else None), soft


def _draw_highlights(
    rng: Generator, config: MadeBlurConfig, objects: list[ObjectDraw]
) -> tuple[HighlightDraw | None, list[ObjectDraw]]:
    """Draw how much is brightened above which linear light, and lamps on the objects."""
    if not _is(rng, config.highlight_share):
        return None, objects
    highlights = HighlightDraw(float(rng.uniform(0.5, 0.95)), float(rng.uniform(1.0, 6.0)))
    lights = [tuple(_draw_light(rng) for _ in range(int(rng.integers(_MOST_LIGHTS + 1)))) for _ in objects]
    lit = [each._replace(highlights=highlights, lights=own) for each, own in zip(objects, lights, strict=True)]
    return highlights, lit


def _draw_light(rng: Generator) -> LightDraw:
    strength = float(np.exp(rng.uniform(np.log(2.0), np.log(40.0))))
    warmth = float(rng.uniform(-0.5, 0.5))
    centre = (float(rng.uniform(-0.6, 0.6)), float(rng.uniform(-0.6, 0.6)))
    return LightDraw(centre, float(rng.uniform(0.6, 3.0)), (strength * (1 + warmth), strength, strength * (1 - warmth)))


def _draw_softness(rng: Generator, config: MadeBlurConfig) -> float:
    is_soft, width = _is(rng, config.soft_share), float(rng.uniform(*config.soft_px))
    return width if is_soft else 0.0


def _draw_read_noise(rng: Generator, config: MadeBlurConfig) -> float | None:
    is_sensor, read = _is(rng, config.sensor_noise_share), float(rng.uniform(0.02, 0.4))
    return read if is_sensor else None


def _draw_tone(rng: Generator) -> ToneDraw:
    exposure = 2 ** float(np.clip(rng.normal(-0.2, 0.5), -1.8, 0.8))
    red, blue = np.exp(rng.normal(0, 0.06, size=2))
    return ToneDraw(
        gains=(exposure * float(red), exposure, exposure * float(blue)),
        gamma=2 ** float(rng.uniform(-0.3, 0.3)),
        contrast=float(rng.uniform(-0.5, 0.5)),
        saturation=float(rng.uniform(0.45, 1.25)),
        sharpening=float(rng.uniform(0.2, 1.0)) if rng.random() < 0.5 else 0.0,
        sharpening_px=float(rng.uniform(0.5, 1.4)),
    )
