"""What is to be trained: the form of the tab “Train”."""

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QLineEdit, QSpinBox, QVBoxLayout, QWidget

from napari_m2aenet.settings import RECIPE, START_FROM, TRAIN_DATA, TRAIN_MORE, TRAIN_OUT, TRAIN_STEPS, Setting
from napari_m2aenet.training_process import DataKind, Order, holds_run
from napari_m2aenet.widgets.folder_field import FolderField

_MOST_STEPS = 100_000_000


class TrainOrder(QWidget):
    """Asks for all that an `Order` needs.

    `folder_chosen(path)` when another folder for the run is chosen, `data_chosen(path)` for what it learns from.
    """

    folder_chosen = Signal(str)
    data_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.out = FolderField("Folder of the run", TRAIN_OUT.help, "new folder, or an earlier run")
        self.data = FolderField("Folder to learn from", TRAIN_DATA.help, "photos or pairs")
        self.kind = _combo(TRAIN_DATA.help)
        self.kind.addItem("Sharp photos: blur is made on them", str(DataKind.PHOTOS))
        self.kind.addItem("Pairs of blurred and sharp photos", str(DataKind.PAIRS))
        self.recipe = _combo(RECIPE.help)
        self.recipe.addItem(RECIPE.default)
        self.start_from = _combo(START_FROM.help)
        self.start_from.addItem("New weights", "")
        self.start_from.addItem("The model chosen above", "model")
        self.steps = QSpinBox()
        self.steps.setRange(0, _MOST_STEPS)
        self.steps.setSpecialValueText("as the recipe says")
        self.steps.setSingleStep(1000)
        self.steps.setGroupSeparatorShown(True)
        self.steps.setToolTip(TRAIN_STEPS.help)
        self.more = QLineEdit()
        self.more.setToolTip(TRAIN_MORE.help)
        self.more.setPlaceholderText("--batch_size 4 …")
        self._lay_out()
        self.out.chosen.connect(self.folder_chosen)
        self.data.chosen.connect(self.data_chosen)
        self.more.setMinimumWidth(60)

    def order(self, model: str, device: str) -> Order:
        """Return what is asked for; `model` and `device` are those chosen in the dock."""
        return Order(
            out=self.out.path,
            data=self.data.path,
            kind=DataKind(self.kind.currentData()),
            recipe=self.recipe.currentText(),
            start_from=model if self.start_from.currentData() else None,
            device=device,
            steps=self.steps.value() or None,
            more=self.more.text(),
        )

    def fill_recipes(self) -> None:
        """List the recipes of the package; the one chosen stays chosen."""
        from m2aenet_core.options import recipe_names

        chosen = self.recipe.currentText()
        self.recipe.clear()
        self.recipe.addItems(recipe_names())
        self.recipe.setCurrentText(chosen)

    def choose_kind(self, kind: DataKind) -> None:
        """Choose what the folder holds."""
        self.kind.setCurrentIndex(self.kind.findData(str(kind)))

    def show_state(self, *, is_running: bool) -> None:
        """Offer what can still be chosen: a run that was begun keeps its data and its recipe."""
        has_run = holds_run(self.out.path)
        for widget in (self.data, self.kind, self.recipe, self.start_from):
            widget.setEnabled(not has_run and not is_running)
        for other in (self.steps, self.more):
            other.setEnabled(not is_running)
        self.steps.setSpecialValueText("as the run says" if has_run else "as the recipe says")

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(_label(TRAIN_OUT), self.out)
        learn = QVBoxLayout()
        learn.setContentsMargins(0, 0, 0, 0)
        learn.addWidget(self.data)
        learn.addWidget(self.kind)
        form.addRow(_label(TRAIN_DATA), learn)
        rows: tuple[tuple[Setting[Any], QWidget], ...] = (
            (RECIPE, self.recipe),
            (START_FROM, self.start_from),
            (TRAIN_STEPS, self.steps),
            (TRAIN_MORE, self.more),
        )
        for setting, widget in rows:
            form.addRow(_label(setting), widget)
        self.setLayout(form)


def _label(setting: Setting[Any]) -> QLabel:
    label = QLabel(setting.label)
    label.setToolTip(setting.help)
    return label


def _combo(help_text: str) -> QComboBox:
    combo = QComboBox()
    combo.setToolTip(help_text)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    return combo
