"""Imports point down. The table below is the picture in docs/architecture.md, checked against every import there is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import m2aenet_core

SRC = Path(__file__).resolve().parents[1] / "src"

# From the ground up. A name stands for a module or for a whole package; what is on one line does not import each other.
LAYERS = (
    ("m2aenet_core.errors",),
    (
        "m2aenet_core.atomic",
        "m2aenet_core.cli",  # it finds the commands by their names, when one is chosen
        "m2aenet_core.device",
        "m2aenet_core.exif",
        "m2aenet_core.hardware",
        "m2aenet_core.machine",
        "m2aenet_core.onnx_file",
        "m2aenet_core.ops",
        "m2aenet_core.options",
        "m2aenet_core.peak_memory",
        "m2aenet_core.stored_image",
    ),
    ("m2aenet_core.pillow_io", "m2aenet_core.pixels", "m2aenet_core.tiff_io", "m2aenet_core.tiling"),
    ("m2aenet_core.image_io", "m2aenet_core.working_scale"),
    ("m2aenet_core.data", "m2aenet_core.deblur_plan", "m2aenet_core.models"),
    ("m2aenet_core.onnx_network", "m2aenet_core.published"),
    (
        "m2aenet_core.analysis",
        "m2aenet_core.checkpoint",
        "m2aenet_core.losses",
        "m2aenet_core.metrics",
        "m2aenet_core.runner",
    ),
    ("m2aenet_core.photo_tiles", "m2aenet_core.scale_choice"),
    ("m2aenet_core.restoration",),
    ("m2aenet_core.deblurrer", "m2aenet_core.instants"),
    ("m2aenet_core.figures", "m2aenet_core.film", "m2aenet_core.record", "m2aenet_core.trust"),
    ("m2aenet_core.trust_words",),
    ("m2aenet_core.deblur_files",),
    ("m2aenet_core.repeat",),
    ("m2aenet_core.repeat_text",),
    ("m2aenet_core.evaluation", "m2aenet_core.film_file", "m2aenet_core.synthesis", "m2aenet_core.training"),
    (
        "m2aenet_core.benchmark",
        "m2aenet_core.calibrate",
        "m2aenet_core.combine",
        "m2aenet_core.curves",
        "m2aenet_core.deblur",
        "m2aenet_core.doctor",
        "m2aenet_core.evaluate",
        "m2aenet_core.export",
        "m2aenet_core.sheet",
        "m2aenet_core.synthesize",
        "m2aenet_core.train",
    ),
    (
        "napari_m2aenet.history",
        "napari_m2aenet.mask_meaning",
        "napari_m2aenet.models",
        "napari_m2aenet.motion_wheel",
        "napari_m2aenet.placement",
        "napari_m2aenet.sample_data",
        "napari_m2aenet.settings",
        "napari_m2aenet.stroke_preview",
    ),
    ("napari_m2aenet.blur_levels", "napari_m2aenet.mask_choice", "napari_m2aenet.source"),
    ("napari_m2aenet.layer_data", "napari_m2aenet.layer_mask", "napari_m2aenet.mask_decisions"),
    ("napari_m2aenet.curve_view", "napari_m2aenet.jobs"),
    ("napari_m2aenet.motion_jobs", "napari_m2aenet.probes"),
    ("napari_m2aenet.motion_layer_data", "napari_m2aenet.motion_session"),
    ("napari_m2aenet.comparing",),
    ("napari_m2aenet.training_figures", "napari_m2aenet.training_process"),
    ("napari_m2aenet.training_preview", "napari_m2aenet.training_run", "napari_m2aenet.training_samples"),
    ("napari_m2aenet.restoration_cost",),
    ("napari_m2aenet.session",),
    (
        "napari_m2aenet.examining",
        "napari_m2aenet.folder",
        "napari_m2aenet.frames",
        "napari_m2aenet.repeating",
    ),
    ("napari_m2aenet.result_writer",),
    ("napari_m2aenet.widgets",),
    ("napari_m2aenet.demo",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

WINDOW_LIBRARIES = {"napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "superqt", "magicgui", "vispy"}
THREAD_CODE = {"threading", "concurrent", "multiprocessing"}
THREAD_NAMES = {"thread_worker", "create_worker", "QThread", "QThreadPool", "QRunnable"}


class Import(NamedTuple):
    """One imported name and where it stands."""

    importer: str
    target: str  # dotted, as far as it can be known: m2aenet_core.ops.splat.splat
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def absolute_base(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(SRC).parent.parts
    kept = package[: len(package) - (node.level - 1)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def nodes_of(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node below one, but for what a module does only as a command: `if __name__ == "__main__":`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            continue
        yield node
        yield from nodes_of(node)


def imports_of(path: Path, source: str | None = None) -> Iterator[Import]:
    """Every import of a file, those inside functions and under TYPE_CHECKING too."""
    for node in nodes_of(ast.parse(source if source is not None else path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module_name(path), alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = absolute_base(node, path)
            for alias in node.names:
                yield Import(module_name(path), behind_the_public_name(base, alias.name), node.lineno)


def behind_the_public_name(base: str, name: str) -> str:
    """`from m2aenet_core import Deblurrer` reaches m2aenet_core.deblurrer, and counts as that."""
    if base == "m2aenet_core" and name in m2aenet_core._HOME:
        return f"m2aenet_core.{m2aenet_core._HOME[name]}.{name}"
    return f"{base}.{name}"


def layer_of(dotted: str) -> str | None:
    """The table's entry that a module or a name in it belongs to."""
    return next((name for name in LEVEL if dotted == name or dotted.startswith(f"{name}.")), None)


def points_up(found: Import) -> bool:
    """Whether an import between our own modules breaks the table."""
    importer, target = layer_of(found.importer), layer_of(found.target)
    if importer is None or target is None or importer == target:
        return False
    return LEVEL[target] >= LEVEL[importer]


FILES = sorted(SRC.rglob("*.py"))
IMPORTS = [found for path in FILES for found in imports_of(path)]
FACADES = {"m2aenet_core", "napari_m2aenet"}  # the two __init__.py: the public names, loaded on first use


def listed(found: list[Import]) -> str:
    return "\n".join(map(str, found))


def test_every_module_has_a_place_in_the_table() -> None:
    homeless = [module_name(path) for path in FILES if layer_of(module_name(path)) is None]
    assert set(homeless) <= FACADES, "give these a place in LAYERS and in docs/architecture.md"


def test_imports_point_down() -> None:
    upward = [found for found in IMPORTS if found.importer not in FACADES and points_up(found)]
    assert not upward, listed(upward)


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        ("m2aenet_core/data/folder.py", "from m2aenet_core.models.nafnet import NAFNet", True),
        ("m2aenet_core/data/folder.py", "def f():\n    from ..models import nafnet", True),
        ("m2aenet_core/ops/splat.py", "from m2aenet_core import models", True),
        ("m2aenet_core/models/layers.py", "from m2aenet_core import Deblurrer", True),
        ("m2aenet_core/deblurrer.py", "import napari_m2aenet.session", True),
        ("m2aenet_core/train.py", "from m2aenet_core.evaluate import main", True),
        ("m2aenet_core/train.py", "from m2aenet_core.models import nafnet", False),
        ("m2aenet_core/train.py", "if __name__ == '__main__':\n    from m2aenet_core.deblur import main", False),
        ("m2aenet_core/models/nafnet.py", "from .layers import LayerNorm", False),
        ("napari_m2aenet/session.py", "from m2aenet_core import Deblurrer", False),
    ],
)
def test_the_check_sees_what_it_is_for(file: str, source: str, expected: bool) -> None:
    assert any(points_up(found) for found in imports_of(SRC / file, source)) is expected


def test_the_core_knows_no_window() -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.importer.startswith("m2aenet_core")
        and found.target.split(".")[0] in WINDOW_LIBRARIES | {"napari_m2aenet"}
    ]
    assert not wrong, listed(wrong)


def test_only_widgets_touch_napari_and_qt() -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.importer.startswith("napari_m2aenet")
        and not found.importer.startswith("napari_m2aenet.widgets")
        and found.target.split(".")[0] in WINDOW_LIBRARIES
    ]
    assert not wrong, listed(wrong)


def test_threads_live_in_one_module() -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.importer.startswith("napari_m2aenet")
        and found.importer != "napari_m2aenet.widgets.worker"
        and (found.target.split(".")[0] in THREAD_CODE or found.target.split(".")[-1] in THREAD_NAMES)
    ]
    assert not wrong, listed(wrong)


def loaded_by(statement: str, *watched: str) -> list[str]:
    """Which of the watched packages a new interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted(set({watched!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_the_core_loads_no_torch() -> None:
    assert loaded_by("import m2aenet_core", "torch", "numpy", "matplotlib", "lightning_fabric", "napari") == []


def test_a_public_name_loads_torch_when_asked_for() -> None:
    assert loaded_by("from m2aenet_core import NAFNet", "torch") == ["torch"]


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    watched = ("torch", "matplotlib", "lightning", "lightning_fabric", "torchmetrics", "scipy", "skimage", "napari")
    assert loaded_by("import napari_m2aenet", *watched) == []


@pytest.mark.slow
def test_no_core_module_loads_napari_or_qt() -> None:
    modules = [module_name(path) for path in FILES if module_name(path).startswith("m2aenet_core")]
    modules = [name for name in modules if not name.endswith("__main__")]
    statement = "import importlib\nfor name in " + repr(modules) + ":\n    importlib.import_module(name)"
    assert loaded_by(statement, *WINDOW_LIBRARIES) == []
