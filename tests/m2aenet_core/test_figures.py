"""The figures show what the analysis says, at the place where it says it."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from m2aenet_core import Analysis, Deblurrer, InputError, M2AENet, M2AENetConfig
from m2aenet_core.figures import (
    _show,
    blurred_window,
    displayable,
    encode_figure,
    grid_points,
    save_figure,
    side_by_side_figure,
    trajectory_figure,
)


@pytest.fixture(scope="module")
def deblurrer() -> Deblurrer:
    torch.manual_seed(0)
    config = M2AENetConfig(width=8, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))
    return Deblurrer(M2AENet(config), device="cpu")


@pytest.fixture(scope="module")
def analysis(deblurrer: Deblurrer) -> Analysis:
    return deblurrer.analyze(skimage.data.astronaut()[:160, 100:340])


def disc(height: int, width: int, y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def test_curves_pass_through_pixels_of_the_mask_in_x_and_y(analysis: Analysis) -> None:
    mask = disc(160, 240, 60, 180, 30)
    figure = trajectory_figure(analysis.image, analysis, mask)
    edges, coloured = (c for c in figure.axes[0].collections if isinstance(c, LineCollection))
    middles = np.array([curve[len(curve) // 2] for curve in edges.get_segments()])
    assert len(middles) > 10
    rows, columns = np.rint(middles[:, 1]).astype(int), np.rint(middles[:, 0]).astype(int)
    assert mask[rows, columns].all()
    first = edges.get_segments()[0]
    y, x = rows[0], columns[0]
    np.testing.assert_allclose(first[0] - (x, y), analysis.start_displacement[y, x][::-1], atol=1e-4)
    np.testing.assert_allclose(first[-1] - (x, y), analysis.end_displacement[y, x][::-1], atol=1e-4)
    assert len(coloured.get_array()) == len(coloured.get_segments())


def test_colours_run_from_the_start_of_the_exposure_to_its_end(analysis: Analysis) -> None:
    figure = trajectory_figure(analysis.image, analysis, disc(160, 240, 60, 180, 30))
    times = np.asarray(figure.axes[0].collections[-1].get_array())
    assert times[0] == -1
    assert times.max() == 1
    labels = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert labels == ["start", "middle", "end"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (9, 300), (160, 240)])
@pytest.mark.parametrize("blurred", ["none", "all", "one"])
def test_figures_can_be_drawn_for_every_size_and_mask(
    deblurrer: Deblurrer, shape: tuple[int, int], blurred: str
) -> None:
    image = np.full((*shape, 3), 99, np.uint8)
    mask = np.full(shape, blurred == "all")
    if blurred == "one":
        mask[shape[0] // 2, shape[1] // 2] = True
    result = deblurrer(image, mask=mask)
    for figure in (trajectory_figure(image, result.analysis, mask), side_by_side_figure(image, result)):
        with Image.open(io.BytesIO(encode_figure(figure))) as picture:
            assert min(picture.size) > 100
            assert picture.convert("L").getextrema()[0] < 128  # something is drawn


@pytest.mark.parametrize(
    "image",
    [
        skimage.data.camera()[:64, :64],
        skimage.data.camera()[:64, :64, None],
        np.dstack([skimage.data.astronaut()[:64, :64], np.full((64, 64), 128, np.uint8)]),
        skimage.data.astronaut()[:64, :64].astype(np.uint16) * 257,
        skimage.data.astronaut()[:64, :64] / 255,
    ],
)
def test_every_kind_of_photo_is_shown(deblurrer: Deblurrer, image: np.ndarray) -> None:
    result = deblurrer(image)
    assert len(encode_figure(side_by_side_figure(image, result))) > 10_000
    assert len(encode_figure(trajectory_figure(image, result.analysis, result.mask))) > 10_000


def test_a_photo_is_shown_as_it_is_whatever_its_depth() -> None:
    photo = skimage.data.astronaut()[:20, :30]
    np.testing.assert_array_equal(displayable(photo, (0, 255)), photo)
    np.testing.assert_array_equal(displayable(photo.astype(np.uint16) * 257, (0, 65535)), photo)
    np.testing.assert_array_equal(displayable(photo / 255, (0, 1)), photo)
    np.testing.assert_array_equal(displayable(photo[..., 0], (0, 255)), np.repeat(photo[..., :1], 3, axis=2))
    clear = np.dstack([photo, np.zeros((20, 30), np.uint8)])
    assert displayable(clear, (0, 255)).min() == 255


@pytest.mark.parametrize("shape", [(4001, 5999), (4000, 6000, 3)])
def test_a_large_photo_is_as_bright_at_its_edges_as_it_is(shape: tuple[int, ...]) -> None:
    axes = Figure().subplots()
    _show(axes, np.full(shape, 200, np.uint8))
    (shown,) = axes.get_images()
    assert max(shown.get_array().shape) < max(shape)
    assert np.asarray(shown.get_array()).min() == 200


def test_points_are_inside_the_mask_and_never_too_many() -> None:
    for shape, radius in (((160, 240), 30), ((3000, 4000), 900), ((40, 40), 3)):
        mask = disc(*shape, shape[0] / 2, shape[1] / 2, radius)
        points = grid_points(mask)
        assert mask[tuple(points.T)].all()
        assert 0 < len(points) < 400
    assert len(grid_points(np.zeros((50, 50), bool))) == 0
    single = np.zeros((500, 500), bool)
    single[123, 321] = True
    np.testing.assert_array_equal(grid_points(single), [[123, 321]])


def test_long_curves_are_given_room() -> None:
    mask = disc(600, 600, 300, 300, 250)
    points = grid_points(mask, length_px=30)
    steps = np.unique(np.diff(np.unique(points[:, 1])))
    np.testing.assert_array_equal(steps, [36])


def test_the_window_lies_around_the_largest_region() -> None:
    mask = disc(600, 900, 100, 200, 20) | disc(600, 900, 400, 700, 60)
    window = blurred_window(mask)
    assert window is not None
    assert window.top < 340
    assert window.bottom > 460
    assert window.left < 640
    assert 760 < window.right <= 900
    assert window.right - window.left <= 450
    assert (window.bottom - window.top) / (window.right - window.left) == pytest.approx(2 / 3, abs=0.01)


def test_the_window_stays_in_the_photo_and_is_left_out_where_it_says_nothing() -> None:
    corner = np.zeros((600, 900), bool)
    corner[:5, -5:] = True
    window = blurred_window(corner)
    assert window is not None
    assert (window.top, window.right) == (0, 900)
    assert window.bottom - window.top >= 64
    assert blurred_window(np.zeros((600, 900), bool)) is None
    assert blurred_window(np.ones((50, 60), bool)) is None


def test_the_side_by_side_figure_has_the_zoomed_row_only_with_blur(deblurrer: Deblurrer, analysis: Analysis) -> None:
    mask = disc(160, 240, 60, 180, 30)
    with_blur = side_by_side_figure(analysis.image, deblurrer.restore(analysis, mask=mask))
    without = side_by_side_figure(analysis.image, deblurrer.restore(analysis, mask=mask & False))
    assert len(with_blur.axes) == 6 + 1
    assert len(without.axes) == 3 + 1
    assert [axes.get_title() for axes in with_blur.axes[:3]] == ["photo", "given mask", "restored"]
    chosen = side_by_side_figure(analysis.image, deblurrer.restore(analysis, threshold=0.25))
    assert chosen.axes[1].get_title() == "mask at ε = 0.25"


def test_a_figure_is_written_whole_or_not_at_all(analysis: Analysis, tmp_path: Path) -> None:
    figure = trajectory_figure(analysis.image, analysis, disc(160, 240, 60, 180, 30))
    for name in ("figure.png", "figure.pdf", "figure.svg"):
        save_figure(figure, tmp_path / name)
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert b"<svg" in (tmp_path / "figure.svg").read_bytes()
    with pytest.raises(InputError, match="is a file or lies below one"):
        save_figure(figure, tmp_path / "figure.png" / "figure.png")
    assert len(list(tmp_path.iterdir())) == 3


def test_importing_the_module_imports_no_matplotlib_and_drawing_no_pyplot() -> None:
    code = (
        "import sys, numpy as np, m2aenet_core.figures as figures\n"
        "assert 'matplotlib' not in sys.modules\n"
        "figures.encode_figure(figures._new_figure(1, 1))\n"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
