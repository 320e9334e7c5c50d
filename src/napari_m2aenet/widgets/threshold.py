"""The slider of the threshold ε, with a number that can be typed."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget
from superqt import QLabeledDoubleSlider
from superqt.utils import QSignalDebouncer, QSignalThrottler

from napari_m2aenet.settings import PREVIEW_MS, REST_MS, THRESHOLD


class ThresholdSlider(QWidget):
    """`moved(value)` while it moves, at most every PREVIEW_MS; `rested(value)` once it has not moved for REST_MS."""

    moved = Signal(float)
    rested = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(THRESHOLD.minimum, THRESHOLD.maximum)
        self.slider.setSingleStep(THRESHOLD.step)
        self.slider.setPageStep(10 * THRESHOLD.step)
        self.slider.setDecimals(THRESHOLD.decimals)
        self.slider.setValue(THRESHOLD.default)
        label = QLabel(THRESHOLD.label)
        for widget in (self, label, self.slider):
            widget.setToolTip(THRESHOLD.help)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label)
        row.addWidget(self.slider)
        self._preview = QSignalThrottler(parent=self)
        self._preview.setTimeout(PREVIEW_MS)
        self._preview.triggered.connect(lambda: self.moved.emit(self.value))
        self._rest = QSignalDebouncer(parent=self)
        self._rest.setTimeout(REST_MS)
        self._rest.triggered.connect(lambda: self.rested.emit(self.value))
        self.slider.valueChanged.connect(self._on_changed)

    @property
    def value(self) -> float:
        """The threshold, as the number beside the slider shows it."""
        return round(float(self.slider.value()), THRESHOLD.decimals)

    def settle(self) -> None:
        """Stop waiting; nothing that was moved before is reported any more."""
        self._preview.cancel()
        self._rest.cancel()

    def _on_changed(self, value: float) -> None:
        self._preview.throttle()
        self._rest.throttle()
