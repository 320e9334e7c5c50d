"""The probe's readout, and the table of pinned ones."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_m2aenet.probes import Pin, Probe

_COLUMNS = ("", "y", "x", "px", "direction", "accel.", "blur")
_READOUT = (
    ("Length", "The way from the start of the exposure to its end, along the curve."),
    ("Direction", "From the start to the end, in degrees counter-clockwise from the right."),
    ("Acceleration", "How fast the motion changes, in pixels per exposure squared; 0 for a straight, even motion."),
    ("Blur probability", "How sure the network is that this pixel is blurred, 0 to 1."),
)
_NOTHING = "–"


class ProbeControls(QWidget):
    """`switched(is_on)`, `placed(y, x)`, `pin_requested()`, `removal_requested(numbers)`, `export_requested()`."""

    switched = Signal(bool)
    placed = Signal(int, int)
    pin_requested = Signal()
    removal_requested = Signal(object)
    export_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.check = QCheckBox("Probe under the pointer")
        self.check.setToolTip(
            "Shows how the pixel under the pointer moved: nine positions, cyan at the start, magenta at the end. "
            "Shift+click pins it."
        )
        self.y, self.x = _coordinate("row"), _coordinate("column")
        self.pin_button = QPushButton("Pin")
        self.pin_button.setToolTip("Keep this probe in the table below. Shift+click on the picture does the same.")
        self.readout = {name: QLabel(_NOTHING) for name, _ in _READOUT}
        self.table = _table()
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip("Remove the chosen rows from the table and from the picture.")
        self.export_button = QPushButton("Export CSV…")
        self.export_button.setToolTip("Write the table to a file, with all nine positions of every probe.")
        self._lay_out()
        self.check.toggled.connect(self.switched)
        for box in (self.y, self.x):
            box.valueChanged.connect(lambda _value: self.placed.emit(self.y.value(), self.x.value()))
        self.pin_button.clicked.connect(lambda _checked: self.pin_requested.emit())
        self.remove_button.clicked.connect(lambda _checked: self.removal_requested.emit(self.chosen()))
        self.export_button.clicked.connect(lambda _checked: self.export_requested.emit())
        self.table.itemSelectionChanged.connect(self._offer)
        self.show_probe(None)
        self.show_pins([])

    def show_size(self, height: int, width: int) -> None:
        """Say how far the coordinates go."""
        for box, side in ((self.y, height), (self.x, width)):
            box.blockSignals(True)
            box.setRange(0, max(0, side - 1))
            box.blockSignals(False)

    def show_probe(self, probe: Probe | None) -> None:
        """Show what a probe tells; dashes without one."""
        self.pin_button.setEnabled(probe is not None)
        if probe is None:
            for label in self.readout.values():
                label.setText(_NOTHING)
            return
        for box, value in ((self.y, probe.y), (self.x, probe.x)):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        texts = (
            probe.length,
            probe.direction,
            f"{probe.acceleration:.1f} px/exposure²",
            f"{probe.blur_probability:.2f}",
        )
        for label, text in zip(self.readout.values(), texts, strict=True):
            label.setText(text)

    def show_pins(self, pins: list[Pin]) -> None:
        """Show the pinned probes, a row each."""
        self.table.setRowCount(len(pins))
        for row, pin in enumerate(pins):
            for column, text in enumerate(_cells(pin)):
                item = QTableWidgetItem(text)
                item.setData(Qt.ItemDataRole.UserRole, pin.number)
                item.setToolTip(f"{pin.probe.photo}: {pin.probe.place}")
                self.table.setItem(row, column, item)
        self.export_button.setEnabled(bool(pins))
        self._offer()

    def chosen(self) -> list[int]:
        """The numbers of the rows that are chosen."""
        rows = sorted({index.row() for index in self.table.selectedIndexes()})
        return [int(self.table.item(row, 0).data(Qt.ItemDataRole.UserRole)) for row in rows]

    def _offer(self) -> None:
        self.remove_button.setEnabled(bool(self.table.selectedIndexes()))

    def _lay_out(self) -> None:
        place = QHBoxLayout()
        for name, box in (("y", self.y), ("x", self.x)):
            place.addWidget(QLabel(name))
            box.setMinimumWidth(70)
            place.addWidget(box, 1)
        place.addWidget(self.pin_button)
        form = QFormLayout()
        form.setVerticalSpacing(2)
        for name, tooltip in _READOUT:
            title = QLabel(name)
            title.setToolTip(tooltip)
            self.readout[name].setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            form.addRow(title, self.readout[name])
        buttons = QHBoxLayout()
        buttons.addWidget(self.remove_button)
        buttons.addWidget(self.export_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.check)
        column.addLayout(place)
        column.addLayout(form)
        column.addWidget(self.table)
        column.addLayout(buttons)


def _coordinate(what: str) -> QSpinBox:
    box = QSpinBox()
    box.setKeyboardTracking(False)  # half of a typed number is no place
    box.setToolTip(f"The {what} of the probe. It follows the pointer, and can be typed.")
    return box


def _table() -> QTableWidget:
    table = QTableWidget(0, len(_COLUMNS))
    table.setHorizontalHeaderLabels(_COLUMNS)
    table.setToolTip("The pinned probes.")
    table.verticalHeader().hide()
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    header.setSectionResizeMode(_COLUMNS.index("direction"), QHeaderView.ResizeMode.ResizeToContents)
    header.setMinimumSectionSize(20)
    table.setTabKeyNavigation(False)  # or the keyboard could not leave it
    table.setFixedHeight(120)
    return table


def _cells(pin: Pin) -> tuple[str, ...]:
    probe = pin.probe
    direction = probe.direction_deg
    return (
        str(pin.number),
        str(probe.y),
        str(probe.x),
        f"{probe.length_px:.1f}",
        _NOTHING if direction is None else f"{probe.direction[0]} {direction:.0f}°",
        f"{probe.acceleration:.1f}",
        f"{probe.blur_probability:.2f}",
    )
