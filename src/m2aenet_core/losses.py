"""What training minimises: reconstruction, mask and offset losses (M2AENet, section 3.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.data.sample import Batch
from m2aenet_core.models.network import NetworkOutput
from m2aenet_core.models.path import path_of_ends
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.ops.resize import resize_image
from m2aenet_core.ops.similarity import structural_similarity
from m2aenet_core.ops.splat import reblur

# mean squared error of 40 dB: beyond it a photo counts as restored
_ERROR_FLOOR = 1e-4
# moving cells of a sample that its mean path error is over at least: a few cells at the border are no object
_FEW_CELLS = 16


@dataclass(frozen=True)
class LossConfig:
    """Weight of each term; 0 leaves it out."""

    l1: float = 1.0
    """Mean absolute error of the restored image."""
    ssim: float = 1.0
    """1 - SSIM of the restored image."""
    fft: float = 0.1
    """Mean absolute difference of the spectra."""
    log_error: float = 0.0
    """Logarithm of each restored image's mean squared error, which is its PSNR."""
    mask: float = 0.01
    """Cross-entropy of the blur probability against the mask (lambda of eq. 7)."""
    reblur: float = 1.0
    """Squared error of the sharp image blurred again along the trajectories against the photo."""
    total_variation: float = 0.002
    """Roughness of the displacements (alpha; not published, the value is Motion-ETR's)."""
    displacement: float = 0.0
    """Mean distance of the displacements from the truth, where it is known, up to time reversal."""
    path: float = 0.0
    """Mean distance of the paths from the truth where something moved, in the form that knows no direction of time."""
    instants: int = 9
    """Instants of the reblur term (N2)."""
    shift_px: int = 0
    """How far the sharp image may be shifted, as a whole, before it is compared, where pairs are not quite aligned."""


def compute_losses(output: NetworkOutput, batch: Batch, config: LossConfig) -> dict[str, Tensor]:
    """Give each weighted term by its name; their sum is the loss.

    Which terms there are follows from the weights and the network alone, not from the samples: terms of weight 0 are
    absent, and a displacement that is nowhere known costs 0. Each term is a mean over the samples, so a batch taken in
    equal parts has the mean of the parts' terms.
    """
    restored = output.restored.float()
    sharp = best_shifted(batch.sharp, restored, config.shift_px) if config.shift_px else batch.sharp
    # what masks and displacements are compared with, at the size that the network saw
    pad = output.padding.add
    framed = Batch(
        pad(batch.blur), pad(batch.sharp), pad(batch.mask), pad(batch.start), pad(batch.end), batch.motion_known
    )
    terms: dict[str, Tensor] = {}
    if config.l1:
        terms["l1"] = config.l1 * F.l1_loss(restored, sharp)
    if config.ssim:
        terms["ssim"] = config.ssim * ssim_loss(restored, sharp)
    if config.fft:
        terms["fft"] = config.fft * fft_loss(restored, sharp)
    if config.log_error:
        terms["log_error"] = config.log_error * log_error_loss(restored, sharp)
    if config.mask and output.blur_logits:
        shifts = output.shifts_px or (0,) * len(output.blur_logits)
        parts = zip(output.blur_logits, shifts, strict=True)
        terms["mask"] = config.mask * _sum(mask_loss(logits, framed.mask, shift) for logits, shift in parts)
    motions = [motion.map(Tensor.float) for motion in output.displacements]
    if config.reblur and motions:
        terms["reblur"] = config.reblur * _sum(reblur_loss(motion, framed, config.instants) for motion in motions)
    if config.total_variation and motions:
        roughness = _sum(total_variation(motion, config.instants) for motion in motions)
        terms["total_variation"] = config.total_variation * roughness
    if config.displacement and motions:
        terms["displacement"] = config.displacement * _sum(displacement_loss(motion, framed) for motion in motions)
    if config.path and motions:
        terms["path"] = config.path * _sum(path_loss(motion, framed) for motion in motions)
    return terms


@torch.no_grad()
def best_shifted(sharp: Tensor, restored: Tensor, reach_px: int) -> Tensor:
    """Give each sharp image of a batch, shifted by up to reach_px pixels to where its L1 to the restored one is least.

    What comes in at the border is mirrored. LBAG lets each of its terms find a shift of its own; here one shift per
    image serves all, since a photo is misaligned in one way.
    """
    height, width = sharp.shape[-2:]
    framed = F.pad(sharp, (reach_px,) * 4, mode="reflect")
    steps = range(2 * reach_px + 1)
    best, least = sharp, torch.full((len(sharp), 1, 1, 1), torch.inf, device=sharp.device)
    for top in sorted(steps, key=lambda step: abs(step - reach_px)):
        for left in sorted(steps, key=lambda step: abs(step - reach_px)):
            shifted = framed[..., top : top + height, left : left + width]
            distance = (shifted - restored).abs().mean(dim=(1, 2, 3), keepdim=True)
            best = torch.where(distance < least, shifted, best)
            least = torch.minimum(distance, least)
    return best


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()


def ssim_loss(restored: Tensor, sharp: Tensor) -> Tensor:
    """Give 1 - SSIM (11x11 Gaussian, sigma 1.5) of images (B, 3, H, W) in [0, 1]."""
    return 1 - structural_similarity(restored, sharp).mean()


def fft_loss(restored: Tensor, sharp: Tensor) -> Tensor:
    """Give the mean absolute value of the complex differences of the spectra, as LBAG has it."""
    return torch.fft.rfft2(restored - sharp).abs().mean()


def log_error_loss(restored: Tensor, sharp: Tensor) -> Tensor:
    """Give ln(1 + e / 1e-4) of each image's mean squared error e, averaged: NAFNet's loss with a floor of 40 dB.

    Where it rises by 1, PSNR falls by 4.3 dB. The floor keeps images that are all but equal from outweighing the rest.
    """
    error = (restored - sharp).square().mean(dim=(1, 2, 3))
    return (error / _ERROR_FLOOR).log1p().mean()


def mask_loss(logits: Tensor, mask: Tensor, shift_px: int = 0) -> Tensor:
    """Give the cross-entropy of logits (B, 2, h, w) against a mask (B, 1, H, W), shrunk to their scale.

    A cell that is blurred in part has the blurred share as its target. shift_px: by how many pixels the cells
    lie further down and right, as LMD-ViT's shifted windows do.
    """
    if shift_px:
        mask = torch.roll(mask, (-shift_px, -shift_px), (2, 3))
    share = resize_image(mask, (logits.shape[-2], logits.shape[-1]))
    return F.cross_entropy(logits.float(), torch.cat([share, 1 - share], dim=1))


def reblur_loss(motion: Motion, batch: Batch, instants: int) -> Tensor:
    """Give the error of blurring the sharp image again along the trajectories, at the displacements' scale."""
    size = (motion.start.shape[-2], motion.start.shape[-1])
    blurred_again = reblur(resize_image(batch.sharp, size), motion.trajectory(instants))
    return F.mse_loss(blurred_again, resize_image(batch.blur, size))


def total_variation(motion: Motion, instants: int) -> Tensor:
    """Give the mean absolute difference of neighbouring displacements, summed over the instants."""
    offsets = motion.trajectory(instants)
    down = (offsets[..., 1:, :] - offsets[..., :-1, :]).abs().mean(dim=(1, 2, 3, 4))
    right = (offsets[..., 1:] - offsets[..., :-1]).abs().mean(dim=(1, 2, 3, 4))
    return (down + right).sum()


def displacement_loss(motion: Motion, batch: Batch) -> Tensor:
    """Give the mean distance to the true displacements in pixels of the motion's scale.

    Which end of the path comes first cannot be seen in a photo: at each pixel the better of the two orders
    counts. Where nothing moved the truth is zero, with a tenth of the weight. Samples whose truth is not known count
    nothing.
    """
    moving, true_start, true_end = _true_ends(motion, batch)
    forward = _distance(motion.start, true_start) + _distance(motion.end, true_end)
    backward = _distance(motion.start, true_end) + _distance(motion.end, true_start)
    still = _distance(motion.start, 0 * true_start) + _distance(motion.end, 0 * true_end)
    distance = torch.where(moving > 0.5, torch.minimum(forward, backward), 0.1 * still)
    return (distance * batch.motion_known.view(-1, 1, 1, 1)).mean() / 2


def path_loss(motion: Motion, batch: Batch) -> Tensor:
    """Give the mean distance to the true paths where something moved, in pixels of the motion's scale.

    Chord and bend are compared as `path_of_ends` gives them, so that neighbours need not agree on a direction of time;
    an error of the bend counts twice, as it moves both ends. Each sample is a mean over its own moving cells, of which
    it is taken to have some at least; samples whose truth is not known count nothing.
    """
    moving, true_start, true_end = _true_ends(motion, batch)
    found, true = path_of_ends(motion.start, motion.end), path_of_ends(true_start, true_end)
    distance = _distance(found[:, :2], true[:, :2]) + 2 * _distance(found[:, 2:], true[:, 2:])
    counts = (moving > 0.5).to(distance.dtype) * batch.motion_known.view(-1, 1, 1, 1)
    cells = counts.sum(dim=(1, 2, 3)).clamp_min(_FEW_CELLS)
    return ((distance * counts).sum(dim=(1, 2, 3)) / cells).mean()


def _true_ends(motion: Motion, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Give the moving share of each cell, and the true displacements to start and end in pixels of the cells."""
    size = (motion.start.shape[-2], motion.start.shape[-1])
    moving = resize_image(batch.mask, size)
    factor = batch.mask.shape[-1] / size[1]
    # the truth is zero outside the mask: the mean over a cell is divided by the moving share of it
    start, end = (resize_image(field, size) / factor / moving.clamp_min(1e-3) for field in (batch.start, batch.end))
    return moving, start, end


def _distance(first: Tensor, second: Tensor) -> Tensor:
    # the small constant keeps the gradient of the root finite where both are equal
    return ((first - second).square().sum(dim=1, keepdim=True) + 1e-4).sqrt()
