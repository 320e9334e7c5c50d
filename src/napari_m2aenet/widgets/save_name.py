"""Asking for the name of a file that is to be written."""

from collections.abc import Mapping
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget


def ask_for_name(parent: QWidget, title: str, proposed: str, filters: Mapping[str, str]) -> str:
    """Return the path that a person chose, with the ending of the filter where none was typed; "" for none.

    filters: endings by the words of the dialog. The dialog asks before a file is replaced, but knows only the name
    that was typed: where the whole name is that of a file, it is shown again with it.
    """
    while True:
        path, chosen = QFileDialog.getSaveFileName(parent, title, proposed, ";;".join(filters))
        if not path or Path(path).suffix:
            return path
        path += filters.get(chosen, next(iter(filters.values())))
        if not Path(path).exists():
            return path
        proposed = path
