"""Masks and displacements across scales."""

import pytest
import torch

from m2aenet_core.ops.resize import resize_displacement, resize_image, shrink_mask

SIZES = [(48, 64), (6, 8), (24, 16), (12, 64), (24, 32)]


@pytest.mark.parametrize("size", SIZES)
def test_a_displacement_keeps_its_share_of_the_image(size: tuple[int, int]) -> None:
    displacement = torch.tensor([6.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, 24, 32)
    resized = resize_displacement(displacement, size)
    assert resized.shape == (1, 2, *size)
    torch.testing.assert_close(resized[:, 0], torch.full((1, *size), 6.0 * size[0] / 24))
    torch.testing.assert_close(resized[:, 1], torch.full((1, *size), -4.0 * size[1] / 32))


def test_y_and_x_are_scaled_each_by_its_own_side() -> None:
    displacement = torch.ones(1, 2, 8, 8)
    resized = resize_displacement(displacement, (16, 32))
    assert torch.equal(resized[:, 0], torch.full((1, 16, 32), 2.0))
    assert torch.equal(resized[:, 1], torch.full((1, 16, 32), 4.0))


def test_the_same_size_changes_nothing() -> None:
    displacement = torch.randn(2, 2, 9, 7)
    assert torch.equal(resize_displacement(displacement, (9, 7)), displacement)
    assert torch.equal(resize_image(displacement, (9, 7)), displacement)


def test_shrinking_takes_the_mean_of_each_cell() -> None:
    image = torch.rand(2, 3, 16, 24)
    cells = image.view(2, 3, 4, 4, 6, 4).mean(dim=(3, 5))
    torch.testing.assert_close(resize_image(image, (4, 6)), cells)


def test_growing_keeps_a_ramp_straight_between_pixel_centres() -> None:
    ramp = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 1, 8, 8)
    grown = resize_image(ramp, (16, 16))[0, 0, 5]
    centres = (torch.arange(16) + 0.5) / 2 - 0.5
    torch.testing.assert_close(grown[1:-1], centres[1:-1])


def test_a_cell_of_a_shrunk_mask_is_blurred_where_any_of_its_pixels_is() -> None:
    mask = torch.zeros(2, 1, 16, 24)
    mask[0, 0, 9, 15] = 1
    mask[1, 0, 0, 0] = mask[1, 0, 15, 23] = 1
    small = shrink_mask(mask, 8)
    assert small[0, 0].tolist() == [[0, 0, 0], [0, 1, 0]]
    assert small[1, 0].tolist() == [[1, 0, 0], [0, 0, 1]]
