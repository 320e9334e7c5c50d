"""Screenshots, drawn: windows with text, code and plots, as a screen shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from m2aenet_core.data.folder import Pixels

_SIZE = (1280, 800)
_BAR_PX, _MARGIN_PX = 28, 14

_PROSE = """A photo holds the light of a moment, and the moment has a length.
What moves while the shutter is open leaves a streak.
What stands still before the same lens stays as sharp as it was.
A careful program takes the streak away, and leaves all else alone.
Letters have hard edges, white paper has none at all.
Neither of them moved, and so nothing is to be done about them.
A shadow on a wall is soft because the lamp is large.
A far hill is soft because there is air before it.
Soft is not blurred: there is nothing to take away.
Prices: 12.50, 3.75, 108.00 and 0.99; in all 125.24.""".splitlines()

_CODE = """def mean_of(values):
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


class Shutter:
    def __init__(self, speed_s=1 / 60):
        self.speed_s = speed_s
        self.is_open = False

    def expose(self, scene, instants=9):
        self.is_open = True
        frames = [scene.at(n / instants) for n in range(instants)]
        self.is_open = False
        return mean_of(frames)


if __name__ == "__main__":
    print(Shutter().expose(load("street.png")))""".splitlines()


class _Theme(NamedTuple):
    desk: tuple[int, int, int]
    paper: tuple[int, int, int]
    bar: tuple[int, int, int]
    ink: tuple[int, int, int]
    accent: tuple[int, int, int]


_LIGHT = _Theme((58, 110, 165), (255, 255, 255), (222, 225, 230), (25, 25, 25), (26, 95, 180))
_DARK = _Theme((20, 22, 26), (30, 32, 38), (48, 51, 58), (214, 216, 220), (240, 170, 70))


class _Window(NamedTuple):
    left: int
    top: int
    width: int
    height: int


def draw_screenshots() -> dict[str, Pixels]:
    """Give screenshots (800, 1280, 3) uint8 by name; always the same pixels."""
    return {"light desktop": _desktop(_LIGHT), "dark desktop": _desktop(_DARK), "document": _document(_LIGHT)}


def _desktop(theme: _Theme) -> Pixels:
    """Three windows: an editor, a plot, a letter before both."""
    screen = Image.new("RGB", _SIZE, theme.desk)
    _draw_lines(screen, _framed(screen, _Window(30, 40, 620, 560), "shutter.py", theme), _CODE, theme, is_code=True)
    plot = _framed(screen, _Window(680, 70, 570, 440), "Exposure", theme)
    screen.paste(Image.fromarray(_plot(plot, theme)), (plot.left, plot.top))
    _draw_lines(screen, _framed(screen, _Window(420, 430, 600, 330), "Letter", theme), _PROSE, theme, is_code=False)
    return np.asarray(screen)


def _document(theme: _Theme) -> Pixels:
    """One large window with paragraphs and a table."""
    screen = Image.new("RGB", _SIZE, theme.desk)
    inside = _framed(screen, _Window(0, 0, *_SIZE), "Report", theme)
    half = inside.width // 2
    for column in range(2):
        part = _Window(inside.left + column * half, inside.top, half, inside.height // 2)
        _draw_lines(screen, part, [*_PROSE[column:], *_PROSE[:column]], theme, is_code=False)
    draw, font = ImageDraw.Draw(screen), _font(14)
    for row in range(12):
        y = inside.top + inside.height // 2 + 28 * row
        for column in range(8):
            x = inside.left + _MARGIN_PX + 150 * column
            draw.rectangle((x, y, x + 150, y + 28), outline=theme.bar, fill=theme.bar if row == 0 else theme.paper)
            draw.text((x + 8, y + 5), f"{(row * 37 + column * 101) % 997 / 10:.1f}", fill=theme.ink, font=font)
    return np.asarray(screen)


def _framed(screen: Image.Image, window: _Window, title: str, theme: _Theme) -> _Window:
    """Draw an empty window with title, three buttons and a border; give its inside."""
    draw = ImageDraw.Draw(screen)
    left, top, width, height = window
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=theme.paper, outline=theme.ink)
    draw.rectangle((left + 1, top + 1, left + width - 2, top + _BAR_PX), fill=theme.bar)
    draw.text((left + 10, top + 6), title, fill=theme.ink, font=_font(14))
    for number in range(3):
        x = left + width - 22 - 22 * number
        draw.ellipse((x, top + 8, x + 13, top + 21), fill=theme.accent)
    return _Window(left + 1, top + _BAR_PX + 1, width - 2, height - _BAR_PX - 2)


def _draw_lines(screen: Image.Image, inside: _Window, lines: Sequence[str], theme: _Theme, *, is_code: bool) -> None:
    """Write as many lines as there is room for."""
    font = _font(15 if is_code else 16, is_mono=is_code)
    draw, step = ImageDraw.Draw(screen), 22 if is_code else 26
    room = (inside.height - _MARGIN_PX) // step
    for number, line in enumerate(lines[:room]):
        at = inside.left + _MARGIN_PX, inside.top + _MARGIN_PX // 2 + step * number
        is_head = line.startswith(("def", "class")) if is_code else number == 0
        draw.text(at, line, fill=theme.accent if is_head else theme.ink, font=font)


def _plot(inside: _Window, theme: _Theme) -> Pixels:
    """Curves and bars of the size of a window's inside, as matplotlib draws them."""
    from matplotlib.figure import Figure

    dpi = 100
    paper, ink = (f"#{bytes(colour).hex()}" for colour in (theme.paper, theme.ink))
    figure = Figure((inside.width / dpi, inside.height / dpi), dpi=dpi, facecolor=paper, layout="constrained")
    x = np.linspace(0, 6, 200)
    curves, bars = figure.subplots(1, 2)
    for phase in range(3):
        curves.plot(x, np.sin(x + phase) * np.exp(-x / 5))
    bars.bar(range(7), [3, 5, 2, 6, 4, 1, 3])
    for axes, title in ((curves, "light"), (bars, "frames")):
        axes.set_facecolor(paper)
        axes.set_title(title, color=ink)
        axes.tick_params(colors=ink)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _font(size: int, *, is_mono: bool = False) -> ImageFont.FreeTypeFont:
    # it comes with matplotlib, so that the letters are the same everywhere
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans Mono" if is_mono else "DejaVu Sans"), size)
