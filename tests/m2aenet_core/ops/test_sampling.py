"""Reading along displacements, against plain convolutions, other libraries' samplers and written-out references."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.ops import deformable
from m2aenet_core.ops.sampling import deformable_depthwise, look_up, look_up_slope, tap_table

SHAPE = (2, 3, 7, 6)  # B, C, H, W
ROUGHLY = {"atol": 0.05, "rtol": 0.05}


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


def read(plane: Tensor, y: float, x: float) -> float:
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
            total += kernel[c, 0, tap // 3, tap % 3].item() * read(
                features[b, c], y + tap // 3 - 1 + dy, x + tap % 3 - 1 + dx
            )
        out[b, c, y, x] = total
    return out


def between_pixels(*shape: int) -> Tensor:
    """Displacements away from whole pixels, where bilinear weights have a kink."""
    return torch.randint(-2, 3, shape) + 0.2 + 0.6 * torch.rand(shape, dtype=torch.float64)


def sample_each_tap(features: Tensor, kernel: Tensor, bias: Tensor, offsets: Tensor) -> Tensor:
    """Convolve by grid_sample, whose coordinates are (x, y) between -1 and 1."""
    height, width = features.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    convolved = bias.view(-1, 1, 1).expand_as(features)
    for tap, (offset_y, offset_x) in enumerate(offset.unbind(dim=1) for offset in offsets):
        tap_y, tap_x = y + tap // 3 - 1 + offset_y, x + tap % 3 - 1 + offset_x
        grid = torch.stack([2 * tap_x / (width - 1) - 1, 2 * tap_y / (height - 1) - 1], dim=-1)
        convolved = (
            convolved + F.grid_sample(features, grid, align_corners=True) * kernel.flatten(1)[:, tap, None, None]
        )
    return convolved


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


@pytest.fixture(params=[None, 1, 1000], ids=["one pass", "a pass for each pixel", "several passes"])
def _passes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So tiny a convolution is one pass; with a smaller cache it is many."""
    if request.param is not None:
        monkeypatch.setattr(deformable, "_CACHE_BYTES", request.param)


@pytest.mark.usefixtures("_passes")
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_gradients_are_right_in_features_kernel_bias_and_offsets(kernel_size: int) -> None:
    features, _, bias = parts((2, 2, 3, 4))
    kernel = torch.randn(2, 1, kernel_size, kernel_size, dtype=torch.float64)
    offsets = between_pixels(kernel_size**2, 2, 2, 3, 4)  # some taps lie outside

    def convolve(features: Tensor, kernel: Tensor, bias: Tensor, offsets: Tensor) -> Tensor:
        return deformable_depthwise(features, kernel, bias, tap_table(offsets, kernel_size))

    inputs = [tensor.requires_grad_() for tensor in (features, kernel, bias, offsets)]
    assert torch.autograd.gradcheck(convolve, inputs, fast_mode=kernel_size == 5)


@pytest.mark.parametrize("wanted", [[0], [1], [2], [3], [0, 1, 2]])
def test_gradients_are_right_where_only_some_are_wanted(wanted: list[int]) -> None:
    features, kernel, bias = parts((1, 2, 3, 4))
    inputs = [features, kernel, bias, between_pixels(9, 1, 2, 3, 4)]
    leaves = [inputs[index].requires_grad_() for index in wanted]

    def convolve(*leaves: Tensor) -> Tensor:
        for index, leaf in zip(wanted, leaves, strict=True):
            inputs[index] = leaf
        return deformable_depthwise(*inputs[:3], tap_table(inputs[3]))

    assert torch.autograd.gradcheck(convolve, leaves)


def test_a_table_made_without_gradients_serves_the_backward_pass_too() -> None:
    features, kernel, bias = parts()
    offsets = torch.randn(9, 2, 2, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        lean = tap_table(offsets)
    assert lean.readers is None
    leaves = [tensor.requires_grad_() for tensor in (features, kernel, bias)]
    found, expected = (
        torch.autograd.grad(deformable_depthwise(*leaves, table).square().sum(), leaves)
        for table in (lean, tap_table(offsets))
    )
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_a_second_derivative_is_refused_instead_of_wrong() -> None:
    features, kernel, bias = parts()
    features.requires_grad_()
    convolved = deformable_depthwise(features, kernel, bias, tap_table(constant_offsets(0.3, 0.4)))
    (gradient,) = torch.autograd.grad(convolved.square().sum(), features, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        gradient.sum().backward()


@pytest.mark.usefixtures("_passes")
def test_nine_samplings_one_for_each_tap_give_the_same_with_all_gradients() -> None:
    features, kernel, bias = parts((2, 3, 9, 12))
    offsets = between_pixels(9, 2, 2, 9, 12)
    leaves = [tensor.requires_grad_() for tensor in (features, kernel, bias, offsets)]
    convolved = deformable_depthwise(*leaves[:3], tap_table(leaves[3]))
    sampled = sample_each_tap(*leaves)
    torch.testing.assert_close(convolved, sampled)
    upstream = torch.randn_like(convolved)
    found, expected = (torch.autograd.grad(each, leaves, upstream) for each in (convolved, sampled))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("_passes")
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_a_middle_tap_that_stands_still_needs_no_look_up(kernel_size: int) -> None:
    features, _, bias = parts((2, 3, 5, 6))
    kernel = torch.randn(3, 1, kernel_size, kernel_size, dtype=torch.float64)
    offsets = between_pixels(kernel_size**2, 2, 2, 5, 6)
    offsets[kernel_size**2 // 2] = 0
    leaves = [tensor.requires_grad_() for tensor in (features, kernel, bias, offsets)]
    short, whole = (tap_table(offsets, kernel_size, middle_is_still=still) for still in (True, False))
    assert len(short.neighbours) * kernel_size**2 == len(whole.neighbours) * (kernel_size**2 - 1)
    found, expected = (deformable_depthwise(features, kernel, bias, table) for table in (short, whole))
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad(each, leaves, upstream) for each in (found, expected))
    for one, other in zip(ours[:3], theirs[:3], strict=True):
        torch.testing.assert_close(one, other)
    # nothing asks where the middle tap should rather be
    assert (ours[3][kernel_size**2 // 2] == 0).all()
    theirs[3][kernel_size**2 // 2] = 0
    torch.testing.assert_close(ours[3], theirs[3])


def test_nothing_is_kept_for_the_backward_pass_but_the_arguments() -> None:
    features, kernel, bias = (tensor.requires_grad_() for tensor in parts())
    features_in_memory = features.detach().to(memory_format=torch.channels_last).requires_grad_()
    table = tap_table(constant_offsets(0.3, 0.4))
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        deformable_depthwise(features_in_memory, kernel, bias, table)
    assert kept
    assert table.readers is not None
    given = {tensor.data_ptr() for tensor in (features_in_memory, kernel, bias, *table[:2], *table.readers)}
    new = [tensor for tensor in kept if tensor.data_ptr() not in given]
    # a kernel turned round, so that channels lie side by side
    assert sum(tensor.numel() for tensor in new) <= kernel.numel()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_features_are_convolved_as_precisely_as_they_are_given(dtype: torch.dtype) -> None:
    features, kernel, bias = (tensor.float() for tensor in parts())
    offsets = torch.randn(9, 2, 2, 7, 6)
    half = features.to(dtype).requires_grad_()
    convolved = deformable_depthwise(half, kernel, bias, tap_table(offsets))
    assert convolved.dtype == torch.float32
    torch.testing.assert_close(convolved, deformable_depthwise(features, kernel, bias, tap_table(offsets)), **ROUGHLY)
    convolved.sum().backward()
    assert half.grad is not None
    assert half.grad.dtype == dtype


def test_a_table_for_another_size_is_refused() -> None:
    features, kernel, bias = parts()
    with pytest.raises(ValueError, match="the table holds 90 taps, but 84 pixels have 9 each"):
        deformable_depthwise(features, kernel, bias, tap_table(torch.zeros(9, 1, 2, 2, 5)))


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


@pytest.mark.parametrize(("height", "width"), [(7, 6), (16, 32), (1, 5), (33, 1)])
def test_looking_up_without_displacement_gives_the_image(height: int, width: int) -> None:
    image = torch.rand(2, 3, height, width)
    assert torch.equal(look_up(image, torch.zeros(2, 2, height, width)), image)


@pytest.mark.parametrize("side", [57, 720, 1023])
def test_whole_displacements_are_exact_and_bring_zeros_from_outside(side: int) -> None:
    image = torch.rand(1, 1, side, side)
    found = look_up(image, torch.tensor([-2.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, side, side))
    assert torch.equal(found[..., 2:, :-3], image[..., :-2, 3:])
    assert found[..., :2, :].abs().sum() == 0
    assert found[..., -3:].abs().sum() == 0


def test_looking_up_agrees_with_the_value_written_out() -> None:
    image, displacement = torch.rand(2, 2, 5, 6, dtype=torch.float64), torch.randn(2, 2, 5, 6, dtype=torch.float64) * 3
    found = look_up(image, displacement)
    for b, c, y, x in torch.cartesian_prod(*(torch.arange(side) for side in image.shape)).tolist():
        dy, dx = displacement[b, :, y, x].tolist()
        assert found[b, c, y, x].item() == pytest.approx(read(image[b, c], y + dy, x + dx), abs=1e-12)


def test_looking_up_is_a_convolution_with_one_tap() -> None:
    image, displacement = torch.rand(2, 3, 7, 6), torch.randn(2, 2, 7, 6) * 2
    one = torch.ones(3, 1, 1, 1)
    convolved = deformable_depthwise(image, one, None, tap_table(displacement.unsqueeze(0), 1))
    torch.testing.assert_close(look_up(image, displacement), convolved, atol=1e-5, rtol=1e-5)


def test_gradients_of_looking_up_are_right_in_image_and_displacement() -> None:
    image = torch.rand(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(look_up, (image, between_pixels(2, 2, 4, 5).requires_grad_()))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_looking_up_far_away_reads_no_memory_that_is_not_its_own(value: float) -> None:
    image, displacement = torch.rand(1, 1, 6, 6), torch.zeros(1, 2, 6, 6)
    displacement[0, :, 2, 2] = value
    found = look_up(image, displacement)
    assert torch.equal(found[0, 0, 3:], image[0, 0, 3:])
    assert math.isnan(found[0, 0, 2, 2]) or found[0, 0, 2, 2] == 0


@pytest.mark.parametrize("size", [(8, 16), (7, 9)])
def test_the_slope_of_looking_up_is_autograds(size: tuple[int, int]) -> None:
    image, upstream = torch.rand(2, 3, *size), torch.rand(2, 3, *size)
    displacement = between_pixels(2, 2, *size).float().requires_grad_()
    (expected,) = torch.autograd.grad(look_up(image, displacement), displacement, upstream)
    torch.testing.assert_close(look_up_slope(image, displacement.detach(), upstream), expected)
