"""`m2aenet doctor` tells what is there, and gives a command where a GPU is not used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from m2aenet_core import Cancelled, Deblurrer, M2AENet, M2AENetConfig, __version__
from m2aenet_core.cli import main
from m2aenet_core.doctor import Hardware, TorchFacts, advise, examine, find_hardware, torch_facts
from m2aenet_core.image_io import write_image

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
    monkeypatch.setattr("m2aenet_core.doctor._NVIDIA_DRIVER", tmp_path / "version")
    assert find_hardware().nvidia_gpus == ()
    (tmp_path / "version").write_text("NVRM version")
    assert find_hardware().nvidia_gpus == ("An NVIDIA GPU",)


def test_what_is_said_of_torch_is_true() -> None:
    facts = torch_facts()
    assert facts.version == torch.__version__
    assert (facts.cuda_build is None) == (torch.version.cuda is None and torch.version.hip is None)
    assert facts.has_cuda == torch.cuda.is_available()


@pytest.fixture(scope="module")
def tiny() -> Deblurrer:
    config = M2AENetConfig(width=4, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))
    return Deblurrer(M2AENet(config), device="cpu")


def test_the_estimate_grows_with_the_photo(tiny: Deblurrer) -> None:
    image = np.zeros((512, 1024, 3), np.uint8)
    estimates = [examine((512, width), deblurrer=tiny, image=image).estimate for width in (1024, 1024 * 1000)]
    small, large = (estimate for estimate in estimates if estimate is not None)
    assert 0 < 20 * small.analyze_s < large.analyze_s
    assert large.sentence().startswith("A photo of 1024000 × 512 pixels takes about ")
    assert examine((3, 2), deblurrer=tiny).estimate is not None
    assert examine().estimate is None


def test_the_probe_can_be_stopped(tiny: Deblurrer) -> None:
    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        examine((512, 512), deblurrer=tiny, progress=stop)


def test_the_command_prints_sentences_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "photo.png", np.zeros((40, 60, 3), np.uint8))
    assert main(["doctor", "--photo", str(tmp_path / "photo.png"), "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert f"Packages: napari-m2aenet {__version__}, " in text
    assert re.search(r"Device: cpu: CPU, \d+ threads \(\d+\.\d GB free\)", text)
    assert re.search(r"Weights: small \(default\), \d+\.\d MB", text)
    assert re.search(r"A photo of 60 × 40 pixels takes about [\d.e-]+ s to analyze and up to about", text)
    assert main(["doctor", "--json", "--probe", "false"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["torch"]["version"] == report["versions"]["torch"] == torch.__version__
    assert report["estimate"] is None
    assert main(["doctor", "--model", "nowhere"]) == 1
    assert "there are no weights called nowhere" in capsys.readouterr().err
