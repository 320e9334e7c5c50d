"""Each term of the loss vanishes at the truth and nowhere else."""

from dataclasses import fields

import pytest
import torch

from m2aenet_core.data.sample import Batch
from m2aenet_core.losses import (
    LossConfig,
    best_shifted,
    compute_losses,
    displacement_loss,
    fft_loss,
    log_error_loss,
    mask_loss,
    path_loss,
    reblur_loss,
    ssim_loss,
    total_variation,
)
from m2aenet_core.models.network import NetworkOutput
from m2aenet_core.models.trajectory import Motion, quadratic_trajectory
from m2aenet_core.ops.padding import centre_padding, corner_padding
from m2aenet_core.ops.splat import reblur

SIDE, CELL = 32, 8
TERMS = ("l1", "ssim", "fft", "log_error", "mask", "reblur", "total_variation", "displacement", "path")
ALL_ONE = LossConfig(**dict.fromkeys(TERMS, 1.0))


def batch_of(y: float = 3, x: float = 5) -> Batch:
    """A photo of which the left half moves; the truth's blur is made by splatting, as the reblur term makes it."""
    sharp = torch.rand(2, 3, SIDE, SIDE)
    mask = torch.zeros(2, 1, SIDE, SIDE)
    mask[..., : SIDE // 2] = 1
    end = mask * torch.tensor([y, x]).view(1, 2, 1, 1)
    return Batch(
        reblur(sharp, quadratic_trajectory(-end, end)), sharp, mask, -end, end, torch.ones(len(sharp), dtype=torch.bool)
    )


def truth_of(batch: Batch) -> NetworkOutput:
    """What a perfect network would give."""
    logits = 50 * torch.cat([2 * batch.mask - 1, 1 - 2 * batch.mask], dim=1)
    return NetworkOutput(batch.sharp, (logits,), (batch.mask,), (Motion.of(batch.start, batch.end),))


def test_every_term_but_roughness_is_zero_at_the_truth() -> None:
    batch = batch_of()
    terms = compute_losses(truth_of(batch), batch, ALL_ONE)
    assert set(terms) == set(TERMS)
    for name in ("l1", "ssim", "fft", "log_error", "mask", "reblur"):
        assert terms[name].item() == pytest.approx(0, abs=1e-6), name
    # their roots are kept away from 0, where they have no gradient
    assert terms["displacement"].item() == pytest.approx(0, abs=0.011)
    assert terms["path"].item() == pytest.approx(0, abs=0.031)
    # the truth jumps where the object ends
    assert terms["total_variation"] > 0


def test_the_logarithm_of_the_error_follows_psnr_and_ends_at_40_db() -> None:
    sharp = torch.full((1, 3, 8, 8), 0.5)
    # 20 dB, 26.02 dB and 60 dB
    losses = [log_error_loss(sharp + error, sharp).item() for error in (0.1, 0.05, 0.001)]
    assert losses[0] - losses[1] == pytest.approx(6.02 / 4.343, abs=0.03)
    assert losses[2] == pytest.approx(0, abs=0.011)


def test_every_term_grows_away_from_the_truth() -> None:
    batch = batch_of()
    right = truth_of(batch)
    wrong = NetworkOutput(
        torch.rand_like(batch.sharp),
        tuple(-logits for logits in right.blur_logits),
        right.masks,
        tuple(Motion.of(3 * motion.start, -2 * motion.end) for motion in right.displacements),
    )
    at_truth, away = (compute_losses(output, batch, ALL_ONE) for output in (right, wrong))
    for name in TERMS:
        assert away[name] > 1.5 * at_truth[name] + 1e-3, name


@pytest.mark.parametrize("name", TERMS)
def test_a_weight_scales_its_term_alone(name: str) -> None:
    batch = batch_of()
    output = truth_of(batch)._replace(restored=batch.blur)
    once = compute_losses(output, batch, ALL_ONE)
    thrice = compute_losses(output, batch, LossConfig(**{**dict.fromkeys(TERMS, 1.0), name: 3.0}))
    for term in TERMS:
        torch.testing.assert_close(thrice[term], once[term] * (3 if term == name else 1))


@pytest.mark.parametrize("name", TERMS)
def test_a_weight_of_zero_leaves_its_term_out(name: str) -> None:
    batch = batch_of()
    terms = compute_losses(truth_of(batch), batch, LossConfig(**{**dict.fromkeys(TERMS, 1.0), name: 0.0}))
    assert set(terms) == set(TERMS) - {name}


def test_every_weight_of_the_config_has_a_term() -> None:
    assert {field.name for field in fields(LossConfig)} - {"instants", "shift_px"} == set(TERMS)


def test_a_displacement_that_is_nowhere_known_costs_nothing_but_has_its_term() -> None:
    batch = batch_of()._replace(motion_known=torch.tensor([False, False]))
    output = truth_of(batch)._replace(displacements=(Motion.of(3 * batch.start, batch.end),))
    terms = compute_losses(output, batch, ALL_ONE)
    assert terms["displacement"].item() == 0
    assert terms["path"].item() == 0


@pytest.mark.parametrize("known", [[True, True], [True, False]])
def test_terms_of_a_batch_are_the_means_of_its_parts(known: list[bool]) -> None:
    batch = batch_of()._replace(motion_known=torch.tensor(known))
    output = truth_of(batch)
    output = output._replace(
        restored=torch.rand_like(batch.sharp),
        blur_logits=(torch.randn(2, 2, 4, 4),),
        displacements=(Motion(torch.randn(2, 4, 4, 4)),),
    )
    whole = compute_losses(output, batch, ALL_ONE)
    parts = []
    for i in range(2):
        part = NetworkOutput(
            output.restored[i : i + 1],
            (output.blur_logits[0][i : i + 1],),
            displacements=(output.displacements[0].map(lambda field, i=i: field[i : i + 1]),),
        )
        parts.append(compute_losses(part, Batch(*(tensor[i : i + 1] for tensor in batch)), ALL_ONE))
    for name, term in whole.items():
        torch.testing.assert_close(term, (parts[0][name] + parts[1][name]) / 2)


@pytest.mark.parametrize("reach", [1, 2])
def test_each_image_may_be_shifted_by_itself(reach: int) -> None:
    sharp = torch.rand(3, 3, SIDE, SIDE)
    shifts = ((0, 0), (reach, -1), (-1, reach))
    restored = torch.stack([image.roll(shift, dims=(1, 2)) for image, shift in zip(sharp, shifts, strict=True)])
    inside = (..., slice(reach, -reach), slice(reach, -reach))
    found = best_shifted(sharp, restored, reach)
    assert torch.equal(found[inside], restored[inside])
    assert torch.equal(found[0], sharp[0])


def test_a_shift_beyond_the_reach_is_not_forgiven() -> None:
    sharp = torch.rand(1, 3, SIDE, SIDE)
    moved = sharp.roll(2, dims=2)
    assert (best_shifted(sharp, moved, 1) - moved).abs().mean() > 0.2


def test_a_shifted_image_costs_nothing_inside_and_pulls_towards_its_shift() -> None:
    batch = batch_of()
    moved = batch.sharp.roll(1, dims=3).requires_grad_()
    output = truth_of(batch)._replace(restored=moved)
    strict, tolerant = (
        compute_losses(output, batch, LossConfig(ssim=0, fft=0, mask=0, reblur=0, total_variation=0, shift_px=shift))
        for shift in (0, 1)
    )
    assert strict["l1"] > 0.2
    # one column of 32 comes in from outside
    assert tolerant["l1"] < 0.02
    (gradient,) = torch.autograd.grad(tolerant["l1"], moved)
    assert (gradient[..., 1:] == 0).all()


def test_scales_are_summed() -> None:
    batch = batch_of()
    output = truth_of(batch)._replace(restored=batch.blur)
    twice = output._replace(blur_logits=output.blur_logits * 2, displacements=output.displacements * 2)
    once, both = (compute_losses(each, batch, ALL_ONE) for each in (output, twice))
    for name in ("mask", "reblur", "total_variation", "displacement", "path"):
        torch.testing.assert_close(both[name], 2 * once[name])


def test_ssim_is_zero_for_equal_images_and_near_one_for_noise() -> None:
    first, second = torch.rand(2, 3, SIDE, SIDE), torch.rand(2, 3, SIDE, SIDE)
    assert ssim_loss(first, first).item() == pytest.approx(0, abs=1e-6)
    assert 0.8 < ssim_loss(first, second).item() < 1.1


def test_the_spectrum_of_a_constant_difference_is_its_sum_alone() -> None:
    sharp = torch.rand(1, 3, 8, 8)
    # the zero frequency holds 0.5 * 64 in one of 8 * 5 complex numbers
    assert fft_loss(sharp + 0.5, sharp).item() == pytest.approx(0.5 * 64 / (8 * 5), rel=1e-4)


def test_undecided_logits_cost_the_logarithm_of_two() -> None:
    mask = (torch.rand(2, 1, SIDE, SIDE) > 0.5).float()
    logits = torch.zeros(2, 2, SIDE // CELL, SIDE // CELL)
    assert mask_loss(logits, mask).item() == pytest.approx(0.6931, abs=1e-4)


def test_a_cell_blurred_in_part_is_best_predicted_by_its_share() -> None:
    mask = torch.zeros(1, 1, CELL, CELL)
    mask[..., :2] = 1  # a quarter
    costs = [
        mask_loss(torch.tensor([share, 1 - share]).log().view(1, 2, 1, 1), mask).item() for share in (0.15, 0.25, 0.35)
    ]
    assert costs[1] == min(costs)


def test_reblur_is_zero_without_motion_where_nothing_is_blurred() -> None:
    sharp = torch.rand(1, 3, SIDE, SIDE)
    still = torch.zeros(1, 2, SIDE // CELL, SIDE // CELL)
    batch = Batch(sharp, sharp, *[torch.zeros(1, 1, SIDE, SIDE)] * 3, torch.tensor([True]))
    assert reblur_loss(Motion.of(still, still), batch, 9).item() == pytest.approx(0, abs=1e-10)


def test_reblur_prefers_the_true_motion_to_none_and_to_the_opposite_direction() -> None:
    batch = batch_of(y=0, x=6)
    still = torch.zeros_like(batch.start)
    across = Motion.of(batch.start.flip(1), batch.end.flip(1))
    losses = [
        reblur_loss(motion, batch, 9).item()
        for motion in (Motion.of(batch.start, batch.end), Motion.of(still, still), across)
    ]
    assert losses[0] < 1e-10
    assert losses[1] > 1e-3
    assert losses[2] > 1e-3


def test_more_instants_are_taken_along_the_path() -> None:
    batch = batch_of(y=0, x=6)
    motion = Motion.of(batch.start, batch.end)
    assert reblur_loss(motion, batch, 9) < reblur_loss(motion, batch, 3)


def test_an_even_field_is_not_rough() -> None:
    even = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 6, 7)
    assert total_variation(Motion.of(even, -even), 9).item() == 0


def test_roughness_is_the_mean_step_between_neighbours_summed_over_instants() -> None:
    # x displacement rises by 1 a column at the end and falls so at the start: |s| a column at time s
    end = torch.zeros(1, 2, 6, 7)
    end[:, 1] = torch.arange(7.0)
    expected = sum(abs(s) for s in (-1, -0.5, 0, 0.5, 1)) / 2  # half of the channels are even
    assert total_variation(Motion.of(-end, end), 5).item() == pytest.approx(expected)


@pytest.mark.parametrize("cell", [1, CELL])
def test_the_direction_of_time_does_not_matter(cell: int) -> None:
    batch = batch_of()
    size = SIDE // cell
    start, end = torch.randn(2, 2, size, size), torch.randn(2, 2, size, size)
    torch.testing.assert_close(
        displacement_loss(Motion.of(start, end), batch), displacement_loss(Motion.of(end, start), batch)
    )
    reversed_truth = batch._replace(start=batch.end, end=batch.start)
    torch.testing.assert_close(
        displacement_loss(Motion.of(start, end), batch), displacement_loss(Motion.of(start, end), reversed_truth)
    )


def test_the_truth_is_measured_in_pixels_of_the_motions_scale() -> None:
    batch = batch_of(y=0, x=8)
    size = SIDE // CELL
    end = torch.zeros(2, 2, size, size)
    end[:, 1, :, : size // 2] = 1  # 8 pixels are one cell
    assert displacement_loss(Motion.of(-end, end), batch).item() == pytest.approx(0, abs=0.011)
    # one cell wrong at both ends of half of the cells
    assert displacement_loss(Motion.of(0 * end, 0 * end), batch).item() == pytest.approx(0.5, abs=0.011)


def test_motion_where_nothing_moves_costs_a_tenth() -> None:
    sharp = torch.rand(1, 3, SIDE, SIDE)
    nothing = torch.zeros(1, 2, SIDE, SIDE)
    batch = Batch(sharp, sharp, nothing[:, :1], nothing, nothing, torch.tensor([True]))
    motion = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, SIDE, SIDE)
    assert displacement_loss(Motion.of(motion, -motion), batch).item() == pytest.approx(0.1 * 5, rel=1e-3)


@pytest.mark.parametrize("cell", [1, CELL])
def test_paths_know_no_direction_of_time(cell: int) -> None:
    batch, size = batch_of(), SIDE // cell
    start, end = torch.randn(2, 2, size, size), torch.randn(2, 2, size, size)
    loss = path_loss(Motion.of(start, end), batch)
    torch.testing.assert_close(loss, path_loss(Motion.of(end, start), batch))
    # each pixel may choose its own
    swapped = torch.rand(2, 1, size, size) > 0.5
    mixed = Motion.of(torch.where(swapped, end, start), torch.where(swapped, start, end))
    torch.testing.assert_close(loss, path_loss(mixed, batch))


def test_paths_are_compared_where_something_moves_alone() -> None:
    batch = batch_of(y=0, x=8)
    size = SIDE // CELL
    end = torch.zeros(2, 2, size, size)
    end[:, 1] = torch.randn(2, size, size)
    end[:, 1, :, : size // 2] = 1  # 8 pixels are one cell
    # eight moving cells of the sixteen that a sample counts as having at least
    assert path_loss(Motion.of(-end, end), batch).item() == pytest.approx(0, abs=0.031)
    # the chord is two cells long
    assert path_loss(Motion.of(0 * end, 0 * end), batch).item() == pytest.approx(8 / 16 * 2, abs=0.03)
    # the bend counts twice: here half a cell at each end
    bent = end + torch.tensor([0.5, 0.0]).view(1, 2, 1, 1)
    straight = -end + torch.tensor([0.5, 0.0]).view(1, 2, 1, 1)
    assert path_loss(Motion.of(straight, bent), batch).item() == pytest.approx(8 / 16 * 2 * 0.5, abs=0.03)


def test_gradients_are_finite_at_the_truth() -> None:
    batch = batch_of()
    start, end = batch.start.clone().requires_grad_(), batch.end.clone().requires_grad_()
    displacement_loss(Motion.of(start, end), batch).backward()
    assert start.grad is not None
    assert torch.isfinite(start.grad).all()


@pytest.mark.parametrize("network", ["m2aenet", "lmdvit"])
def test_at_odd_sizes_masks_are_compared_where_the_network_saw_them(network: str) -> None:
    """The frame that padding adds counts as sharp; nothing is stretched."""
    if network == "m2aenet":
        padding, cells = corner_padding(20, 27, 16), 8
    else:
        padding, cells = centre_padding(20, 27, 16), 8
    mask = torch.zeros(1, 1, 20, 27)
    mask[..., 5:14, 9:20] = 1
    blur = torch.rand(1, 3, 20, 27)
    share = torch.nn.functional.avg_pool2d(padding.add(mask), cells).clamp(1e-7, 1 - 1e-7)
    logits = torch.cat([share, 1 - share], dim=1).log()
    nothing = torch.zeros(1, 2, 20, 27)
    batch = Batch(blur, blur, mask, nothing, nothing, torch.tensor([False]))
    right = NetworkOutput(blur, (logits,), padding=padding)
    entropy = -(share * share.log() + (1 - share) * (1 - share).log()).mean()
    loss = compute_losses(right, batch, LossConfig(mask=1.0))["mask"]
    torch.testing.assert_close(loss, entropy, atol=1e-5, rtol=1e-4)
    shifted = NetworkOutput(blur, (logits.roll(1, 3),), padding=padding)
    assert compute_losses(shifted, batch, LossConfig(mask=1.0))["mask"] > 2 * loss
