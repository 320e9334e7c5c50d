"""Means over the surroundings of each place."""

import pytest
import torch

from m2aenet_core.ops import local_means as module
from m2aenet_core.ops.local_means import WINDOW_CELLS, local_means, scale_rows, spread


def test_a_cell_has_the_mean_of_the_window_around_it() -> None:
    features, cell = torch.rand(1, 3, 28, 32), 4
    means = local_means(features, cell)
    assert means.shape == (1, 3, 7, 8)
    top, left, side = (3 - 2) * cell, (4 - 2) * cell, WINDOW_CELLS * cell
    window = features[..., top : top + side, left : left + side]
    torch.testing.assert_close(means[..., 3, 4], window.mean(dim=(2, 3)))


def test_what_is_further_away_than_the_window_does_not_count() -> None:
    features = torch.rand(1, 1, 64, 64)
    other = features.clone()
    other[..., 32:, :] = 7
    first, second = local_means(features, 4), local_means(other, 4)
    assert torch.equal(first[..., :6, :], second[..., :6, :])
    assert not torch.equal(first[..., 6, :], second[..., 6, :])


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (16, 3)])
@pytest.mark.parametrize("cell", [1, 4])
def test_an_even_frame_of_any_size_keeps_its_value(size: tuple[int, int], cell: int) -> None:
    features = torch.full((2, 3, *size), 0.25)
    torch.testing.assert_close(spread(local_means(features, cell), cell, size), features)


def test_between_the_middles_of_cells_values_are_bilinear() -> None:
    ramp = torch.arange(4.0).view(1, 1, 1, 4)
    full = spread(ramp, 4, (4, 16))[0, 0, 0]
    torch.testing.assert_close(full[2:14], torch.arange(12) / 4 + 0.125)
    torch.testing.assert_close(full[:2], torch.zeros(2))


@pytest.mark.parametrize("size", [(1, 1), (13, 21), (400, 30)])
def test_rows_are_scaled_by_the_spread_values(size: tuple[int, int]) -> None:
    cell = 6
    image = torch.rand(*size, 5)
    coarse = torch.randn(1, 5, -(-size[0] // cell), -(-size[1] // cell))
    expected = image * spread(coarse, cell, size)[0].permute(1, 2, 0)
    scale_rows(image, coarse, cell)
    torch.testing.assert_close(image, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(48, 48), (12, 20), (13, 21)])
@pytest.mark.parametrize("cell", [1, 4, 6])
def test_what_a_gpu_learns_with_is_the_same(size: tuple[int, int], cell: int, monkeypatch: pytest.MonkeyPatch) -> None:
    features = torch.randn(2, 3, *size, requires_grad=True)
    upstream = torch.randn(2, 3, *size)

    def learned() -> list[torch.Tensor]:
        full = spread(local_means(features, cell), cell, size)
        return [full, *torch.autograd.grad(full, features, upstream)]

    plain = learned()
    monkeypatch.setattr(module, "_learns_on_gpu", lambda _: True)
    for ours, theirs in zip(learned(), plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_shares_made_without_gradients_serve_those_with() -> None:
    with torch.inference_mode():
        module._spread_by_products(torch.rand(1, 2, 3, 3), 5, (15, 15))
    coarse = torch.rand(1, 2, 3, 3, requires_grad=True)
    module._spread_by_products(coarse, 5, (15, 15)).sum().backward()
    # a middle cell is shared out to its neighbours and given as much by them; shares of each pixel add up to 1
    assert coarse.grad is not None
    torch.testing.assert_close(coarse.grad[..., 1, 1], torch.full((1, 2), 25.0))
    torch.testing.assert_close(coarse.grad.sum(), torch.tensor(2.0 * 15 * 15))
