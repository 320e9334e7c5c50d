"""M2AENet: NAFNet that predicts where blur is, prunes sharp pixels and follows each pixel's motion.

Mask predictor, intra-motion analyzer and M2AS blocks sit at the fourth encoder stage (Appendix A), or at every scale
(main text). At the fourth stage everything before it does not depend on the threshold: `analyze` computes it once,
`restore` runs the rest. At every scale each decision depends on the ones before: `restore` runs the whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2aenet_core.models.deciding import DecidingNetwork
from m2aenet_core.models.layers import Upsample, downsample
from m2aenet_core.models.learning import Learning
from m2aenet_core.models.m2aenet_config import M2AENetConfig
from m2aenet_core.models.m2aenet_macs import MacCounter
from m2aenet_core.models.m2as_block import Guide, M2ASStage
from m2aenet_core.models.mask_predictor import blur_probability, sample_mask, threshold_mask
from m2aenet_core.models.nafnet import (
    FUSED_LIVE_VALUES,
    LIVE_VALUES,
    NAFNet,
    attend_locally_at_scales,
    nafblocks,
    walk_down,
)
from m2aenet_core.models.network import Decision, Encoded, NetworkOutput, Restored
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.models.trajectory_conv import trajectory_taps
from m2aenet_core.models.trajectory_deconvolution import DECONVOLUTION_LIVE_VALUES, TrajectoryDeconvolution
from m2aenet_core.ops.draws import Draws
from m2aenet_core.ops.padding import Padding, corner_padding
from m2aenet_core.ops.resize import resize_image, shrink_mask
from m2aenet_core.ops.sparse import kept_pixels, pruning_pays

__all__ = ["M2AENet", "M2AENetConfig"]


class M2AENet(DecidingNetwork):
    """The whole network; (B, 3, H, W) in [0, 1], any height and width.

    Its layers bear NAFNet's names.
    """

    def __init__(self, config: M2AENetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or M2AENetConfig()
        scales = len(config.encoder_blocks)
        channels = [config.width * 2**scale for scale in range(scales + 1)]
        self.size_multiple = 2**scales
        self.cell_px = 2 ** (scales - 1)
        self.has_mask, self.has_motion = config.use_mask, config.use_motion
        beside = DECONVOLUTION_LIVE_VALUES if config.deconvolution else 0
        self.live_values = LIVE_VALUES * config.width + beside
        self.fused_live_values = FUSED_LIVE_VALUES * config.width + beside
        is_guided = config.use_mask or config.use_motion
        self.decides_along = is_guided and config.scales == "every"
        self.guided_scales = range(0 if self.decides_along else scales - 1, scales) if is_guided else range(0)

        self.intro = nn.Conv2d(3, config.width, 3, padding=1)
        self.encoders = nn.ModuleList(
            self._stage(c, count, scale in self.guided_scales)
            for scale, (c, count) in enumerate(zip(channels[:-1], config.encoder_blocks, strict=True))
        )
        self.downs = nn.ModuleList(downsample(c) for c in channels[:-1])
        self._make_deciders(channels)
        self.deconvolution = None
        if config.deconvolution:
            self.deconvolution = TrajectoryDeconvolution(channels[:-1], config.deconvolution)
        self.middle = self._stage(channels[-1], config.middle_blocks, self.decides_along)
        self.ups = nn.ModuleList(Upsample(c) for c in channels[:0:-1])
        self.decoders = nn.ModuleList(
            self._stage(c, count, self.decides_along)
            for c, count in zip(channels[-2::-1], config.decoder_blocks, strict=True)
        )
        self.ending = nn.Conv2d(config.width, 3, 3, padding=1)
        if config.attention == "local":
            attend_locally_at_scales(self.encoders, self.middle, self.decoders)
            self._decide_locally()
        # the network begins as the identity: restored = blur + 0
        nn.init.zeros_(self.ending.weight)
        assert self.ending.bias is not None
        nn.init.zeros_(self.ending.bias)

    @classmethod
    def from_nafnet(cls, nafnet: NAFNet, config: M2AENetConfig | None = None) -> M2AENet:
        """Give the network that begins as a trained NAFNet: with every pixel kept, its output is NAFNet's.

        Only the form is taken from `config`; the size is NAFNet's. The motion-aware convolutions begin as the
        identity (centre tap alone), the displacements at zero.
        """
        size = nafnet.config
        config = replace(
            config or M2AENetConfig(),
            width=size.width,
            encoder_blocks=size.encoder_blocks,
            middle_blocks=size.middle_blocks,
            decoder_blocks=size.decoder_blocks,
            attention=size.attention,
        )
        network = cls(config)
        state = network.state_dict()
        for name, tensor in state.items():
            if "trajectory_conv." in name or name.startswith("motion_analyzers."):
                tensor.zero_()
            if name.endswith("trajectory_conv.weight"):
                tensor[..., tensor.shape[-2] // 2, tensor.shape[-1] // 2] = 1
        state |= nafnet.state_dict()
        own = "decision_encoder."
        network.load_state_dict({name: state[name.removeprefix(own)] for name in state})
        return network.eval()

    def to_nafnet(self) -> NAFNet:
        """Give the backbone alone: a NAFNet of the same size, which knows neither masks, motion nor deconvolution."""
        size = self.config
        stages = size.encoder_blocks, size.middle_blocks, size.decoder_blocks
        nafnet = NAFNet(size.width, *stages, attention=size.attention)
        state = self.state_dict()
        nafnet.load_state_dict({name: state[name] for name in nafnet.state_dict()})
        return nafnet.eval()

    def _stage(self, channels: int, count: int, is_guided: bool) -> nn.Sequential:
        if not is_guided:
            return nafblocks(channels, count)
        config = self.config
        positions = config.mask_positions if config.use_mask else ()
        return M2ASStage(channels, count, positions, config.taps if config.use_motion else 0)

    def forward(
        self,
        blur: Tensor,
        threshold: float | Tensor | None = None,
        draws: Draws | None = None,
        *,
        learn: Learning = "all",
    ) -> NetworkOutput:
        """Encode, decide the masks, restore: dense evaluation, as training uses it.

        learn: what gradients are to reach, if not everything; what need not be computed for it is left out. Where only
        decisions or motion learn, `restored` is the input.

        In training mode the masks are drawn (eq. 2), with each sample's `draws` or with torch's random numbers; in
        evaluation mode, and where masks do not learn, they are the probability against the threshold (eq. 3), by
        default the config's. Logits, masks and displacements are those of each guided scale. Where motion learns beside
        the restoration, no gradients reach it from what is restored.
        """
        padding = corner_padding(blur.shape[-2], blur.shape[-1], self.size_multiple)
        image = padding.add(blur)
        if learn in ("decisions", "motion"):
            return self._decisions(blur, image, padding, with_mask=learn == "decisions")
        limit = self.config.threshold if threshold is None else threshold
        all_logits: list[Tensor] = []
        masks: list[Tensor] = []
        motions: list[Motion] = []
        seen: tuple[Tensor, list[Tensor]] | None = None

        def guide(scale: int, features: Tensor) -> Guide:
            logits, motion = self._look(scale, features, skips) if seen is None else self._look(scale, *seen)
            mask = None
            if logits is not None:
                if self.training and learn == "all":
                    mask = sample_mask(logits, self.config.temperature, draws)
                else:
                    # masks that do not learn are those of inference
                    mask = threshold_mask(logits, limit)
                all_logits.append(logits)
                masks.append(mask)
            if motion is not None:
                motions.append(motion)
                motion = motion if learn == "all" else motion.map(Tensor.detach)
            decided = threshold_mask(logits, limit) if logits is not None and self.training else mask
            return self._guide(mask, motion)._replace(decided=decided)

        if self.decision_encoder is not None:
            with torch.set_grad_enabled(torch.is_grad_enabled() and learn == "all"):
                seen = self.decision_encoder(image)
        if learn == "restoration" and seen is None:
            with torch.no_grad():
                features, skips = self._encode(image)
        else:
            features, skips = self.intro(image), []
        restored = padding.remove(self._run(image, features, skips, guide))
        return NetworkOutput(restored, tuple(all_logits), tuple(masks), tuple(motions), padding=padding)

    def _decisions(self, blur: Tensor, image: Tensor, padding: Padding, *, with_mask: bool) -> NetworkOutput:
        """Give logits, if wanted, and motion at the last encoder stage.

        Without gradients before it, unless all decisions learn and have an encoder of their own.
        """
        encoder_learns = with_mask and self.decision_encoder is not None
        with torch.set_grad_enabled(torch.is_grad_enabled() and encoder_learns):
            features, skips = self._see(image)
        logits, motion = self._look(len(skips), features, skips, with_mask=with_mask)
        return NetworkOutput(
            blur,
            () if logits is None else (logits,),
            (),
            () if motion is None else (motion,),
            padding=padding,
        )

    def analyze(self, image: Tensor) -> Encoded:
        """Encode to the last encoder stage, predict blur and motion. Height and width: multiples of size_multiple.

        At every scale, decisions on the way are taken at the config's threshold; the blur probability given is the
        mean over the scales, the motion that of the last.
        """
        if self.decides_along:
            return self._analyze_along(image, self.intro(image))
        features, skips = self._see(image)
        logits, motion = self._look(len(skips), features, skips) if len(self.guided_scales) else (None, None)
        if self.decision_encoder is not None:
            return Encoded(image, logits, motion)
        return Encoded(image, logits, motion, tuple(skips), features)

    def _see(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Give what decisions at the last encoder stage are taken on: its input, and the output of those before."""
        return self._encode(image) if self.decision_encoder is None else self.decision_encoder(image)

    def _encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Give the input of the last encoder stage, and the output of those before."""
        return walk_down(self.intro(image), self.encoders[:-1], self.downs[:-1])

    def _analyze_along(self, image: Tensor, features: Tensor) -> Encoded:
        probabilities, motion = [], None
        masks: list[Tensor] = []
        size = (image.shape[-2] // self.cell_px, image.shape[-1] // self.cell_px)
        for scale in range(len(self.encoders)):
            guide = None
            if scale in self.guided_scales:
                logits, motion = self._look(scale, features, ())
                mask = None if logits is None else threshold_mask(logits, self.config.threshold)
                if logits is not None and mask is not None:
                    probabilities.append(resize_image(blur_probability(logits.float()), size))
                    masks.append(mask)
                guide = self._guide(mask, motion, pruned=True)
            if scale < len(self.encoders) - 1:
                features = self.downs[scale](_apply(self.encoders[scale], features, guide))
        logits = None
        if probabilities:
            mean = torch.stack(probabilities).mean(dim=0).clamp(1e-6, 1 - 1e-6)
            logits = torch.cat([mean, 1 - mean], dim=1).log()
        return Encoded(image, logits, motion, masks=tuple(masks))

    def restore(self, encoded: Encoded, decision: Decision, *, pruned: bool = False) -> Restored:
        """Give the restored image for a threshold, or for a mask (B, 1, h, w) of cells of `cell_px` pixels.

        pruned: compute blurred pixels alone inside the M2AS blocks (Figure 2c); equal to dense up to rounding.
        """
        masks: list[Tensor] = []

        def guide(scale: int, features: Tensor) -> Guide:
            if self.decides_along:
                logits, motion = self._look(scale, features, ())
            else:
                logits, motion = encoded.blur_logits, encoded.motion
            mask = None
            if logits is not None:
                size = (features.shape[-2], features.shape[-1])
                mask = _cells_at(decision, size) if isinstance(decision, Tensor) else threshold_mask(logits, decision)
                masks.append(mask)
            return self._guide(mask, motion, pruned=pruned)

        features = self.intro(encoded.image) if encoded.features is None else encoded.features
        restored = self._run(encoded.image, features, list(encoded.skips), guide)
        return Restored(restored, tuple(masks))

    # -- the flow of the network -------------------------------------------------------------------------------

    def _guide(self, mask: Tensor | None, motion: Motion | None, *, pruned: bool = False) -> Guide:
        taps = None if motion is None else trajectory_taps(motion, self.config.taps)
        pays = pruned and mask is not None and pruning_pays(mask)
        return Guide(mask, taps, kept_pixels(mask) if pays and mask is not None else None, motion, mask)

    def _run(
        self, image: Tensor, features: Tensor, skips: list[Tensor], make_guide: Callable[[int, Tensor], Guide]
    ) -> Tensor:
        """Go on from the features of encoder stage number `len(skips)` to the restored image."""
        guides: dict[int, Guide] = {}
        change: Tensor | None = None
        for scale in range(len(skips), len(self.encoders)):
            if scale in self.guided_scales:
                guides[scale] = made = make_guide(scale, features)
                if self.deconvolution is not None and made.motion is not None:
                    change = self.deconvolution.change(image, made.motion, made.decided)
                    features = features + self.deconvolution(change, scale)
            features = _apply(self.encoders[scale], features, guides.get(scale))
            skips.append(features)
            features = self.downs[scale](features)
        features = _apply(self.middle, features, self._halved(guides) if self.decides_along else None)
        for step, (up, decoder) in enumerate(zip(self.ups, self.decoders, strict=True), start=1):
            scale = len(self.encoders) - step
            guide = guides[scale] if self.decides_along else None
            features = up(features).add_(skips.pop())
            # at the last encoder stage's scale it has been shown to the encoder
            if self.deconvolution is not None and change is not None and scale not in guides:
                features = features.add_(self.deconvolution(change, scale))
            features = _apply(decoder, features, guide)
        restored: Tensor = self.ending(features) + image
        return restored

    def _halved(self, guides: dict[int, Guide]) -> Guide:
        """Give the guide of the middle blocks: the last scale's, at half its size."""
        last = guides[max(guides)]
        mask = None if last.mask is None else shrink_mask(last.mask, 2)
        motion = None
        if last.motion is not None:
            size = (last.motion.field.shape[-2] // 2, last.motion.field.shape[-1] // 2)
            motion = last.motion.resized(size)
        return self._guide(mask, motion, pruned=last.kept is not None)

    # -- counting ----------------------------------------------------------------------------------------------

    def decision_grids(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """Give height and width of the mask of each guided scale."""
        if not self.has_mask:
            return ()
        return tuple((height >> scale, width >> scale) for scale in self.guided_scales)

    def analyze_macs(self, height: int, width: int, masks: Sequence[Tensor] = ()) -> int:
        """Give the convolution multiply-adds of `analyze` at the padded size."""
        return self._counter(height, width).analysis(masks)

    def restore_macs(self, height: int, width: int, masks: Sequence[Tensor] | None = None) -> int:
        """Give the convolution multiply-adds of `restore` at the padded size.

        masks: those of each guided scale, or None for dense evaluation. Counted as pruned for any mask; where pruning
        would not pay (`pruning_pays`), the blocks are computed densely instead.
        """
        return self._counter(height, width).restoration(masks or ())

    def _counter(self, height: int, width: int) -> MacCounter:
        return MacCounter(self.config, self.guided_scales, self.decides_along, height, width)


def _apply(stage: nn.Module, features: Tensor, guide: Guide | None) -> Tensor:
    out: Tensor = stage(features) if guide is None else stage(features, guide)
    return out


def _cells_at(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Give a mask of cells at a scale at least as fine."""
    return mask if tuple(mask.shape[-2:]) == size else F.interpolate(mask, size=size, mode="nearest")
