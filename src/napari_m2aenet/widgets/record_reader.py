"""napari's reader for records: opening one loads its photo, opens the dock, and repeats the run."""

from collections.abc import Callable

from napari_m2aenet.repeating import REPEAT_KEY, LayerDataTuple, is_record_file, read_record_layers

PLUGIN = "napari-m2aenet"
SOON_MS = 100
"""Until then, an open dock has taken the run."""


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerDataTuple]] | None:
    """Return the reader where the file is the record of a restored photo."""
    return read_record if isinstance(path, str) and is_record_file(path) else None


def read_record(path: str) -> list[LayerDataTuple]:
    """Return the photo of a record as a layer, and see to it that a dock repeats the run."""
    layers = read_record_layers(path)
    _open_dock_soon()
    return layers


def _open_dock_soon() -> None:
    """The layer is not in the viewer yet; without a window there is nothing to open."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None or not hasattr(viewer, "window"):
        return
    from qtpy.QtCore import QTimer

    def open_dock() -> None:
        is_waiting = any(REPEAT_KEY in layer.metadata for layer in viewer.layers)
        if is_waiting and napari.current_viewer() is viewer:
            viewer.window.add_plugin_dock_widget(PLUGIN)[0].show()

    QTimer.singleShot(SOON_MS, open_dock)
