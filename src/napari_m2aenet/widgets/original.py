"""Seeing the photo as it was, for as long as a key or a button is held."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

from napari.viewer import Viewer

from napari_m2aenet.widgets.layers import TAG, is_result

KEY = "Shift-O"
"""Held over the canvas. napari binds nothing to it, and a key with Shift is not struck by chance."""


class HeldOriginal:
    """Hides all that was made from a photo, and shows it again as it was."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._visible_before: dict[Hashable, bool] = {}
        self._bound: Callable[[Viewer], Iterator[None]] | None = None

    @property
    def is_held(self) -> bool:
        """Whether the photo is seen alone."""
        return bool(self._visible_before)

    def hold(self, key: Hashable) -> None:
        """Show the photo with this key without its results."""
        if self.is_held:
            return
        for layer in self._viewer.layers:
            if layer.unique_id == key or (is_result(layer) and layer.metadata[TAG]["source"] == str(key)):
                self._visible_before[layer.unique_id] = layer.visible
                layer.visible = layer.unique_id == key

    def let_go(self) -> None:
        """Show everything as before."""
        before, self._visible_before = self._visible_before, {}
        for layer in self._viewer.layers:
            if layer.unique_id in before:
                layer.visible = before[layer.unique_id]

    def bind(self, press: Callable[[], None], release: Callable[[], None]) -> None:
        """Bind the key in this viewer."""
        if self._bound is not None:
            return

        def held(viewer: Any) -> Iterator[None]:
            press()
            yield
            release()

        self._bound = held
        self._viewer.bind_key(KEY, held, overwrite=True)

    def unbind(self) -> None:
        """Give the key back, unless somebody else has bound it since."""
        if self._bound is not None and self._bound in self._viewer.keymap.values():
            self._viewer.bind_key(KEY, None)
        self._bound = None
