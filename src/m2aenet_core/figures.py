"""Figures of one photo, ready for a page: how its pixels moved, and the photo before and after.

They are matplotlib `Figure`s that nobody else holds: no pyplot, no global state, and matplotlib is imported only when
one is made.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from m2aenet_core.atomic import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from m2aenet_core.analysis import Analysis, DeblurResult

_CURVES = 200  # about so many stand side by side without touching
_INSTANTS = 17
_PHOTO_SIDES_IN = (1.5, 8.0)  # shortest side, that a scale fits beside it, and longest
_PANEL_SIDES_IN = (1.5, 4.5)
_GAP_IN = 0.1
_TITLE_IN = 0.3
_SCALE_IN = 0.16  # thickness of a colour scale
_SCALE_TEXT_IN = 0.8
_DPI = 200
_SHOWN_PX = 1600  # a photo is drawn with at most so many pixels on its long side
TIME_COLOURS = "cool"  # bright from end to end: it shows on dark and on light photos
_PROBABILITY_COLOURS = "magma"
_WINDOW_COLOUR = "#35c2ff"
_ZOOM_MIN_PX = 64


class Window(NamedTuple):
    """A part of a photo: rows `top` to `bottom` and columns `left` to `right`, without the last."""

    top: int
    bottom: int
    left: int
    right: int


def trajectory_figure(image: np.ndarray, analysis: "Analysis", mask: np.ndarray) -> "Figure":
    """The photo with curves of how its pixels moved, coloured by the time within the exposure.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), in the value range of `analysis`.
        analysis: of this image.
        mask: (H, W) bool. The curves pass through points inside it, on a grid whose step follows its area and the
            length of the curves.
    """
    from matplotlib.collections import LineCollection

    height, width = mask.shape
    wide_in, high_in = _size_in(height, width, *_PHOTO_SIDES_IN)
    figure = _new_figure(wide_in + _GAP_IN + _SCALE_IN + _SCALE_TEXT_IN, high_in + 2 * _GAP_IN)
    axes = _add_axes(figure, 0, _GAP_IN, wide_in, high_in)
    _show(axes, displayable(image, analysis.value_range))
    _outline(axes, mask, Window(0, height, 0, width))
    # a network that finds no motion has no curves to show
    points = grid_points(mask & analysis.has_motion, _usual_length_px(analysis, mask))
    curves = points[:, None, :] + analysis.trajectory_at(points, _INSTANTS)
    curves_xy = curves[..., ::-1]
    segments = np.stack([curves_xy[:, :-1], curves_xy[:, 1:]], axis=2).reshape(-1, 2, 2)
    # a dark edge keeps the curves apart from the photo, whatever its colours
    axes.add_collection(LineCollection(list(curves_xy), colors="black", linewidths=3.0, alpha=0.6, capstyle="round"))
    coloured = LineCollection(list(segments), cmap=TIME_COLOURS, linewidths=1.7, capstyle="round")
    coloured.set_array(np.tile(np.linspace(-1, 1, _INSTANTS - 1), len(points)))
    coloured.set_clim(-1, 1)
    axes.add_collection(coloured)
    scale = _add_axes(figure, wide_in + _GAP_IN, _GAP_IN, _SCALE_IN, high_in)
    bar = figure.colorbar(coloured, cax=scale, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["start", "middle", "end"])
    bar.set_label("exposure" if len(points) else "exposure (no pixel is blurred)")
    _frame(axes, Window(0, height, 0, width))
    return figure


def side_by_side_figure(image: np.ndarray, result: "DeblurResult") -> "Figure":
    """The photo, its blur probability with the mask's outline, and the restored photo; below, the most blurred part.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), as it was analyzed.
        result: of this image.
    """
    height, width = result.mask.shape
    window = blurred_window(result.mask)
    windows = [Window(0, height, 0, width), *([window] if window else [])]
    wide_in, high_in = _size_in(height, width, *_PANEL_SIDES_IN)
    foot_in = _GAP_IN + _SCALE_IN + _SCALE_TEXT_IN
    step_x_in, step_y_in = wide_in + _GAP_IN, high_in + _GAP_IN
    figure = _new_figure(3 * step_x_in, foot_in + len(windows) * step_y_in + _TITLE_IN)
    panels = [
        [_add_axes(figure, column * step_x_in, foot_in + row * step_y_in, wide_in, high_in) for column in range(3)]
        for row in reversed(range(len(windows)))
    ]
    value_range = result.analysis.value_range
    photo, restored = displayable(image, value_range), displayable(result.restored, value_range)
    for row, part in zip(panels, windows, strict=True):
        _show(row[0], photo, part)
        probability = _show_probability(row[1], result, part)
        _show(row[2], restored, part)
    if window:
        for axes in panels[0]:
            _draw_window(axes, window)
    limit = "given mask" if result.threshold is None else f"mask at ε = {result.threshold:g}"
    for axes, title in zip(panels[0], ("photo", limit, "restored"), strict=True):
        axes.set_title(title, fontsize=11)
    scale = _add_axes(figure, step_x_in, _SCALE_TEXT_IN, wide_in, _SCALE_IN)
    figure.colorbar(probability, cax=scale, orientation="horizontal", ticks=[0, 0.5, 1], label="blur probability")
    return figure


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write the figure to a .png, .pdf or .svg file, whole or not at all. Raises InputError where that is refused."""
    write_atomic(path, encode_figure(figure, Path(path).suffix.lstrip(".") or "png"))


def encode_figure(figure: "Figure", file_format: str = "png") -> bytes:
    """The bytes of a file of `figure`, cut to what is drawn."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=file_format, dpi=_DPI, bbox_inches="tight", pad_inches=0.06)
    return buffer.getvalue()


def displayable(image: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """`image` as (H, W, 3) uint8 to look at: grey repeated, transparent pixels over white, values outside clipped."""
    samples = image[..., None] if image.ndim == 2 else image
    low, high = value_range
    scaled = np.clip((samples.astype(np.float32) - low) / max(high - low, 1e-12), 0, 1)
    colours = scaled[..., :3] if scaled.shape[2] >= 3 else np.repeat(scaled[..., :1], 3, axis=2)
    if scaled.shape[2] == 4:
        alpha = scaled[..., 3:]
        colours = colours * alpha + (1 - alpha)
    shown: np.ndarray = np.rint(colours * 255).astype(np.uint8)
    return shown


def grid_points(mask: np.ndarray, length_px: float = 0.0) -> np.ndarray:
    """Some hundred (y, x) points inside `mask`, (K, 2) int, on a grid; at least one where it holds a pixel.

    Args:
        mask: (H, W) bool.
        length_px: how long a curve at a point is; the grid leaves room for it.
    """
    blurred: np.ndarray = np.argwhere(mask)
    if not len(blurred):
        return np.zeros((0, 2), dtype=np.int64)
    # long curves in a small mask overlap: some thirty of them tell more than two apart from each other
    room_px = min(1.2 * length_px, np.sqrt(len(blurred) / 30))
    step = int(max(np.sqrt(len(blurred) / _CURVES), room_px, max(mask.shape) / 100, 4))
    on_grid: np.ndarray = blurred[(blurred % step == step // 2).all(axis=1)]
    if len(on_grid):
        return on_grid
    nearest = np.argmin(((blurred - blurred.mean(axis=0)) ** 2).sum(axis=1))
    return blurred[nearest : nearest + 1]


def blurred_window(mask: np.ndarray) -> Window | None:
    """The part to look at closely: around the largest connected region of `mask`, about in the photo's proportions.

    It is at most half as high and wide as the photo, but 64 pixels where the photo has them. None without a blurred
    pixel, and where it would be the whole photo.
    """
    from scipy import ndimage

    regions, count = ndimage.label(mask)
    if not count:
        return None
    areas = np.bincount(regions.ravel())
    areas[0] = 0
    rows, columns = np.nonzero(regions == areas.argmax())
    height, width = mask.shape
    ratio = float(np.clip(height / width, 0.5, 2))
    wanted = 1.25 * max(float(np.ptp(columns)), float(np.ptp(rows)) / ratio)
    wanted = max(min(wanted, width / 2, height / 2 / ratio), _ZOOM_MIN_PX, _ZOOM_MIN_PX / ratio)
    size_y, size_x = min(round(wanted * ratio), height), min(round(wanted), width)
    if (size_y, size_x) == (height, width):
        return None
    top = int(np.clip(round(rows.mean() - size_y / 2), 0, height - size_y))
    left = int(np.clip(round(columns.mean() - size_x / 2), 0, width - size_x))
    return Window(top, top + size_y, left, left + size_x)


def _usual_length_px(analysis: "Analysis", mask: np.ndarray) -> float:
    moved = (analysis.end_displacement - analysis.start_displacement)[mask]
    return float(np.median(np.hypot(moved[:, 0], moved[:, 1]))) if len(moved) else 0.0


def _new_figure(width_in: float, height_in: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure


def _add_axes(figure: "Figure", left_in: float, bottom_in: float, wide_in: float, high_in: float) -> "Axes":
    """Axes at a place given in inches; matplotlib's layout engines give up on photos of a few rows."""
    width_in, height_in = figure.get_size_inches()
    return figure.add_axes((left_in / width_in, bottom_in / height_in, wide_in / width_in, high_in / height_in))


def _size_in(height: int, width: int, shortest_in: float, longest_in: float) -> tuple[float, float]:
    """How wide and high a photo is drawn: its longer side as `longest_in`."""
    scale = longest_in / max(height, width)
    return max(width * scale, shortest_in), max(height * scale, shortest_in)


def _show(axes: "Axes", picture: np.ndarray, window: Window | None = None, **options: Any) -> Any:
    """Draw a part of `picture`, (H, W) or (H, W, 3), at its own coordinates, with as many pixels as show."""
    top, bottom, left, right = window or Window(0, picture.shape[0], 0, picture.shape[1])
    step = max(1, max(bottom - top, right - left) // _SHOWN_PX)
    extent = (left - 0.5, right - 0.5, bottom - 0.5, top - 0.5)
    shown = axes.imshow(_block_means(picture[top:bottom, left:right], step), extent=extent, **options)
    _frame(axes, Window(top, bottom, left, right))
    return shown


def _block_means(picture: np.ndarray, step: int) -> np.ndarray:
    if step == 1:
        return picture
    from skimage.measure import block_reduce

    # block_reduce would fill the last blocks with black
    missing = [(0, -side % step) for side in picture.shape[:2]] + [(0, 0)] * (picture.ndim - 2)
    blocks = (step, step, *([1] * (picture.ndim - 2)))
    means: np.ndarray = block_reduce(np.pad(picture, missing, mode="edge"), blocks, np.mean)  # type: ignore[no-untyped-call]
    return means.astype(picture.dtype)


def _show_probability(axes: "Axes", result: "DeblurResult", window: Window) -> Any:
    options = {"cmap": _PROBABILITY_COLOURS, "vmin": 0.0, "vmax": 1.0}
    shown = _show(axes, result.analysis.blur_probability, window, **options)
    _outline(axes, result.mask, window)
    return shown


def _outline(axes: "Axes", mask: np.ndarray, window: Window) -> None:
    """Draw the border of the mask; at the photo's edge there is none."""
    part = mask[window.top : window.bottom, window.left : window.right]
    if min(part.shape) > 1 and part.any() and not part.all():
        rows, columns = np.arange(window.top, window.bottom), np.arange(window.left, window.right)
        axes.contour(columns, rows, part, levels=[0.5], colors="white", linewidths=0.8)


def _draw_window(axes: "Axes", window: Window) -> None:
    from matplotlib.patches import Rectangle

    corner = (window.left - 0.5, window.top - 0.5)
    width, height = window.right - window.left, window.bottom - window.top
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=_WINDOW_COLOUR, linewidth=1.2))


def _frame(axes: "Axes", window: Window) -> None:
    axes.set_xlim(window.left - 0.5, window.right - 0.5)
    axes.set_ylim(window.bottom - 0.5, window.top - 0.5)
    axes.set_xticks([])
    axes.set_yticks([])
