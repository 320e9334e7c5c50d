"""What the README shows is run, or at least asked for, as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from skimage import data, transform

README = Path(__file__).resolve().parents[1] / "README.md"
DOCUMENTS = sorted(path for folder in ("*.md", "docs/**/*.md", "src/**/*.md") for path in README.parent.glob(folder))


def blocks(language: str, text: str | None = None) -> list[str]:
    """The fenced blocks of one language."""
    text = README.read_text("utf-8") if text is None else text
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def commands(program: str) -> list[list[str]]:
    """The command lines of the README that call a program, without its name."""
    lines = [line for block in blocks("bash") for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line and line[0] == program]


def m2aenet(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from m2aenet_core.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README speaks of: photo.jpg and street/."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "street").mkdir()
    photo = (transform.resize(data.astronaut(), (128, 160), anti_aliasing=True) * 255).astype(np.uint8)
    iio.imwrite(folder / "photo.jpg", photo)
    iio.imwrite(folder / "street" / "left.png", photo[:, :96])
    iio.imwrite(folder / "street" / "right.png", photo[:, 64:])
    return folder


def test_there_is_something_to_run() -> None:
    assert blocks("python")
    assert {"deblur", "train"} <= {line[0] for line in commands("m2aenet")}


def test_the_python_code_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks("python")):
        exec(compile(block, f"README.md, python block {number + 1}", "exec"), names)
    restored, photo = iio.imread(folder / "restored.png"), names["photo"]
    assert restored.shape == photo.shape
    assert restored.dtype == photo.dtype
    # The mask that the README paints by hand is what the result was made with.
    np.testing.assert_array_equal(names["corrected"].mask, names["mask"])


def test_the_deblur_command_runs(folder: Path) -> None:
    (arguments,) = (line for line in commands("m2aenet") if line[0] == "deblur")
    done = m2aenet(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    made = {path.name for path in (folder / "out").rglob("*") if path.is_file()}
    # a restored photo, a mask, a figure and a record for each of the three
    assert len(made) >= 12
    for name in ("photo", "left", "right"):
        assert any(file.startswith(name) and file.endswith(".json") for file in made)


def options(arguments: list[str]) -> Iterator[str]:
    return (word.split("=")[0] for word in arguments if word.startswith("-"))


@pytest.mark.parametrize("arguments", commands("m2aenet"), ids=" ".join)
def test_every_command_and_option_exists(arguments: list[str], folder: Path) -> None:
    done = m2aenet(arguments[0], "--help", cwd=folder)
    assert done.returncode == 0, done.stderr
    for option in options(arguments):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", done.stdout), f"{arguments[0]} has no {option}"


@pytest.mark.skipif(sys.platform == "win32", reason="make is for Linux and macOS")
@pytest.mark.parametrize("arguments", commands("make"), ids=" ".join)
def test_every_make_target_exists(arguments: list[str], root: Path) -> None:
    done = subprocess.run(["make", "--dry-run", *arguments], capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr


def test_every_extra_exists(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    named = {
        extra
        for block in blocks("(?:bash|powershell)")
        for extras in re.findall(r'"\.\[([\w,]+)\]"', block)
        for extra in extras.split(",")
    }
    assert named
    assert named <= set(project["optional-dependencies"])


def anchors(document: Path) -> set[str]:
    """What a link may name after #: the headings as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(link: str, document: Path) -> bool:
    file, _, anchor = link.partition("#")
    target = document.parent / file if file else document
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))
    ours = [link for link in links if not re.match(r"\w+:", link)]
    assert [link for link in ours if not leads_somewhere(link, document)] == []
