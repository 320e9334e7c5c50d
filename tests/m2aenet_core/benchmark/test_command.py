"""`m2aenet benchmark` finds its parts."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Never

import pytest

from m2aenet_core.benchmark.command import SUBCOMMANDS, main


def test_help_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, line in SUBCOMMANDS.items():
        assert f"  {name}" in text
        assert line in text


def test_without_a_name_the_help_is_shown_and_that_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: m2aenet benchmark <what>" in capsys.readouterr().out


def test_an_unknown_benchmark_gets_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weather"]) == 2
    expected = f"error: there is no benchmark 'weather'; choose one of {', '.join(SUBCOMMANDS)}\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_benchmark_is_a_module_with_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert importlib.util.find_spec(f"m2aenet_core.benchmark.{name}") is not None
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage:")


@pytest.mark.parametrize(
    ("name", "measuring"),
    [
        ("inference", "benchmark_inference"),
        ("operators", "benchmark_operators"),
        ("train", "benchmark_training"),
        ("masks", "benchmark_masks"),
        ("oracle", "benchmark_oracle"),
        ("scales", "benchmark_scales"),
        ("macs", "benchmark_macs"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_of_before_anything_is_measured(
    name: str, measuring: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(config: object) -> Never:
        raise AssertionError("measured for nothing")

    monkeypatch.setattr(f"m2aenet_core.benchmark.{name}.{measuring}", measure)
    (tmp_path / "taken").touch()
    data = ["--data", str(tmp_path)] if name in ("masks", "oracle", "scales") else []
    assert main([name, *data, "--out", str(tmp_path / "taken" / "figures.json")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "taken" in error
    assert "\n" not in error.strip()


def test_the_package_runs_as_a_module_and_its_help_loads_no_torch() -> None:
    code = (
        "import runpy, sys; sys.argv = ['benchmark', '--help']\n"
        "try: runpy.run_module('m2aenet_core.benchmark', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: m2aenet benchmark")
