"""Gates between channels, whose backward pass keeps nothing but the inputs and writes into place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def simple_gate(features: Tensor) -> Tensor:
    """Multiply the first half of the channels (dim 1) with the second half. Differentiable once."""
    if _is_plain(features):
        first, second = features.chunk(2, dim=1)
        return first * second
    gated: Tensor = _SimpleGate.apply(features)  # type: ignore[no-untyped-call]
    return gated


def masked_gate(convolved: Tensor, repeated: Tensor, mask: Tensor) -> Tensor:
    """Gate what was convolved where the mask is 1, and what was repeated where it is 0. Differentiable once.

    convolved (B, 2C, H, W); repeated (B, C, H, W), which stands for both halves, so that its gate is its square;
    mask (B, 1, H, W) of 0 and 1. Returns (B, C, H, W).
    """
    if _is_plain(convolved, repeated, mask):
        return simple_gate(convolved) * mask + repeated.square() * (1 - mask)
    gated: Tensor = _MaskedGate.apply(convolved, repeated, mask)  # type: ignore[no-untyped-call]
    return gated


def _is_plain(*tensors: Tensor) -> bool:
    """Whether plain operations are better: without gradients, and for a compiler that fuses them itself."""
    wants_gradient = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return torch.compiler.is_compiling() or not wants_gradient


def _for_halves(gradient: Tensor, features: Tensor) -> Tensor:
    """Give the gradient of the features whose halves were multiplied."""
    first, second = features.chunk(2, dim=1)
    both = torch.empty_like(features)
    for_first, for_second = both.chunk(2, dim=1)
    torch.mul(gradient, second, out=for_first)
    torch.mul(gradient, first, out=for_second)
    return both


class _SimpleGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        first, second = features.chunk(2, dim=1)
        return first * second

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        return _for_halves(gradient, features)


class _MaskedGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, convolved: Tensor, repeated: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(convolved, repeated, mask)
        first, second = convolved.chunk(2, dim=1)
        return torch.where(mask > 0, first * second, repeated.square())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        convolved, repeated, mask = ctx.saved_tensors
        first = convolved[:, : repeated.shape[1]]
        # as if the mask were 1 for what was convolved and 0 for what was repeated; it comes in last
        for_halves, for_repeated = _for_halves(gradient, convolved), gradient * repeated
        for_mask = None
        if ctx.needs_input_grad[2]:
            for_first = for_halves[:, : repeated.shape[1]]
            for_mask = (for_first * first).addcmul_(for_repeated, repeated, value=-1).sum(dim=1, keepdim=True)
            for_mask = for_mask.to(mask.dtype)
        return for_halves.mul_(mask), for_repeated.mul_(2 - 2 * mask).to(repeated.dtype), for_mask
