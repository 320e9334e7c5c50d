"""What is reported of a validation."""

import math
import warnings

import numpy as np
import pytest
import torch

from m2aenet_core.data.sample import Batch
from m2aenet_core.metrics import psnr
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import NetworkOutput
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.pixels import to_uint8
from m2aenet_core.training.validation import found_motion, found_probability, validate, validation_metrics


def to_uint8_all(images: torch.Tensor) -> np.ndarray:
    return np.concatenate([to_uint8(image) for image in images])


def truth() -> Batch:
    """Two samples, the second of which stands still."""
    sharp = torch.rand(2, 3, 32, 32)
    mask = torch.zeros(2, 1, 32, 32)
    mask[0, :, 8:24, 8:24] = 1
    end = mask * torch.tensor([0.0, 4.0]).view(1, 2, 1, 1)
    blur = torch.where(mask > 0, sharp.roll(3, dims=3), sharp)
    return Batch(blur, sharp, mask, -end, end, torch.ones(len(blur), dtype=torch.bool))


def outputs(restored: torch.Tensor, batch: Batch, sign: float = 1) -> list[NetworkOutput]:
    """What a network with perfect masks and motion gives, with another restored image."""
    logits = 50 * sign * torch.cat([2 * batch.mask - 1, 1 - 2 * batch.mask], dim=1)
    return [
        NetworkOutput(
            restored[i : i + 1],
            (logits[i : i + 1],),
            (batch.mask[i : i + 1],),
            (Motion.of(batch.start[i : i + 1], batch.end[i : i + 1]),),
        )
        for i in range(len(restored))
    ]


def test_returning_the_blur_gains_nothing_and_harms_nothing() -> None:
    batch = truth()
    metrics = validation_metrics(outputs(batch.blur, batch), batch)
    assert metrics.pop("psnr_db") == pytest.approx(psnr(to_uint8_all(batch.blur), to_uint8_all(batch.sharp)))
    assert metrics == {"gain_db": 0, "outside_psnr_db": 80, "mask_iou": 1, "displacement_error_px": 0}


def test_returning_nearly_the_truth_gains() -> None:
    batch = truth()
    near = batch.sharp + 2 / 255 * batch.mask
    metrics = validation_metrics(outputs(near, batch), batch)
    assert 20 < metrics["gain_db"] < 60
    assert metrics["outside_psnr_db"] == 80


def test_harm_outside_the_blur_shows() -> None:
    batch = truth()
    harmed = (batch.blur + 10 / 255 * (1 - batch.mask)).clamp(0, 1)
    metrics = validation_metrics(outputs(harmed, batch), batch)
    assert metrics["gain_db"] == 0
    assert 20 < metrics["outside_psnr_db"] < 40


def test_a_reversed_mask_overlaps_nowhere() -> None:
    batch = truth()
    assert validation_metrics(outputs(batch.blur, batch, sign=-1), batch)["mask_iou"] == 0


def test_masks_and_motion_are_compared_at_full_size() -> None:
    batch = truth()
    small = [
        output._replace(
            blur_logits=(output.blur_logits[0][..., 4::8, 4::8],),
            displacements=(output.displacements[0].map(lambda field: field[..., 4::8, 4::8] / 8),),
        )
        for output in outputs(batch.blur, batch)
    ]
    metrics = validation_metrics(small, batch)
    assert metrics["mask_iou"] > 0.8
    assert metrics["displacement_error_px"] < 1


def test_a_validation_without_blur_has_no_figures_of_blur() -> None:
    batch = truth()
    still = Batch(*(tensor[1:] for tensor in batch))
    with warnings.catch_warnings(action="error"):
        metrics = validation_metrics(outputs(still.blur, still), still)
    assert all(math.isnan(metrics[name]) for name in ("gain_db", "mask_iou", "displacement_error_px"))
    assert metrics["outside_psnr_db"] == 80


def test_equal_images_have_a_finite_psnr() -> None:
    batch = truth()
    assert validation_metrics(outputs(batch.sharp, batch), batch)["psnr_db"] == 80


def test_a_sharp_sample_does_not_hide_a_bad_one() -> None:
    batch = truth()
    restored = batch.sharp.clone()
    restored[1] = (restored[1] + 0.2).clamp(0, 1)
    # a mean of decibels would be above 40
    assert validation_metrics(outputs(restored, batch), batch)["psnr_db"] < 20


def test_every_network_can_be_validated(tiny_model: M2AENet) -> None:
    batch = truth()
    for network in (tiny_model, NAFNet(4, (1, 1), 1, (1, 1)).eval()):
        found = validate(network, batch)
        assert [output.restored.shape for output in found] == [(1, 3, 32, 32)] * 2
        assert math.isfinite(validation_metrics(found, batch)["psnr_db"])
        assert not any(output.restored.requires_grad for output in found)
    assert math.isnan(validation_metrics(found, batch)["mask_iou"])


def test_shifted_windows_are_put_back_where_they_lie() -> None:
    logits = torch.full((1, 2, 4, 4), 0.0)
    logits[0, 0, 0, 0] = 20  # the first window, which lies 4 pixels further down and right
    straight, shifted = (
        found_probability(NetworkOutput(torch.zeros(1, 3, 32, 32), (logits,), shifts_px=shifts), (32, 32))
        for shifts in ((), (4,))
    )
    assert np.array_equal(shifted, np.roll(straight, (4, 4), (0, 1)))
    assert shifted[7, 7] > 0.9
    assert shifted[0, 0] < 0.6


def test_a_network_without_motion_has_none() -> None:
    assert found_motion(NetworkOutput(torch.zeros(1, 3, 8, 8)), (8, 8)) is None
