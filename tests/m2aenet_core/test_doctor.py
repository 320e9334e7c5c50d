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
from m2aenet_core.doctor import examine
from m2aenet_core.image_io import write_image


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
    assert re.search(r"Weights: small \(default on .*CPUs\), \d+\.\d MB", text)
    assert re.search(r"A photo of 60 × 40 pixels takes about [\d.e-]+ s to analyze and up to about", text)
    assert main(["doctor", "--json", "--probe", "false"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["torch"]["version"] == report["versions"]["torch"] == torch.__version__
    assert report["estimate"] is None
    write_image(tmp_path / "nan.tif", np.full((40, 60), np.nan, np.float32))
    assert main(["doctor", "--photo", str(tmp_path / "nan.tif"), "--device", "cpu"]) == 1
    assert f"error: {tmp_path / 'nan.tif'}: the image holds NaN" in capsys.readouterr().err
    assert main(["doctor", "--model", "nowhere"]) == 1
    assert "there are no weights called nowhere" in capsys.readouterr().err
