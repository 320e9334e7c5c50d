"""What `m2aenet benchmark operators` measures: each operator at the sizes it is used with, beside other ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.benchmark import peers
from m2aenet_core.ops.sampling import TapTable, deformable_depthwise, look_up, tap_table
from m2aenet_core.ops.sparse import KeptPixels, depthwise_at_kept, gather, kept_pixels, scatter
from m2aenet_core.ops.splat import reblur

CHOSEN = "chosen"
_TAPS = _INSTANTS = 9

Size = tuple[int, int, int, int]  # B, C, H, W
Outputs = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True)
class Subject:
    """An operator with its inputs, which are all differentiable, and the ways to compute it, the chosen one first."""

    operator: str
    setting: str
    inputs: tuple[Tensor, ...]
    ways: Mapping[str, Callable[..., Outputs]]


@dataclass(frozen=True)
class Sizes:
    """At which sizes to measure."""

    reblur: tuple[Size, ...]
    look_up: tuple[Size, ...]
    deformable: tuple[tuple[Size, int], ...]
    """With the number of blocks that share a table."""
    pruned: tuple[Size, ...]
    densities: tuple[float, ...]


SIZES: Mapping[str, Sizes] = {
    # training crops at the scale of the fourth stage, and photos
    "real": Sizes(
        reblur=((8, 3, 32, 32), (4, 3, 128, 128), (1, 3, 540, 720)),
        look_up=((1, 3, 540, 720), (8, 3, 128, 128), (1, 64, 90, 160)),
        deformable=(((8, 256, 16, 16), 4), ((8, 256, 32, 32), 4), ((1, 512, 90, 160), 1)),
        pruned=((1, 256, 90, 160), (1, 512, 90, 160)),
        densities=(0.05, 0.2, 0.5),
    ),
    # to see that everything runs
    "tiny": Sizes(
        reblur=((2, 3, 8, 8),),
        look_up=((2, 3, 8, 9),),
        deformable=(((1, 8, 8, 8), 2),),
        pruned=((1, 8, 12, 16),),
        densities=(0.2,),
    ),
}

OPERATORS = ("reblur", "look_up", "deformable", "pruned_depthwise", "pruned_convolution")


def subjects(operators: tuple[str, ...], sizes: Sizes, device: torch.device) -> Iterator[Subject]:
    """Give what to measure of these operators, one after the other: the inputs of all of them would fill the memory."""
    makers: Mapping[str, Iterator[Callable[[], Subject]]] = {
        "reblur": (partial(_reblur, size, device) for size in sizes.reblur),
        "look_up": (partial(_look_up, size, device) for size in sizes.look_up),
        "deformable": (partial(_deformable, size, blocks, device) for size, blocks in sizes.deformable),
        "pruned_depthwise": _pruned(_pruned_depthwise, sizes, device),
        "pruned_convolution": _pruned(_pruned_convolution, sizes, device),
    }
    for operator in operators:
        for make in makers[operator]:
            torch.manual_seed(0)
            yield make()


def _pruned(
    make: Callable[[Size, float, torch.device], Subject], sizes: Sizes, device: torch.device
) -> Iterator[Callable[[], Subject]]:
    return (partial(make, size, density, device) for size in sizes.pruned for density in sizes.densities)


def smooth_offsets(size: Size, device: torch.device) -> Tensor:
    """Give curved paths (N, B, 2, H, W) of a few pixels that change slowly over the image.

    None ends on a whole pixel: there bilinear weights have a kink, and the ways may take different sides of it.
    """
    batch, _, height, width = size
    coarse = 3 * torch.randn(batch, 4, max(2, height // 8), max(2, width // 8))
    ends = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    times = torch.linspace(-1, 1, _INSTANTS).view(-1, 1, 1, 1, 1)
    start, end = ends[:, :2], ends[:, 2:]
    return ((start + end) / 2 * times**2 + (end - start) / 2 * times + 0.3).to(device)


def blobs(size: Size, density: float, device: torch.device) -> Tensor:
    """Give a mask (B, 1, H, W) of round regions that cover a share of the image."""
    batch, _, height, width = size
    coarse = torch.randn(batch, 1, max(2, height // 12), max(2, width // 12))
    hills = F.interpolate(coarse, size=(height, width), mode="bicubic")
    return (hills > hills.quantile(1 - density)).float().to(device)


def _features(size: Size, device: torch.device) -> Tensor:
    return torch.randn(size).to(device, memory_format=torch.channels_last)


def _times(size: Size) -> str:
    return " x ".join(map(str, size))


def _reblur(size: Size, device: torch.device) -> Subject:
    ways = {
        CHOSEN: reblur,
        "index_add of rows, corner by corner": peers.reblur_by_rows,
        "scatter_add of planes, autograd": peers.reblur_by_planes,
        "index_put of everything at once": peers.reblur_at_once,
        "sorted, then embedding_bag": peers.reblur_by_sorting,
    }
    inputs = (torch.rand(size).to(device), smooth_offsets(size, device))
    return Subject("reblur", f"{_times(size)}, {_INSTANTS} instants", inputs, ways)


def _look_up(size: Size, device: torch.device) -> Subject:
    ways = {
        CHOSEN: look_up,
        "four gathers of planes": peers.look_up_by_gathers,
        "embedding_bag": peers.look_up_by_bags,
    }
    inputs = (torch.rand(size).to(device), smooth_offsets(size, device)[0])
    return Subject("look_up", _times(size), inputs, ways)


def _deformable(size: Size, blocks: int, device: torch.device) -> Subject:
    def stage(convolve: Callable[[Tensor, Tensor, Tensor, TapTable], Tensor]) -> Callable[..., Outputs]:
        def run(features: Tensor, kernel: Tensor, bias: Tensor, offsets: Tensor) -> Outputs:
            table = tap_table(offsets)
            return tuple(convolve(features, kernel, bias, table) for _ in range(blocks))

        return run

    def sampled(*inputs: Tensor) -> Outputs:
        return tuple(peers.deformable_by_grid_samples(*inputs) for _ in range(blocks))

    ways = {
        CHOSEN: stage(deformable_depthwise),
        "one embedding_bag of all taps": stage(peers.deformable_by_one_bag),
        "index_select and einsum, tap by tap": stage(peers.deformable_by_gathers),
        "nine grid_samples": sampled,
    }
    channels = size[1]
    kernel, bias = torch.randn(channels, 1, 3, 3).to(device), torch.randn(channels).to(device)
    inputs = (_features(size, device), kernel, bias, smooth_offsets(size, device))
    shared = f"{blocks} blocks with one table" if blocks > 1 else "with its table"
    return Subject("deformable_depthwise", f"{_times(size)}, {shared}", inputs, ways)


def _pruned_depthwise(size: Size, density: float, device: torch.device) -> Subject:
    batch, channels, height, width = size
    pixels = kept_pixels(blobs(size, density, device))
    framed = partial(peers.depthwise_inside_a_frame, size=(batch, height, width))
    ways: dict[str, Callable[..., Tensor]] = {
        CHOSEN: depthwise_at_kept,
        "gather and add, tap by tap": peers.depthwise_tap_by_tap,
        "one gather of nine taps": peers.depthwise_by_one_gather,
        "written into an image, dense": framed,
    }
    rows = torch.randn(len(pixels.dilated), channels).to(device)
    inputs = (rows, torch.randn(channels, 1, 3, 3).to(device), torch.randn(channels).to(device))
    kept = {name: partial(way, pixels=pixels) for name, way in ways.items()}
    return Subject("depthwise_at_kept", f"{_times(size)}, {density:.0%} kept", inputs, kept)


def _pruned_convolution(size: Size, density: float, device: torch.device) -> Subject:
    """Measure what a block prunes: the 1x1 to twice the channels, the depthwise 3x3, and writing back."""
    channels = size[1]
    mask = blobs(size, density, device)
    pixels = kept_pixels(mask)
    ways = {
        CHOSEN: partial(_convolve_pruned, pixels=pixels),
        "dense, times the mask": partial(_convolve_dense, mask=mask),
    }
    inputs = (
        _features(size, device),
        torch.randn(2 * channels, channels).to(device) / channels**0.5,
        torch.randn(2 * channels, 1, 3, 3).to(device) / 3,
        torch.randn(2 * channels).to(device),
    )
    grown = len(pixels.dilated) / mask.numel()
    return Subject("pruned convolution", f"{_times(size)}, {density:.0%} kept, {grown:.0%} read", inputs, ways)


def _convolve_pruned(features: Tensor, expand: Tensor, kernel: Tensor, bias: Tensor, pixels: KeptPixels) -> Tensor:
    rows = F.linear(gather(features, pixels.dilated), expand)
    first, second = depthwise_at_kept(rows, kernel, bias, pixels).chunk(2, dim=1)
    return scatter(features.square(), pixels.kept, first * second)


def _convolve_dense(features: Tensor, expand: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    expanded = F.conv2d(features, expand[:, :, None, None])
    first, second = F.conv2d(expanded, kernel, bias, padding=1, groups=len(bias)).chunk(2, dim=1)
    return first * second * mask + features.square() * (1 - mask)
