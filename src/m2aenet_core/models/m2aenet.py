"""M2AENet: NAFNet that predicts where blur is, prunes sharp pixels and follows each pixel's motion.

Mask predictor, intra-motion analyzer and M2AS blocks sit at the fourth encoder stage (Appendix A). Everything
before that stage does not depend on the threshold: `analyze` computes it once, `restore` runs the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from m2aenet_core.models.layers import downsample, upsample
from m2aenet_core.models.m2as_block import M2ASStage
from m2aenet_core.models.mask_predictor import MaskPredictor, sample_mask, threshold_mask
from m2aenet_core.models.motion_analyzer import Motion, MotionAnalyzer
from m2aenet_core.models.nafnet import nafblocks
from m2aenet_core.models.trajectory_conv import trajectory_taps
from m2aenet_core.ops.padding import pad_to_multiple
from m2aenet_core.ops.sparse import kept_pixels


@dataclass(frozen=True)
class M2AENetConfig:
    """Size of an M2AENet. The defaults are the paper's network: 17,437,865 parameters."""

    width: int = 32
    """Channels at full resolution; doubled at each of the four scales below."""
    encoder_blocks: tuple[int, ...] = (1, 1, 1, 28)
    """Blocks of each encoder stage; those of the last stage are M2AS blocks."""
    middle_blocks: int = 1
    """Blocks at the lowest resolution."""
    decoder_blocks: tuple[int, ...] = (1, 1, 1, 1)
    """Blocks of each decoder stage, from the lowest resolution up."""


class Encoded(NamedTuple):
    """What does not depend on the threshold.

    image (B, 3, H, W), height and width multiples of `size_multiple`; skips: output of each encoder stage before
    the last; features: input of the last encoder stage; blur_logits (B, 2, h, w) and motion at that stage's scale.
    """

    image: Tensor
    skips: tuple[Tensor, ...]
    features: Tensor
    blur_logits: Tensor
    motion: Motion

    def crop(self, top: int, left: int, height: int, width: int) -> Encoded:
        """Give a rectangle of the image and of everything computed from it.

        All four numbers in image pixels, multiples of the model's `size_multiple`.
        """

        def cut(tensor: Tensor) -> Tensor:
            step = self.image.shape[-1] // tensor.shape[-1]
            rows = slice(top // step, (top + height) // step)
            return tensor[..., rows, left // step : (left + width) // step]

        return Encoded(
            image=cut(self.image),
            skips=tuple(cut(skip) for skip in self.skips),
            features=cut(self.features),
            blur_logits=cut(self.blur_logits),
            motion=Motion(cut(self.motion.start), cut(self.motion.end)),
        )


class M2AENetOutput(NamedTuple):
    """restored (B, 3, H, W); for each scale that has a predictor: blur_logits, the mask used, displacements."""

    restored: Tensor
    blur_logits: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]
    displacements: tuple[Motion, ...]


class M2AENet(nn.Module):
    """The whole network; (B, 3, H, W) in [0, 1], any height and width."""

    def __init__(self, config: M2AENetConfig | None = None) -> None:
        super().__init__()
        config = config or M2AENetConfig()
        if len(config.encoder_blocks) != len(config.decoder_blocks):
            raise ValueError("encoder_blocks and decoder_blocks need one number for each scale")
        self.config = config
        scales = len(config.encoder_blocks)
        channels = [config.width * 2**scale for scale in range(scales + 1)]
        self.motion_scale = scales - 1
        self.size_multiple = 2**scales
        motion_channels = channels[self.motion_scale]

        self.intro = nn.Conv2d(3, config.width, 3, padding=1)
        self.encoders = nn.ModuleList(
            nafblocks(c, count) for c, count in zip(channels[:-2], config.encoder_blocks[:-1], strict=True)
        )
        self.downs = nn.ModuleList(downsample(c) for c in channels[:-1])
        self.mask_predictor = MaskPredictor(motion_channels)
        self.motion_analyzer = MotionAnalyzer(motion_channels)
        self.motion_stage = M2ASStage(motion_channels, config.encoder_blocks[-1])
        self.middle = nafblocks(channels[-1], config.middle_blocks)
        self.ups = nn.ModuleList(upsample(c) for c in channels[:0:-1])
        self.decoders = nn.ModuleList(
            nafblocks(c, count) for c, count in zip(channels[-2::-1], config.decoder_blocks, strict=True)
        )
        self.ending = nn.Conv2d(config.width, 3, 3, padding=1)
        # the network begins as the identity: restored = blur + 0
        nn.init.zeros_(self.ending.weight)
        assert self.ending.bias is not None
        nn.init.zeros_(self.ending.bias)

    def forward(self, blur: Tensor, threshold: float | Tensor = 0.5) -> M2AENetOutput:
        """Encode, decide the mask, restore: dense evaluation, as training uses it.

        In training mode the mask is drawn (eq. 2); in evaluation mode it is the probability against the
        threshold (eq. 3).
        """
        height, width = blur.shape[-2:]
        encoded = self.analyze(pad_to_multiple(blur, self.size_multiple))
        logits = encoded.blur_logits
        mask = sample_mask(logits) if self.training else threshold_mask(logits, threshold)
        restored = self.restore(encoded, mask)[..., :height, :width]
        return M2AENetOutput(restored, (logits,), (mask,), (encoded.motion,))

    def analyze(self, image: Tensor) -> Encoded:
        """Encode to the fourth stage, predict blur and motion. Height and width: multiples of size_multiple."""
        features = self.intro(image)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=False):
            features = encoder(features)
            skips.append(features)
            features = down(features)
        logits, motion = self.mask_predictor(features), self.motion_analyzer(features)
        return Encoded(image, tuple(skips), features, logits, motion)

    def restore(self, encoded: Encoded, mask: Tensor, *, pruned: bool = False) -> Tensor:
        """Give the restored image for a mask (B, 1, h, w) at the motion scale.

        pruned: compute blurred pixels alone inside the M2AS blocks (Figure 2c); equal to dense up to rounding.
        """
        taps = trajectory_taps(encoded.motion)
        kept = kept_pixels(mask) if pruned else None
        motion_features = self.motion_stage(encoded.features, mask, taps, kept)
        features = self.middle(self.downs[-1](motion_features))
        skips = (*encoded.skips, motion_features)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            features = decoder(up(features) + skip)
        restored: Tensor = self.ending(features) + encoded.image
        return restored
