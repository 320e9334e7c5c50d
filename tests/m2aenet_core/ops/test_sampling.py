"""Taps read along displacements, against plain convolutions and a written-out reference."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.ops.sampling import deformable_depthwise, tap_table

SHAPE = (2, 3, 7, 6)  # B, C, H, W


def parts(shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    channels = shape[1]
    return (
        torch.randn(shape, dtype=dtype),
        torch.randn(channels, 1, 3, 3, dtype=dtype),
        torch.randn(channels, dtype=dtype),
    )


def constant_offsets(y: float, x: float, shape: tuple[int, ...] = SHAPE) -> Tensor:
    plane = torch.tensor([y, x], dtype=torch.float64).view(1, 1, 2, 1, 1)
    return plane.expand(9, shape[0], 2, *shape[2:])


def look_up(plane: Tensor, y: float, x: float) -> float:
    """Bilinear value of a plane (H, W) at one place, 0 outside."""
    height, width = plane.shape
    value = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                value += (1 - abs(y - row)) * (1 - abs(x - column)) * plane[row, column].item()
    return value


def written_out(features: Tensor, kernel: Tensor, bias: Tensor, offsets: Tensor) -> Tensor:
    """Sum nine bilinear look-ups for each value, one after the other."""
    out = torch.empty_like(features)
    for b, c, y, x in torch.cartesian_prod(*(torch.arange(side) for side in features.shape)).tolist():
        total = bias[c].item()
        for tap in range(9):
            dy, dx = offsets[tap, b, :, y, x].tolist()
            total += kernel[c, 0, tap // 3, tap % 3].item() * look_up(
                features[b, c], y + tap // 3 - 1 + dy, x + tap % 3 - 1 + dx
            )
        out[b, c, y, x] = total
    return out


def test_zero_offsets_are_a_depthwise_convolution_up_to_the_borders() -> None:
    features, kernel, bias = parts()
    convolved = deformable_depthwise(features, kernel, bias, tap_table(constant_offsets(0, 0)))
    torch.testing.assert_close(convolved, F.conv2d(features, kernel, bias, padding=1, groups=3))


def test_a_five_by_five_kernel_is_read_in_the_same_order() -> None:
    features, kernel = torch.randn(2, 3, 9, 8), torch.randn(3, 1, 5, 5)
    convolved = deformable_depthwise(features, kernel, None, tap_table(torch.zeros(25, 2, 2, 9, 8), kernel_size=5))
    torch.testing.assert_close(convolved, F.conv2d(features, kernel, padding=2, groups=3), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("dy", "dx"), [(1, 0), (0, -2), (-3, 2), (10, 10)])
def test_an_integer_offset_is_the_convolution_of_the_shifted_image(dy: int, dx: int) -> None:
    features, kernel, bias = parts()
    height, width = features.shape[-2:]
    framed = F.pad(features, (11, 11, 11, 11))
    shifted = F.conv2d(framed, kernel, bias, padding=1, groups=3)[..., 11 + dy :, 11 + dx :][..., :height, :width]
    convolved = deformable_depthwise(features, kernel, bias, tap_table(constant_offsets(dy, dx)))
    torch.testing.assert_close(convolved, shifted)


def test_random_offsets_agree_with_the_sum_written_out() -> None:
    shape = (2, 2, 4, 5)
    features, kernel, bias = parts(shape)
    offsets = torch.randn(9, 2, 2, 4, 5, dtype=torch.float64) * 2
    convolved = deformable_depthwise(features, kernel, bias, tap_table(offsets))
    torch.testing.assert_close(convolved, written_out(features, kernel, bias, offsets))


def test_gradients_are_right_in_features_kernel_bias_and_offsets() -> None:
    shape = (2, 2, 3, 4)
    features, kernel, bias = parts(shape)
    # away from whole pixels, where bilinear weights have a kink; some taps lie outside
    offsets = torch.randint(-2, 3, (9, 2, 2, 3, 4)) + 0.2 + 0.6 * torch.rand(9, 2, 2, 3, 4, dtype=torch.float64)

    def convolve(features: Tensor, kernel: Tensor, bias: Tensor, offsets: Tensor) -> Tensor:
        return deformable_depthwise(features, kernel, bias, tap_table(offsets))

    inputs = [tensor.requires_grad_() for tensor in (features, kernel, bias, offsets)]
    assert torch.autograd.gradcheck(convolve, inputs)


def test_images_of_a_batch_are_looked_up_each_in_itself() -> None:
    features, kernel, bias = parts((3, 2, 5, 6))
    offsets = torch.randn(9, 3, 2, 5, 6, dtype=torch.float64) * 4
    together = deformable_depthwise(features, kernel, bias, tap_table(offsets))
    for index in range(3):
        table = tap_table(offsets[:, index : index + 1])
        alone = deformable_depthwise(features[index : index + 1], kernel, bias, table)
        torch.testing.assert_close(together[index : index + 1], alone)


def test_channels_last_memory_gives_the_same_values() -> None:
    features, kernel, bias = parts(dtype=torch.float32)
    table = tap_table(torch.randn(9, 2, 2, 7, 6))
    plain = deformable_depthwise(features, kernel, bias, table)
    swapped = deformable_depthwise(features.to(memory_format=torch.channels_last), kernel, bias, table)
    torch.testing.assert_close(plain, swapped)


def test_the_weights_of_a_tap_inside_sum_to_one_and_vanish_outside() -> None:
    table = tap_table(constant_offsets(0.3, 0.4))
    sums = table.weights.sum(dim=1).view(2, 7, 6, 9)
    torch.testing.assert_close(sums[:, 1:-2, 1:-2], torch.ones(2, 4, 3, 9, dtype=torch.float64))
    assert tap_table(constant_offsets(-50.5, 0)).weights.abs().sum() == 0


def test_a_wrong_number_of_taps_is_named() -> None:
    with pytest.raises(ValueError, match="a 3x3 kernel has 9 taps, got offsets for 8"):
        tap_table(torch.zeros(8, 1, 2, 4, 4))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_an_offset_that_is_no_number_stays_at_its_pixel(value: float) -> None:
    """A network that overflows must show as NaN, not read memory that is not its own."""
    features, kernel, bias = parts()
    offsets = constant_offsets(0, 0).clone()
    offsets[:, 0, :, 3, 2] = value
    convolved = deformable_depthwise(features, kernel, bias, tap_table(offsets))
    expected = F.conv2d(features, kernel, bias, padding=1, groups=3)
    elsewhere = torch.ones(2, 1, 7, 6, dtype=torch.bool)
    elsewhere[0, 0, 3, 2] = False
    torch.testing.assert_close(convolved.where(elsewhere, 0), expected.where(elsewhere, 0))
    if math.isnan(value):
        assert torch.isnan(convolved[0, :, 3, 2]).all()
