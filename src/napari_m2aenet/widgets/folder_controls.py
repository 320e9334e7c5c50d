"""Which folder is restored, where to, and as what."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_m2aenet.folder import EXTRAS, FORMATS, REPLACE, FolderWish
from napari_m2aenet.widgets.folder_field import FolderField

_EXTRA_HELP = {
    "save_mask": "Also STEM_mask.png: white where the photo counts as blurred.",
    "save_probability": "Also STEM_blur_probability.png, 16 bits.",
    "save_trajectories": "Also STEM_trajectories.npz: how every pixel moved.",
    "save_figure": "Also STEM_trajectories.png and STEM_side_by_side.png.",
}
_CHOOSE = "choose a folder"


class FolderControls(QWidget):
    """`run_requested()` when the button is pressed; `wish` says what is asked for."""

    run_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.source = FolderField("Folder of photos", "The photos in this folder are restored.", _CHOOSE)
        self.out = FolderField(
            "Folder to write to",
            "Each restored photo keeps its name. Beside it lies NAME.json, with all that is needed to make it again.",
            _CHOOSE,
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
            source=Path(self.source.path),
            out=Path(self.out.path),
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
        rules = QHBoxLayout()
        rules.addWidget(self.recursive)
        rules.addWidget(self.overwrite)
        form.addRow("", rules)
        extras = QGridLayout()
        for index, box in enumerate(self.extras.values()):
            extras.addWidget(box, index // 2, index % 2)
        form.addRow("Also", extras)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        column.addWidget(self.button)


def _box(label: str, tooltip: str) -> QCheckBox:
    box = QCheckBox(label)
    box.setToolTip(tooltip)
    return box
