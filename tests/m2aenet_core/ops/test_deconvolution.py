"""Deconvolution along trajectories: it undoes a blur that is known, and leaves the rest alone."""

import pytest
import torch
from torch import Tensor

from m2aenet_core.data.render import MovingObjects, expose
from m2aenet_core.ops import deconvolution
from m2aenet_core.ops.deconvolution import deconvolve
from m2aenet_core.ops.sampling import look_up_near


def straight(end: tuple[float, float], height: int, width: int, batch: int = 1) -> Tensor:
    half = torch.tensor(end).view(1, 2, 1, 1).expand(batch, 2, height, width)
    return torch.cat([-half, half], dim=1)


def blurred_along(sharp: Tensor, end: tuple[float, float], instants: int) -> Tensor:
    """Blur in linear light, by rolled copies: whole displacements alone."""
    times = [2 * instant / (instants - 1) - 1 for instant in range(instants)]
    copies = [torch.roll(sharp**2.2, (round(end[0] * t), round(end[1] * t)), (2, 3)) for t in times]
    return torch.stack(copies).mean(dim=0) ** (1 / 2.2)


def squares(height: int = 64, width: int = 72) -> Tensor:
    coarse = torch.rand(1, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(1))
    return coarse.repeat_interleave(8, 2).repeat_interleave(8, 3) * 0.8 + 0.1


@pytest.mark.parametrize("end", [(0.0, 8.0), (8.0, 0.0), (8.0, 8.0)])
def test_a_known_blur_is_undone_the_further_the_more_iterations(end: tuple[float, float]) -> None:
    sharp = squares()
    photo = blurred_along(sharp, end, 9)
    estimates = deconvolve(photo, straight(end, 64, 72), torch.ones(1, 1, 64, 72), (2, 8, 30), instants=9)
    inner = (..., slice(16, -16), slice(16, -16))
    errors = [float((each - sharp)[inner].square().mean()) for each in (photo, *estimates)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * errors[0]


def test_what_does_not_move_stays_bit_for_bit_up_to_the_curve_of_light() -> None:
    photo, moving = torch.rand(2, 3, 24, 31), torch.zeros(2, 1, 24, 31)
    moving[0, :, 5:12, 6:20] = 1
    (estimate,) = deconvolve(photo, straight((0.0, 4.0), 24, 31, 2), moving, (3,))
    still = moving.expand(-1, 3, -1, -1) == 0
    bright = photo > 0.05
    assert torch.allclose(estimate[still & bright], photo[still & bright], atol=1e-6)
    assert (estimate - photo)[~still].abs().max() > 0.01


def test_no_motion_changes_nothing_and_noise_stays_finite() -> None:
    photo = torch.rand(1, 3, 20, 20) * 0.9 + 0.1
    (estimate,) = deconvolve(photo, torch.zeros(1, 4, 20, 20), torch.ones(1, 1, 20, 20), (4,))
    assert torch.allclose(estimate, photo, atol=1e-5)
    black = torch.zeros(1, 3, 20, 20)
    (estimate,) = deconvolve(black, straight((0.0, 9.0), 20, 20), torch.ones(1, 1, 20, 20), (4,))
    assert torch.isfinite(estimate).all()


def test_the_memory_format_of_a_photo_changes_nothing() -> None:
    photo, moving = torch.rand(2, 3, 20, 26), torch.ones(2, 1, 20, 26)
    ends = straight((2.0, 4.0), 20, 26, 2)
    (expected,) = deconvolve(photo, ends, moving, (3,))
    turned = photo.rot90(1, (2, 3)).contiguous().rot90(-1, (2, 3))
    for view in (photo.to(memory_format=torch.channels_last), turned):
        (estimate,) = deconvolve(view, ends, moving, (3,))
        torch.testing.assert_close(estimate, expected)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("mean", ["_mean_at_once", "_mean_in_turn"])
def test_moving_pixels_alone_give_what_all_pixels_give(
    threads: int, mean: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, ends = torch.rand(2, 3, 33, 21), 4 * torch.randn(2, 4, 33, 21)
    moving = (torch.rand(2, 1, 33, 21) > 0.4).float()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        sparse = deconvolve(photo, ends, moving, (1, 3))
    finally:
        torch.set_num_threads(before)
    # as an export writes it down, and as a GPU computes it
    monkeypatch.setattr(deconvolution, "is_exported", lambda: True)
    monkeypatch.setattr(deconvolution, "_mean_at_once", getattr(deconvolution, mean))
    for few, all_of_them in zip(sparse, deconvolve(photo, ends, moving, (1, 3)), strict=True):
        assert torch.allclose(few, all_of_them, atol=1e-5)


def test_a_bent_path_is_followed_as_what_moves_ran_along_it() -> None:
    """Renderer and deconvolution mean the same by a displacement: the true bend serves, its mirror image harms."""
    canvas = torch.ones(1, 4, 72, 72)
    canvas[:, :3] = squares(72, 72)
    bent = MovingObjects(
        canvas=canvas,
        centre=torch.tensor([[47.5, 47.5]]),
        velocity=torch.tensor([[0.0, 8.0]]),
        acceleration=torch.tensor([[5.0, 0.0]]),
        spin=torch.zeros(1),
        growth=torch.zeros(1),
    )
    exposure = expose(torch.full((1, 3, 96, 96), 0.4), [bent], instants=41)
    moving = (exposure.mask > 0.5).float()
    half, bend = (exposure.end - exposure.start) / 2, (exposure.end + exposure.start) / 2
    inner = (..., slice(32, 64), slice(32, 64))

    def error(bend: Tensor) -> float:
        (estimate,) = deconvolve(exposure.blur, torch.cat([bend - half, bend + half], dim=1), moving, (20,), 15)
        return float((estimate - exposure.sharp)[inner].square().mean())

    blurred = float((exposure.blur - exposure.sharp)[inner].square().mean())
    true, straight_on, mirrored = error(bend), error(0 * bend), error(-bend)
    assert true < 0.4 * blurred
    assert true < 0.6 * straight_on < 0.6 * mirrored


def test_reading_between_pixels_is_bilinear_and_repeats_the_border() -> None:
    image = torch.arange(12.0).view(1, 1, 3, 4)
    rows, columns = torch.tensor([[0.0, 0.5, 1.0, -5.0, 9.0]]), torch.tensor([[0.0, 0.0, 1.5, 1.0, 3.0]])
    assert torch.allclose(look_up_near(image, rows, columns), torch.tensor([[[0.0, 2.0, 5.5, 1.0, 11.0]]]), atol=1e-4)
