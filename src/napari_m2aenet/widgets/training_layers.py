"""Writes the layer that shows what a network in training makes of a photo. On the GUI thread alone."""

from typing import Any

import numpy as np
from napari.layers import Image
from napari.viewer import Viewer

from napari_m2aenet.training_preview import Preview
from napari_m2aenet.widgets.layers import TAG, is_result, put_in_place

PREVIEW_ROLE = "training preview"


class TrainingLayers:
    """The preview in one viewer; it counts as a result, so it is no input of a run."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def find(self) -> Any:
        """Return the layer of the preview, or None."""
        return next((x for x in self._viewer.layers if is_result(x) and x.metadata[TAG]["role"] == PREVIEW_ROLE), None)

    def show(self, preview: Preview) -> None:
        """Show a preview where its part of the photo lies; how a person sees the layer stays."""
        source, box = preview.source, preview.box
        data = np.expand_dims(preview.restored, tuple(range(len(source.placement.frame))))
        placed = source.placement.keywords((box.top, box.left))
        layer = self.find()
        is_same = layer is not None and layer.metadata[TAG]["source"] == str(source.key)
        if is_same and layer.rgb == source.rgb and layer.ndim == source.placement.ndim:
            layer.data = data
            put_in_place(layer, placed)
        else:
            if layer is not None:
                self._viewer.layers.remove(layer)
            layer = self._add(preview, data, placed)
        layer.metadata = {**layer.metadata, "m2aenet_training_step": preview.step}

    def _add(self, preview: Preview, data: np.ndarray, placed: dict[str, Any]) -> Any:
        source = preview.source
        if not source.rgb and source.value_range is not None:
            placed["contrast_limits"] = source.value_range
        layer = Image(data, name=f"{PREVIEW_ROLE}: {source.name}", rgb=source.rgb, **placed)
        layer.metadata[TAG] = {"role": PREVIEW_ROLE, "source": str(source.key), "layer": str(layer.unique_id)}
        chosen = self._viewer.layers.selection.active
        self._viewer.layers.append(layer)
        if chosen is not None:
            self._viewer.layers.selection.active = chosen
        return layer
