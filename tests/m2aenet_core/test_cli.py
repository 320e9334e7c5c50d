"""The `m2aenet` command finds its parts, and speaks in sentences."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from m2aenet_core import Cancelled, InputError, __version__
from m2aenet_core.cli import COMMANDS, main, run_command


def fail_with(error: BaseException) -> None:
    raise error


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, line in COMMANDS.items():
        assert f"  {name}" in text
        assert line in text


def test_without_a_command_the_help_is_shown_and_that_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: m2aenet <command>" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"m2aenet {__version__}\n"


def test_an_unknown_command_gets_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sharpen", "photo.jpg"]) == 2
    assert capsys.readouterr().err == f"error: there is no command 'sharpen'; choose one of {', '.join(COMMANDS)}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_module(name: str) -> None:
    assert importlib.util.find_spec(f"m2aenet_core.{name}") is not None


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage:")


def test_a_module_is_the_same_as_its_command(tmp_path: Path) -> None:
    arguments = ["missing.jpg", "-o", "out", "--model", "nowhere"]
    runs = [
        subprocess.run([sys.executable, "-m", *start, *arguments], cwd=tmp_path, capture_output=True, text=True)
        for start in (["m2aenet_core.cli", "deblur"], ["m2aenet_core.deblur"])
    ]
    assert runs[0].returncode == runs[1].returncode == 1
    assert runs[0].stderr == runs[1].stderr
    assert "there are no weights called nowhere" in runs[0].stderr


def test_help_and_wrong_usage_do_not_load_torch() -> None:
    code = (
        "import sys; from m2aenet_core.cli import main\n"
        "assert main(['--help']) == 0 and main(['deblur', '--help']) == 0 and main(['deblur']) == 2\n"
        "assert not {'torch', 'matplotlib', 'napari', 'qtpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (InputError("mask is 1x1 but the image is 2x2; resize one of them"), 1, "error: mask is 1x1 but the image"),
        (KeyboardInterrupt(), 130, "stopped; files that were finished are whole"),
        (Cancelled(), 130, "stopped; files that were finished are whole"),
        (SystemExit(2), 2, ""),
    ],
)
def test_an_error_becomes_a_sentence_and_a_code(
    error: BaseException, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(lambda: fail_with(error)) == code
    assert capsys.readouterr().err.startswith(sentence)


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        run_command(lambda: fail_with(RuntimeError("a bug")))


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3), ("text", 0)])
def test_what_a_command_returns_is_the_code_if_it_is_a_number(returned: object, code: int) -> None:
    assert run_command(lambda: returned) == code
