"""The motion-aware deformable convolution (M2AENet, section 3.3.2, Figure 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m2aenet_core.models.motion_analyzer import Motion
from m2aenet_core.models.trajectory import quadratic_trajectory
from m2aenet_core.ops.sampling import TapTable, deformable_depthwise, tap_table

KERNEL_SIZE = 3
TAPS = KERNEL_SIZE**2


def trajectory_taps(motion: Motion) -> TapTable:
    """Prepare the nine taps at grid_k + o(t_k), once for all blocks of a stage."""
    # coordinates stay in float32 under autocast: bfloat16 cannot tell neighbouring pixels apart beyond 256
    offsets = quadratic_trajectory(motion.start.float(), motion.end.float(), TAPS)
    return tap_table(offsets, KERNEL_SIZE)


class TrajectoryConv(nn.Module):
    """Depthwise 3x3 convolution whose taps follow the trajectory: tap k reads at grid_k + o(t_k)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, 1, KERNEL_SIZE, KERNEL_SIZE))
        self.bias = nn.Parameter(torch.zeros(channels))
        # nearly the identity; the small outer taps let gradients reach the displacements from the first step
        nn.init.normal_(self.weight, std=0.05)
        self.weight.data[:, :, KERNEL_SIZE // 2, KERNEL_SIZE // 2] = 1.0

    def forward(self, features: Tensor, taps: TapTable) -> Tensor:
        """Convolve (B, C, H, W) along the trajectories."""
        return deformable_depthwise(features, self.weight, self.bias, taps)
