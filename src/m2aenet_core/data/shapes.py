"""Moving objects: cut-outs, and random shapes filled with a piece of a photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def random_shape(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Give the alpha (size, size) in [0, 1] of a random smooth star-shaped or box-like outline.

    Edges are about one pixel soft, as those of a photographed object.
    """
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")
    angle = np.arctan2(y, x) + rng.uniform(0, 2 * np.pi)
    aspect = rng.uniform(0.4, 1.0)
    u, v = np.hypot(x, y) * np.cos(angle), np.hypot(x, y) * np.sin(angle) / aspect
    power = rng.choice([2.0, 2.0, 4.0, 12.0])
    radius = (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power)
    outline = np.full_like(radius, rng.uniform(0.7, 0.95))
    for frequency in range(2, 7):
        outline += rng.normal(0, 0.25 / frequency) * np.cos(frequency * angle + rng.uniform(0, 2 * np.pi))
    softness = rng.uniform(0.7, 2.0) * 2 / size
    alpha = np.clip((outline - radius) / softness + 0.5, 0, 1)
    # nothing may touch the canvas' border, or the shape would end in a straight cut
    border = np.clip((1 - np.maximum(abs(x), abs(y))) * size / 4, 0, 1)
    return np.asarray(alpha * border, np.float32)


def photo_patch(rng: np.random.Generator, photo: Pixels, size: int) -> Pixels:
    """Give a random (size, size, 3) piece of a photo, shrunk at random, enlarged only where the photo is small."""
    height, width = photo.shape[:2]
    side = int(min(height, width, size * rng.uniform(1.0, 2.0)))
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    patch = photo[top : top + side, left : left + side]
    return np.asarray(Image.fromarray(patch).resize((size, size), Image.Resampling.LANCZOS))


def shaped_patch(rng: np.random.Generator, photo: Pixels, size: int) -> Pixels:
    """Give an RGBA object (size, size, 4): a random shape filled with a piece of a photo."""
    alpha = np.round(random_shape(rng, size) * 255).astype(np.uint8)
    return np.dstack([photo_patch(rng, photo, size), alpha])


def resized_cutout(cutout: Pixels, size: int) -> Pixels:
    """Give a cut-out (H, W, 4) with its longer side at `size` pixels, centred on a (size, size, 4) canvas."""
    height, width = cutout.shape[:2]
    scale = size / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    # premultiplied while resizing, or the hidden colours behind the edge would bleed into it
    alpha = cutout[..., 3:].astype(np.float32) / 255
    planes = np.concatenate([cutout[..., :3] * alpha, alpha * 255], axis=-1)
    small = np.stack(
        [np.asarray(Image.fromarray(planes[..., c]).resize(shape, Image.Resampling.BOX)) for c in range(4)], axis=-1
    )
    small_alpha = np.clip(small[..., 3:], 0, 255)
    colours = small[..., :3] / np.maximum(small_alpha / 255, 1e-3)
    canvas = np.zeros((size, size, 4), np.uint8)
    top, left = (size - shape[1]) // 2, (size - shape[0]) // 2
    canvas[top : top + shape[1], left : left + shape[0]] = np.concatenate(
        [np.clip(colours, 0, 255), small_alpha], axis=-1
    ).round()
    return canvas
