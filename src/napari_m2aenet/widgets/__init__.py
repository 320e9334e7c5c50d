"""The window: the only folder that imports Qt and napari. Widgets show what the session decides."""
