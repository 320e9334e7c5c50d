"""A wider network that begins as a narrower one (after Chen et al., Net2Net, ICLR 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from m2aenet_core.models.layers import Upsample

# how far the shares of channels that began as one differ, against the weights that they share: they have to become
# different ones, and as long as they are the same it cancels out
_SPREAD = 0.5
# pixel shuffle makes four pixels of one channel of so many
_PIXELS_OF_A_CHANNEL = 4


@torch.no_grad()
def widen(narrow: nn.Module, wide: nn.Module, generator: torch.Generator | None = None) -> None:
    """Set the weights of a network to those of a narrower one of the same form, so that both compute the same.

    Each channel becomes several equal ones, side by side, which keeps halves halves for gates; what reads them shares
    its weights out among them, unevenly and at random, so that they part when they learn. Equal up to rounding.

    Raises ValueError where a size of the wide network is no multiple of the narrow one's, or a weight is missing.
    """
    modules = dict(wide.named_modules())
    before, after = dict(narrow.named_parameters()), dict(wide.named_parameters())
    if before.keys() != after.keys():
        raise ValueError(f"one of the networks lacks {', '.join(sorted(before.keys() ^ after.keys())[:3])}")
    for name, target in after.items():
        owner = name.rpartition(".")[0]
        adds_up = isinstance(modules[owner], nn.Linear | nn.Conv2d) and target.dim() > 1
        is_shuffled = isinstance(modules[owner.rpartition(".")[0]], Upsample)
        times = _growth(before[name], target.shape)
        if not adds_up:
            target.copy_(_repeated(before[name], times))
            continue
        outputs = before[name].unflatten(0, (-1, _PIXELS_OF_A_CHANNEL if is_shuffled else 1))
        outputs = outputs.repeat_interleave(times[0], dim=0).flatten(0, 1)
        target.copy_(_shared_out(outputs, times[1], generator))


def _growth(weight: Tensor, shape: torch.Size) -> list[int]:
    """Give how many times as large each side of a weight becomes."""
    times = [large // small for large, small in zip(shape, weight.shape, strict=True)]
    if any(large != small * by for large, small, by in zip(shape, weight.shape, times, strict=True)):
        raise ValueError(
            f"a weight of {tuple(weight.shape)} cannot grow to {tuple(shape)}; give a multiple of the width"
        )
    return times


def _repeated(weight: Tensor, times: Sequence[int]) -> Tensor:
    """Give what belongs to each channel alone: scales, shifts, the kernels of a depthwise convolution."""
    for dim, by in enumerate(times):
        weight = weight.repeat_interleave(by, dim)
    return weight


def _shared_out(weight: Tensor, among: int, generator: torch.Generator | None) -> Tensor:
    """Give weights (out, in, ...) for `among` times as many inputs, of which each `among` in a row began as one."""
    if among == 1:
        return weight
    spread = _SPREAD * weight.square().mean().sqrt()
    parts = torch.randn(among, *weight.shape, generator=generator) * spread
    parts += weight / among - parts.mean(dim=0)
    return torch.stack(list(parts), dim=2).flatten(1, 2)
