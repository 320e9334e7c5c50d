"""A GPU that is there and not used is found, and gets the command that mends it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from m2aenet_core.hardware import Hardware, TorchFacts, advise, find_hardware, torch_facts

PYTHON = "/my env/bin/python"
QT = {"PyQt6": "6.9"}


def torch_of(**facts: object) -> TorchFacts:
    known = {"version": "2.13.0", "cuda_build": None, "has_cuda": False, "has_mps_build": False, "has_mps": False}
    return TorchFacts(**{**known, **facts})  # type: ignore[arg-type]


LINUX = Hardware("Linux", "x86_64", nvidia_gpus=("NVIDIA H200",))
WINDOWS = Hardware("Windows", "AMD64", nvidia_gpus=("NVIDIA H200",))
APPLE = Hardware("Darwin", "arm64", is_apple_silicon=True)


@pytest.mark.parametrize(
    ("hardware", "facts", "expected"),
    [
        (
            LINUX,
            torch_of(version="2.13.0+cpu"),
            "is a CPU build; type: * -m pip install --force-reinstall torch==2.13.0",
        ),
        (
            WINDOWS,
            torch_of(),
            "* -m pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130",
        ),
        (
            LINUX,
            torch_of(cuda_build="13.0", complaint="driver too old"),
            "start (driver too old); install the newest driver",
        ),
        (
            APPLE,
            torch_of(),
            "An Apple GPU is there, but this torch cannot use it; type: * install --force-reinstall torch==",
        ),
        (APPLE, torch_of(has_mps_build=True), "this macOS is too old for torch; update macOS"),
        (
            Hardware("Darwin", "x86_64", is_apple_silicon=True),
            torch_of(),
            "this Python is made for Intel; install a Python",
        ),
    ],
)
def test_a_gpu_that_is_not_used_gets_the_command_that_mends_it(
    hardware: Hardware, facts: TorchFacts, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (advice,) = advise(hardware, facts, QT, PYTHON)
    assert re.search(re.escape(expected).replace(r"\*", ".*"), advice), advice
    if "*" in expected:
        assert "'/my env/bin/python' -m pip" in advice


def test_the_commands_are_those_of_the_readme(root: Path) -> None:
    readme = (root / "README.md").read_text("utf-8")
    for hardware in (LINUX, WINDOWS, APPLE):
        (advice,) = advise(hardware, torch_of(), QT, PYTHON)
        command = advice.split("-m ")[1].replace("--force-reinstall ", "")
        assert f"`{command}`" in readme


def test_a_hidden_gpu_is_told_from_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES hides it" in advise(LINUX, torch_of(cuda_build="13.0"), QT)[0]


def test_where_all_is_well_there_is_no_advice_and_without_qt_there_is() -> None:
    assert advise(LINUX, torch_of(cuda_build="13.0", has_cuda=True), QT) == []
    assert advise(APPLE, torch_of(has_mps_build=True, has_mps=True), QT) == []
    (advice,) = advise(Hardware("Linux", "x86_64"), torch_of(), {}, PYTHON)
    assert advice.endswith("'/my env/bin/python' -m pip install 'napari-m2aenet[all]'")


def test_a_driver_is_found_by_its_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A40'\necho 'NVIDIA H200'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_hardware().nvidia_gpus == ("NVIDIA A40", "NVIDIA H200")
    tool.write_text("#!/bin/sh\nexit 9\n")
    monkeypatch.setattr("m2aenet_core.hardware._NVIDIA_DRIVER", tmp_path / "version")
    assert find_hardware().nvidia_gpus == ()
    (tmp_path / "version").write_text("NVRM version")
    assert find_hardware().nvidia_gpus == ("An NVIDIA GPU",)


def test_what_is_said_of_torch_is_true() -> None:
    facts = torch_facts()
    assert facts.version == torch.__version__
    assert (facts.cuda_build is None) == (torch.version.cuda is None and torch.version.hip is None)
    assert facts.has_cuda == torch.cuda.is_available()
