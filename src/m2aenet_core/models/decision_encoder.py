"""An encoder of the decisions' own, up to the scale at which they are taken."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from m2aenet_core.models.layers import attend_locally, downsample
from m2aenet_core.models.nafnet import nafblocks, walk_down


class DecisionEncoder(nn.Module):
    """The stages before the last one again, for mask and motion alone. Not part of the paper.

    What is restored can then go on learning from the first convolution on, and takes nothing from the decisions; and
    where little is blurred, its stages are computed for that little alone. It may begin as the stages that it repeats.
    """

    def __init__(self, width: int, encoder_blocks: Sequence[int]) -> None:
        """Width: channels at full resolution; encoder_blocks: of all stages, the last of which is not repeated."""
        super().__init__()
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoders = nn.ModuleList(
            nafblocks(width << scale, count) for scale, count in enumerate(encoder_blocks[:-1])
        )
        self.downs = nn.ModuleList(downsample(width << scale) for scale in range(len(encoder_blocks) - 1))

    def attend_locally(self) -> None:
        """Let its attention take means over the surroundings of each place."""
        for scale, stage in enumerate(self.encoders):
            attend_locally(stage, scale)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Give the input of the last stage, (B, width * 2^n, H / 2^n, W / 2^n), and the output of those before."""
        return walk_down(self.intro(image), self.encoders, self.downs)
