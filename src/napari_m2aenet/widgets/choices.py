"""The lists of models and devices. They are filled when first opened: asking needs torch, and that takes seconds."""

from collections.abc import Mapping
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QComboBox, QFileDialog, QWidget

from napari_m2aenet.models import Choice
from napari_m2aenet.settings import DEVICE, MODEL, Setting

AUTOMATIC = Choice(DEVICE.default, "Automatic")
DEFAULT_WEIGHTS = Choice(MODEL.default, "Default")
CHOOSE_FILE = "choose file…"


class ChoiceList(QComboBox):
    """A list of choices. `opened()` each time it is opened, so that it can be filled; `chosen(value)` by a person."""

    opened = Signal()
    chosen = Signal(str)

    def __init__(self, setting: Setting[str], first: Choice, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._first = first
        self.setToolTip(setting.help)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(10)
        self.addItem(first.label, first.value)
        self.activated.connect(self._on_activated)

    @property
    def value(self) -> str:
        """The chosen value."""
        return str(self.currentData())

    def fill(self, choices: list[Choice]) -> None:
        """Show these choices below the first; the chosen one stays chosen if it is still there."""
        value = self.value
        self.clear()
        for choice in [self._first, *choices]:
            self.addItem(choice.label, choice.value)
        self._add_last_entries()
        self.setCurrentIndex(max(0, self.findData(value)))

    def choose(self, value: str) -> None:
        """Choose a value, as if a person had; it is added where the list does not hold it yet."""
        if self.findData(value) < 0:
            self.insertItem(1, value, value)
        self.setCurrentIndex(self.findData(value))
        self.chosen.emit(value)

    def show_waiting(self, text: str) -> None:
        """Show a line that cannot be chosen, until `fill` is called."""
        self.addItem(text)
        model = self.model()
        if isinstance(model, QStandardItemModel):
            model.item(self.count() - 1).setFlags(Qt.ItemFlag.NoItemFlags)

    def showPopup(self) -> None:  # noqa: N802 - Qt's name
        """Tell that the list is being opened, then open it."""
        self.opened.emit()
        super().showPopup()

    def _add_last_entries(self) -> None:
        """More entries below the choices; none here."""

    def _on_activated(self, index: int) -> None:
        self.chosen.emit(self.value)


class FixedList(ChoiceList):
    """A short list whose choices, values and words, are known beforehand."""

    def __init__(self, setting: Setting[str], choices: Mapping[str, str], parent: QWidget | None = None) -> None:
        first, *others = (Choice(value, words) for value, words in choices.items())
        super().__init__(setting, first, parent)
        self.setMinimumContentsLength(3)
        self.fill(others)
        self.setCurrentIndex(self.findData(setting.default))

    def choose_quietly(self, value: str) -> None:
        """Choose a value without telling."""
        self.blockSignals(True)
        self.choose(value)
        self.blockSignals(False)


class ModelList(ChoiceList):
    """The models: the embedded weights, files that were chosen, and a last entry that asks for a file."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(MODEL, DEFAULT_WEIGHTS, parent)
        self._files: list[str] = []
        self._embedded: list[Choice] = []
        self._last_value = self.value
        self._add_last_entries()

    def fill(self, choices: list[Choice]) -> None:
        """Show the embedded weights, and the files chosen so far."""
        self._embedded = choices
        super().fill([*choices, *(Choice(path, _file_label(path)) for path in self._files)])

    def choose(self, value: str) -> None:
        """Choose embedded weights by name, or a file."""
        if value.endswith(".safetensors"):
            self.choose_file(value)
        else:
            self._last_value = value
            super().choose(value)

    def choose_file(self, path: str) -> None:
        """Choose a .safetensors file, as if a person had picked it."""
        if path not in self._files:
            self._files.append(path)
        self.fill(self._embedded)
        self.setCurrentIndex(self.findData(path))
        self._last_value = path
        self.chosen.emit(path)

    def _add_last_entries(self) -> None:
        self.addItem(CHOOSE_FILE, CHOOSE_FILE)

    def _on_activated(self, index: int) -> None:
        if self.itemData(index) != CHOOSE_FILE:
            self._last_value = self.value
            super()._on_activated(index)
            return
        self.setCurrentIndex(self.findData(self._last_value))
        path, _ = QFileDialog.getOpenFileName(self, "Choose weights", str(Path.home()), "Weights (*.safetensors)")
        if path:
            self.choose_file(path)


def _file_label(path: str) -> str:
    """The file's name; of the weights of a run, which all have the same name, with the run's folder."""
    file = Path(path)
    return f"{file.parent.name}/{file.name}" if (file.parent / "config.yaml").is_file() else file.name
