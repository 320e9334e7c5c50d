"""Writes the layers of a run; to be called on the GUI thread.

A run has four layers. Running again on the same input replaces what they hold; one that was deleted is added again.
The mask, which a person may paint on, is shown through `mask_layer`.
"""

from collections.abc import Hashable, Iterator
from enum import StrEnum
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Vectors
from napari.viewer import Viewer

from napari_m2aenet.jobs import Analyzed, Restored
from napari_m2aenet.layer_data import (
    Curves,
    LayerData,
    Role,
    probability_layer,
    restored_layer,
    trajectories_layer,
)
from napari_m2aenet.motion_layer_data import MotionRole
from napari_m2aenet.placement import SPATIAL, Placement, is_equal, is_same_place
from napari_m2aenet.source import Source
from napari_m2aenet.stroke_preview import Part

TAG = "m2aenet_layer"
_CLASSES = {"image": Image, "labels": Labels, "points": Points, "vectors": Vectors}
_FROM_BOTTOM_TO_TOP: tuple[StrEnum, ...] = (
    Role.RESTORED,
    MotionRole.REBLURRED,
    MotionRole.FILM,
    MotionRole.DIFFERENCE,
    Role.PROBABILITY,
    Role.MASK,
    MotionRole.OVERVIEW,
    Role.TRAJECTORIES,
    MotionRole.PINS,
    MotionRole.PROBE,
)


def is_result(layer: Layer) -> bool:
    """Say whether a layer was made by a run; a duplicate that a person made of it is not."""
    tag = layer.metadata.get(TAG)
    return isinstance(tag, dict) and tag.get("layer") == str(layer.unique_id)


def is_same(first: Any, second: Any) -> bool:
    """Say whether two names stand for one layer: napari hands each plugin a new wrapper whenever it is asked."""
    return first is not None and second is not None and first.unique_id == second.unique_id


def put_in_place(layer: Any, keywords: dict[str, Any]) -> None:
    """Put a layer where keywords of a placement say; only what differs is set, as each setting draws it again."""
    here = Placement.of_layer(layer).keywords()
    for name in SPATIAL:
        if not is_equal(here[name], keywords[name]):
            setattr(layer, name, keywords[name])


class ResultLayers:
    """The layers of the runs in one viewer, found by the tag in their metadata."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def show_analysis(self, analyzed: Analyzed) -> None:
        """Show probability and trajectories of a photo that was analyzed."""
        source = analyzed.source
        self.follow_photo(source)
        self.show(probability_layer(source, analyzed.analysis.blur_probability), source.key)
        self._show_curves(analyzed, analyzed.curves)

    def show_restored(self, restored: Restored) -> None:
        """Show the restored photo, with the trajectories inside its mask."""
        source = restored.analyzed.source
        self.follow_photo(source)
        self.show(restored_layer(source, restored.result.restored, restored.record), source.key)
        for role in (Role.PROBABILITY, Role.MASK):
            if (layer := self.find(role, source.key)) is not None:
                # where nothing in them has changed, they are not shown anew, and still are to lie on what is
                put_in_place(layer, source.placement.keywords())
        self._show_curves(restored.analyzed, restored.curves)

    def follow_photo(self, source: Source) -> None:
        """Where the photo was moved or scaled since its run, put the results where it lies now, with all that come."""
        photo = next((layer for layer in self._viewer.layers if layer.unique_id == source.key), None)
        before = source.placement.keywords()
        if photo is None or not source.placement.follow(photo):
            return
        for layer in self._of(source.key):
            if layer.metadata[TAG]["role"] not in _FROM_BOTTOM_TO_TOP:
                continue
            if layer.ndim == source.placement.ndim and is_same_place(Placement.of_layer(layer).keywords(), before):
                put_in_place(layer, source.placement.keywords())

    def show_part(self, source: Source, part: Part) -> None:
        """Show a part of the restored photo before the rest has followed; nothing where the layer was deleted."""
        layer = self.find(Role.RESTORED, source.key)
        if layer is not None:
            before = np.asarray(layer.data)
            photo = before.reshape(before.shape[len(source.placement.frame) :])
            layer.data = part.pasted(photo).reshape(before.shape)

    def _show_curves(self, analyzed: Analyzed, curves: Curves) -> None:
        source, analysis = analyzed.source, analyzed.analysis
        if analysis.has_motion:
            self.show(trajectories_layer(source, analysis.blur_probability.shape, curves), source.key)
        elif (layer := self.find(Role.TRAJECTORIES, source.key)) is not None:
            # of another model, which did find motion
            self._viewer.layers.remove(layer)

    def find(self, role: StrEnum, key: Hashable) -> Any:
        """Return the layer of a run on the layer with this key, or None."""
        return next((layer for layer in self._of(key) if layer.metadata[TAG]["role"] == role), None)

    def _of(self, key: Hashable) -> Iterator[Any]:
        for layer in self._viewer.layers:
            if is_result(layer) and layer.metadata[TAG]["source"] == str(key):
                yield layer

    def show(self, new: LayerData, key: Hashable) -> None:
        """Show a layer of a run on the layer with this key, in the one that is there for it or in a new one."""
        layer = self.find(new.role, key)
        if layer is not None and not _holds_same_kind(layer, new):
            self._viewer.layers.remove(layer)
            layer = None
        if layer is None:
            self._add(new, key)
        else:
            _replace(layer, new)

    def _add(self, new: LayerData, key: Hashable) -> None:
        layer = _CLASSES[new.kind](new.data, **new.keywords)
        layer.metadata[TAG] = {"role": str(new.role), "source": str(key), "layer": str(layer.unique_id)}
        chosen = self._viewer.layers.selection.active
        self._viewer.layers.insert(self._index_for(new.role, key), layer)
        if chosen is not None:
            self._viewer.layers.selection.active = chosen

    def _index_for(self, role: StrEnum, key: Hashable) -> int:
        """Right above the input and the layers of its run that belong below."""
        below = {str(r) for r in _FROM_BOTTOM_TO_TOP[: _FROM_BOTTOM_TO_TOP.index(role)]}
        last = len(self._viewer.layers) - 1
        for index, layer in enumerate(self._viewer.layers):
            tag = layer.metadata.get(TAG, {})
            if layer.unique_id == key or (is_result(layer) and tag["source"] == str(key) and tag["role"] in below):
                last = index
        return last + 1


def _holds_same_kind(layer: Any, new: LayerData) -> bool:
    return layer.ndim == len(new.keywords["scale"]) and getattr(layer, "rgb", False) == new.keywords.get("rgb", False)


def _replace(layer: Any, new: LayerData) -> None:
    """Put new contents into a layer; how a person chose to see it (opacity, colours, eye) stays."""
    layer.data = new.data
    if new.kind == "vectors":
        if not layer.visible:
            layer.set_view_slice()  # else napari colours as many vectors as there were when it was seen last
        # in this order: new features make napari forget by what the vectors are coloured
        layer.features = new.keywords["features"]
        layer.edge_color = new.keywords["edge_color"]
    if "metadata" in new.keywords:
        layer.metadata = {**layer.metadata, **new.keywords["metadata"]}
    put_in_place(layer, new.keywords)
