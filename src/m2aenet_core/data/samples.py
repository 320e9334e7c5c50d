"""Photos with made local blur whose truth is known, for a first look: made from scikit-image's free photos."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from m2aenet_core.data.folder import Pixels
from m2aenet_core.data.render import MovingObjects, expose


class Sample(NamedTuple):
    """blur, sharp (H, W, 3) uint8; mask (H, W) bool; start, end displacement (H, W, 2) float32, (y, x) pixels."""

    blur: Pixels
    sharp: Pixels
    mask: NDArray[np.bool_]
    start_displacement: NDArray[np.float32]
    end_displacement: NDArray[np.float32]


class _Scene(NamedTuple):
    """An ellipse of a scikit-image photo that moves over the photo; pixels, (y, x)."""

    photo: str
    centre: tuple[int, int]
    radius: tuple[int, int]
    velocity: tuple[float, float]
    acceleration: tuple[float, float]
    spin: float


_SCENES = {
    "coffee": _Scene("coffee", (190, 300), (130, 170), (3.0, 9.0), (1.5, 0.0), 0.03),
    "rocket": _Scene("rocket", (220, 320), (190, 34), (-9.0, 1.0), (0.0, 1.0), 0.0),
    "cat": _Scene("chelsea", (120, 200), (110, 130), (2.0, -7.0), (-1.0, 0.5), 0.04),
}
SAMPLES = tuple(_SCENES)


def make_sample(name: str) -> Sample:
    """Give a sample by its name in SAMPLES; always the same pixels. About a second."""
    import skimage.data

    scene = _SCENES[name]
    photo = np.asarray(getattr(skimage.data, scene.photo)()[..., :3])
    background = torch.from_numpy(photo.copy()).permute(2, 0, 1).unsqueeze(0).float() / 255
    path = 2 * np.hypot(*scene.velocity)
    exposure = expose(background, [_moving_ellipse(photo, scene)], instants=2 * int(np.ceil(path)) + 1)
    images = [(image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8) for image in exposure[:2]]
    fields = [np.ascontiguousarray(field[0].permute(1, 2, 0).numpy()) for field in (exposure.start, exposure.end)]
    return Sample(images[0], images[1], exposure.mask[0, 0].numpy() > 0.5, fields[0], fields[1])


def _moving_ellipse(photo: Pixels, scene: _Scene) -> MovingObjects:
    """Give the ellipse cut out of the photo itself: what moves is a thing of that very scene."""
    side = 2 * max(scene.radius) + 8
    axis = np.arange(side, dtype=np.float32) - side / 2 + 0.5
    y, x = axis[:, None] / scene.radius[0], axis[None, :] / scene.radius[1]
    # about two pixels of soft edge
    alpha = np.clip((1 - np.hypot(y, x)) * min(scene.radius) / 2 + 0.5, 0, 1)
    margin = side // 2
    framed = np.pad(photo, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    top, left = scene.centre
    patch = framed[top : top + side, left : left + side]
    canvas = np.dstack([patch / np.float32(255), alpha]).astype(np.float32)
    return MovingObjects(
        canvas=torch.from_numpy(canvas).permute(2, 0, 1).unsqueeze(0),
        centre=torch.tensor([[top - 0.5, left - 0.5]]),
        velocity=torch.tensor([scene.velocity]),
        acceleration=torch.tensor([scene.acceleration]),
        spin=torch.tensor([scene.spin]),
        growth=torch.zeros(1),
    )
