"""Layers over each other, averaged over the instants of an exposure.

Shapes: B samples, N instants, n of them at once, h x w window. Numbers that say where things are stay on the CPU,
in numpy; pictures live on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from m2aenet_core.data.paths import Affine, Array, Paths
from m2aenet_core.ops.transfer import to_device

# pixels of frames held at once: what a CPU's cache takes, and what keeps a GPU busy
_CHUNK_PX = {"cpu": 2**17, "cuda": 2**24, "mps": 2**22}


class Window(NamedTuple):
    """Rows top to bottom and columns left to right of a frame, without the last."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return (self.bottom - self.top, self.right - self.left)

    def of(self, image: Tensor) -> Tensor:
        """Give this part of an image (..., H, W)."""
        return image[..., self.top : self.bottom, self.left : self.right]

    def within(self, outer: Window) -> Window:
        """Give this window as counted from the corner of another."""
        return Window(self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left)

    def overlap(self, other: Window) -> Window:
        """Give what both hold; its height or width is not above 0 where that is nothing."""
        low, high = zip(*((max(a, b), min(a, b)) for a, b in zip(self, other, strict=True)), strict=True)
        return Window(low[0], high[1], low[2], high[3])


class Layer(NamedTuple):
    """One thing for each sample of a batch.

    canvas (B, 4, S1, S2): linear light times alpha, and alpha; at mid-exposure a canvas pixel is an image pixel.
    paths: how they move in the scene, each about its canvas's centre. turn (B, 2, 2): from the image at mid-exposure
    onto the canvas, both counted from that centre. is_followed (B): the camera's motion does not move it.
    half_px (B): half the side of what the canvas holds around its centre; 0 where a sample has no such thing.
    """

    canvas: Tensor
    paths: Paths
    turn: Array
    is_followed: NDArray[np.bool_]
    half_px: Array

    @classmethod
    def upright(cls, canvas: Tensor, paths: Paths) -> Layer:
        """Give a layer that is not turned, and that the camera moves like all else."""
        batch = len(canvas)
        half = np.full(batch, max(canvas.shape[-2:]) / 2)
        return cls(canvas, paths, np.broadcast_to(np.eye(2), (batch, 2, 2)), np.zeros(batch, bool), half)

    def of(self, rows: Sequence[int]) -> Layer:
        """Give the things of some samples."""
        if list(rows) == list(range(len(self.canvas))):
            return self
        index = to_device(torch.tensor(rows), self.canvas.device)
        paths = Paths(*(values[rows] for values in self.paths))
        return Layer(self.canvas[index], paths, self.turn[rows], self.is_followed[rows], self.half_px[rows])

    def moves(self, camera: Paths | None, times: Array) -> Affine:
        """Give where the image's points of mid-exposure are at times (B, N)."""
        own = self.paths.moves(times)
        if camera is None:
            return own
        seen, keep = camera.moves(times).after(own), self.is_followed[:, None, None]
        return Affine(np.where(keep[..., None], own.matrix, seen.matrix), np.where(keep, own.offset, seen.offset))


class View(NamedTuple):
    """A layer with the part of the frame that it is seen in at any time, in any sample."""

    layer: Layer
    window: Window


class Mean(NamedTuple):
    """Mean of layers over each other: light times alpha, and alpha, (B, 4, h, w); alpha of each view, (B, 1, ...)."""

    light: Tensor
    alphas: list[Tensor]


def find_views(layers: Sequence[Layer], camera: Paths | None, times: Array, frame: Window) -> list[View]:
    """Give the layers that can be seen, with their windows."""
    views = [View(layer, _reach(layer, layer.moves(camera, times)).overlap(frame)) for layer in layers]
    return [view for view in views if min(view.window.shape) > 0]


def union_of(views: Sequence[View]) -> Window:
    """Give the window that holds those of all views."""
    tops, bottoms, lefts, rights = zip(*(view.window for view in views), strict=True)
    return Window(min(tops), max(bottoms), min(lefts), max(rights))


def average(views: Sequence[View], camera: Paths | None, times: Array, counts: Array) -> Mean:
    """Give the mean over the instants, in the union of the windows, later views in front.

    times (B, N), of which the first `counts` (B) of each sample count. Frames are summed as they are made: a long
    exposure takes no more memory than a short one.
    """
    device = views[0].layer.canvas.device
    batch, number = times.shape
    window = union_of(views)
    looks = [_look_ups(view.layer, camera, times, device) for view in views]
    shares = to_device(torch.from_numpy((np.arange(number) < counts[:, None]) / counts[:, None]).float(), device)
    is_even = bool((counts == number).all())
    step = max(1, _CHUNK_PX.get(device.type, 2**20) // (batch * window.shape[0] * window.shape[1]))
    light = torch.zeros(batch, 4, *window.shape, device=device)
    alphas = [torch.zeros(batch, 1, *view.window.shape, device=device) for view in views]
    for first in range(0, number, step):
        part = slice(first, first + step)
        share = None if is_even else shares[:, part]
        frames = [_frames(view, look[:, part]) for view, look in zip(views, looks, strict=True)]
        for alpha, each in zip(alphas, frames, strict=True):
            alpha += _summed(each[:, 3:], share)
        light += _summed(_stacked(frames, views, window), share)
    if is_even:
        light /= number
        alphas = [alpha / number for alpha in alphas]
    return Mean(light, alphas)


def _look_ups(layer: Layer, camera: Paths | None, times: Array, device: torch.device) -> Tensor:
    """Give (B, N, 6) numbers that make the canvas's look-up, in grid_sample's [-1, 1], from rows and columns.

    For each axis, x first: what a row counts, what a column counts, and an offset.
    """
    back = layer.moves(camera, times).inverse()
    onto = layer.turn[:, None]
    matrix = onto @ back.matrix
    offset = (onto @ (back.offset - layer.paths.centre[:, None])[..., None])[..., 0]
    scale = 2 / np.array(layer.canvas.shape[-2:])
    rows = np.concatenate([matrix * scale[:, None], (offset * scale)[..., None]], axis=-1)
    numbers = rows[:, :, ::-1].reshape(*times.shape, 6).astype(np.float32)
    return to_device(torch.from_numpy(numbers), device)


def _frames(view: View, look: Tensor) -> Tensor:
    """Give a layer's (B, 4, n, h, w) at n instants, from their look-ups (B, n, 6)."""
    batch, instants = look.shape[:2]
    height, width = view.window.shape
    row = torch.arange(view.window.top, view.window.bottom, device=look.device).view(-1, 1)
    column = torch.arange(view.window.left, view.window.right, device=look.device).view(1, -1)
    grid = torch.empty(batch, instants, height, width, 2, device=look.device)
    numbers = look.view(batch, instants, 6, 1, 1)
    for axis in (0, 1):
        by_row, by_column, offset = numbers[:, :, 3 * axis : 3 * axis + 3].unbind(dim=2)
        torch.add(by_row * row + offset, by_column * column, out=grid[..., axis])
    # instants side by side along the height: one call, and the canvas is never copied for each instant
    flat = F.grid_sample(view.layer.canvas, grid.view(batch, instants * height, width, 2), align_corners=False)
    return flat.view(batch, 4, instants, height, width)


def _stacked(frames: Sequence[Tensor], views: Sequence[View], window: Window) -> Tensor:
    """Give frames (B, 4, n, h, w) over each other, in the window that holds them all; the rearmost may be changed."""
    light = frames[0]
    if views[0].window != window:
        light = torch.zeros(*light.shape[:3], *window.shape, device=light.device)
        views[0].window.within(window).of(light).copy_(frames[0])
    for each, view in zip(frames[1:], views[1:], strict=True):
        view.window.within(window).of(light).mul_(1 - each[:, 3:]).add_(each)
    return light


def _summed(frames: Tensor, shares: Tensor | None) -> Tensor:
    """Give the sum over the instants of (B, C, n, h, w), weighted by (B, n)."""
    return frames.sum(dim=2) if shares is None else torch.einsum("bcnhw,bn->bchw", frames, shares)


def _reach(layer: Layer, moves: Affine) -> Window:
    there = layer.half_px > 0
    if not there.any():
        return Window(0, 0, 0, 0)
    # a pixel more, for interpolation
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * (layer.half_px[there, None, None] + 1)
    points = corners + layer.paths.centre[there, None]
    places = np.einsum("bnij,bkj->bnki", moves.matrix[there], points) + moves.offset[there][:, :, None]
    low, high = np.floor(places.min(axis=(0, 1, 2))), np.ceil(places.max(axis=(0, 1, 2))) + 1
    return Window(int(low[0]), int(high[0]), int(low[1]), int(high[1]))
