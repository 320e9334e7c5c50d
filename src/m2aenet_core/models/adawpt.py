"""The adaptive window pruning Transformer block, and a stage of them (LMD-ViT)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from m2aenet_core.models.confidence_predictor import ConfidencePredictor, confidence_macs
from m2aenet_core.models.leff import LeFF, leff_macs
from m2aenet_core.models.mask_predictor import sample_mask, threshold_mask
from m2aenet_core.models.window_attention import WindowAttention, attention_macs
from m2aenet_core.ops.draws import Draws
from m2aenet_core.ops.windows import WindowGrid, pixels_at_once, window_pixels, window_seams


class ActiveWindows(NamedTuple):
    """Which windows a block computes, prepared once for all blocks of a stage with the same shift.

    pixels (K, N): flat positions of their pixels. seams (K): the kind of seam each holds, None for straight windows.
    decision (K, 1, 1): what their change is multiplied by, None where pruned windows were left out.
    """

    pixels: Tensor
    seams: Tensor | None
    decision: Tensor | None

    def split(self, count: int) -> Iterator[ActiveWindows]:
        """Give them in portions of at most `count` windows; nothing where there are none."""
        for first in range(0, len(self.pixels), count):
            some = slice(first, first + count)
            seams, decision = (None if part is None else part[some] for part in self[1:])
            yield ActiveWindows(self.pixels[some], seams, decision)


def active_windows(grid: WindowGrid, mask: Tensor, *, pruned: bool) -> ActiveWindows:
    """Prepare the windows that a mask (B, 1, rows, columns) decides on: the kept ones, or all with their decision."""
    decision = mask.flatten()
    windows = decision.nonzero().squeeze(1) if pruned else torch.arange(len(decision), device=mask.device)
    return ActiveWindows(
        pixels=window_pixels(grid, windows),
        seams=window_seams(grid, windows) if grid.shift else None,
        decision=None if pruned else decision.view(-1, 1, 1),
    )


class AdaWPTBlock(nn.Module):
    """Attention and LeFF inside windows, each added to what came in where the decision keeps the window.

    is_modulated: a learned value for each pixel of the window is added before the attention (the decoder's blocks).
    drop_path: share of windows that skip a half of the block in training.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int,
        hidden: int,
        *,
        shift: int,
        is_modulated: bool,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.shift = shift
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(channels)
        self.modulator = nn.Parameter(torch.randn(window**2, channels)) if is_modulated else None
        self.attention = WindowAttention(channels, heads, window, shift)
        self.norm2 = nn.LayerNorm(channels)
        self.feed_forward = LeFF(channels, hidden, window)
        self.apply(_initialise)

    def forward(
        self, tokens: Tensor, seams: Tensor | None, decision: Tensor | None, draws: Draws | None = None
    ) -> Tensor:
        """Give the windows (K, N, C) after both halves; seams and decision as in ActiveWindows.

        draws: each image's random numbers, for all windows of each image in turn; without them they are torch's.
        """
        normed = self.norm1(tokens)
        if self.modulator is not None:
            normed = normed + self.modulator
        tokens = tokens + self._decided(self.attention(normed, seams), decision, draws)
        out: Tensor = tokens + self._decided(self.feed_forward(self.norm2(tokens)), decision, draws)
        return out

    def _decided(self, change: Tensor, decision: Tensor | None, draws: Draws | None) -> Tensor:
        if decision is not None:
            change = change * decision
        if self.training and self.drop_path:
            # window by window, as the released network does, not image by image
            numbers = (
                torch.rand(len(change), device=change.device) if draws is None else draws.uniform_rows(len(change))
            )
            stays = (numbers >= self.drop_path).to(change.dtype) / (1 - self.drop_path)
            change = change * stays.view(-1, 1, 1)
        return change


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


class StageOutput(NamedTuple):
    """features (B, C, H, W); logits, masks: of each predictor, (B, 2, h, w) and (B, 1, h, w) for h x w windows."""

    features: Tensor
    logits: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]


StageDecision = Sequence[Tensor] | float | Tensor | Draws | None
"""What decides in a stage: a mask of windows for each shift, a threshold, or, as in training, random numbers: each
image's own, or torch's where there is None."""


class AdaWPTStage(nn.Module):
    """AdaWPT blocks in a row, their windows straight and shifted by half in turns.

    The first straight and the first shifted block have a confidence predictor; its decision holds for all blocks with
    the same shift.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int,
        mlp_ratio: float,
        *,
        is_modulated: bool,
        drop_paths: Sequence[float],
        temperature: float,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.hidden = int(channels * mlp_ratio)
        self.window = window
        self.temperature = temperature
        self.blocks = nn.ModuleList(
            AdaWPTBlock(
                channels,
                heads,
                window,
                self.hidden,
                shift=window // 2 * (number % 2),
                is_modulated=is_modulated,
                drop_path=drop_path,
            )
            for number, drop_path in enumerate(drop_paths)
        )
        self.shifts = (0, window // 2)[: len(self.blocks)]
        self.predictors = nn.ModuleList(ConfidencePredictor(channels, window, shift) for shift in self.shifts)

    def forward(
        self, features: Tensor, decision: StageDecision, *, pruned: bool = False, only_decide: bool = False
    ) -> StageOutput:
        """Give the features (B, C, H, W) after all blocks, and the decisions on the way.

        pruned: compute the kept windows alone; otherwise all, their change multiplied by the decision. Both are equal
        up to rounding. only_decide: leave out the blocks that no decision depends on. Without gradients the result is
        written into the memory of the features that were given.
        """
        rows = features.permute(0, 2, 3, 1).contiguous()
        draws = decision if isinstance(decision, Draws) else None
        logits: list[Tensor] = []
        masks: list[Tensor] = []
        active: list[ActiveWindows] = []
        for number, block in enumerate(self.blocks):
            if number < len(self.shifts):
                found, mask = self._decide(number, rows, decision)
                logits += [] if found is None else [found]
                masks.append(mask)
                grid = WindowGrid(rows.shape[1], rows.shape[2], self.window, self.shifts[number])
                active.append(active_windows(grid, mask, pruned=pruned))
            if only_decide and len(masks) == len(self.shifts):
                break
            rows = _restore_windows(block, rows, active[number % 2], draws)
        return StageOutput(rows.permute(0, 3, 1, 2), tuple(logits), tuple(masks))

    def _decide(self, number: int, rows: Tensor, decision: StageDecision) -> tuple[Tensor | None, Tensor]:
        if isinstance(decision, Sequence):
            return None, decision[number]
        logits = self.predictors[number](rows.permute(0, 3, 1, 2))
        if decision is None or isinstance(decision, Draws):
            return logits, sample_mask(logits, self.temperature, decision)
        return logits, threshold_mask(logits, decision)

    def macs(
        self,
        height: int,
        width: int,
        masks: Sequence[Tensor] | None = None,
        *,
        is_predicted: bool = True,
        only_decide: bool = False,
    ) -> float:
        """Give the multiply-adds for one image with so many features: all windows, or those that masks keep.

        is_predicted: whether the masks come from the stage's predictors.
        """
        count = height * width // self.window**2
        kept = (
            [float(count)] * len(self.shifts)
            if masks is None
            else [float(mask.double().sum()) / len(mask) for mask in masks]
        )
        each = attention_macs(self.channels, self.window) + leff_macs(self.channels, self.hidden, self.window)
        blocks = len(self.shifts) - 1 if only_decide else len(self.blocks)
        predictors = len(self.shifts) * confidence_macs(self.channels, height * width) if is_predicted else 0
        return predictors + each * sum(kept[number % 2] for number in range(blocks))


def _restore_windows(block: nn.Module, rows: Tensor, windows: ActiveWindows, draws: Draws | None) -> Tensor:
    """Give the features (B, H, W, C) with a block computed at the active windows, in place without gradients."""
    channels = rows.shape[-1]
    flat = rows.view(-1, channels)
    # each image's random numbers are drawn for all of its windows together
    at_once = len(windows.pixels) if draws is not None else pixels_at_once(flat) // windows.pixels.shape[1]
    for part in windows.split(max(1, at_once)):
        # one look-up shifts, cuts into windows and leaves out what is pruned
        pixels = part.pixels.flatten()
        tokens = flat.index_select(0, pixels).view(*part.pixels.shape, channels)
        tokens = block(tokens, part.seams, part.decision, draws).view(-1, channels).to(flat.dtype)
        write = flat.index_copy if torch.is_grad_enabled() else flat.index_copy_
        flat = write(0, pixels, tokens)
    return flat.view_as(rows)
