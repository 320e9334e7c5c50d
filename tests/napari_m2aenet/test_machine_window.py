"""The tab “Machine”, the keys and the preferences: what belongs to the dock as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QTabWidget

from napari_m2aenet.models import OpenDeblurrer

pytestmark = pytest.mark.window

LEFT = Qt.MouseButton.LeftButton
RUN_MS = 100_000  # a busy machine is slow, not wrong
CTRL_ALT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier


def dock(viewer: Any, opener: OpenDeblurrer) -> tuple[Any, Any]:
    """The widget, and its tab for the machine, not shown yet."""
    from napari_m2aenet.widgets.machine_panel import MachinePanel
    from napari_m2aenet.widgets.main import DeblurWidget

    widget = DeblurWidget(viewer, opener)
    viewer.window.add_dock_widget(widget, name="Local motion deblur")
    return widget, next(panel for panel in widget.panels if isinstance(panel, MachinePanel))


def show(widget: Any, panel: Any, qtbot: Any) -> None:
    tabs = widget.findChild(QTabWidget)
    tabs.setCurrentWidget(panel)
    qtbot.waitUntil(lambda: panel.runner.job is None and bool(panel.text.toPlainText()), timeout=RUN_MS)


def wait_until_done(widget: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not widget.session.is_busy and widget.session.job is None, timeout=RUN_MS)


def test_the_tab_shows_what_the_doctor_prints_when_it_is_first_seen(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget, panel = dock(viewer, open_tiny)
    qtbot.wait(50)
    assert panel.text.toPlainText() == ""
    show(widget, panel, qtbot)
    text = panel.text.toPlainText()
    assert f"torch {torch.__version__}" in text
    assert "Device: cpu: CPU, " in text
    assert "Qt in use: " in text
    qtbot.mouseClick(panel.estimate_button, LEFT)
    assert not panel.estimate_button.isEnabled()
    qtbot.waitUntil(lambda: panel.runner.job is None, timeout=RUN_MS)
    assert panel.status.text().startswith("A photo of 128 × 96 pixels takes about ")
    assert panel.status.text() in panel.text.toPlainText()
    qtbot.mouseClick(panel.copy_button, LEFT)
    assert QApplication.clipboard().text() == panel.text.toPlainText()


def test_the_memory_is_given_back_and_the_threshold_still_works(
    viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget, panel = dock(viewer, open_tiny)
    widget.run()
    wait_until_done(widget, qtbot)
    first = widget.session.restored.result.restored
    qtbot.mouseClick(panel.release_button, LEFT)
    analyzed = widget.session.analyzed
    assert all(tile.encoded is None for tile in analyzed.analysis.tiles)
    assert "The memory was given back" in widget.status_line.text()
    widget.threshold.number.setValue(0.6)
    qtbot.waitUntil(lambda: widget.session.restorations_done == 2, timeout=RUN_MS)
    widget.threshold.number.setValue(0.5)
    qtbot.waitUntil(lambda: widget.session.restorations_done == 3, timeout=RUN_MS)
    wait_until_done(widget, qtbot)
    np.testing.assert_array_equal(widget.session.restored.result.restored, first)


def test_the_memory_is_not_taken_from_a_run(
    viewer: Any, open_gated: OpenDeblurrer, gate: Any, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget, panel = dock(viewer, open_gated)
    widget.run()
    qtbot.waitUntil(gate.reached.is_set, timeout=RUN_MS)
    qtbot.mouseClick(panel.release_button, LEFT)
    assert "The model is at work" in panel.status.text()
    qtbot.mouseClick(panel.estimate_button, LEFT)
    assert "would falsify the measurement" in panel.status.text()
    gate.open()
    wait_until_done(widget, qtbot)


def press(viewer: Any, key: Qt.Key, qtbot: Any) -> None:
    window = viewer.window._qt_window
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=RUN_MS)
    qtbot.keyClick(window, key, CTRL_ALT)


def test_keys_run_and_cancel_from_anywhere_in_the_window_until_the_dock_is_closed(
    viewer: Any, open_gated: OpenDeblurrer, gate: Any, photo: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(photo, rgb=True)
    widget, _ = dock(viewer, open_gated)
    assert widget.controls.run_button.toolTip().endswith("(Ctrl+Alt+R)")
    press(viewer, Qt.Key.Key_R, qtbot)
    qtbot.waitUntil(gate.reached.is_set, timeout=RUN_MS)
    assert widget.session.is_busy
    press(viewer, Qt.Key.Key_C, qtbot)
    assert not widget.session.is_busy
    wait_until_done(widget, qtbot)
    viewer.window.remove_dock_widget(widget)
    press(viewer, Qt.Key.Key_R, qtbot)
    assert not widget.session.is_busy
    viewer.window.add_dock_widget(widget, name="again")
    qtbot.waitUntil(widget.isVisible, timeout=RUN_MS)
    press(viewer, Qt.Key.Key_R, qtbot)
    assert widget.session.is_busy
    gate.open()
    wait_until_done(widget, qtbot)


def test_the_panel_starts_as_the_preferences_say(viewer: Any, open_tiny: OpenDeblurrer, photo: np.ndarray) -> None:
    settings = pytest.importorskip("napari.settings")
    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("napari has a preferences page for plugins since 0.9")
    start = settings.get_plugin_settings("napari-m2aenet").start
    before = (start.model, start.device, start.threshold)
    assert before == ("default", "auto", 0.5)
    try:
        start.model, start.device, start.threshold = "small", "cpu", 0.25
        widget, _ = dock(viewer, open_tiny)
    finally:
        start.model, start.device, start.threshold = before
    assert (widget.model.value, widget.device.value, widget.threshold.value) == ("small", "cpu", 0.25)
    made_with = widget.session.settings
    assert (made_with.model, made_with.device, made_with.threshold) == ("small", "cpu", 0.25)


def test_without_a_preferences_page_our_defaults_count(monkeypatch: pytest.MonkeyPatch) -> None:
    import napari.settings

    from napari_m2aenet.settings import Settings
    from napari_m2aenet.widgets.napari_versions import preferred_settings

    monkeypatch.delattr(napari.settings, "get_plugin_settings", raising=False)
    assert preferred_settings() == Settings()
