"""Forward splatting, and blur made again from it."""

import math

import pytest
import torch

from m2aenet_core.models.trajectory import quadratic_trajectory
from m2aenet_core.ops.sampling import look_up
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


def test_splatting_is_the_transpose_of_looking_up() -> None:
    image, gradient = torch.rand(2, 3, 7, 9, dtype=torch.float64), torch.rand(2, 3, 7, 9, dtype=torch.float64)
    displacement = torch.randn(2, 2, 7, 9, dtype=torch.float64) * 4
    values, weights = splat(image, displacement)
    torch.testing.assert_close((values * gradient).sum(), (image * look_up(gradient, displacement)).sum())
    torch.testing.assert_close(weights.sum(), look_up(torch.ones_like(weights), displacement).sum())


def test_random_displacements_agree_with_the_sum_written_out() -> None:
    image, displacement = torch.rand(2, 2, 5, 6, dtype=torch.float64), torch.randn(2, 2, 5, 6, dtype=torch.float64) * 3
    expected = torch.zeros(2, 3, 5, 6, dtype=torch.float64)
    for b, y, x in torch.cartesian_prod(torch.arange(2), torch.arange(5), torch.arange(6)).tolist():
        to_y, to_x = y + displacement[b, 0, y, x].item(), x + displacement[b, 1, y, x].item()
        for row in (math.floor(to_y), math.floor(to_y) + 1):
            for column in (math.floor(to_x), math.floor(to_x) + 1):
                if 0 <= row < 5 and 0 <= column < 6:
                    weight = (1 - abs(to_y - row)) * (1 - abs(to_x - column))
                    expected[b, :2, row, column] += weight * image[b, :, y, x]
                    expected[b, 2, row, column] += weight
    torch.testing.assert_close(torch.cat(splat(image, displacement), dim=1), expected)


@pytest.mark.parametrize("wanted", ["image", "displacement"])
def test_gradients_are_right_where_only_one_is_wanted(wanted: str) -> None:
    image = torch.rand(1, 2, 4, 5, dtype=torch.float64, requires_grad=wanted == "image")
    displacement = torch.randint(-2, 3, (1, 2, 4, 5)) + 0.2 + 0.6 * torch.rand(1, 2, 4, 5, dtype=torch.float64)
    displacement.requires_grad_(wanted == "displacement")
    assert torch.autograd.gradcheck(splat, (image, displacement))


@pytest.mark.parametrize("side", [30, 600])
def test_without_motion_the_gradient_is_the_step_to_the_next_pixel(side: int) -> None:
    """Whole pixels have a kink; everywhere the same side of it counts, or training would start with noise."""
    image, gradient = torch.rand(1, 1, side, side), torch.rand(1, 1, side, side)
    displacement = torch.zeros(1, 2, side, side, requires_grad=True)
    (splat(image, displacement)[0] * gradient).sum().backward()
    assert displacement.grad is not None
    next_row, next_column = torch.zeros_like(gradient), torch.zeros_like(gradient)
    next_row[..., :-1, :], next_column[..., :-1] = gradient[..., 1:, :], gradient[..., 1:]
    expected = torch.cat([next_row - gradient, next_column - gradient], dim=1) * image
    torch.testing.assert_close(displacement.grad, expected)


@pytest.mark.parametrize("instants", [1, 9])
def test_nothing_is_kept_for_the_backward_pass_but_the_arguments(instants: int) -> None:
    sharp = torch.rand(1, 3, 8, 8, requires_grad=True)
    offsets = torch.zeros(instants, 1, 2, 8, 8, requires_grad=True)
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        reblur(sharp, offsets)
    new = [tensor for tensor in kept if tensor.data_ptr() not in (sharp.data_ptr(), offsets.data_ptr())]
    # the two sums, for their quotient, and which weights were large enough to divide by
    assert len(new) < len(kept)
    assert sum(tensor.numel() for tensor in new) <= 8 * 8 * (3 + 1 + 1)


def test_a_second_derivative_is_refused_instead_of_wrong() -> None:
    image = torch.rand(1, 2, 5, 6, requires_grad=True)
    values, _ = splat(image, displaced(0.25, 0.5, (1, 2, 5, 6)))
    (gradient,) = torch.autograd.grad(values.square().sum(), image, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        gradient.sum().backward()
