"""Windows: each pixel in one of them, seams where opposite edges meet, cells as the pixels say."""

import pytest
import torch
from torch import Tensor

from m2aenet_core.ops.windows import (
    WindowGrid,
    across_seam,
    cells_of_windows,
    pixels_at_once,
    window_mean,
    window_pixels,
    window_seams,
    windows_of_cells,
)

SIDE = 4
BATCH, HEIGHT, WIDTH = 2, 12, 20
SHIFTS = [0, 2]


def all_windows(grid: WindowGrid) -> Tensor:
    return torch.arange(BATCH * grid.rows * grid.columns)


@pytest.mark.parametrize("shift", SHIFTS)
def test_each_pixel_lies_in_one_window(shift: int) -> None:
    grid = WindowGrid(HEIGHT, WIDTH, SIDE, shift)
    pixels = window_pixels(grid, all_windows(grid))
    assert pixels.shape == (BATCH * 15, SIDE**2)
    assert torch.equal(pixels.flatten().sort().values, torch.arange(BATCH * HEIGHT * WIDTH))


@pytest.mark.parametrize("shift", SHIFTS)
def test_windows_are_those_of_the_rolled_image(shift: int) -> None:
    grid = WindowGrid(HEIGHT, WIDTH, SIDE, shift)
    image = torch.rand(BATCH, HEIGHT, WIDTH)
    rolled = torch.roll(image, (-shift, -shift), (1, 2))
    cut = rolled.view(BATCH, grid.rows, SIDE, grid.columns, SIDE).transpose(2, 3).reshape(-1, SIDE**2)
    chosen = torch.tensor([0, 7, 14, 16, 29])
    assert torch.equal(image.flatten()[window_pixels(grid, chosen)], cut[chosen])


def test_a_seam_parts_the_pixels_that_are_no_neighbours_in_the_image() -> None:
    grid = WindowGrid(HEIGHT, WIDTH, SIDE, shift=2)
    windows = all_windows(grid)
    in_image = window_pixels(grid, windows) % (HEIGHT * WIDTH)
    y, x = in_image // WIDTH, in_image % WIDTH
    step_y, step_x = torch.arange(SIDE**2) // SIDE, torch.arange(SIDE**2) % SIDE
    is_torn = torch.zeros(len(windows), SIDE**2, SIDE**2, dtype=torch.bool)
    for place, step in ((y, step_y), (x, step_x)):
        is_torn |= (place.unsqueeze(1) - place.unsqueeze(2)) != (step.unsqueeze(0) - step.unsqueeze(1))
    assert torch.equal(across_seam(SIDE, shift=2)[window_seams(grid, windows)], is_torn)


def test_only_the_last_row_and_column_hold_seams() -> None:
    grid = WindowGrid(HEIGHT, WIDTH, SIDE, shift=2)
    expected = torch.tensor([[0, 0, 0, 0, 2], [0, 0, 0, 0, 2], [1, 1, 1, 1, 3]])
    assert torch.equal(window_seams(grid, all_windows(grid)).view(BATCH, 3, 5), expected.expand(BATCH, 3, 5))


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_mean_of_a_window_is_that_of_its_pixels(shift: int) -> None:
    grid = WindowGrid(HEIGHT, WIDTH, SIDE, shift)
    values = torch.rand(BATCH, 1, HEIGHT, WIDTH)
    expected = values.flatten()[window_pixels(grid, all_windows(grid))].mean(dim=1)
    torch.testing.assert_close(window_mean(values, SIDE, shift).flatten(), expected)


@pytest.mark.parametrize("is_shifted", [False, True])
@pytest.mark.parametrize("cells", [1, 2])
def test_a_window_is_kept_where_one_of_its_pixels_is_blurred(cells: int, is_shifted: bool) -> None:
    """Cells of 4 x 4 pixels, windows of one cell at full and of two cells at half resolution."""
    mask = (torch.rand(BATCH, 1, 6, 10) > 0.8).float()
    pixels = mask.repeat_interleave(4, 2).repeat_interleave(4, 3)
    grid = WindowGrid(24, 40, 4 * cells, 2 * cells * is_shifted)
    windows = torch.arange(BATCH * grid.rows * grid.columns)
    expected = pixels.flatten()[window_pixels(grid, windows)].amax(dim=1)
    kept = windows_of_cells(mask, cells, is_shifted=is_shifted)
    assert kept.shape == (BATCH, 1, grid.rows, grid.columns)
    assert torch.equal(kept.flatten(), expected)
    assert 0 < kept.mean() < 1


@pytest.mark.parametrize("is_shifted", [False, True])
@pytest.mark.parametrize("cells", [1, 2])
def test_a_cell_has_the_mean_of_the_windows_that_it_lies_in(cells: int, is_shifted: bool) -> None:
    grid = WindowGrid(24, 40, 4 * cells, 2 * cells * is_shifted)
    values = torch.rand(BATCH, 1, grid.rows, grid.columns)
    pixels = torch.empty(BATCH * 24 * 40)
    windows = torch.arange(BATCH * grid.rows * grid.columns)
    pixels[window_pixels(grid, windows)] = values.flatten().unsqueeze(1).expand(-1, grid.side**2)
    expected = window_mean(pixels.view(BATCH, 1, 24, 40), 4, shift=0)
    torch.testing.assert_close(cells_of_windows(values, cells, is_shifted=is_shifted), expected)


def test_with_gradients_all_pixels_are_taken_at_once_and_without_as_many_as_stay_in_the_cache() -> None:
    pixels = torch.zeros(1, 1_000_000, 1).expand(1, 1_000_000, 256)
    assert pixels_at_once(pixels) == 1_000_000
    with torch.no_grad():
        assert pixels_at_once(pixels) == torch.get_num_threads() * 1024
        assert pixels_at_once(pixels[..., :32]) == torch.get_num_threads() * 4096
        assert pixels_at_once(pixels.to("meta")) == 65536
