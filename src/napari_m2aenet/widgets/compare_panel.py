"""The tab that compares the restored photo with the photo and with a reference."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from m2aenet_core.errors import InputError
from napari_m2aenet.comparing import DifferenceJob, DifferenceKind, Line, ScoreJob, table_html
from napari_m2aenet.layer_data import Role, restored_layer
from napari_m2aenet.session import sentence
from napari_m2aenet.settings import DIFFERENCE, REFERENCE, WIPE_LINE
from napari_m2aenet.source import Source, source_of_layer
from napari_m2aenet.widgets.compare_layers import CompareLayers, CompareRole
from napari_m2aenet.widgets.layer_list import LayerList
from napari_m2aenet.widgets.layers import is_result
from napari_m2aenet.widgets.newest import NewestRunner
from napari_m2aenet.widgets.notify import notify
from napari_m2aenet.widgets.original import KEY, HeldOriginal
from napari_m2aenet.widgets.panel import Panel, toggle
from napari_m2aenet.widgets.side_by_side import SideBySide
from napari_m2aenet.widgets.wipe import Wipe

if TYPE_CHECKING:
    from napari_m2aenet.jobs import Restored
    from napari_m2aenet.widgets.main import DeblurWidget

NOTHING_YET = "Restore a photo first; it can be compared here then."
NO_FIGURES = "Choose a sharp picture of the same size to see figures here."


class ComparePanel(Panel):
    """Wipe, side by side, the original while a key is held, the difference, and figures against a reference."""

    title = "Compare"
    help = "See the restored photo beside the photo it was made from, and measure it against a sharp reference."

    def __init__(self, window: DeblurWidget) -> None:
        super().__init__(window)
        viewer = window.viewer
        self._shown: Restored | None = None
        self._is_followed = False
        self.layers = CompareLayers(viewer)
        self.wipe = Wipe(viewer, window.layers, self.layers, self)
        self.side_by_side = SideBySide(viewer, window.layers, self)
        self.original = HeldOriginal(viewer)
        self._scorer = NewestRunner(self)
        self._subtractor = NewestRunner(self)
        self.wipe_button = toggle("Wipe", "Show a line that you drag over the photo, with the photo on one side.")
        self.grid_button = toggle("Side by side", "Show photo and restored photo side by side; they move together.")
        self.hold_button = QPushButton("Hold: original")
        self.hold_button.setToolTip(
            f"The photo as it was, for as long as you press. Over the picture, hold the keys {KEY.replace('-', '+')}."
        )
        self.line = _choices(WIPE_LINE.help, {"Upright": Line.UPRIGHT, "Level": Line.LEVEL})
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip(WIPE_LINE.help)
        self.difference_button = toggle("Show", DIFFERENCE.help)
        self.kind = _choices(
            DIFFERENCE.help, {"Brighter and darker": DifferenceKind.SIGNED, "Size": DifferenceKind.MAGNITUDE}
        )
        self.reference = LayerList(viewer, self._could_be_reference, "none", REFERENCE.help)
        self.figures = QLabel(NO_FIGURES)
        self.figures.setWordWrap(True)
        self.figures.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.hint = QLabel(NOTHING_YET)
        self.hint.setWordWrap(True)
        self._lay_out()
        self._connect()
        self._follow()
        self._offer()

    # -- what the window tells ------------------------------------------------------------------------------------

    def show_restored(self, restored: Restored) -> None:
        """Compare this one from now on."""
        before = self._shown
        self._shown = restored
        self._follow()
        is_other = before is None or before.result.mask.shape != restored.result.mask.shape
        self._fit_slider(keep_share=is_other)
        self.reference.refresh()
        self._offer()
        if self.wipe_button.isChecked():
            self._start_wipe(restored)
        if self.grid_button.isChecked():
            self.side_by_side.start(restored.analyzed.source.key)
        self._show_difference()
        self._ask_for_figures()

    def forget(self, key: Hashable) -> None:
        """Nothing is left to compare where the photo is gone, and nothing to be seen where the restored photo is.

        What a person takes out of the layers is not wanted any more: its button goes up.
        """
        lost = self.layers.lost(key)
        if self._shown is None:
            return
        with self.layers.removed_later():
            if lost is not None:
                (self.difference_button if lost is CompareRole.DIFFERENCE else self.wipe_button).setChecked(False)
            if self._shown.analyzed.source.key == key:
                self._leave()
            elif not self._has_restored:
                for button in (self.wipe_button, self.grid_button):
                    button.setChecked(False)

    def close_down(self) -> None:
        """Stop, and give keys, grid and layers back."""
        self._leave()
        self.original.unbind()
        self.reference.unfollow()
        application = QApplication.instance()
        if application is not None and self._is_followed:
            application.applicationStateChanged.disconnect(self._on_application_state)
        self._is_followed = False

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Follow the layers again where the dock was closed before."""
        super().showEvent(event)
        self._follow()

    def reference_of(self, photo: Source) -> Source | None:
        """The picture of the chosen reference where the photo lies, whatever frame is shown now; None for no reference.

        Raises:
            InputError: the reference has no picture there.
        """
        layer = self.reference.layer
        if layer is None:
            return None
        try:
            return source_of_layer(layer, photo.placement.point(self.window_of_run.viewer.dims.point))
        except InputError as error:
            raise InputError(
                f"The reference “{layer.name}” has no picture at the frame that was restored; choose another one."
            ) from error

    # -- what a person does ---------------------------------------------------------------------------------------

    def _on_wipe(self, on: bool) -> None:
        if on and self._shown is not None:
            self.grid_button.setChecked(False)
            self._bring_back(self._shown)
            self._start_wipe(self._shown)
        else:
            self.wipe.stop()
        self._offer()

    def _on_grid(self, on: bool) -> None:
        if on and self._shown is not None:
            self.wipe_button.setChecked(False)
            self.let_go()
            self._bring_back(self._shown)
            self.side_by_side.start(self._shown.analyzed.source.key)
        else:
            self.side_by_side.stop()
        self._offer()

    def _on_line(self, _index: int) -> None:
        self._fit_slider(keep_share=True)
        if self.wipe.is_on and self._shown is not None:
            self._start_wipe(self._shown)

    def hold(self) -> None:
        """See the photo as it was."""
        if self._shown is not None and not self.side_by_side.is_on:
            self.original.hold(self._shown.analyzed.source.key)

    def let_go(self) -> None:
        """See the results again."""
        self.original.let_go()

    # -- the parts ------------------------------------------------------------------------------------------------

    @property
    def _has_restored(self) -> bool:
        """Whether the restored photo is among the layers; a person may have deleted it."""
        return (
            self._shown is not None
            and self.window_of_run.layers.find(Role.RESTORED, self._shown.analyzed.source.key) is not None
        )

    def _bring_back(self, shown: Restored) -> None:
        """Add the restored photo again where a person has deleted it: it is needed now."""
        if not self._has_restored:
            source = shown.analyzed.source
            self.window_of_run.layers.show(restored_layer(source, shown.result.restored, shown.record), source.key)

    def _start_wipe(self, shown: Restored) -> None:
        self.window_of_run.layers.follow_photo(shown.analyzed.source)
        self.wipe.start(shown, self._line, self.slider.value())

    @property
    def _line(self) -> Line:
        return Line(self.line.currentData())

    def _fit_slider(self, *, keep_share: bool) -> None:
        """One step of the slider is one pixel of the photo; the share of the photo stays, the middle at first."""
        if self._shown is None:
            return
        size = self._shown.result.mask.shape[self._line.axis]
        share = self.slider.value() / self.slider.maximum() if self.slider.isEnabled() else 0.5
        value = round(share * size) if keep_share else self.slider.value()
        self.slider.blockSignals(True)
        self.slider.setRange(0, size)
        self.slider.setPageStep(max(1, size // 10))
        self.slider.setValue(value)
        self.slider.blockSignals(False)

    def _show_difference(self) -> None:
        if self._shown is None or not self.difference_button.isChecked():
            self._subtractor.cancel()
            self.layers.remove(CompareRole.DIFFERENCE)
            return
        self._subtractor.ask(DifferenceJob(self._shown, DifferenceKind(self.kind.currentData())))

    def _on_subtracted(self, job: DifferenceJob) -> None:
        if job.error is not None:
            self._show_failure(job.error)
        elif job.value is not None:
            source = job.restored.analyzed.source
            self.window_of_run.layers.follow_photo(source)
            self.layers.show_difference(source, job.value, job.kind)

    def _could_be_reference(self, layer: Any) -> bool:
        if self._shown is None or not hasattr(layer, "rgb") or is_result(layer):
            return False
        source = self._shown.analyzed.source
        shape = (layer.data[0] if layer.multiscale else layer.data).shape
        size = shape[layer.ndim - 2 : layer.ndim]
        return layer.unique_id != source.key and layer.rgb == source.rgb and size == self._shown.result.mask.shape

    def _ask_for_figures(self) -> None:
        try:
            reference = None if self._shown is None else self.reference_of(self._shown.analyzed.source)
        except Exception as error:
            self._scorer.cancel()
            self._show_failure(error)
            return
        if reference is None or self._shown is None:
            self._scorer.cancel()
            self.figures.setText(NO_FIGURES)
            return
        self.figures.setText("Comparing …")
        self._scorer.ask(ScoreJob(self._shown, reference))

    def _on_scored(self, job: ScoreJob) -> None:
        if job.error is not None:
            self._show_failure(job.error)
        elif job.value is not None:
            self.figures.setText(table_html(job.value))

    def _show_failure(self, error: Exception) -> None:
        self.figures.setText(f"⚠ {sentence(error)}")
        notify(error, sentence(error))

    def _leave(self) -> None:
        self._shown = None
        self._scorer.cancel()
        self._subtractor.cancel()
        self.let_go()
        for button in (self.wipe_button, self.grid_button, self.difference_button):
            button.setChecked(False)
        self.figures.setText(NO_FIGURES)
        self.reference.refresh()
        self._offer()

    def _offer(self) -> None:
        """Enable what makes sense now, and say what is seen."""
        is_there = self._shown is not None
        for widget in (self.wipe_button, self.grid_button, self.difference_button, self.kind, self.reference):
            widget.setEnabled(is_there)
        self.hold_button.setEnabled(is_there and not self.side_by_side.is_on)
        self.slider.setEnabled(is_there)
        self.line.setEnabled(is_there)
        self.hint.setText(self._hint())

    def _hint(self) -> str:
        if self._shown is None:
            return NOTHING_YET
        if self.side_by_side.is_on:
            return (
                "Left: photo, right: restored." if self.side_by_side.is_photo_left else "Left: restored, right: photo."
            )
        if self.wipe.is_on:
            return (
                "Photo on the left, restored on the right."
                if self._line is Line.UPRIGHT
                else "Photo above, restored below."
            )
        return f"Hold {KEY.replace('-', '+')} over the picture: the original."

    # -- making ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.wipe_button, self.grid_button, self.hold_button):
            buttons.addWidget(button)
        form = QFormLayout()
        form.addRow(_label(WIPE_LINE.label, WIPE_LINE.help), _row(self.line, self.slider))
        form.addRow(_label(DIFFERENCE.label, DIFFERENCE.help), _row(self.difference_button, self.kind))
        form.addRow(_label(REFERENCE.label, REFERENCE.help), self.reference)
        content = QWidget()
        column = QVBoxLayout(content)
        column.addLayout(buttons)
        column.addWidget(self.hint)
        column.addLayout(form)
        column.addWidget(self.figures)
        column.addStretch(1)
        self.scroll(content)

    def _connect(self) -> None:
        self.wipe_button.toggled.connect(self._on_wipe)
        self.grid_button.toggled.connect(self._on_grid)
        self.hold_button.pressed.connect(self.hold)
        self.hold_button.released.connect(self.let_go)
        self.line.currentIndexChanged.connect(self._on_line)
        self.slider.valueChanged.connect(self.wipe.move)
        self.wipe.moved.connect(self.slider.setValue)
        self.side_by_side.arranged.connect(self._offer)
        self.side_by_side.ended.connect(lambda: self.grid_button.setChecked(False))
        self.difference_button.toggled.connect(lambda _on: self._show_difference())
        self.kind.currentIndexChanged.connect(lambda _index: self._show_difference())
        self.reference.changed.connect(self._ask_for_figures)
        self._scorer.ended.connect(self._on_scored)
        self._subtractor.ended.connect(self._on_subtracted)

    def _follow(self) -> None:
        """Bind the key and follow the layers; a dock that was closed may be opened again."""
        if self._is_followed:
            return
        self._is_followed = True
        self.original.bind(self.hold, self.let_go)
        self.reference.follow()
        application = QApplication.instance()
        if application is not None:
            application.applicationStateChanged.connect(self._on_application_state)

    def _on_application_state(self, state: Qt.ApplicationState) -> None:
        # a key that is let go over another window is never told
        if state != Qt.ApplicationState.ApplicationActive:
            self.let_go()


def _choices(help_text: str, choices: dict[str, Any]) -> QComboBox:
    combo = QComboBox()
    combo.setToolTip(help_text)
    for label, value in choices.items():
        combo.addItem(label, str(value))
    return combo


def _label(text: str, help_text: str) -> QLabel:
    label = QLabel(text)
    label.setToolTip(help_text)
    return label


def _row(first: QWidget, second: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(first)
    row.addWidget(second, 1)
    return row
