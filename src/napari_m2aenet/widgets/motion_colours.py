"""The switch of the motion's colours, and the wheel that explains them."""

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_m2aenet.motion_wheel import wheel_picture

_SIDE = 44


class ColourControls(QWidget):
    """`switched(is_on)` by a person."""

    switched = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.check = QCheckBox("Motion as colours")
        self.check.setToolTip(
            "Colours the blurred pixels by where they moved, from the start of the exposure to its end: a colour on "
            "the right of the wheel moved to the right. The stronger the colour, the further."
        )
        self.legend = QLabel()
        self.legend.setPixmap(_pixmap(wheel_picture(2 * _SIDE), _SIDE))
        self.legend.setFixedSize(_SIDE, _SIDE)
        self.legend.setToolTip("The colour of each direction; the full colour is at the rim.")
        self.scale = QLabel()
        self.show_limit(None)
        words = QVBoxLayout()
        # no wider than its words: beside them a click does nothing
        words.addWidget(self.check, 0, Qt.AlignmentFlag.AlignLeft)
        words.addWidget(self.scale)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addLayout(words, 1)
        row.addWidget(self.legend)
        self.check.toggled.connect(self.switched)

    def show_switched(self, is_on: bool) -> None:
        """Say whether the colours are there, without asking for it."""
        self.check.blockSignals(True)
        self.check.setChecked(is_on)
        self.check.blockSignals(False)

    def show_limit(self, limit_px: float | None) -> None:
        """Say which length has the full colour."""
        self.scale.setText("rim: the longest motion" if limit_px is None else f"rim: {limit_px:g} px and more")


def _pixmap(picture: np.ndarray, side: int) -> QPixmap:
    """A picture (H, W, 4) as Qt shows it, drawn smoothly at half its size for screens with small pixels."""
    height, width = picture.shape[:2]
    image = QImage(picture.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)
    pixmap = QPixmap.fromImage(image)
    return pixmap.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
