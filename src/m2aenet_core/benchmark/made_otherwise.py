"""Blur made in other ways than that of training: short and plain, as others make it for tests of their own.

No code is shared with what training and `m2aenet evaluate` make: outlines are blobs instead of cut-outs and polygons,
paths are arcs, turns and straight lines, and there is neither noise nor a camera. Training can be asked for means of
few frames and for parts of a photo that move in place (`blur.few_frames_share`, `blur.in_place_share`), as two of these
ways show them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.draw import polygon
from torch import Tensor

from m2aenet_core.data.folder import Pixels
from m2aenet_core.metrics import Mask
from m2aenet_core.ops.jpeg import compress_as_jpeg
from m2aenet_core.ops.light import to_linear, to_srgb
from m2aenet_core.pixels import to_uint8

_JPEG_QUALITY = 92
# of the exposure, from which on a pixel that something passed over counts as blurred
_PASSED = 0.02
_FRAMES = 9
_CORNERS = 60
_SOFT_EDGE_PX = 0.7
_FEATHER_PX = 2.0
# what turns by less than this stays sharp
_STILL_PX = 1.0


class MadeOtherwise(NamedTuple):
    """A blurred photo and its sharp one, (H, W, 3) uint8, and where it is blurred, (H, W)."""

    blur: Pixels
    sharp: Pixels
    mask: Mask


class _Scene(NamedTuple):
    """A photo and another one of its size, (1, 3, H, W) in [0, 1], and what of the other one is an object (H, W)."""

    photo: Tensor
    other: Tensor
    outline: NDArray[np.float64]


class _Pose(NamedTuple):
    """Where an object is at an instant: its shift in pixels, and how far it is turned about its middle, radians."""

    right: float = 0.0
    down: float = 0.0
    turned: float = 0.0


def make(
    kind: str, photo: Pixels, other: Pixels, length_px: float, area: float, rng: np.random.Generator
) -> MadeOtherwise:
    """Blur a part of a photo. Saved as JPEG once, at quality 92.

    kind: one of `KINDS`; photo, other: (H, W, 3) uint8, the other one is what moves; length_px: of the path, or of that
    at the rim of what turns; area: the share of the photo that the object takes.
    """
    still = torch.from_numpy(photo).permute(2, 0, 1).unsqueeze(0) / 255
    moving = torch.from_numpy(other).permute(2, 0, 1).unsqueeze(0) / 255
    moving = F.interpolate(moving, size=photo.shape[:2], mode="bicubic", antialias=True).clamp(0, 1)
    blur, sharp, mask = KINDS[kind](_Scene(still, moving, _blob(photo.shape[:2], area, rng)), length_px, rng)
    return MadeOtherwise(to_uint8(compress_as_jpeg(blur.clamp(0, 1), [_JPEG_QUALITY])[0]), to_uint8(sharp[0]), mask)


def _blob(size: tuple[int, ...], area: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Give a filled outline that bulges in and out, of a share of an image; its centre lies in the middle half."""
    height, width = size
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    radius = 1 + 0.25 * np.sin(2 * angle + rng.uniform(0, 2 * np.pi))
    radius += 0.15 * np.sin(3 * angle + rng.uniform(0, 2 * np.pi))
    radius *= math.sqrt(area * height * width / np.pi)
    stretch = rng.uniform(0.75, 1.33)
    middle = rng.uniform(0.25, 0.75, 2) * size
    y, x = middle[0] + stretch * radius * np.sin(angle), middle[1] + radius * np.cos(angle) / stretch
    rows, columns = polygon(y, x, size)  # type: ignore[no-untyped-call]
    filled = np.zeros(size)
    filled[rows, columns] = 1
    return filled


# -- the kinds ------------------------------------------------------------------------------------------------------


def _object(scene: _Scene, length_px: float, rng: np.random.Generator) -> tuple[Tensor, Tensor, Mask]:
    """Let an object move along an arc; the light of two instants for each pixel of it adds up."""
    poses = _arc(length_px, math.ceil(2 * length_px) + 1, rng)
    exposed, sharp, passed = _exposed(_in_light(scene), poses)
    return to_srgb(exposed), to_srgb(sharp), passed > _PASSED


def _frames(scene: _Scene, length_px: float, rng: np.random.Generator) -> tuple[Tensor, Tensor, Mask]:
    """Let an object move along an arc, and take the mean of nine frames of a video, which shows them one by one."""
    exposed, sharp, passed = _exposed(scene, _arc(length_px, _FRAMES, rng))
    return exposed, sharp, passed > _PASSED


def _turning(scene: _Scene, length_px: float, rng: np.random.Generator) -> tuple[Tensor, Tensor, Mask]:
    """Let an object turn about its middle, in light; its rim goes the length of the path."""
    rim = math.sqrt(scene.outline.sum() / np.pi)
    turns = np.linspace(-0.5, 0.5, math.ceil(2 * length_px) + 1) * length_px / rim
    exposed, sharp, passed = _exposed(_in_light(scene), [_Pose(turned=float(turn)) for turn in turns])
    rows, columns = np.indices(scene.outline.shape)
    middle = _middle(scene.outline)
    goes = np.hypot(rows - middle[0], columns - middle[1]) * length_px / rim
    return to_srgb(exposed), to_srgb(sharp), (passed > _PASSED) & (goes > _STILL_PX)


def _filtered(scene: _Scene, length_px: float, rng: np.random.Generator) -> tuple[Tensor, Tensor, Mask]:
    """Filter a region of the photo itself along a straight line, as it is encoded, and blend it in."""
    filled, angle = np.ones_like(scene.outline), rng.uniform(0, np.pi)
    way = np.linspace(-0.5, 0.5, math.ceil(length_px) + 1) * length_px
    poses = [_Pose(float(each * math.cos(angle)), float(each * math.sin(angle))) for each in way]
    filtered, _, _ = _exposed(_Scene(scene.photo, scene.photo, filled), poses)
    blend = gaussian_filter(scene.outline, _FEATHER_PX)
    return torch.lerp(scene.photo, filtered, torch.from_numpy(blend).float()), scene.photo, blend > 0.5


KINDS: Mapping[str, Callable[[_Scene, float, np.random.Generator], tuple[Tensor, Tensor, Mask]]] = {
    "object": _object,
    "frames": _frames,
    "turning": _turning,
    "filtered": _filtered,
}
"""By name: from a scene, a length in pixels and chance, the blurred photo, the sharp one, and where it is blurred."""


# -- how they are made ----------------------------------------------------------------------------------------------


def _in_light(scene: _Scene) -> _Scene:
    return scene._replace(photo=to_linear(scene.photo), other=to_linear(scene.other))


def _arc(length_px: float, instants: int, rng: np.random.Generator) -> list[_Pose]:
    """Give a path that bends evenly, through where the object is half-way."""
    angle, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.6, 0.6)
    along = np.linspace(-0.5, 0.5, instants) * length_px
    across = bend * along**2 / length_px
    right, down = along * np.cos(angle) - across * np.sin(angle), along * np.sin(angle) + across * np.cos(angle)
    return [_Pose(float(x), float(y)) for x, y in zip(right, down, strict=True)]


def _exposed(scene: _Scene, poses: Sequence[_Pose]) -> tuple[Tensor, Tensor, NDArray[np.float32]]:
    """Give the mean over the instants, the scene as it was half-way, and for how much of it a pixel was passed over."""
    edge = torch.from_numpy(gaussian_filter(scene.outline, _SOFT_EDGE_PX)).float()[None, None]
    layer = torch.cat([scene.other, edge], dim=1)
    middle = _middle(scene.outline)
    mean = torch.zeros_like(scene.photo)
    passed = torch.zeros_like(edge)
    for pose in poses:
        moved = _moved(layer, pose, middle)
        mean += _over(scene.photo, moved) / len(poses)
        passed += moved[:, 3:] / len(poses)
    return mean, _over(scene.photo, layer), passed[0, 0].numpy()


def _over(photo: Tensor, layer: Tensor) -> Tensor:
    return torch.lerp(photo, layer[:, :3], layer[:, 3:])


def _middle(outline: NDArray[np.float64]) -> tuple[float, float]:
    """Give row and column of the centre of an outline."""
    rows, columns = np.nonzero(outline)
    return float(rows.mean()), float(columns.mean())


def _moved(layer: Tensor, pose: _Pose, middle: tuple[float, float]) -> Tensor:
    """Read a layer (1, C, H, W) where each pixel came from; beyond its edges it goes on as it ends."""
    height, width = layer.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height) - pose.down, torch.arange(width) - pose.right, indexing="ij")
    down, right = y - middle[0], x - middle[1]
    cosine, sine = math.cos(pose.turned), math.sin(pose.turned)
    from_x = middle[1] + cosine * right + sine * down
    from_y = middle[0] - sine * right + cosine * down
    grid = torch.stack([2 * from_x / max(width - 1, 1) - 1, 2 * from_y / max(height - 1, 1) - 1], dim=-1)
    return F.grid_sample(layer, grid.unsqueeze(0), mode="bilinear", padding_mode="border", align_corners=True)
