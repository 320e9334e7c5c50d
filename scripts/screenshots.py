"""The pictures of the plugin's tabs in docs/images: `make screenshots`.

Each is of the real window after a real run on samples that come with the plugin. A virtual display will do.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import napari
import numpy as np
import skimage.data
from PIL import Image
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QScrollArea

from m2aenet_core.atomic import write_atomic
from m2aenet_core.data.samples import make_sample
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import write_image
from napari_m2aenet.training_run import RunState
from napari_m2aenet.widgets.batch_panel import BatchPanel
from napari_m2aenet.widgets.blur_panel import BlurPanel
from napari_m2aenet.widgets.compare_panel import ComparePanel
from napari_m2aenet.widgets.main import DeblurWidget
from napari_m2aenet.widgets.motion_panel import MotionPanel
from napari_m2aenet.widgets.napari_versions import camera_of
from napari_m2aenet.widgets.panel import Panel
from napari_m2aenet.widgets.showcase import fit_view, open_window, picture_of, run_photo, wait
from napari_m2aenet.widgets.train_panel import TrainPanel

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
QUALITY = 85
TIMEOUT_S = 600
SAMPLE = "coffee"
MISSED_YX = ((246, 231), (254, 200), (258, 168), (278, 180), (284, 250), (298, 230), (304, 270), (306, 310), (300, 345))
"""A stroke over the part of the saucer that moved and that the weights do not find."""
PROBES_YX = ((110, 300), (260, 420), (180, 190))
"""The last one is not pinned: the probe that the pointer stands on."""
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
TRAINING = "--batch_size 2 --blur.crop_px 128 --learning_rate 0.0002 --warmup_steps 5 --validation_samples 8 "
TRAINING += "--validate_every 10 --save_every 10 --workers 0"
TRAINING_STEPS = 60
FRAMES = 12

P = TypeVar("P", bound=Panel)


class Window(NamedTuple):
    """A viewer, and the dock widget in it."""

    viewer: napari.Viewer
    widget: DeblurWidget

    def tab(self, kind: type[P]) -> P:
        """Bring a tab to the front."""
        panel = next(panel for panel in self.widget.panels if isinstance(panel, kind))
        self.widget.tabs.setCurrentWidget(panel)
        return panel

    def show_only(self, *names: str) -> None:
        """Hide all other layers, and choose the first of these."""
        for layer in self.viewer.layers:
            layer.visible = layer.name in names
        self.viewer.layers.selection.active = self.viewer.layers[names[0]]

    def make_room_for_layers(self) -> None:
        """Hide the layer controls, where the list of layers is longer than the rest of the column."""
        self.viewer.window._qt_viewer.dockLayerControls.hide()

    def drag(self, pixels_yx: tuple[tuple[int, int], ...]) -> None:
        """Press the mouse at the first pixel of the photo, move it over the others, and let go at the last."""
        canvas, camera = self.viewer.window._qt_viewer.canvas.native, camera_of(self.viewer)
        middle = np.array([canvas.height(), canvas.width()]) / 2
        places = (np.array(pixels_yx) - np.array(camera.center)[-2:]) * camera.zoom + middle
        points = [QPointF(x, y) for y, x in places]
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        # not by QTest: its moves have no button pressed, and napari would not take them as a stroke
        steps = [
            (QEvent.Type.MouseButtonPress, points[0], left, left),
            *((QEvent.Type.MouseMove, point, none, left) for point in points),
            (QEvent.Type.MouseButtonRelease, points[-1], left, none),
        ]
        for kind, point, button, buttons in steps:
            where = QPointF(canvas.mapToGlobal(point.toPoint()))
            event = QMouseEvent(kind, point, where, button, buttons, Qt.KeyboardModifier.NoModifier)
            QApplication.sendEvent(canvas, event)
            QApplication.processEvents()


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures; 0 where all went well, else 1 after a sentence on standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tabs", nargs="*", metavar="TAB", help=f"{', '.join(PICTURES)} (default: all)")
    parser.add_argument("-o", "--output", type=Path, default=IMAGES, help="folder to write to (default: docs/images)")
    options = parser.parse_args(arguments)
    for tab in options.tabs:
        if tab not in PICTURES:
            parser.error(f"there is no picture of {tab}; choose from {', '.join(PICTURES)}")
    # as Ctrl-C does: what was begun is ended before the script is
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for tab in options.tabs or PICTURES:
            path = options.output / f"plugin_{tab}.jpg"
            write_atomic(path, jpeg(PICTURES[tab]()))
            print(f"written to {path}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; pictures that were written stay", file=sys.stderr)
        return 130
    return 0


def blur() -> np.ndarray:
    """Return the tab Blur after a stroke over what the network has missed."""
    with window(SAMPLE) as shown:
        panel, session = shown.tab(BlurPanel), shown.widget.session
        run_photo(shown.widget, TIMEOUT_S)
        mask = shown.viewer.layers[f"blur mask: {SAMPLE}"]
        shown.show_only(mask.name, f"restored: {SAMPLE}", SAMPLE)
        mask.opacity = 0.4
        panel.paint_button.click()
        mask.brush_size = 40
        done = session.restorations_done
        shown.drag(MISSED_YX)
        wait_for("the stroke", lambda: session.restorations_done > done and not session.is_busy)
        wait_for("counting", lambda: "multiply-adds" in panel.meaning.text())
        return picture_of(shown.viewer)


def motion() -> np.ndarray:
    """Return the tab Motion with colours, curves, two pinned probes and a film."""
    with window(SAMPLE) as shown:
        panel, layers = shown.tab(MotionPanel), shown.viewer.layers
        run_photo(shown.widget, TIMEOUT_S)
        shown.show_only(SAMPLE, f"trajectories: {SAMPLE}")
        shown.make_room_for_layers()
        panel.colours.check.click()
        panel.film.make_button.click()
        wait_for("the film", lambda: {f"motion colours: {SAMPLE}", f"film: {SAMPLE}"} <= {each.name for each in layers})
        probe = panel.probe.controls
        probe.check.click()
        for y, x in PROBES_YX:
            probe.y.setValue(y)
            probe.x.setValue(x)
            if (y, x) != PROBES_YX[-1]:
                probe.pin_button.click()
        return picture_of(shown.viewer)


def compare() -> np.ndarray:
    """Return the tab Compare with the wipe line, and figures against the sharp photo."""
    with window(SAMPLE) as shown:
        panel = shown.tab(ComparePanel)
        run_photo(shown.widget, TIMEOUT_S)
        shown.show_only(SAMPLE, f"restored: {SAMPLE}")
        shown.make_room_for_layers()
        panel.wipe_button.click()
        panel.reference.choose(shown.viewer.layers[f"{SAMPLE}: sharp photo (truth)"])
        wait_for("the comparison", lambda: "PSNR" in panel.figures.text())
        return picture_of(shown.viewer)


def batch() -> np.ndarray:
    """Return the tab Batch while the frames of a pan over the sample are restored."""
    photo = make_sample(SAMPLE).blur
    film = np.stack([photo[:, 10 * frame : 10 * frame + 480] for frame in range(FRAMES)])
    with window() as shown:
        shown.viewer.add_image(film, rgb=True, name="film", axis_labels=("frame", "y", "x"))
        shown.viewer.dims.current_step = (0, 0, 0)
        shown.viewer.reset_view()
        panel = shown.tab(BatchPanel)
        panel.frames_button.click()
        wait_for("the batch", lambda: len(panel.log.toPlainText().splitlines()) >= FRAMES // 3)
        picture = picture_of(shown.viewer)
        # a window that closes while its worker still runs takes away what the worker reports to
        panel.cancel_button.click()
        wait_for("the end of the batch", panel.frames_button.isEnabled)
        return picture


def train() -> np.ndarray:
    """Return the tab Train after a short run from the default weights, with a preview."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), window("cat") as shown:
        for name in PHOTOS:
            write_image(Path("photos") / f"{name}.png", getattr(skimage.data, name)())
        panel = shown.tab(TrainPanel)
        order = panel.order
        order.out.choose("run")
        order.data.choose("photos")
        order.recipe.setCurrentText("small-deconvolution")
        order.start_from.setCurrentIndex(order.start_from.findData("model"))
        order.steps.setValue(TRAINING_STEPS)
        order.more.setText(TRAINING)
        panel.preview_always.click()
        panel.start_button.click()
        with ended_before_its_folder_goes(panel):
            wait_for("the training", panel.start_button.isEnabled)
        if panel.run is None or panel.run.state is not RunState.FINISHED:
            raise InputError(f"no picture of the window was taken: {panel.status.text()}")
        panel.preview_button.click()
        wait_for("the preview", panel.preview_button.isEnabled)
        shown.viewer.layers.selection.active = shown.viewer.layers["training preview: cat"]
        panel.findChild(QScrollArea).ensureWidgetVisible(panel.samples)
        return picture_of(shown.viewer)


PICTURES: dict[str, Callable[[], np.ndarray]] = {
    "blur": blur,
    "motion": motion,
    "compare": compare,
    "train": train,
    "batch": batch,
}


@contextlib.contextmanager
def ended_before_its_folder_goes(panel: TrainPanel) -> Iterator[None]:
    """A training run outlives its window: where the block fails while it runs, it is stopped, and waited for."""
    try:
        yield
    finally:
        process = None if panel.run is None else panel.run.process
        if process is not None and process.is_running:
            process.stop()
            wait(lambda: not process.is_running, TIMEOUT_S)


@contextlib.contextmanager
def window(sample: str | None = None) -> Iterator[Window]:
    """A window on a sample, until the block ends."""
    viewer, widget = open_window(sample)
    try:
        fit_view(viewer)
        yield Window(viewer, widget)
    finally:
        viewer.close()


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    """Let the window live until something is true. Raises InputError where that takes too long."""
    if not wait(condition, TIMEOUT_S):
        raise InputError(f"no picture of the window was taken: {what} took longer than {TIMEOUT_S} s")


def jpeg(picture: np.ndarray) -> bytes:
    """Return a picture (H, W, 4) as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture[..., :3]).save(buffer, format="JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
