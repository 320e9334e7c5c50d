"""How good the network is on the validation samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m2aenet_core.data.sample import Batch
from m2aenet_core.metrics import displacement_error, mask_iou, psnr
from m2aenet_core.models.mask_predictor import blur_probability
from m2aenet_core.models.network import Network, NetworkOutput, as_output
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.ops.resize import resize_image
from m2aenet_core.pixels import to_uint8

# equal images have an infinite PSNR, which would swallow every mean it is part of
_HIGHEST_DB = 80.0


@torch.inference_mode()
def validate(network: Network, samples: Batch) -> list[NetworkOutput]:
    """Give what a network makes of each sample, in float32, one at a time as photos come."""
    return [as_output(network(blur.unsqueeze(0))) for blur in samples.blur]


def validation_metrics(outputs: Sequence[NetworkOutput], truth: Batch) -> dict[str, float]:
    """Give what is reported of a validation; NaN where no sample, or not this network, has such a thing.

    psnr_db: of the mean error of all samples. gain_db: PSNR inside the blur over the input's. outside_psnr_db: to the
    input where nothing is blurred. mask_iou: overlap at a threshold of 0.5. displacement_error_px: inside the blur, up
    to the direction of time. All but the first are means over the samples that have it.
    """
    errors, gains, outside, overlaps, distances = [], [], [], [], []
    for index, output in enumerate(outputs):
        mask = truth.mask[index, 0].cpu().numpy() > 0.5
        blur, sharp, restored = (to_uint8(x) for x in (truth.blur[index], truth.sharp[index], output.restored[0]))
        errors.append(((restored.astype(np.float64) - sharp) ** 2).mean())
        if (~mask).any():
            outside.append(min(psnr(restored, blur, ~mask), _HIGHEST_DB))
        if not mask.any():
            continue
        gains.append(min(psnr(restored, sharp, mask), _HIGHEST_DB) - min(psnr(blur, sharp, mask), _HIGHEST_DB))
        if output.blur_logits:
            overlaps.append(mask_iou(found_probability(output, mask.shape) > 0.5, mask))
        motion = found_motion(output, mask.shape)
        if motion is not None and truth.motion_known[index]:
            start, end, true_start, true_end = (
                field_of(x) for x in (motion.start[0], motion.end[0], truth.start[index], truth.end[index])
            )
            distances.append(displacement_error(start, end, true_start, true_end, mask))
    return {
        "psnr_db": min(10 * math.log10(255**2 / max(float(np.mean(errors)), 1e-9)), _HIGHEST_DB),
        "gain_db": _mean(gains),
        "outside_psnr_db": _mean(outside),
        "mask_iou": _mean(overlaps),
        "displacement_error_px": _mean(distances),
    }


def found_probability(output: NetworkOutput, size: tuple[int, ...]) -> NDArray[np.float32]:
    """Give the blur probability (H, W) of the first sample, the mean over the scales; 1 without predictors."""
    planes, framed = [], output.padding.size(size[0], size[1])
    shifts = output.shifts_px or (0,) * len(output.blur_logits)
    for logits, shift in zip(output.blur_logits, shifts, strict=True):
        plane = resize_image(blur_probability(logits[:1].float()), framed)
        planes.append(output.padding.remove(torch.roll(plane, (shift, shift), (2, 3))))
    if not planes:
        return np.ones(size, np.float32)
    return torch.stack(planes).mean(dim=0)[0, 0].cpu().numpy()


def found_motion(output: NetworkOutput, size: tuple[int, ...]) -> Motion | None:
    """Give the motion of the last analyzer at full size; None without one."""
    if not output.displacements:
        return None
    framed = output.padding.size(size[0], size[1])
    return output.displacements[-1].map(Tensor.float).resized(framed).map(output.padding.remove)


def field_of(displacement: torch.Tensor) -> NDArray[np.float32]:
    """Give displacements (H, W, 2) of a tensor (2, H, W)."""
    return torch.movedim(displacement, 0, -1).cpu().numpy()


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
