"""Nothing of one person's machine or of unfinished work stays in the project's texts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
LOCAL_INDEXES = re.compile(r"file://")


def tracked_texts(root: Path) -> list[Path]:
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("not a git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=root, check=True).stdout
    paths = {root / name for name in names.split("\0") if name}
    paths -= {Path(__file__).resolve()}  # it has to name what it looks for
    return sorted(path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:4096])


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, UNFINISHED, LOCAL_INDEXES], ids=["paths", "unfinished", "indexes"])
def test_no_text_holds(pattern: re.Pattern[str], root: Path) -> None:
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in tracked_texts(root)
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)
