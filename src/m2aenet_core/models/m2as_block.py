"""The mask- and motion-aware simple block (M2AENet, section 3.3, Figure 2b and 2c)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from m2aenet_core.models.layers import affine, scaled_convolution
from m2aenet_core.models.nafnet import NAFBlock
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.models.trajectory_conv import TrajectoryConv
from m2aenet_core.ops.fused import (
    add_first_half,
    add_second_half,
    gated_convolution_at,
    pixel_rows,
    runs_fused,
)
from m2aenet_core.ops.gates import masked_gate, simple_gate
from m2aenet_core.ops.sampling import TapTable
from m2aenet_core.ops.sparse import KeptPixels, depthwise_at_kept, gather, scatter

MASK_POSITIONS = (1, 2, 3)


class Guide(NamedTuple):
    """What the blocks of a scale share: where to compute and along what.

    mask (B, 1, H, W), 1 = blurred, or None for blocks without a mask; taps of the motion-aware convolution, or None
    for blocks without motion; kept, made from the mask, for pruned evaluation, or None for dense; motion that the
    taps were made from; decided, the mask as it is without chance, where training draws it.
    """

    mask: Tensor | None
    taps: TapTable | None
    kept: KeptPixels | None = None
    motion: Motion | None = None
    decided: Tensor | None = None


class M2ASBlock(NAFBlock):
    """NAFBlock whose first convolutions skip sharp pixels and whose second half follows the motion.

    mask_positions: the convolutions that skip sharp pixels, numbered as in Figure 7: (1) the first 1x1 with the
    depthwise 3x3, which is the paper's choice, (2) the 1x1 after the attention, (3) the 1x1 of the second half;
    none for the network without masks. taps: of the motion-aware convolution (N1), 0 for the network without motion.

    beta and gamma, which eq. (5) and (6) leave out, are kept from NAFNet: the published parameter count holds
    with them, and the block is the identity at initialisation.
    """

    def __init__(self, channels: int, mask_positions: Iterable[int] = (1,), taps: int = 9) -> None:
        super().__init__(channels)
        self.mask_positions = frozenset(mask_positions)
        self.trajectory_conv = TrajectoryConv(2 * channels, taps) if taps else None

    def forward(self, features: Tensor, guide: Guide) -> Tensor:  # type: ignore[override]
        """Give the features (B, C, H, W) after both halves, eq. (5) and (6).

        With `guide.kept` masked convolutions compute at blurred pixels alone; without, everywhere, multiplied by the
        mask. Both are equal up to rounding.
        """
        if runs_fused(features) and self.mask_positions <= {1}:
            return self._forward_guided(features, guide)
        attended = self.attention(self._gated(self.norm1(features), guide))
        if 2 in self.mask_positions:
            middle: Tensor = features + self.beta * self._pointwise(2, self.project1, attended, guide)
        else:
            middle = features + scaled_convolution(attended, self.project1, self.beta)
        expanded = self._pointwise(3, self.expand2, self.norm2(middle), guide)
        if self.trajectory_conv is not None:
            assert guide.taps is not None
            expanded = self.trajectory_conv(expanded, guide.taps)
        return middle + scaled_convolution(simple_gate(expanded), self.project2, self.gamma)

    def _forward_guided(self, features: Tensor, guide: Guide) -> Tensor:
        """Give the same in passes, for inference on a CPU."""
        batch, channels, height, width = features.shape
        gated = self._gated_guided(features, guide)
        if self.trajectory_conv is None:
            self._add_halves(features, gated)
            return gated.permute(0, 3, 1, 2)
        assert guide.taps is not None
        expanded = features.new_empty(batch, height * width, 2 * channels)
        images = pixel_rows(features), gated.flatten(1, 2), self._attended(gated), expanded
        for rows, out, projected, begun in zip(*images, strict=True):
            add_first_half(rows, out, projected, self.norm2.affine, affine(self.expand2), begun)
        convolved = self.trajectory_conv.passes(expanded.flatten(0, 1), guide.taps)
        add_second_half(gated.view(-1, channels), convolved, self._projected2())
        return gated.permute(0, 3, 1, 2)

    def _gated_guided(self, features: Tensor, guide: Guide) -> Tensor:
        """Give the gate of position (1), (B, H, W, C)."""
        if guide.mask is None or not self.mask_positions:
            return self._gated_fused(features)
        if guide.kept is not None:
            kernel = self.depthwise.weight, self.depthwise.bias
            first = self.norm1.affine, affine(self.expand1), kernel
            return gated_convolution_at(features, *first, guide.kept)  # type: ignore[arg-type]
        gated, mask = self._gated_fused(features), guide.mask.permute(0, 2, 3, 1)
        return gated * mask + self.norm1(features).permute(0, 2, 3, 1).square() * (1 - mask)

    def _gated(self, normed: Tensor, guide: Guide) -> Tensor:
        """Give the gate of Conv(f1) * m + Rep(f1) * (1 - m), position (1)."""
        if guide.mask is None or 1 not in self.mask_positions:
            return simple_gate(self.depthwise(self.expand1(normed)))
        if guide.kept is not None:
            return self._gated_pruned(normed, guide.kept)
        # gating before mixing is the same, since the mask is 0 or 1
        return masked_gate(self.depthwise(self.expand1(normed)), normed, guide.mask)

    def _gated_pruned(self, normed: Tensor, kept: KeptPixels) -> Tensor:
        # the 1x1 runs on the dilated mask: the depthwise kernel reads its neighbours
        rows = F.linear(gather(normed, kept.dilated), self.expand1.weight.flatten(1), self.expand1.bias)
        assert self.depthwise.bias is not None
        convolved = depthwise_at_kept(rows, self.depthwise.weight, self.depthwise.bias, kept)
        return scatter(normed.square(), kept.kept, simple_gate(convolved))

    def _pointwise(self, position: int, layer: nn.Conv2d, inputs: Tensor, guide: Guide) -> Tensor:
        """Convolve 1x1; at a masked position, sharp pixels repeat their channels instead."""
        if guide.mask is None or position not in self.mask_positions:
            out: Tensor = layer(inputs)
            return out
        repeated = inputs.repeat(1, layer.out_channels // layer.in_channels, 1, 1)
        if guide.kept is None:
            return layer(inputs) * guide.mask + repeated * (1 - guide.mask)
        rows = F.linear(gather(inputs, guide.kept.kept), layer.weight.flatten(1), layer.bias)
        return scatter(repeated, guide.kept.kept, rows)


class M2ASStage(nn.Sequential):
    """M2AS blocks in a row that share one guide."""

    def __init__(self, channels: int, count: int, mask_positions: Iterable[int] = (1,), taps: int = 9) -> None:
        positions = tuple(mask_positions)
        super().__init__(*(M2ASBlock(channels, positions, taps) for _ in range(count)))

    def forward(self, features: Tensor, guide: Guide) -> Tensor:  # type: ignore[override]
        """Give the features (B, C, H, W) after all blocks."""
        for block in self:
            features = block(features, guide)
        return features
