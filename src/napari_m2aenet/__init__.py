"""The napari plugin: a dock widget that finds, explains and removes local motion blur.

Importing this package costs nothing: napari reads the manifest, and torch loads at the first run, in a worker thread.
"""
