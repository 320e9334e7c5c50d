"""The intra-motion analyzer: how each pixel moved during the exposure (M2AENet, section 3.2)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from m2aenet_core.models.path import ends_of_path
from m2aenet_core.models.trajectory import Motion, TrajectoryForm

MotionOutput = Literal["ends", "path"]


class MotionAnalyzer(nn.Module):
    """One 3x3 convolution from features to displacements.

    Two of them, start and end, for the quadratic and the linear trajectory; one for each tap for the learnable one.
    output: "ends" gives start and end as the paper does; "path" gives what a photo can tell, `ends_of_path`.
    """

    def __init__(
        self, channels: int, form: TrajectoryForm = "quadratic", taps: int = 9, output: MotionOutput = "ends"
    ) -> None:
        super().__init__()
        self.form: TrajectoryForm = form
        self.output: MotionOutput = output
        self.conv = nn.Conv2d(channels, 2 * (taps if form == "learnable" else 2), 3, padding=1)
        # nearly no motion at first: the taps of the motion-aware convolution begin on their own grid
        nn.init.normal_(self.conv.weight, std=0.01)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, features: Tensor) -> Motion:
        """Give the motion for features (B, C, H, W), in pixels of their scale."""
        field = self.conv(features)
        if self.output == "ends":
            return Motion(field, self.form)
        return Motion(ends_of_path(field), self.form, tells_time=False)
