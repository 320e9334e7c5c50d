"""What a deconvolution along the motion that was found makes of the photo, as features for the restoration."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m2aenet_core.models.path import ends_of_path, path_of_ends
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.ops.deconvolution import deconvolve
from m2aenet_core.ops.resize import resize_displacement, resize_image

# float32 values alive at once for each pixel, counted and not measured: what changed, and what a scale is given of it
DECONVOLUTION_LIVE_VALUES = 32

# instants along a path: at forty pixels they lie four apart
_INSTANTS = 11
# paths shorter than this blur nothing, pixels
_SHORTEST_PX = 0.5


class TrajectoryDeconvolution(nn.Module):
    """Features made of deconvolved photos, for each scale of the restoration. Not part of the paper.

    How to undo a blur that is known need not be learned: Richardson and Lucy's iterations do it along the trajectories,
    with errors that the network learns to see: ringing, noise, borders. What they changed in the photo after half and
    after all of the iterations goes into a 1x1 convolution at each scale, which is 0 at initialisation. No gradients
    reach the motion.
    """

    def __init__(self, channels: list[int], iterations: int) -> None:
        """Channels: of each scale that is given features, from full resolution down; iterations: 1 or more."""
        super().__init__()
        self.kept = (iterations // 2, iterations) if iterations > 1 else (iterations,)
        self.into = nn.ModuleList(
            nn.Conv2d(3 * len(self.kept) * 4**scale, count, 1) for scale, count in enumerate(channels)
        )
        for convolution in self.into:
            assert isinstance(convolution, nn.Conv2d)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.weight)
            nn.init.zeros_(convolution.bias)

    def forward(self, change: Tensor, scale: int) -> Tensor:
        """Give what to add to the features of a scale, for what `change` gave."""
        out: Tensor = self.into[scale](F.pixel_unshuffle(change, 2**scale))
        return out

    @torch.no_grad()
    def change(self, image: Tensor, motion: Motion, mask: Tensor | None) -> Tensor:
        """Give what each of the kept iterations changed, (B, 3 * kept, H, W); 0 where nothing moved.

        image (B, 3, H, W) in [0, 1]; motion of cells; mask (B, 1, h, w) of the same cells, 1 = blurred, or None.
        """
        size = (image.shape[-2], image.shape[-1])
        # without a direction of time, on which neighbours need not agree
        path = path_of_ends(motion.start.float(), motion.end.float())
        path = resize_displacement(path if mask is None else path * mask, size)
        ends = ends_of_path(path)
        chord, bend = (part.square().sum(dim=1, keepdim=True).sqrt() for part in path.chunk(2, dim=1))
        moving = (chord + 2 * bend > _SHORTEST_PX).to(image.dtype)
        if mask is not None:
            moving = moving * (resize_image(mask.to(image.dtype), size) > 0)
        photo = image.float().clamp(0, 1)
        estimates = deconvolve(photo, ends, moving, self.kept, _INSTANTS)
        return torch.cat([estimate - photo for estimate in estimates], dim=1).to(image.dtype) * moving
