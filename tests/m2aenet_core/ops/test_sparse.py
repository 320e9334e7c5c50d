"""Pruned convolution equals dense convolution at the kept pixels."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from m2aenet_core.ops import sparse
from m2aenet_core.ops.sparse import depthwise_at_kept, dilate, gather, kept_pixels, pruning_pays, scatter

HEIGHT, WIDTH = 9, 11


def blob() -> Tensor:
    mask = torch.zeros(2, 1, HEIGHT, WIDTH)
    mask[0, 0, 3:6, 4:8] = 1
    mask[1, 0, 2:4, 2:9] = 1
    return mask


def at_the_border() -> Tensor:
    mask = torch.zeros(2, 1, HEIGHT, WIDTH)
    mask[0, 0, -2:, -3:] = mask[0, 0, :, 0] = 1
    mask[1, 0, :2, :] = 1
    return mask


def first_image_alone() -> Tensor:
    mask = torch.zeros(2, 1, HEIGHT, WIDTH)
    mask[0] = 1
    return mask


MASKS = {
    "random": lambda: (torch.rand(3, 1, HEIGHT, WIDTH) > 0.6).float(),
    "blob": blob,
    "border": at_the_border,
    "first image alone": first_image_alone,
    "one pixel": lambda: F.one_hot(torch.tensor([40]), HEIGHT * WIDTH).float().view(1, 1, HEIGHT, WIDTH),
    "empty": lambda: torch.zeros(2, 1, HEIGHT, WIDTH),
    "full": lambda: torch.ones(2, 1, HEIGHT, WIDTH),
}


@pytest.fixture(params=MASKS, ids=list(MASKS))
def mask(request: pytest.FixtureRequest) -> Tensor:
    return MASKS[request.param]()


def test_pruned_depthwise_equals_dense_depthwise_at_kept_pixels(mask: Tensor) -> None:
    features = torch.randn(len(mask), 4, HEIGHT, WIDTH)
    kernel, bias = torch.randn(4, 1, 3, 3), torch.randn(4)
    pixels = kept_pixels(mask)
    pruned = depthwise_at_kept(gather(features, pixels.dilated), kernel, bias, pixels)
    dense = F.conv2d(features, kernel, bias, padding=1, groups=4)
    torch.testing.assert_close(pruned, gather(dense, pixels.kept))
    assert len(pruned) == int(mask.sum())


def test_only_kept_pixels_and_their_neighbours_are_read(mask: Tensor) -> None:
    features = torch.randn(len(mask), 4, HEIGHT, WIDTH)
    kernel, bias = torch.randn(4, 1, 3, 3), torch.randn(4)
    pixels = kept_pixels(mask)
    assert len(pixels.dilated) == int(dilate(mask).sum())
    poisoned = torch.where(dilate(mask) > 0, features, torch.full_like(features, torch.nan))
    pruned = depthwise_at_kept(gather(poisoned, pixels.dilated), kernel, bias, pixels)
    assert torch.isfinite(pruned).all()


def test_scatter_puts_back_what_gather_took(mask: Tensor) -> None:
    features = torch.randn(len(mask), 4, HEIGHT, WIDTH)
    pixels = kept_pixels(mask)
    rows = gather(features, pixels.kept)
    assert torch.equal(rows, features.permute(0, 2, 3, 1)[mask[:, 0] > 0])
    written = scatter(torch.zeros_like(features), pixels.kept, rows)
    assert torch.equal(written, features * mask)


def test_scatter_leaves_its_input_alone() -> None:
    features = torch.zeros(1, 2, 3, 3)
    scatter(features, torch.tensor([4]), torch.ones(1, 2))
    assert features.sum() == 0


def test_dilating_grows_in_all_eight_directions() -> None:
    mask = torch.zeros(1, 1, 5, 5)
    mask[0, 0, 2, 1] = 1
    expected = torch.zeros(5, 5)
    expected[1:4, 0:3] = 1
    assert torch.equal(dilate(mask)[0, 0], expected)


def test_nothing_leaks_from_one_image_of_a_batch_into_the_next() -> None:
    mask = torch.zeros(2, 1, HEIGHT, WIDTH)
    mask[0, 0, -1] = mask[1, 0, 0] = 1  # neighbours in memory, not in space
    features = torch.zeros(2, 1, HEIGHT, WIDTH)
    features[1] = 1
    pixels = kept_pixels(mask)
    sums = depthwise_at_kept(gather(features, pixels.dilated), torch.ones(1, 1, 3, 3), torch.zeros(1), pixels)
    assert torch.equal(scatter(features, pixels.kept, sums)[0, 0], torch.zeros(HEIGHT, WIDTH))


@pytest.fixture(params=[None, 1, 100], ids=["one pass", "a pass for each pixel", "several passes"])
def _passes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So tiny a convolution is one pass; with a smaller cache it is many."""
    if request.param is not None:
        monkeypatch.setattr(sparse, "_CACHE_BYTES", request.param)


@pytest.mark.usefixtures("_passes")
def test_gradients_are_right_in_rows_kernel_and_bias() -> None:
    pixels = kept_pixels((torch.rand(1, 1, 4, 5) > 0.5).float())
    rows = torch.randn(len(pixels.dilated), 2, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *inputs: depthwise_at_kept(*inputs, pixels), (rows, kernel, bias))


def test_gradients_flow_through_gather_and_scatter() -> None:
    pixels = kept_pixels((torch.rand(2, 1, 4, 5) > 0.5).float())
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    rows = torch.randn(len(pixels.kept), 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda features: gather(features, pixels.kept), (features,))
    assert torch.autograd.gradcheck(lambda features, rows: scatter(features, pixels.kept, rows), (features, rows))


@pytest.mark.usefixtures("_passes")
def test_pruned_gradients_are_those_of_the_dense_convolution_of_what_is_kept(mask: Tensor) -> None:
    leaves = [
        torch.randn(len(mask), 4, HEIGHT, WIDTH, dtype=torch.float64, requires_grad=True),
        torch.randn(4, 1, 3, 3, dtype=torch.float64, requires_grad=True),
        torch.randn(4, dtype=torch.float64, requires_grad=True),
    ]
    features, kernel, bias = leaves
    pixels = kept_pixels(mask)
    pruned = depthwise_at_kept(gather(features, pixels.dilated), kernel, bias, pixels)
    dense = gather(F.conv2d(features, kernel, bias, padding=1, groups=4), pixels.kept)
    upstream = torch.randn_like(dense)
    found, expected = (torch.autograd.grad(each, leaves, upstream) for each in (pruned, dense))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_second_derivative_is_refused_instead_of_wrong() -> None:
    pixels = kept_pixels(blob())
    rows = torch.randn(len(pixels.dilated), 2, requires_grad=True)
    convolved = depthwise_at_kept(rows, torch.randn(2, 1, 3, 3), torch.randn(2), pixels)
    (gradient,) = torch.autograd.grad(convolved.square().sum(), rows, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        gradient.sum().backward()


def test_neighbours_are_named_tap_by_tap() -> None:
    mask = torch.zeros(1, 1, 3, 3)
    mask[0, 0, 0, 1] = 1
    pixels = kept_pixels(mask)
    assert pixels.kept.tolist() == [1]
    assert pixels.dilated.tolist() == [0, 1, 2, 3, 4, 5]
    assert pixels.neighbours.squeeze(1).tolist() == [6, 6, 6, 0, 1, 2, 3, 4, 5]


def test_pruning_pays_for_a_small_region_and_for_few_scattered_pixels() -> None:
    region, scattered = torch.zeros(1, 1, 40, 40), torch.zeros(1, 1, 40, 40)
    region[..., 5:30, 5:30] = 1
    scattered[..., ::4, ::4] = 1
    assert pruning_pays(region)
    assert pruning_pays(scattered)
    assert pruning_pays(torch.zeros(2, 1, 8, 8))


def test_pruning_does_not_pay_where_most_pixels_are_kept_or_read() -> None:
    region, scattered = torch.zeros(1, 1, 40, 40), torch.zeros(1, 1, 40, 40)
    region[..., 5:35, 2:38] = 1
    scattered[..., ::2, ::2] = 1
    assert not pruning_pays(region)
    assert not pruning_pays(scattered)
    assert not pruning_pays(torch.ones(2, 1, 8, 8))
