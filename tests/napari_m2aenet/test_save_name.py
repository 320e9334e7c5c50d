"""What a person types in the dialog for a file, and what is written."""

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtWidgets import QWidget

from napari_m2aenet.widgets.save_name import ask_for_name

FILTERS = {"GIF (*.gif)": ".gif", "TIFF (*.tif)": ".tif"}


def test_an_ending_that_was_not_typed_replaces_no_file_unasked(
    tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.tif").touch()
    answers = [(str(tmp_path / "x"), "TIFF (*.tif)"), (str(tmp_path / "y"), "TIFF (*.tif)")]
    proposed: list[str] = []

    def answer(_parent: Any, _title: str, proposal: str, _filters: str) -> tuple[str, str]:
        proposed.append(proposal)
        return answers.pop(0)

    # a modal dialog would hang the test, so the answers of a person are given here
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", answer)
    parent = QWidget()
    qtbot.addWidget(parent)
    assert ask_for_name(parent, "Save", "start.gif", FILTERS) == str(tmp_path / "y.tif")
    # shown again with the whole name, so that the dialog itself asks about the file
    assert proposed == ["start.gif", str(tmp_path / "x.tif")]


@pytest.mark.parametrize(("typed", "expected"), [("a.gif", "a.gif"), ("a.b", "a.b"), ("", ""), ("a", "a.gif")])
def test_what_was_typed_is_taken(
    typed: str, expected: str, qtbot: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *_: (typed, ""))
    parent = QWidget()
    qtbot.addWidget(parent)
    assert ask_for_name(parent, "Save", "start.gif", FILTERS) == expected
