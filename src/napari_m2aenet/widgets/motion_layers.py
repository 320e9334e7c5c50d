"""Writes the layers of the tab “Motion”; to be called on the GUI thread."""

from collections.abc import Hashable
from typing import Any

import numpy as np
from napari.viewer import Viewer

from napari_m2aenet.curve_view import PhotoView
from napari_m2aenet.jobs import Analyzed
from napari_m2aenet.layer_data import Curves, Role, trajectories_layer
from napari_m2aenet.motion_jobs import Checked, Film
from napari_m2aenet.motion_layer_data import (
    POINT_SCREEN_PX,
    MotionRole,
    difference_layer,
    film_layer,
    overview_layer,
    pins_layer,
    probe_layer,
    reblurred_layer,
)
from napari_m2aenet.motion_wheel import Overview
from napari_m2aenet.probes import Pin, Probe
from napari_m2aenet.source import Source
from napari_m2aenet.widgets.layers import ResultLayers
from napari_m2aenet.widgets.napari_versions import camera_of


class MotionLayers:
    """Shows what the tab found, in layers of the photo it was found in."""

    def __init__(self, viewer: Viewer, layers: ResultLayers) -> None:
        self._viewer = viewer
        self._layers = layers
        self._curve_width: float | None = None

    def show_overview(self, source: Source, overview: Overview) -> Hashable:
        """Show the motion as colours, and return what its layer is known by."""
        self._layers.show(overview_layer(source, overview), source.key)
        return self._layers.find(MotionRole.OVERVIEW, source.key).unique_id

    def show_film(self, film: Film) -> None:
        """Show the film, at mid-exposure."""
        source = film.restored.analyzed.source
        self._layers.show(film_layer(source, film.frames, film.record), source.key)
        layer = self._layers.find(MotionRole.FILM, source.key)
        layer.visible = True
        axis = self._viewer.dims.ndim - layer.ndim
        # steps are those of all layers along the axis; its own instants lie at 0, 1, ... of the world
        self._viewer.dims.set_point(axis, len(film.frames) // 2)

    def show_check(self, checked: Checked) -> None:
        """Show the photo that was blurred again, and its difference to the photo."""
        source = checked.restored.analyzed.source
        self._layers.show(reblurred_layer(source, checked.trust.reblurred), source.key)
        self._layers.show(difference_layer(source, checked.trust.difference), source.key)

    def show_probe(self, source: Source, probe: Probe) -> None:
        """Show the positions of the probe."""
        self._layers.show(probe_layer(source, probe, self._px_per_screen_px(source)), source.key)

    def show_pins(self, source: Source, pins: list[Pin]) -> None:
        """Show the positions of the pins on a photo; no layer where there is none."""
        # points that get another number lose their colours and texts, so the layer is made anew
        self.remove(MotionRole.PINS, source)
        if pins:
            self._layers.show(pins_layer(source, pins, self._px_per_screen_px(source)), source.key)

    def fit_points(self, source: Source) -> None:
        """Make the positions of probes as large on the screen as they are meant to be."""
        for role, screen_px in POINT_SCREEN_PX.items():
            layer = self._layers.find(role, source.key)
            if layer is not None:
                layer.size = screen_px * self._px_per_screen_px(source)

    def show_curves(self, analyzed: Analyzed, curves: Curves, width_px: float | None = None) -> None:
        """Show other curves in the layer of the trajectories.

        width_px: in pixels of the photo, by default that of a run; a width that a person chose stays.
        """
        source = analyzed.source
        layer = self._layers.find(Role.TRAJECTORIES, source.key)
        if layer is None:
            return
        new = trajectories_layer(source, analyzed.analysis.blur_probability.shape, curves)
        usual = new.keywords["edge_width"]
        if layer.edge_width in (self._curve_width, usual):
            self._curve_width = layer.edge_width = usual if width_px is None else width_px
        self._layers.show(new, source.key)

    def remove(self, role: MotionRole, source: Source) -> None:
        """Remove a layer, if it is there."""
        layer = self._layers.find(role, source.key)
        if layer is not None:
            self._viewer.layers.remove(layer)

    def seen_part(self, source: Source) -> PhotoView | None:
        """Return what is seen of a photo now; None in 3D, or where no layer of its size is there to ask."""
        layer = self._frame_layer(source)
        if layer is None or self._viewer.dims.ndisplay != 2:
            return None
        (top, left), (bottom, right) = (corner[-2:] for corner in layer.corner_pixels)
        if bottom <= top or right <= left:
            return None
        return PhotoView(int(top), int(left), int(bottom) + 1, int(right) + 1, self._px_per_screen_px(source))

    def _px_per_screen_px(self, source: Source) -> float:
        """How many pixels of the photo lie along one of the screen, in the plane of the viewer's last two axes."""
        area = abs(float(np.linalg.det(source.placement.world_steps(np.eye(2))[:, -2:])))
        screen_px = area**0.5 * float(camera_of(self._viewer).zoom)
        return 1 / screen_px if screen_px > 0 else 1.0

    def _frame_layer(self, source: Source) -> Any:
        """A layer of the photo's very pixels: the photo's own may be a pyramid, whose corners are of one level."""
        found = (self._layers.find(role, source.key) for role in (Role.RESTORED, Role.PROBABILITY, Role.MASK))
        return next((layer for layer in found if layer is not None), None)
