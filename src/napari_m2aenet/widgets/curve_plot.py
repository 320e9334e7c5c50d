"""Two curves of a run over its steps, each with its own scale: painted, since a chart library takes seconds to load."""

from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

LOSS_COLOUR, VALIDATION_COLOUR = "#ff9d3b", "#00b5dd"
_MARGIN, _HEIGHT = 6, 120
_MOST_POINTS = 40
"""Validations are few, so each is marked, up to so many."""


class CurvePlot(QWidget):
    """The loss, and PSNR of the validations. Both fill the height; their least and largest values stand beside them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumHeight(_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("The loss of the steps (left scale) and the PSNR of the validations (right scale).")
        self.setAccessibleName("Loss and validation of the run")
        self._loss: tuple[Any, Any] = (np.zeros(0), np.zeros(0))
        self._psnr: tuple[Any, Any] = (np.zeros(0), np.zeros(0))
        self._total: int | None = None

    def show_curves(self, loss: tuple[Any, Any], psnr: tuple[Any, Any], total: int | None) -> None:
        """Show (steps, values) of both, on an axis that ends with the run's last step."""
        self._loss, self._psnr, self._total = loss, psnr, total
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(self.foregroundRole())
        line = painter.fontMetrics().height()
        frame = QRectF(self.rect()).adjusted(_MARGIN, line + _MARGIN, -_MARGIN, -line - 2)
        painter.setPen(QPen(_faint(text), 1))
        painter.drawRect(frame)
        last = max([float(x[-1]) for x, _ in (self._loss, self._psnr) if len(x)] + [float(self._total or 0), 1.0])
        for curve, colour, name, is_left in (
            (self._loss, LOSS_COLOUR, "loss", True),
            (self._psnr, VALIDATION_COLOUR, "validation, dB", False),
        ):
            low, high = _limits(curve[1])
            side = Qt.AlignmentFlag.AlignLeft if is_left else Qt.AlignmentFlag.AlignRight
            painter.setPen(_on_ground_of(text, colour))
            if len(curve[0]):
                self._draw(painter, frame, curve, (low, high), last, with_points=not is_left)
                name = f"{name} {_range_text(low, high)}"
            painter.drawText(
                QRectF(self.rect()).adjusted(_MARGIN, 0, -_MARGIN, 0), side | Qt.AlignmentFlag.AlignTop, name
            )
        painter.setPen(text)
        below = QRectF(frame.left(), frame.bottom() + 1, frame.width(), line)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "step 0")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{last:,.0f}")
        painter.end()

    @staticmethod
    def _draw(
        painter: QPainter,
        frame: QRectF,
        curve: tuple[Any, Any],
        limits: tuple[float, float],
        last: float,
        *,
        with_points: bool,
    ) -> None:
        low, high = limits
        x = frame.left() + np.asarray(curve[0]) / last * frame.width()
        y = frame.bottom() - (np.asarray(curve[1]) - low) / (high - low) * frame.height()
        points = [QPointF(float(a), float(b)) for a, b in zip(x, y, strict=True) if np.isfinite(b)]
        painter.setPen(QPen(painter.pen().color(), 1.6))
        painter.drawPolyline(QPolygonF(points))
        if with_points and len(points) <= _MOST_POINTS:
            for point in points:
                painter.drawEllipse(point, 2, 2)


def _limits(values: Any) -> tuple[float, float]:
    """The least and the largest value, a little apart where all are the same."""
    finite = np.asarray(values)[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _range_text(low: float, high: float) -> str:
    """Both ends, with as many digits as tell them apart."""
    digits = int(np.clip(2 - np.floor(np.log10(high - low)), 0, 4))
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _on_ground_of(text: QColor, colour: str) -> QColor:
    """Return a colour of the curves, darkened where the text is dark, since the ground is light there."""
    return QColor(colour).darker(140) if text.lightness() < 128 else QColor(colour)


def _faint(colour: QColor) -> QColor:
    faint = QColor(colour)
    faint.setAlpha(90)
    return faint
