"""Which folder is restored, where to, and as what."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_m2aenet.folder import EXTRAS, FORMATS, REPLACE, FolderWish

_EXTRA_HELP = {
    "save_mask": "Also STEM_mask.png: white where the photo counts as blurred.",
    "save_probability": "Also STEM_blur_probability.png, 16 bits.",
    "save_trajectories": "Also STEM_trajectories.npz: how every pixel moved.",
    "save_figure": "Also STEM_trajectories.png and STEM_side_by_side.png.",
}


class FolderField(QWidget):
    """The path of a folder: typed, or picked with the button."""

    def __init__(self, title: str, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self.text = QLineEdit()
        self.text.setPlaceholderText("choose a folder")
        self.text.setToolTip(tooltip)
        self.button = QToolButton()
        self.button.setText("…")
        self.button.setToolTip(title)
        self.button.clicked.connect(lambda _checked: self._ask())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.text)
        row.addWidget(self.button)

    @property
    def path(self) -> Path:
        """The folder; the current one where nothing is given."""
        return Path(self.text.text().strip())

    def _ask(self) -> None:
        path = QFileDialog.getExistingDirectory(self, self._title, self.text.text() or str(Path.home()))
        if path:
            self.text.setText(path)


class FolderControls(QWidget):
    """`run_requested()` when the button is pressed; `wish` says what is asked for."""

    run_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.source = FolderField("Folder of photos", "The photos in this folder are restored.")
        self.out = FolderField(
            "Folder to write to",
            "Each restored photo keeps its name. Beside it lies NAME.json, with all that is needed to make it again.",
        )
        self.format = QComboBox()
        for name, label in FORMATS.items():
            self.format.addItem(label, name)
        self.format.setToolTip("The file format of the restored photos.")
        self.recursive = _box("Sub-folders", "Also the photos in sub-folders, which are made again (--recursive).")
        self.overwrite = _box(REPLACE, "Replace files of the same names. The photos themselves are never replaced.")
        self.extras = {name: _box(label.capitalize(), _EXTRA_HELP[name]) for name, label in EXTRAS.items()}
        self.button = QPushButton("Restore the folder")
        self.button.setToolTip(
            "Restore every photo of the folder with the model, the device and the threshold ε that are set above. "
            "The same as the command m2aenet deblur."
        )
        self.button.clicked.connect(lambda _checked: self.run_requested.emit())
        self._lay_out()

    @property
    def wish(self) -> FolderWish:
        """What is asked for."""
        return FolderWish(
            source=self.source.path,
            out=self.out.path,
            file_format=str(self.format.currentData()),
            is_recursive=self.recursive.isChecked(),
            may_overwrite=self.overwrite.isChecked(),
            extras=tuple(name for name, box in self.extras.items() if box.isChecked()),
        )

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Photos", self.source)
        form.addRow("Into", self.out)
        form.addRow("Format", self.format)
        boxes = QGridLayout()
        for index, box in enumerate((self.recursive, self.overwrite, *self.extras.values())):
            boxes.addWidget(box, index // 3, index % 3)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        column.addLayout(boxes)
        column.addWidget(self.button)


def _box(label: str, tooltip: str) -> QCheckBox:
    box = QCheckBox(label)
    box.setToolTip(tooltip)
    return box
