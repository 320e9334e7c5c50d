"""Making and saving the film of an exposure."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSpinBox, QVBoxLayout, QWidget

from napari_m2aenet.motion_session import FILM_INSTANTS
from napari_m2aenet.widgets.save_name import ask_for_name
from napari_m2aenet.widgets.work_button import WorkButton

_FILTERS = {"GIF, to look at (*.gif)": ".gif", "MP4, to look at (*.mp4)": ".mp4", "TIFF, every value (*.tif)": ".tif"}


class FilmControls(QWidget):
    """`make_requested(instants)`, `cancel_requested()`, `save_requested(path)`."""

    make_requested = Signal(int)
    cancel_requested = Signal()
    save_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        fewest, usual, most = FILM_INSTANTS
        self.instants = QSpinBox()
        self.instants.setRange(fewest, most)
        self.instants.setValue(usual)
        self.instants.setToolTip(
            "How many instants, from the start of the exposure to its end. An odd number has its middle."
        )
        self.make_button = WorkButton(
            "Make film", "Show the exposure as sharp pictures of its instants, with a slider below the picture."
        )
        self.save_button = QPushButton("Save…")
        self.save_button.setToolTip("Write the film as GIF or MP4, to look at, or as TIFF with every value.")
        self.text = QLabel()
        self.text.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(QLabel("Instants"))
        self.instants.setMinimumWidth(60)
        row.addWidget(self.instants, 1)
        row.addWidget(self.make_button)
        row.addWidget(self.save_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.text)
        self.make_button.start_requested.connect(lambda: self.make_requested.emit(self.instants.value()))
        self.make_button.cancel_requested.connect(self.cancel_requested)
        self.save_button.clicked.connect(lambda _checked: self._ask_for_file())
        self.photo_name = ""

    def _ask_for_file(self) -> None:
        proposed = str(Path.home() / f"{self.photo_name or 'exposure'}_film.gif")
        path = ask_for_name(self, "Save film", proposed, _FILTERS)
        if path:
            self.save_requested.emit(path)
