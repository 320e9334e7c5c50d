"""The motion-aware deformable convolution (M2AENet, section 3.3.2, Figure 3)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from m2aenet_core.models.trajectory import Motion
from m2aenet_core.ops.sampling import TapTable, deformable_depthwise, deformable_passes, tap_table


def kernel_side(taps: int) -> int:
    """Give the side of a square kernel with so many taps (N1). Raises ValueError unless it is odd."""
    side = math.isqrt(taps)
    if side**2 != taps or side % 2 == 0:
        raise ValueError(f"{taps} taps do not fill a square kernel of odd side; give 9, 25 or 49")
    return side


def trajectory_taps(motion: Motion, taps: int = 9) -> TapTable:
    """Prepare taps at grid_k + o(t_k), k = 0 .. taps - 1 in row-major order, once for all blocks of a stage."""
    # coordinates stay in float32 under autocast: bfloat16 cannot tell neighbouring pixels apart beyond 256
    offsets = motion.map(Tensor.float).trajectory(taps) if motion.field.dtype.itemsize < 4 else motion.trajectory(taps)
    # the middle tap is read at mid-exposure, where a trajectory begins: only a learned one may move it
    return tap_table(offsets, kernel_side(taps), middle_is_still=taps > 1 and motion.form != "learnable")


class TrajectoryConv(nn.Module):
    """Depthwise convolution whose taps follow the trajectory: tap k reads at grid_k + o(t_k)."""

    def __init__(self, channels: int, taps: int = 9) -> None:
        super().__init__()
        side = kernel_side(taps)
        self.weight = nn.Parameter(torch.zeros(channels, 1, side, side))
        self.bias = nn.Parameter(torch.zeros(channels))
        # nearly the identity; the small outer taps let gradients reach the displacements from the first step
        nn.init.normal_(self.weight, std=0.05)
        self.weight.data[:, :, side // 2, side // 2] = 1.0

    def forward(self, features: Tensor, taps: TapTable) -> Tensor:
        """Convolve (B, C, H, W) along the trajectories."""
        if torch.is_autocast_enabled(features.device.type):
            # as for other convolutions: what follows would otherwise be twice as long
            kernel, bias = self.weight.to(features.dtype), self.bias.to(features.dtype)
            return deformable_depthwise(features, kernel, bias, taps)
        return deformable_depthwise(features, self.weight, self.bias, taps)

    def passes(self, rows: Tensor, taps: TapTable) -> Iterator[tuple[int, int, Tensor]]:
        """Convolve rows (B * H * W, C) pass by pass, for inference on a CPU: see `deformable_passes`."""
        return deformable_passes(rows, self.weight, self.bias, taps)
