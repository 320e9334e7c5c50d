"""A list of some of the viewer's layers, which follows them."""

from collections.abc import Callable
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget


class LayerList(QComboBox):
    """The layers that `accepts` takes, below a first entry that stands for none.

    `changed()` when another layer is chosen, by a person or because the chosen one is gone.
    """

    changed = Signal()

    def __init__(
        self, viewer: Viewer, accepts: Callable[[Any], bool], none: str, help_text: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._accepts = accepts
        self._none = none
        self._followed: list[Any] = []
        self.setToolTip(help_text)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.addItem(none, None)
        self.currentIndexChanged.connect(lambda _index: self.changed.emit())

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        chosen = self.currentData()
        return next((layer for layer in self._viewer.layers if chosen is not None and layer.unique_id == chosen), None)

    def choose(self, layer: Any) -> None:
        """Choose a layer of the list; None for none."""
        self.setCurrentIndex(0 if layer is None else self.findData(layer.unique_id))

    def follow(self) -> None:
        """Keep the list as the viewer's layers are, from now on."""
        if not self._followed:
            events = self._viewer.layers.events
            self._followed = [events.inserted, events.removed, events.reordered, events.renamed]
            for event in self._followed:
                event.connect(self.refresh)
        self.refresh()

    def unfollow(self) -> None:
        """Leave the viewer's events."""
        for event in self._followed:
            event.disconnect(self.refresh)
        self._followed = []

    def showPopup(self) -> None:  # noqa: N802 - Qt's name
        """Bring the list up to date, sizes too, then open it."""
        self.refresh()
        super().showPopup()

    def refresh(self, event: object = None) -> None:
        """Bring the list up to date; the chosen layer stays chosen if it still can be."""
        before = self.currentData()
        self.blockSignals(True)
        self.clear()
        self.addItem(self._none, None)
        for layer in self._viewer.layers:
            if self._accepts(layer):
                self.addItem(layer.name, layer.unique_id)
        self.setCurrentIndex(0 if before is None else max(0, self.findData(before)))
        self.blockSignals(False)
        if self.currentData() != before:
            self.changed.emit()
