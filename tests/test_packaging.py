"""What is built is complete, and works where nothing but the wheel is installed."""

from __future__ import annotations

import ast
import email
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from email.message import Message
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

import m2aenet_core

pytestmark = pytest.mark.slow


class Built(NamedTuple):
    """The two files that a release consists of."""

    wheel: Path
    sdist: Path


class Installed(NamedTuple):
    """An environment that has our wheel from its own folder, and everything else from ours."""

    python: Path
    scripts: Path
    folder: Path

    def run(self, code: str, *arguments: str) -> str:
        # -I: neither the current folder nor PYTHONPATH may lend the source tree
        done = subprocess.run(
            [self.python, "-I", "-c", code, *arguments], capture_output=True, text=True, cwd=self.folder, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist, and the wheel made from that sdist, not from the working tree."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, root)
    return Built(next(folder.glob("*.whl")), next(folder.glob("*.tar.gz")))


@pytest.fixture(scope="module")
def wheel_files(built: Built) -> set[str]:
    with zipfile.ZipFile(built.wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist_files(built: Built) -> set[str]:
    with tarfile.open(built.sdist) as archive:
        return {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}


@pytest.fixture(scope="module")
def metadata(built: Built) -> Message:
    with zipfile.ZipFile(built.wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A new environment that holds the wheel.

    torch and napari are lent by the environment that runs the tests: a path file puts its site-packages behind the
    new one's own. Path files in there are not followed, so an editable install of ours stays out.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=sys.platform != "win32")
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / ("python.exe" if sys.platform == "win32" else "python")
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", built.wheel)
    (own / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return Installed(python, scripts, folder)


def package_files(root: Path) -> Iterator[str]:
    """Everything under src that a user needs, as paths from there."""
    src = root / "src"
    for path in src.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
            yield path.relative_to(src).as_posix()


def needed_data(root: Path) -> set[str]:
    """The files that are no modules: manifest, recipes, weights and their card, the typing markers."""
    return {name for name in package_files(root) if not name.endswith((".py", ".pyc"))}


def test_there_are_data_files_to_look_for(root: Path) -> None:
    data = needed_data(root)
    assert {"napari_m2aenet/napari.yaml", "napari_m2aenet/py.typed", "m2aenet_core/py.typed"} <= data
    assert any(name.startswith("m2aenet_core/recipes/") and name.endswith(".yaml") for name in data)
    assert any(name.startswith("m2aenet_core/weights/") and name.endswith(".safetensors") for name in data)


def test_the_wheel_holds_every_file_of_both_packages(root: Path, wheel_files: set[str]) -> None:
    assert set(package_files(root)) - wheel_files == set()


def test_the_wheel_holds_nothing_else(wheel_files: set[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in wheel_files} == {
        "m2aenet_core",
        "napari_m2aenet",
    }


def test_the_sdist_holds_what_builds_and_tests_it(root: Path, sdist_files: set[str]) -> None:
    needed = {f"src/{name}" for name in package_files(root)}
    needed |= {"pyproject.toml", "README.md", "LICENSE", "CITATION.cff", "Makefile", "tests/test_packaging.py"}
    assert needed - sdist_files == set()


@pytest.mark.parametrize(("name", "most_mb"), [("small.safetensors", 10), ("*", 59)])
def test_embedded_weights_stay_small(root: Path, name: str, most_mb: float) -> None:
    size = sum(path.stat().st_size for path in (root / "src/m2aenet_core/weights").glob(name))
    assert size <= 1e6 * most_mb, f"{name} takes {size / 1e6:.1f} MB; {most_mb} MB is what a download may cost"


def test_no_dependency_is_capped_and_qt_is_a_choice(metadata: Message) -> None:
    requirements = metadata.get_all("Requires-Dist") or []
    base = [line for line in requirements if "extra ==" not in line]
    assert base
    assert [line for line in base if "<" in line or "==" in line or "~=" in line] == []
    assert [line for line in base if line.lower().startswith(("pyqt", "pyside", "napari[", "torchvision"))] == []
    assert any(line.lower().startswith("pyqt6") and "extra == 'pyqt6'" in line for line in requirements)


def test_metadata_says_what_napari_and_users_look_for(metadata: Message) -> None:
    classifiers = metadata.get_all("Classifier") or []
    assert "Framework :: napari" in classifiers
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Version"] == m2aenet_core.__version__
    assert metadata["Requires-Python"] == ">=3.11"


def test_the_wheel_is_what_gets_imported(installed: Installed) -> None:
    code = "import m2aenet_core, napari_m2aenet; print(m2aenet_core.__file__); print(napari_m2aenet.__file__)"
    for path in installed.run(code).splitlines():
        assert Path(path).resolve().is_relative_to(installed.folder.resolve())


def test_npe2_opens_the_installed_manifest(installed: Installed) -> None:
    code = """
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from npe2 import PluginManifest

assert Path(distribution("napari-m2aenet").locate_file("")).resolve().is_relative_to(Path(sys.prefix).resolve())
manifest = PluginManifest.from_distribution("napari-m2aenet")
assert manifest.name == "napari-m2aenet"
assert manifest.contributions.widgets and manifest.contributions.sample_data
for command in manifest.contributions.commands:
    assert Path(find_spec(command.python_name.split(":")[0]).origin).is_relative_to(sys.prefix), command
print(*sorted(command.id for command in manifest.contributions.commands))
"""
    commands = installed.run(code).split()
    assert commands
    assert all(command.startswith("napari-m2aenet.") for command in commands)


def test_the_installed_core_finds_its_weights(installed: Installed) -> None:
    code = """
import numpy as np
from m2aenet_core import Deblurrer
result = Deblurrer(device="cpu")(np.zeros((16, 24, 3), np.uint8))
print(*result.restored.shape, result.restored.dtype)
"""
    assert installed.run(code) == "16 24 3 uint8"


def test_the_installed_command_runs(installed: Installed) -> None:
    script = next(installed.scripts.glob("m2aenet*"))
    assert m2aenet_core.__version__ in run(script, "--version", cwd=installed.folder)


def test_every_library_that_is_imported_is_declared(root: Path, metadata: Message) -> None:
    declared = {canonical(re.split(r"[\[;<>=~ ]", line)[0]) for line in metadata.get_all("Requires-Dist") or []}
    provided_by = packages_distributions()
    undeclared = {
        f"{path.relative_to(root)}: {name}"
        for path in (root / "src").rglob("*.py")
        for name in imported_packages(path) - sys.stdlib_module_names - {"m2aenet_core", "napari_m2aenet"}
        if not {canonical(distribution) for distribution in provided_by.get(name, [name])} & declared
    }
    assert undeclared == set()


def imported_packages(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    origins = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in plain | origins}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
