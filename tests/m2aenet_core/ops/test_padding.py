"""Sizes to multiples, and back."""

import pytest
import torch

from m2aenet_core.ops.padding import centre_padding, pad_to_multiple, pad_to_power_of_two, round_up


@pytest.mark.parametrize(
    ("size", "multiple", "expected"), [(0, 16, 0), (1, 16, 16), (16, 16, 16), (17, 16, 32), (7, 1, 7)]
)
def test_round_up_gives_the_next_multiple(size: int, multiple: int, expected: int) -> None:
    assert round_up(size, multiple) == expected


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (15, 17), (16, 33)])
def test_padding_adds_at_the_bottom_and_the_right_alone(height: int, width: int) -> None:
    image = torch.rand(2, 3, height, width)
    padded = pad_to_multiple(image, 16)
    assert padded.shape[-2] % 16 == 0
    assert padded.shape[-1] % 16 == 0
    assert padded.shape[-2] - height < 16
    assert padded.shape[-1] - width < 16
    assert torch.equal(padded[..., :height, :width], image)
    assert padded.sum() == pytest.approx(image.sum().item(), rel=1e-6)


def test_replicate_padding_repeats_the_last_row_and_column() -> None:
    image = torch.rand(1, 3, 5, 6)
    padded = pad_to_multiple(image, 8, "replicate")
    assert torch.equal(padded[..., 5:, :6], image[..., 4:, :].expand(-1, -1, 3, -1))
    assert torch.equal(padded[..., :5, 6:], image[..., 5:].expand(-1, -1, -1, 2))


def test_an_image_that_fits_is_returned_as_it_is() -> None:
    image = torch.rand(1, 3, 32, 16)
    assert pad_to_multiple(image, 16) is image


@pytest.mark.parametrize(("size", "power"), [(1, 1), (2, 2), (3, 4), (720, 1024), (1024, 1024), (1025, 2048)])
def test_padding_to_a_power_of_two_adds_zeros(size: int, power: int) -> None:
    image = torch.rand(1, 2, 3, size)
    padded = pad_to_power_of_two(image)
    assert padded.shape == (1, 2, 4, power)
    assert torch.equal(padded[..., :3, :size], image)
    assert padded.sum() == pytest.approx(image.sum().item(), rel=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (15, 17), (16, 32), (33, 62)])
def test_centred_padding_puts_zeros_around_the_image_and_takes_them_away(height: int, width: int) -> None:
    image, padding = torch.rand(2, 3, height, width), centre_padding(height, width, 16)
    padded = padding.add(image)
    assert padded.shape[-2] == round_up(height, 16)
    assert padded.shape[-1] == round_up(width, 16)
    assert padding.bottom - padding.top in (0, 1)
    assert padding.right - padding.left in (0, 1)
    assert torch.equal(padding.remove(padded), image)
    assert padded.sum() == pytest.approx(image.sum().item(), rel=1e-5)
