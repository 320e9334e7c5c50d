"""The tab that shows where the blur is, and where a person decides what counts as blurred."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_m2aenet.mask_choice import MaskSource
from napari_m2aenet.mask_meaning import Meaning
from napari_m2aenet.restoration_cost import CostCurve, CostJob
from napari_m2aenet.settings import MASK_LAYER, MASK_SOURCE, SELECTION
from napari_m2aenet.widgets.blur_histogram import BlurHistogram
from napari_m2aenet.widgets.layer_list import LayerList
from napari_m2aenet.widgets.newest import NewestRunner
from napari_m2aenet.widgets.panel import Panel, toggle
from napari_m2aenet.widgets.selection_layer import SelectionTool

if TYPE_CHECKING:
    from napari_m2aenet.jobs import Analyzed, Restored
    from napari_m2aenet.widgets.main import DeblurWidget

SOURCES = {"From ε": MaskSource.THRESHOLD, "Painted": MaskSource.PAINTED, "Another layer": MaskSource.LAYER}
NOTHING_YET = "Run a photo first; then you see here where it is blurred."
NO_MASK = "This model does not look where the blur is: everything is restored."


class BlurPanel(Panel):
    """Histogram with the cut at ε, what the mask means, where it comes from, brush, selection, undo and redo."""

    title = "Blur"
    help = "See where the photo is blurred, and decide what is restored: with ε, with a brush, or with another layer."

    def __init__(self, window: DeblurWidget) -> None:
        super().__init__(window)
        self._mask = window.mask
        self._curve: CostCurve | None = None
        self._counted: tuple[object, ...] = ()
        self._counter = NewestRunner(self)
        self.histogram = BlurHistogram(window.viewer.theme)
        self.meaning = QLabel(NOTHING_YET)
        self.source = QComboBox()
        for words, source in SOURCES.items():
            self.source.addItem(words, source)
        self.source.setToolTip(MASK_SOURCE.help)
        self.layer = LayerList(window.viewer, self._mask.can_be_mask, "choose a layer…", MASK_LAYER.help)
        self.paint_button = toggle("Paint", "Paint what is blurred: the brush adds to the mask.")
        self.erase_button = toggle("Erase", "Erase what is not blurred: the brush takes away from the mask.")
        self.undo_button = QPushButton("Undo")
        self.undo_button.setToolTip("Give the mask before back: strokes, thresholds and all else (Ctrl+Z).")
        self.redo_button = QPushButton("Redo")
        self.redo_button.setToolTip("Do again what was undone (Ctrl+Shift+Z).")
        self.inside = QCheckBox(SELECTION.label)
        self.inside.setToolTip(SELECTION.help)
        self.rectangle_button = toggle("Rectangle", "Drag a rectangle over the photo: only its inside is restored.")
        self.lasso_button = toggle("Lasso", "Drag around a part of the photo: only what is inside is restored.")
        self._hands = {
            "paint": self.paint_button,
            "erase": self.erase_button,
            "rectangle": self.rectangle_button,
            "lasso": self.lasso_button,
        }
        self._lay_out()
        self._connect()
        self.show_mask()

    # -- what the window tells ------------------------------------------------------------------------------------

    def show_analysis(self, analyzed: Analyzed) -> None:
        """Show the histogram of another photo."""
        self._follow()
        self.layer.refresh()
        self.show_mask()

    def show_restored(self, restored: Restored) -> None:
        """Tell what the restoration took, and how the mask was made for it."""
        self._count()
        self.show_mask()

    def show_threshold(self, value: float) -> None:
        """Move the cut along."""
        self.histogram.show_cut(value)
        self._tell()

    def show_mask(self) -> None:
        """Show how the mask is made now."""
        session = self.window_of_run.session
        choice = session.choice
        is_known = session.analyzed is not None
        self.histogram.show_levels(self._mask.levels(session.analyzed.levels) if session.analyzed else None)
        self.histogram.show_cut(self.window_of_run.threshold.value)
        self.source.setCurrentIndex(self.source.findData(choice.source))
        key = choice.layer_key if choice.source is MaskSource.LAYER else None
        self.layer.blockSignals(True)
        self.layer.setCurrentIndex(0 if key is None else max(0, self.layer.findData(key)))
        self.layer.blockSignals(False)
        self.layer.setEnabled(is_known)
        self.undo_button.setEnabled(is_known and session.masks.can_undo)
        self.redo_button.setEnabled(is_known and session.masks.can_redo)
        for widget in (self.source, self.inside, self.histogram, *self._hands.values()):
            widget.setEnabled(is_known)
        self._show_hand()
        self._tell()

    def forget(self, key: Hashable) -> None:
        """Show nothing of a photo that is gone, and keep nothing of it."""
        if self.window_of_run.session.analyzed is None:
            self._counter.cancel()
            self._counted, self._curve = (), None
        self.layer.refresh()
        self.show_mask()

    def close_down(self) -> None:
        """Stop counting, leave the viewer's events, and keep nothing of the photo."""
        self._counter.cancel()
        self._counted, self._curve = (), None
        self.histogram.show_levels(None)
        self.layer.unfollow()
        if self._follows:
            self.window_of_run.viewer.events.theme.disconnect(self._on_theme)
            self._follows = False

    # -- what a person does ---------------------------------------------------------------------------------------

    def _on_source(self, _index: int) -> None:
        source = MaskSource(self.source.currentData())
        if source is not MaskSource.LAYER:
            self._mask.take_source(source)
        elif self.layer.layer is not None:
            self._mask.take_layer(self.layer.layer)
        else:
            self.layer.showPopup()  # the mask stays as it is until a layer is chosen
            self.show_mask()

    def _on_layer(self) -> None:
        if self.layer.layer is not None:
            self._mask.take_layer(self.layer.layer)

    def _on_brush(self, mode: str, is_down: bool) -> None:
        if is_down:
            self._mask.paint(mode)
        else:
            self._mask.put_down()

    def _on_selection_tool(self, tool: SelectionTool, is_down: bool) -> None:
        if is_down:
            self._mask.select(tool)
        else:
            self._mask.put_down()

    def _on_inside(self, is_on: bool) -> None:
        self._mask.select(SelectionTool.RECTANGLE if is_on else None)

    def _on_theme(self, event: object = None) -> None:
        self.histogram.show_theme(self.window_of_run.viewer.theme)

    # -- the parts ------------------------------------------------------------------------------------------------

    def _show_hand(self) -> None:
        hand = self._mask.hand
        for name, button in self._hands.items():
            button.setChecked(name == hand)
        self.inside.setChecked(self._mask.is_limited)

    def _tell(self) -> None:
        """Say what the mask means: at the cut while it moves, else as it was restored."""
        session = self.window_of_run.session
        if session.analyzed is None:
            self.meaning.setText(NOTHING_YET)
        elif not session.analyzed.analysis.has_mask:
            self.meaning.setText(NO_MASK)
        else:
            self.meaning.setText("\n".join(self._meaning().lines()))

    def _meaning(self) -> Meaning:
        session, cut = self.window_of_run.session, self.histogram.cut
        assert session.analyzed is not None
        levels, choice = self._mask.levels(session.analyzed.levels), session.choice
        is_moving = cut != choice.threshold
        restored = session.restored
        is_done = not is_moving and restored is not None and restored.choice.makes_same_mask(choice)
        if is_moving or choice.source is MaskSource.THRESHOLD:
            pixels = levels.blurred_pixels(cut)
        else:
            pixels = choice.count_pixels()
        curve = self._curve if is_moving or self._counted == self._count_key() else None
        macs = None if curve is None else curve.at(cut)
        return Meaning(
            pixels=pixels,
            total=levels.levels.size,
            macs=macs,
            whole=None if curve is None else curve.whole,
            seconds=None if macs is None else session.pace.seconds(macs),
            measured_s=restored.result.seconds if is_done and restored is not None else None,
        )

    def _count_key(self) -> tuple[object, ...]:
        session = self.window_of_run.session
        return session.analyzed, session.choice.given, session.choice.selection

    def _count(self) -> None:
        """Count the multiply-adds in the background, once for each photo, selection and given mask."""
        session, key = self.window_of_run.session, self._count_key()
        if session.analyzed is not None and key != self._counted:
            self._counted = key
            self._curve = None
            self._counter.ask(CostJob(session.analyzed, session.choice))

    def _on_counted(self, job: CostJob) -> None:
        self._curve = job.value
        self._tell()

    # -- making and ending ----------------------------------------------------------------------------------------

    _follows = False

    def _follow(self) -> None:
        self.layer.follow()
        if not self._follows:
            self.window_of_run.viewer.events.theme.connect(self._on_theme)
            self._follows = True
            self._on_theme()

    def _connect(self) -> None:
        mask = self._mask
        self.histogram.cut_moved.connect(self.window_of_run.threshold.number.setValue)
        self.source.activated.connect(self._on_source)
        self.layer.changed.connect(self._on_layer)
        self.paint_button.clicked.connect(lambda down: self._on_brush("paint", down))
        self.erase_button.clicked.connect(lambda down: self._on_brush("erase", down))
        self.rectangle_button.clicked.connect(lambda down: self._on_selection_tool(SelectionTool.RECTANGLE, down))
        self.lasso_button.clicked.connect(lambda down: self._on_selection_tool(SelectionTool.LASSO, down))
        self.inside.clicked.connect(self._on_inside)
        self.undo_button.clicked.connect(lambda _down: mask.undo())
        self.redo_button.clicked.connect(lambda _down: mask.redo())
        mask.hand_changed.connect(self._show_hand)
        self._counter.ended.connect(self._on_counted)
        for keys, do in ((QKeySequence.StandardKey.Undo, mask.undo), (QKeySequence.StandardKey.Redo, mask.redo)):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(do)

    def _lay_out(self) -> None:
        lines = self.meaning.fontMetrics().lineSpacing()
        self.meaning.setMinimumHeight(4 * lines)  # the longest text, so that nothing jumps
        self.meaning.setWordWrap(True)
        self.meaning.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(2, 4, 2, 2)
        column.addWidget(self.histogram)
        column.addWidget(self.meaning)
        label = QLabel(MASK_SOURCE.label)
        label.setToolTip(MASK_SOURCE.help)
        column.addLayout(_row(label, self.source, self.layer))
        column.addLayout(_row(self.paint_button, self.erase_button, self.undo_button, self.redo_button))
        column.addLayout(_row(self.inside, self.rectangle_button, self.lasso_button))
        column.addStretch(1)
        self.scroll(inner)


def _row(*widgets: Any) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        if isinstance(widget, QPushButton):
            widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            widget.setMinimumWidth(40)
        row.addWidget(widget, 1 if isinstance(widget, QComboBox) else 0)
    return row
