"""What a check found, kept in a file, so that a resumed run does not read gigabytes again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from m2aenet_core.atomic import write_atomic

FoundKind = Literal[
    "missing",
    "empty file",
    "unreadable",
    "of another size",
    "no mask",
    "too small",
    "with an empty mask",
    "without blur",
]
# of the rules of the check: what older rules found is not believed
_VERSION = 3


class Finding(NamedTuple):
    """Something wrong with a file; a warning is no reason to stop."""

    path: Path
    kind: FoundKind
    reason: str
    is_warning: bool = False


class Inspection(NamedTuple):
    """Height and width of a sample, if it could be read, and what is wrong with it."""

    size: tuple[int, ...] | None
    findings: list[Finding]


class CheckedFiles:
    """Inspections by the files they are of, as long as these keep their size and time."""

    def __init__(self, path: Path | None) -> None:
        """Load a record; None, or a file that is none, begins an empty one."""
        self._path = path
        self._known = _load(path) if path else {}
        self._seen: dict[str, Any] = {}

    def get(self, files: Sequence[Path]) -> Inspection | None:
        """Give the inspection of files that have not changed since."""
        signature = _signature(files) if self._known else ""
        if signature not in self._known:
            return None
        size, findings = self._seen[signature] = self._known[signature]
        return Inspection(size and tuple(size), [Finding(Path(path), *rest) for path, *rest in findings])

    def put(self, files: Sequence[Path], inspection: Inspection) -> Inspection:
        """Keep an inspection, and give it back."""
        findings = [[str(path), *rest] for path, *rest in inspection.findings]
        self._seen[_signature(files)] = [inspection.size and list(inspection.size), findings]
        return inspection

    def save(self) -> None:
        """Write what was seen, if it is not what was known. Raises InputError as `write_atomic`."""
        if self._path and self._seen != self._known:
            write_atomic(self._path, json.dumps({"version": _VERSION, "known": self._seen}).encode())


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        return dict(content["known"]) if content["version"] == _VERSION else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _signature(files: Sequence[Path]) -> str:
    """Give a text that changes when one of the files does."""
    parts = []
    for file in files:
        try:
            state = file.stat()
            parts.append(f"{file}:{state.st_size}:{state.st_mtime_ns}")
        except OSError:
            parts.append(f"{file}:missing")
    return "|".join(parts)
