"""LMD-ViT: a U-shaped Transformer that prunes sharp windows (Li et al., ICLR 2024).

Encoder, middle and decoder are stages of AdaWPT blocks. Each stage decides from its own features which windows are
blurred, and the features depend on the decisions before: `restore` runs the whole network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2aenet_core.errors import InputError
from m2aenet_core.models.adawpt import AdaWPTStage, StageOutput
from m2aenet_core.models.mask_predictor import blur_probability
from m2aenet_core.models.network import Decision, Encoded, Network, NetworkOutput, Restored
from m2aenet_core.ops.draws import Draws
from m2aenet_core.ops.padding import centre_padding
from m2aenet_core.ops.windows import cells_of_windows, windows_of_cells

# float32 values alive at once per pixel and channel of width: about 6 measured over a whole run, and room
LIVE_VALUES = 8


@dataclass(frozen=True)
class LMDViTConfig:
    """Size and form of an LMD-ViT. The defaults are the published network of 54,549,163 parameters.

    Raises InputError for values that do not fit together.
    """

    width: int = 32
    """Channels at full resolution; doubled at each scale below, and again in the decoder, which takes the skips."""
    window: int = 8
    """Side of a window in pixels of its scale, an even number."""
    depths: tuple[int, ...] = (1, 2, 8, 8, 2, 8, 8, 2, 1)
    """Blocks of each stage: encoder, middle, decoder from the lowest resolution up."""
    heads: tuple[int, ...] = (1, 2, 4, 8, 16, 16, 8, 4, 2)
    """Attention heads of each stage."""
    mlp_ratio: float = 4.0
    """Hidden channels of the feed-forward network for each channel of its stage."""
    drop_path: float = 0.1
    """Largest share of windows that skip a half of a block in training; it grows along the encoder."""
    temperature: float = 1.0
    """Temperature of the Gumbel-Softmax that draws decisions in training."""
    threshold: float = 0.5
    """Confidence above which a window counts as blurred where no threshold is given."""
    gate_floor: float = 0.1
    """Least share of the residual that the output's gate lets through."""

    def __post_init__(self) -> None:
        stages = len(self.depths)
        if stages < 3 or stages % 2 == 0 or len(self.heads) != stages:
            raise InputError("depths and heads need one number for each stage: encoder, middle, and as many to decode")
        if min(*self.depths, *self.heads) < 1 or self.window < 2 or self.window % 2:
            raise InputError("every stage needs a block and a head, and the window an even side")
        if self.width < 4 or self.width % 4 or any(c % h for c, h in zip(self.channels, self.heads, strict=True)):
            raise InputError("the width must be a multiple of 4, and each stage's channels one of its heads")
        if not 0 <= self.drop_path < 1 or self.temperature <= 0 or not 0 <= self.threshold <= 1:
            raise InputError("drop_path and the threshold must be from 0 to 1, and the temperature above 0")

    @property
    def scales(self) -> tuple[int, ...]:
        """Scale of each stage: 0 is full resolution."""
        lowest = len(self.depths) // 2
        return (*range(lowest), *range(lowest, -1, -1))

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each stage."""
        lowest = len(self.depths) // 2
        decoder = [self.width << (scale + 1) for scale in reversed(range(lowest))]
        return (*(self.width << scale for scale in range(lowest + 1)), *decoder)

    @property
    def drop_paths(self) -> tuple[tuple[float, ...], ...]:
        """Share of dropped windows for each block of each stage: 0 to drop_path along the encoder, back after it."""
        lowest = len(self.depths) // 2
        encoder = _ramp(self.drop_path, self.depths[:lowest])
        decoder = _ramp(self.drop_path, self.depths[:lowest:-1])
        middle = (self.drop_path,) * self.depths[lowest]
        return (*encoder, middle, *(stage[::-1] for stage in reversed(decoder)))


def _ramp(highest: float, depths: Sequence[int]) -> list[tuple[float, ...]]:
    """Give even steps from 0 to `highest` along all blocks, stage by stage."""
    step = highest / max(1, sum(depths) - 1)
    begins = [sum(depths[:stage]) for stage in range(len(depths))]
    return [tuple(step * (begin + n) for n in range(depth)) for begin, depth in zip(begins, depths, strict=True)]


class LMDViT(Network):
    """The whole network; (B, 3, H, W) in [0, 1], any height and width."""

    config: LMDViTConfig
    has_mask = True
    has_motion = False
    decides_along = True
    decides_windows = True

    def __init__(self, config: LMDViTConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or LMDViTConfig()
        self.lowest = len(config.depths) // 2
        self.cell_px = config.window
        self.size_multiple = config.window << self.lowest
        self.live_values = self.fused_live_values = LIVE_VALUES * config.width
        width, channels = config.width, config.channels
        stages = [self._stage(number) for number in range(len(config.depths))]
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoders = nn.ModuleList(stages[: self.lowest])
        self.downs = nn.ModuleList(
            nn.Conv2d(width << scale, width << (scale + 1), 4, stride=2, padding=1) for scale in range(self.lowest)
        )
        self.middle = stages[self.lowest]
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(channels[number - 1], channels[number] // 2, 2, stride=2)
            for number in range(self.lowest + 1, len(channels))
        )
        self.decoders = nn.ModuleList(stages[self.lowest + 1 :])
        # three channels of residual, one of its gate
        self.ending = nn.Conv2d(channels[-1], 4, 3, padding=1)
        # the network begins as the identity: restored = blur + 0
        nn.init.zeros_(self.ending.weight)
        assert self.ending.bias is not None
        nn.init.zeros_(self.ending.bias)

    def _stage(self, number: int) -> AdaWPTStage:
        config = self.config
        return AdaWPTStage(
            config.channels[number],
            config.heads[number],
            config.window,
            config.mlp_ratio,
            is_modulated=number > self.lowest,
            drop_paths=config.drop_paths[number],
            temperature=config.temperature,
        )

    @property
    def stages(self) -> list[AdaWPTStage]:
        """All stages in the order of the flow; the scale of each is in the config's `scales`."""
        return [stage for stage in (*self.encoders, self.middle, *self.decoders) if isinstance(stage, AdaWPTStage)]

    def forward(
        self, blur: Tensor, threshold: float | Tensor | None = None, draws: Draws | None = None
    ) -> NetworkOutput:
        """Restore images of any size: dense evaluation, as training uses it.

        In training mode decisions are drawn, with each image's `draws` or with torch's random numbers; in evaluation
        mode they are the confidence against the threshold, by default the config's. Logits and masks are those of each
        predictor's windows on the padded image (`centre_padding` to size_multiple), which lie `shifts_px` further down
        and right.
        """
        padding = centre_padding(blur.shape[-2], blur.shape[-1], self.size_multiple)
        limit = self.config.threshold if threshold is None else threshold
        restored, logits, masks = self._run(padding.add(blur), draws if self.training else limit)
        return NetworkOutput(
            padding.remove(restored), tuple(logits), tuple(masks), shifts_px=self.shifts_px, padding=padding
        )

    @property
    def shifts_px(self) -> tuple[int, ...]:
        """By how many image pixels each predictor's windows lie further down and right."""
        return tuple(
            shift << scale
            for stage, scale in zip(self.stages, self.config.scales, strict=True)
            for shift in stage.shifts
        )

    def analyze(self, image: Tensor) -> Encoded:
        """Look at the image with the encoder. Height and width: multiples of size_multiple.

        The blur probability of a cell is the mean confidence of the encoder's windows that it lies in; masks are
        their decisions, taken at the config's threshold.
        """
        features = self._enter(image)
        confidences: list[Tensor] = []
        masks: list[Tensor] = []
        for scale, encoder in enumerate(self.encoders):
            is_last = scale == self.lowest - 1
            stage: StageOutput = encoder(features, self.config.threshold, pruned=True, only_decide=is_last)
            for logits, is_shifted in zip(stage.logits, (False, True), strict=False):
                windows = blur_probability(logits.float())
                confidences.append(cells_of_windows(windows, 1 << scale, is_shifted=is_shifted))
            masks += stage.masks
            if not is_last:
                features = self.downs[scale](stage.features)
        mean = torch.stack(confidences).mean(dim=0).clamp(1e-6, 1 - 1e-6)
        return Encoded(image, torch.cat([mean, 1 - mean], dim=1).log(), None, masks=tuple(masks))

    def restore(self, encoded: Encoded, decision: Decision, *, pruned: bool = False) -> Restored:
        """Give the restored image for a threshold, or for a mask (B, 1, h, w) of cells of cell_px pixels.

        With a threshold the network decides, and gives the decisions of every stage. With a mask every window that
        holds a blurred cell is kept, no predictor runs, and the mask alone is given back. pruned: compute the kept
        windows alone; equal to dense up to rounding.
        """
        restored, _, masks = self._run(encoded.image, decision, pruned=pruned)
        return Restored(restored, (decision,) if _is_mask(decision) else tuple(masks))

    # -- the flow of the network -------------------------------------------------------------------------------

    def _run(
        self, image: Tensor, decision: Decision | Draws | None, *, pruned: bool = False
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Give the restored image, and the logits and masks of all predictors."""
        all_logits: list[Tensor] = []
        masks: list[Tensor] = []
        stages = iter(zip(self.stages, self.config.scales, strict=True))

        def run_next_stage(features: Tensor) -> Tensor:
            stage, scale = next(stages)
            decided = _windows_kept(stage, scale, decision) if _is_mask(decision) else decision
            output: StageOutput = stage(features, decided, pruned=pruned)
            all_logits.extend(output.logits)
            masks.extend(output.masks)
            return output.features

        features, skips = self._enter(image), []
        for down in self.downs:
            skips.append(run_next_stage(features))
            features = down(skips[-1])
        features = run_next_stage(features)
        for up in self.ups:
            features = run_next_stage(torch.cat([up(features), skips.pop()], dim=1))
        residual, gate = self.ending(features).split([3, 1], dim=1)
        return image + residual * gate.sigmoid().clamp_min(self.config.gate_floor), all_logits, masks

    def _enter(self, image: Tensor) -> Tensor:
        # windows take the channels of a pixel as one row: memory in that order saves copies
        return F.leaky_relu(self.intro(image.contiguous(memory_format=torch.channels_last)))

    # -- counting ----------------------------------------------------------------------------------------------

    def decision_grids(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Give rows and columns of each predictor's windows."""
        side = self.config.window
        return tuple(
            ((height >> scale) // side, (width >> scale) // side)
            for stage, scale in zip(self.stages, self.config.scales, strict=True)
            for _ in stage.shifts
        )

    def analyze_macs(self, height: int, width: int, masks: Sequence[Tensor] = ()) -> int:
        """Give the multiply-adds of `analyze` at a padded size, with the windows that masks keep, or all without."""
        total = 27.0 * self.config.width * height * width
        by_stage = self._by_stage(masks) if masks else [None] * self.lowest
        for scale, (stage, kept) in enumerate(zip(self.stages[: self.lowest], by_stage, strict=False)):
            is_last = scale == self.lowest - 1
            total += stage.macs(height >> scale, width >> scale, kept, only_decide=is_last)
            total += 0 if is_last else self._down_macs(scale, height * width)
        return round(total)

    def restore_macs(self, height: int, width: int, masks: Sequence[Tensor] | None = None) -> int:
        """Give the multiply-adds of `restore`, which runs the whole network, at a padded size.

        masks: what it gave, each predictor's decisions or the mask of cells alone; or None for dense evaluation with
        the network's own decisions.
        """
        pixels, scales, channels = height * width, self.config.scales, self.config.channels
        by_stage: list[Sequence[Tensor] | None] = [None] * len(scales)
        is_predicted = masks is None or len(masks) > 1
        if masks is not None:
            by_stage = self._by_stage(masks) if is_predicted else self._by_stage_of_cells(masks[0])
        total = (27.0 * self.config.width + 36 * channels[-1]) * pixels
        for stage, scale, kept in zip(self.stages, scales, by_stage, strict=True):
            total += stage.macs(height >> scale, width >> scale, kept, is_predicted=is_predicted)
        total += sum(self._down_macs(scale, pixels) for scale in range(self.lowest))
        for number, scale in enumerate(range(self.lowest, 0, -1), start=self.lowest):
            total += 2 * channels[number] * channels[number + 1] * (pixels >> (2 * scale))
        return round(total)

    def _down_macs(self, scale: int, pixels: int) -> int:
        return 32 * self.config.channels[scale] ** 2 * (pixels >> (2 * scale + 2))

    def _by_stage(self, masks: Sequence[Tensor]) -> list[Sequence[Tensor] | None]:
        """Give each stage's share of the decisions of all predictors, or of the first stages' alone."""
        left = list(masks)
        return [[left.pop(0) for _ in stage.shifts] for stage in self.stages if left]

    def _by_stage_of_cells(self, mask: Tensor) -> list[Sequence[Tensor] | None]:
        """Give the windows that each stage keeps for a mask of cells."""
        scales = self.config.scales
        return [_windows_kept(stage, scale, mask) for stage, scale in zip(self.stages, scales, strict=True)]


def _windows_kept(stage: AdaWPTStage, scale: int, cells: Tensor) -> list[Tensor]:
    """Give for each shift the windows of a stage that hold a cell of a mask (B, 1, h, w)."""
    return [windows_of_cells(cells, 1 << scale, is_shifted=shift > 0) for shift in stage.shifts]


def _is_mask(decision: Decision | Draws | None) -> TypeGuard[Tensor]:
    """Whether a decision is a mask; a tensor of one number is a threshold."""
    return isinstance(decision, Tensor) and decision.dim() > 0
