"""Writes the layers of the comparison: the wipe's half of the photo, its line, and the difference.

On the GUI thread alone, as all that writes layers.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Image, Layer, Vectors
from napari.viewer import Viewer
from qtpy.QtCore import QTimer

from napari_m2aenet.comparing import Difference, DifferenceKind, Piece
from napari_m2aenet.source import Source
from napari_m2aenet.widgets.layers import TAG, is_result, put_in_place

LINE_COLOUR = "#ffd400"
_COLOURS = {DifferenceKind.SIGNED: "coolwarm", DifferenceKind.MAGNITUDE: "inferno"}
_LOOK = ("contrast_limits_range", "contrast_limits", "gamma", "colormap", "interpolation2d")


class CompareRole(StrEnum):
    """What a layer of the comparison shows; also the start of its name."""

    PHOTO_SIDE = "wipe, photo side"
    LINE = "wipe line"
    DIFFERENCE = "difference"


class CompareLayers:
    """The layers of the comparison in one viewer; they count as results, so they are no input of a run."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._removes_later = False
        self._shown: dict[Hashable, CompareRole] = {}

    def lost(self, key: Hashable) -> CompareRole | None:
        """Return what the layer that was removed showed, where it was not taken out from here: a person did it."""
        return self._shown.pop(key, None)

    def find(self, role: CompareRole) -> Any:
        """Return the layer with this role, or None."""
        return next((x for x in self._viewer.layers if is_result(x) and x.metadata[TAG]["role"] == str(role)), None)

    def remove(self, *roles: CompareRole) -> None:
        """Take layers out of the viewer."""
        for role in roles:
            layer = self.find(role)
            if layer is not None and self._removes_later:
                QTimer.singleShot(0, partial(self._remove_if_there, layer))
            elif layer is not None:
                self._remove(layer)

    @contextmanager
    def removed_later(self) -> Iterator[None]:
        """Inside, layers are to go once napari has taken out all that a person removed: it asks for each of them."""
        self._removes_later = True
        try:
            yield
        finally:
            self._removes_later = False

    def _remove_if_there(self, layer: Layer) -> None:
        if layer in self._viewer.layers:
            self._remove(layer)

    def _remove(self, layer: Layer) -> None:
        self._shown.pop(layer.unique_id, None)
        self._viewer.layers.remove(layer)

    def show_piece(self, source: Source, piece: Piece | None, like: Any) -> None:
        """Show a part of the photo as the layer `like` shows it; None hides it."""
        role = CompareRole.PHOTO_SIDE
        layer = self._of(role, source)
        if piece is None:
            if layer is not None:
                layer.visible = False
            return
        data = np.expand_dims(piece.pixels, _leading(source))
        placed = source.placement.keywords(piece.corner, piece.step)
        if layer is None:
            layer = Image(data, name=f"{role}: {source.name}", rgb=source.rgb, **placed)
            _look_like(layer, like)
            self._add(layer, role, source.key)
            return
        layer.data = data
        put_in_place(layer, placed)
        _set(layer, visible=True)
        _look_like(layer, like)

    def show_line(self, source: Source, segments: np.ndarray, width: float) -> None:
        """Show the wipe line, (K, 2, 2) in pixels of the photo, `width` pixels wide."""
        role = CompareRole.LINE
        data = np.zeros((len(segments), 2, source.placement.ndim))
        data[..., -2:] = segments
        layer = self._of(role, source)
        if layer is None:
            layer = Vectors(
                data,
                name=f"{role}: {source.name}",
                edge_color=LINE_COLOUR,
                edge_width=width,
                vector_style="line",
                **source.placement.keywords(),
            )
            self._add(layer, role, source.key)
            return
        layer.data = data
        put_in_place(layer, source.placement.keywords())
        _set(layer, edge_width=width)

    def show_difference(self, source: Source, difference: Difference, kind: DifferenceKind) -> None:
        """Show a difference, above everything else of the photo."""
        role = CompareRole.DIFFERENCE
        data = np.expand_dims(difference.values, _leading(source))
        layer = self._of(role, source)
        if layer is None:
            layer = Image(
                data,
                name=f"{role}: {source.name}",
                rgb=False,
                colormap=_COLOURS[kind],
                contrast_limits=difference.limits,
                **source.placement.keywords(),
            )
            self._add(layer, role, source.key)
            return
        layer.data = data
        put_in_place(layer, source.placement.keywords())
        layer.colormap = _COLOURS[kind]
        low, high = difference.limits
        layer.contrast_limits_range = (min(low, layer.contrast_limits_range[0]), max(high, 0.0))
        layer.contrast_limits = difference.limits

    def _of(self, role: CompareRole, source: Source) -> Any:
        """Return the layer that can show a photo's part; one of another photo or another form is taken out."""
        layer = self.find(role)
        if layer is None:
            return None
        same_form = layer.ndim == source.placement.ndim and getattr(layer, "rgb", False) in (False, source.rgb)
        if layer.metadata[TAG]["source"] == str(source.key) and same_form:
            return layer
        self._remove(layer)
        return None

    def _add(self, layer: Layer, role: CompareRole, key: Hashable) -> None:
        layer.metadata[TAG] = {"role": str(role), "source": str(key), "layer": str(layer.unique_id)}
        self._shown[layer.unique_id] = role
        chosen = self._viewer.layers.selection.active
        if role is CompareRole.PHOTO_SIDE:
            self._viewer.layers.insert(self._above_pictures(key), layer)
        else:
            self._viewer.layers.append(layer)
        if chosen is not None:
            self._viewer.layers.selection.active = chosen

    def _above_pictures(self, key: Hashable) -> int:
        """Above photo and restored photo, below what explains them."""
        pictures = [
            index
            for index, layer in enumerate(self._viewer.layers)
            if layer.unique_id == key
            or (
                is_result(layer)
                and layer.metadata[TAG]["source"] == str(key)
                and layer.metadata[TAG]["role"] == "restored"
            )
        ]
        return max(pictures, default=len(self._viewer.layers) - 1) + 1


def _leading(source: Source) -> tuple[int, ...]:
    return tuple(range(len(source.placement.frame)))


def _look_like(layer: Any, like: Any) -> None:
    """Give a layer the contrast and colours of another; colour photos have none."""
    if like is None or layer.rgb:
        return
    _set(layer, **{name: getattr(like, name) for name in _LOOK})


def _set(layer: Any, **values: Any) -> None:
    """Set what is another value than before: each setting draws the layer again."""
    for name, value in values.items():
        if not np.array_equal(getattr(layer, name), value):
            setattr(layer, name, value)
