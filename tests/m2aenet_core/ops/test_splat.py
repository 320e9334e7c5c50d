"""Forward splatting, and blur made again from it."""

import math

import pytest
import torch

from m2aenet_core.models.trajectory import quadratic_trajectory
from m2aenet_core.ops.splat import reblur, splat


def displaced(y: float, x: float, shape: tuple[int, ...] = (2, 3, 12, 14)) -> torch.Tensor:
    return torch.tensor([y, x]).view(1, 2, 1, 1).expand(shape[0], 2, *shape[2:])


def test_zero_displacement_gives_the_image() -> None:
    image = torch.rand(2, 3, 12, 14)
    values, weights = splat(image, displaced(0, 0))
    assert torch.equal(values, image)
    assert torch.equal(weights, torch.ones(2, 1, 12, 14))


def test_an_integer_displacement_shifts_the_image() -> None:
    image = torch.rand(2, 3, 12, 14)
    values, weights = splat(image, displaced(2, -3))
    assert torch.equal(values[..., 2:, :-3], image[..., :-2, 3:])
    assert torch.equal(weights[..., 2:, :-3], torch.ones(2, 1, 10, 11))
    assert values[..., :2, :].abs().sum() == 0
    assert values[..., -3:].abs().sum() == 0


def test_what_stays_inside_keeps_its_sum() -> None:
    image = torch.zeros(2, 3, 20, 22, dtype=torch.float64)
    image[..., 6:-6, 6:-6] = torch.rand(2, 3, 8, 10, dtype=torch.float64)
    displacement = (torch.rand(2, 2, 20, 22, dtype=torch.float64) - 0.5) * 11
    values, _ = splat(image, displacement)
    torch.testing.assert_close(values.sum(dim=(2, 3)), image.sum(dim=(2, 3)))


def test_images_of_a_batch_do_not_mix() -> None:
    image, displacement = torch.rand(3, 2, 7, 9), torch.randn(3, 2, 7, 9) * 4
    together = splat(image, displacement)
    for index in range(3):
        alone = splat(image[index : index + 1], displacement[index : index + 1])
        for each, expected in zip(together, alone, strict=True):
            assert torch.equal(each[index : index + 1], expected)


def test_half_a_pixel_is_shared_between_two() -> None:
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 1
    values, _ = splat(image, displaced(0.25, 0.5, (1, 1, 5, 5)))
    expected = torch.zeros(5, 5)
    expected[2, 2] = expected[2, 3] = 0.375
    expected[3, 2] = expected[3, 3] = 0.125
    assert torch.equal(values[0, 0], expected)


def test_what_falls_outside_is_lost_and_never_wraps_around() -> None:
    values, weights = splat(torch.ones(1, 1, 6, 6), displaced(0, 100.25, (1, 1, 6, 6)))
    assert values.abs().sum() == 0
    assert weights.abs().sum() == 0


def test_gradients_are_right_in_image_and_displacement() -> None:
    image = torch.rand(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    # away from whole pixels, where bilinear weights have a kink
    displacement = torch.randint(-2, 3, (2, 2, 4, 5)) + 0.2 + 0.6 * torch.rand(2, 2, 4, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(splat, (image, displacement.requires_grad_()))


def test_zero_motion_reblurs_to_the_input() -> None:
    sharp = torch.rand(2, 3, 12, 14)
    torch.testing.assert_close(reblur(sharp, torch.zeros(9, 2, 2, 12, 14)), sharp)


def test_a_constant_path_reblurs_to_the_mean_of_its_shifted_images() -> None:
    sharp, instants, length = torch.rand(1, 3, 10, 40), 9, 8
    start, end = displaced(0, -length / 2, sharp.shape), displaced(0, length / 2, sharp.shape)
    blurred = reblur(sharp, quadratic_trajectory(start, end, instants))
    shifted = torch.stack([sharp.roll(shift, dims=3) for shift in range(-4, 5)]).mean(dim=0)
    # beyond half a path from the border nothing has left the image
    torch.testing.assert_close(blurred[..., 4:-4], shifted[..., 4:-4])


def test_every_pixel_of_a_reblurred_image_has_a_value_whatever_the_motion() -> None:
    motion = [torch.randn(2, 2, 12, 14) * 30 for _ in range(2)]
    blurred = reblur(torch.ones(2, 3, 12, 14), quadratic_trajectory(*motion, 9))
    torch.testing.assert_close(blurred, torch.ones(2, 3, 12, 14))


def test_reblurring_is_differentiable_in_the_path() -> None:
    sharp = torch.rand(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    offsets = torch.randint(-1, 2, (3, 1, 2, 4, 5)) + 0.2 + 0.6 * torch.rand(3, 1, 2, 4, 5, dtype=torch.float64)
    offsets[1] = 0.25  # near mid-exposure every pixel keeps weight
    assert torch.autograd.gradcheck(reblur, (sharp, offsets.requires_grad_()))


def test_the_result_stays_finite_where_everything_left_the_image() -> None:
    offsets = torch.full((2, 1, 2, 6, 6), 50.0)
    blurred = reblur(torch.rand(1, 3, 6, 6), offsets)
    assert math.isfinite(blurred.sum().item())


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_a_displacement_that_is_no_number_is_no_address(value: float) -> None:
    image, displacement = torch.rand(2, 3, 6, 6), torch.zeros(2, 2, 6, 6)
    displacement[0, :, 2, 2] = value
    values, _ = splat(image, displacement)
    assert torch.equal(values[1], image[1])
    assert torch.equal(values[0, :, 3:], image[0, :, 3:])
