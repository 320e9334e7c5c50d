"""The threshold ε: a slider, and beside it the number, which can be typed."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget
from superqt.utils import QSignalDebouncer, QSignalThrottler

from napari_m2aenet.settings import PREVIEW_MS, REST_MS, THRESHOLD


class ThresholdSlider(QWidget):
    """`moved(value)` while it moves, at most every PREVIEW_MS; `rested(value)` once it has not moved for REST_MS."""

    moved = Signal(float)
    rested = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = QSlider(Qt.Orientation.Horizontal)  # its steps are whole numbers
        self.slider.setRange(_step(THRESHOLD.minimum), _step(THRESHOLD.maximum))
        self.slider.setPageStep(10)
        self.slider.setValue(_step(THRESHOLD.default))
        self.number = QDoubleSpinBox()
        self.number.setDecimals(THRESHOLD.decimals)
        self.number.setRange(THRESHOLD.minimum, THRESHOLD.maximum)
        self.number.setSingleStep(THRESHOLD.step)
        self.number.setValue(THRESHOLD.default)
        self.number.setKeyboardTracking(False)  # half of a typed number is no threshold
        self.number.setMaximumWidth(90)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for widget in (self.slider, self.number):
            widget.setToolTip(THRESHOLD.help)
            row.addWidget(widget)
        row.setStretchFactor(self.slider, 1)
        self._preview = QSignalThrottler(parent=self)
        self._preview.setTimeout(PREVIEW_MS)
        self._preview.triggered.connect(lambda: self.moved.emit(self.value))
        self._rest = QSignalDebouncer(parent=self)
        self._rest.setTimeout(REST_MS)
        self._rest.triggered.connect(lambda: self.rested.emit(self.value))
        self.slider.valueChanged.connect(lambda step: self.number.setValue(step * THRESHOLD.step))
        self.number.valueChanged.connect(self._on_changed)

    @property
    def value(self) -> float:
        """The threshold that is shown."""
        return round(float(self.number.value()), THRESHOLD.decimals)

    def show_value(self, value: float) -> None:
        """Show a threshold that was decided elsewhere, without reporting it."""
        self.number.setValue(value)
        self.settle()

    def settle(self) -> None:
        """Stop waiting; nothing that was moved before is reported any more."""
        self._preview.cancel()
        self._rest.cancel()

    def _on_changed(self, value: float) -> None:
        self.slider.setValue(_step(value))
        self._preview.throttle()
        self._rest.throttle()


def _step(value: float) -> int:
    return round(value / THRESHOLD.step)
