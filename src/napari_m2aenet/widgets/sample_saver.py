"""Saves a photo, its corrected mask and the reference as a sample to learn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QGroupBox, QLabel, QPushButton, QVBoxLayout

from m2aenet_core.errors import InputError
from napari_m2aenet.comparing import rescaled
from napari_m2aenet.jobs import CallJob
from napari_m2aenet.session import sentence
from napari_m2aenet.source import Source
from napari_m2aenet.training_samples import Correction, save_sample
from napari_m2aenet.widgets.compare_panel import ComparePanel
from napari_m2aenet.widgets.folder_field import FolderField
from napari_m2aenet.widgets.notify import notify
from napari_m2aenet.widgets.worker import JobRunner

if TYPE_CHECKING:
    from m2aenet_core.analysis import Analysis
    from napari_m2aenet.widgets.main import DeblurWidget

_HELP = (
    "Writes the photo, the mask as it is now, and the sharp picture that is the reference in the tab “Compare” to the "
    "folder, as blur/NAME.png, mask/NAME.png and sharp/NAME.png. A photo whose mask is empty needs no reference."
)


class SampleSaver(QGroupBox):
    """A folder, a button, and what came of it."""

    def __init__(self, window: DeblurWidget) -> None:
        super().__init__("Corrected masks as training samples")
        self._window = window
        self.folder = FolderField("Folder of samples", _HELP, "folder of pairs")
        self.button = QPushButton("Save photo, mask and reference")
        self.button.setToolTip(_HELP)
        self.note = QLabel("With blur in the mask, choose a sharp reference in the tab “Compare” first.")
        self.note.setWordWrap(True)
        self._runner = JobRunner(self)
        column = QVBoxLayout(self)
        for widget in (self.folder, self.button, self.note):
            column.addWidget(widget)
        self.button.clicked.connect(lambda _checked: self.save())
        self._runner.ended.connect(self._on_saved)

    def save(self) -> None:
        """Write the sample in the background."""
        if self._runner.job is not None:
            return
        try:
            work = self._work()
        except Exception as error:
            self._tell(error)
            return
        self.button.setEnabled(False)
        self._runner.start(CallJob("saving a training sample", work))

    def close_down(self) -> None:
        """Let what is being written be finished; files are whole or absent anyway."""
        if self._runner.job is not None:
            self._runner.job.cancel()

    def _work(self) -> Callable[[], str]:
        """Take what is needed from the window now; the rest needs no window."""
        session, folder = self._window.session, self.folder.path
        mask = session.mask()
        if session.analyzed is None or mask is None:
            raise InputError("There is no mask to save yet; run a photo first.")
        if not folder:
            raise InputError("There is no folder for the samples yet; choose one.")
        photo, analysis = session.analyzed.source, session.analyzed.analysis
        name, reference = photo.name, self._reference(photo)

        def work() -> str:
            sharp = None if reference is None else _pixels(reference, analysis)
            correction = Correction(name, analysis.image, mask, sharp, analysis.value_range)
            return save_sample(Path(folder), correction)

        return work

    def _reference(self, photo: Source) -> Source | None:
        panel = next((panel for panel in self._window.panels if isinstance(panel, ComparePanel)), None)
        return None if panel is None else panel.reference_of(photo)

    def _on_saved(self, job: CallJob) -> None:
        self.button.setEnabled(True)
        if job.error is not None:
            self._tell(job.error)
        elif job.value is not None:
            count = len(list((Path(self.folder.path) / "blur").glob("*.png")))
            samples = "1 sample" if count == 1 else f"{count} samples"
            self.note.setText(f"Saved as “{job.value}”. The folder holds {samples} now; learn from it as pairs.")

    def _tell(self, error: Exception) -> None:
        self.note.setText(f"⚠ {sentence(error)}")
        notify(error, sentence(error))


def _pixels(reference: Source, analysis: Analysis) -> Any:
    pixels = reference.read()
    if pixels.dtype == analysis.image.dtype:
        return pixels
    return rescaled(pixels, reference.value_range, analysis.value_range)
