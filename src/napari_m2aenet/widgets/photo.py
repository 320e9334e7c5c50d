"""Choosing the photo: a list that follows the viewer's image layers, and a button that opens a file."""

from pathlib import Path

from napari.layers import Image, Layer
from napari.viewer import Viewer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from napari_m2aenet.widgets.layers import is_result

FILE_FILTER = "Photos (*.png *.jpg *.jpeg *.jfif *.tif *.tiff *.webp *.bmp);;All files (*)"


class PhotoChooser(QWidget):
    """`changed()` when another layer is chosen, or the chosen one has another name or other data.

    `open_requested(path)` when a person picked a file.
    """

    changed = Signal()
    open_requested = Signal(str)

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._follows = False
        self.list = QComboBox()
        self.list.setToolTip("The image layer to deblur. Of a stack, the frame that is shown now is taken.")
        self.list.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.list.setMinimumContentsLength(10)
        self.list.setPlaceholderText("no image layer yet")
        self.list.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.open_button = QPushButton("Open photo…")
        self.open_button.setToolTip("Open a photo from a file: PNG, JPEG, TIFF, WebP or BMP, upright as it was taken.")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.list)
        row.addWidget(self.open_button)
        self.open_button.clicked.connect(self._ask_for_file)
        self.list.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.follow()

    @property
    def layer(self) -> Image | None:
        """The chosen layer, or None."""
        chosen = self.list.currentData()
        return next((layer for layer in self._candidates() if layer.unique_id == chosen), None)

    def choose(self, layer: Image) -> None:
        """Choose a layer of the list."""
        self.list.setCurrentIndex(self.list.findData(layer.unique_id))

    def follow(self) -> None:
        """Keep the list as the viewer's layers are, from now on."""
        if self._follows:
            return
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._refresh)
        for layer in self._viewer.layers:
            self._listen(layer)
        self._follows = True
        self._refresh()

    def unfollow(self) -> None:
        """Leave the viewer's events."""
        if not self._follows:
            return
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.disconnect(self._refresh)
        for layer in self._viewer.layers:
            layer.events.name.disconnect(self._refresh)
            layer.events.data.disconnect(self._on_data)
        self._follows = False

    def _listen(self, layer: Layer) -> None:
        layer.events.name.connect(self._refresh)
        layer.events.data.connect(self._on_data)

    def _on_data(self, event: object) -> None:
        """A stack may have other frames now."""
        if event.source.unique_id == self.list.currentData():  # type: ignore[attr-defined]
            self.changed.emit()

    def _candidates(self) -> list[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image) and not is_result(layer)]

    def _refresh(self, event: object = None) -> None:
        if getattr(event, "type", None) == "inserted":
            self._listen(event.value)  # type: ignore[attr-defined]
        before = self.list.currentData(), self.list.currentText()
        layers = self._candidates()
        self.list.blockSignals(True)
        self.list.clear()
        for layer in layers:
            self.list.addItem(layer.name, layer.unique_id)
        known = before[0] is not None and self.list.findData(before[0]) >= 0
        self.list.setCurrentIndex(self.list.findData(before[0]) if known else self._first_choice(layers))
        self.list.blockSignals(False)
        if (self.list.currentData(), self.list.currentText()) != before:
            self.changed.emit()

    def _first_choice(self, layers: list[Image]) -> int:
        """The selected layer, else the topmost that can be seen; -1 without any."""
        active = self._viewer.layers.selection.active
        if active is not None:
            index = self.list.findData(active.unique_id)
            if index >= 0:
                return index
        visible = [index for index, layer in enumerate(layers) if layer.visible]
        return visible[-1] if visible else len(layers) - 1

    def _ask_for_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open photo", str(Path.home()), FILE_FILTER)
        if path:
            self.open_requested.emit(path)
