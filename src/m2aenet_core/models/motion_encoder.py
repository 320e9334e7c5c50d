"""An encoder of the motion's own, from the scale above the one at which motion is found."""

from __future__ import annotations

from torch import Tensor, nn

from m2aenet_core.models.layers import attend_locally, downsample
from m2aenet_core.models.nafnet import nafblocks


class MotionEncoder(nn.Module):
    """A stage of the encoder again, for the motion alone, and blocks after it. Not part of the paper.

    What tells how long and which way a pixel moved is not what restores it, and features that were learned for the
    one keep little of the other. It may begin as the stage that it repeats: its further blocks are the identity at
    initialisation.
    """

    def __init__(self, channels: int, stage_blocks: int, blocks: int) -> None:
        """Channels and stage_blocks: of the stage that is repeated; blocks: after it, at twice the channels."""
        super().__init__()
        self.stage = nafblocks(channels, stage_blocks)
        self.down = downsample(channels)
        self.blocks = nafblocks(2 * channels, blocks)

    def attend_locally(self, scale: int) -> None:
        """Let its attention take means over the surroundings of each place; scale: that of what it gives."""
        attend_locally(self.stage, scale - 1)
        attend_locally(self.blocks, scale)

    def forward(self, features: Tensor) -> Tensor:
        """Give (B, 2 C, H / 2, W / 2) for features (B, C, H, W) that go into the stage; height and width even."""
        out: Tensor = self.blocks(self.down(self.stage(features)))
        return out
