"""The histogram of the blur probability with the threshold as a line in it, which can be dragged."""

from dataclasses import dataclass

import numpy as np
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_m2aenet.blur_levels import STEPS, BlurLevels
from napari_m2aenet.layer_data import MASK_COLOUR
from napari_m2aenet.settings import HISTOGRAM, THRESHOLD

_KEYS = {
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Down: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Up: 1,
    Qt.Key.Key_PageDown: -10,
    Qt.Key.Key_PageUp: 10,
    Qt.Key.Key_Home: -STEPS,
    Qt.Key.Key_End: STEPS,
}
_MARGIN = 8


@dataclass(frozen=True)
class Colours:
    """Colours of the picture, from napari's theme."""

    background: QColor
    text: QColor
    sharp: QColor
    blurred: QColor
    focus: QColor

    @classmethod
    def of_theme(cls, name: str) -> "Colours":
        """Return the colours that go with one of napari's themes."""
        theme = get_theme(name)
        text, background = QColor(theme.text.as_hex()), QColor(theme.background.as_hex())
        # the colour of the mask in the picture, darkened where the ground is light
        blurred = QColor(MASK_COLOUR) if background.lightness() < 128 else QColor(MASK_COLOUR).darker(140)
        sharp = QColor(text)
        sharp.setAlphaF(0.4)
        return cls(background, text, sharp, blurred, QColor(theme.highlight.as_hex()))


class BlurHistogram(QWidget):
    """Bars for the blur probability, their height the logarithm of the pixels, and the cut at the threshold.

    `cut_moved(value)` while a person moves the cut with the mouse or the keys.
    """

    cut_moved = Signal(float)

    def __init__(self, theme: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._levels: BlurLevels | None = None
        self._heights = np.zeros(STEPS)
        self._cut = THRESHOLD.default
        self._colours = Colours.of_theme(theme)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(HISTOGRAM.label)
        self.setAccessibleDescription(HISTOGRAM.help)

    @property
    def cut(self) -> float:
        """Where the cut is drawn."""
        return self._cut

    def show_levels(self, levels: BlurLevels | None) -> None:
        """Show the histogram of a photo; None for no photo."""
        self._levels = levels
        if levels is None:
            self._heights = np.zeros(STEPS)
        else:
            self._heights = np.log1p(levels.bars) / np.log1p(max(1, levels.bars.max()))
        self.update()

    def show_cut(self, value: float) -> None:
        """Draw the cut at a threshold."""
        if value != self._cut:
            self._cut = value
            self.update()

    def show_theme(self, name: str) -> None:
        """Draw in the colours of one of napari's themes."""
        self._colours = Colours.of_theme(name)
        self.update()

    def x_of(self, value: float) -> float:
        """Return the place of a threshold, in pixels of the widget."""
        return _MARGIN + value * (self.width() - 2 * _MARGIN)

    def value_at(self, x: float) -> float:
        """Return the threshold at a place, the nearest that can be set."""
        share = (x - _MARGIN) / max(1, self.width() - 2 * _MARGIN)
        value = round(round(share / THRESHOLD.step) * THRESHOLD.step, THRESHOLD.decimals)
        return min(max(value, THRESHOLD.minimum), THRESHOLD.maximum)

    # -- what Qt asks ---------------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the size it likes to have."""
        return QSize(300, 104)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Bring the cut to the mouse."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._move(self.value_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Drag the cut, or tell what is under the mouse."""
        x = event.position().x()
        is_near = abs(x - self.x_of(self._cut)) < 6
        self.setCursor(Qt.CursorShape.SplitHCursor if is_near else Qt.CursorShape.ArrowCursor)
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._move(self.value_at(x))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Move the cut by a step, by ten, or to an end."""
        steps = _KEYS.get(Qt.Key(event.key()))
        if steps is None:
            super().keyPressEvent(event)
            return
        value = round(self._cut + steps * THRESHOLD.step, THRESHOLD.decimals)
        self._move(min(max(value, THRESHOLD.minimum), THRESHOLD.maximum))

    def event(self, event: QEvent) -> bool:
        """Tell how many pixels a bar stands for."""
        if event.type() != QEvent.Type.ToolTip:
            return bool(super().event(event))
        QToolTip.showText(event.globalPos(), self._explain(event.pos().x()), self)
        return True

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw bars, axis and cut."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), self._colours.background)
        text = painter.fontMetrics().height()
        floor = self.height() - text - 6
        self._draw_bars(painter, float(text + 2), float(floor))
        self._draw_axis(painter, float(floor), text)
        self._draw_cut(painter, float(floor), text)
        if self.hasFocus():
            painter.setPen(QPen(self._colours.focus, 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
        painter.end()

    # -- the parts ------------------------------------------------------------------------------------------------

    def _move(self, value: float) -> None:
        if value != self._cut:
            self.show_cut(value)
            self.cut_moved.emit(value)

    def _explain(self, x: float) -> str:
        if self._levels is None:
            return HISTOGRAM.help
        bar = min(STEPS - 1, max(0, int((x - _MARGIN) / max(1, self.width() - 2 * _MARGIN) * STEPS)))
        low = bar * THRESHOLD.step
        pixels = f"{self._levels.bars[bar]:,} pixels between {low:.2f} and {low + THRESHOLD.step:.2f}"
        return f"{pixels}\n{HISTOGRAM.help}"

    def _draw_bars(self, painter: QPainter, top: float, floor: float) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)  # else light seams between the bars
        for bar in np.nonzero(self._heights)[0]:
            left, right = int(self.x_of(bar / STEPS)), int(self.x_of((bar + 1) / STEPS))
            height = max(1.0, float(self._heights[bar]) * (floor - top))
            is_blurred = (bar + 0.5) / STEPS > self._cut
            painter.setBrush(self._colours.blurred if is_blurred else self._colours.sharp)
            painter.drawRect(QRectF(left, floor - height, right - left, height))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)

    def _draw_axis(self, painter: QPainter, floor: float, text: int) -> None:
        painter.setPen(QPen(self._colours.text, 1))
        painter.drawLine(QPointF(self.x_of(0), floor), QPointF(self.x_of(1), floor))
        for words, align in (
            ("0 sharp", Qt.AlignmentFlag.AlignLeft),
            ("blur probability", Qt.AlignmentFlag.AlignHCenter),
            ("blurred 1", Qt.AlignmentFlag.AlignRight),
        ):
            painter.drawText(QRectF(self.x_of(0), floor + 5, self.x_of(1) - self.x_of(0), text), align, words)

    def _draw_cut(self, painter: QPainter, floor: float, text: int) -> None:
        x = self.x_of(self._cut)
        painter.setPen(QPen(self._colours.text, 2))
        painter.drawLine(QPointF(x, text), QPointF(x, floor))
        painter.setBrush(self._colours.text)
        painter.drawPolygon(QPolygonF([QPointF(x - 5, text), QPointF(x + 5, text), QPointF(x, text + 7)]))
        words = f"ε = {self._cut:.{THRESHOLD.decimals}f}"
        width = painter.fontMetrics().horizontalAdvance(words)
        left = min(max(x - width / 2, self.x_of(0)), self.x_of(1) - width)
        painter.drawText(QPointF(left, text - 3), words)
