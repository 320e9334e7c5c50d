"""The record says what made a photo, in numbers that are true."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from m2aenet_core import Deblurrer, DeblurResult, __version__
from m2aenet_core.checkpoint import lasting_name
from m2aenet_core.record import (
    encode_record,
    file_sha256,
    make_record,
    mean_displacement_px,
    pixels_sha256,
    write_record,
)


@pytest.fixture(scope="module")
def result(deblurrer: Deblurrer) -> DeblurResult:
    analysis = deblurrer.analyze(skimage.data.astronaut()[:64, :96])
    return deblurrer.restore(analysis, float(np.median(analysis.blur_probability)))


def test_the_record_survives_json(deblurrer: Deblurrer, result: DeblurResult, tmp_path: Path) -> None:
    record = make_record(deblurrer, result)
    write_record(tmp_path / "record.json", record)
    assert json.loads((tmp_path / "record.json").read_text("utf-8")) == record


def test_the_record_names_everything_that_decides_the_result(
    deblurrer: Deblurrer, result: DeblurResult, tmp_path: Path
) -> None:
    source = tmp_path / "photo.png"
    source.write_bytes(b"photo")
    record: dict = make_record(deblurrer, result, source, command=["m2aenet", "deblur", "photo.png"])
    assert record["source"] == {
        "name": "photo.png",
        "sha256": hashlib.sha256(b"photo").hexdigest(),
        "path": str(source),
    }
    assert record["command"] == ["m2aenet", "deblur", "photo.png"]
    assert record["image"] == {
        "shape": [64, 96, 3],
        "dtype": "uint8",
        "value_range": [0.0, 255.0],
        "pixels_sha256": pixels_sha256(skimage.data.astronaut()[:64, :96]),
    }
    assert record["result"]["pixels_sha256"] == hashlib.sha256(result.restored.tobytes()).hexdigest()
    assert record["model"] == {"name": deblurrer.model_name, "weights_sha256": file_sha256(deblurrer.model_name)}
    assert record["settings"]["threshold"] == result.threshold
    assert record["settings"]["execution"] == "adaptive"
    assert (record["settings"]["device"], record["settings"]["precision"]) == ("cpu", "float32")
    assert record["result"]["density"] == result.mask.mean()
    assert record["result"]["restore_macs"] == result.macs > 0
    assert record["result"]["analyze_macs"] == result.analysis.macs > 0
    assert record["result"]["restore_s"] == result.seconds > 0
    assert record["versions"]["napari-m2aenet"] == __version__
    assert record["versions"]["torch"] == torch.__version__
    assert record["versions"]["numpy"] == np.__version__


def test_weights_are_named_so_that_every_folder_finds_them(
    result: DeblurResult, changing_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(changing_weights.parent)
    record: dict = make_record(Deblurrer(changing_weights.name, device="cpu"), result)
    assert record["model"]["name"] == str(changing_weights)
    assert lasting_name("small") == "small"
    assert lasting_name("nafnet:a.pth") == f"nafnet:{Path('a.pth').absolute()}"


def test_a_file_name_that_is_not_utf8_survives_json() -> None:
    name = os.fsdecode(b"\xff.png")
    assert json.loads(encode_record({"name": name, "other": "фото"}).decode()) == {"name": name, "other": "фото"}


def test_tiles_are_recorded_as_they_follow_from_free_memory(deblurrer: Deblurrer, result: DeblurResult) -> None:
    assert make_record(deblurrer, result)["settings"]["tile_px"] is None  # type: ignore[index]
    tiled = Deblurrer(deblurrer.model_name, device="cpu", tile_px=256)
    analysis = tiled.analyze(np.zeros((64, 400, 3), np.uint8))
    assert make_record(tiled, tiled.restore(analysis))["settings"]["tile_px"] == 256  # type: ignore[index]


def test_a_given_mask_is_recorded(deblurrer: Deblurrer, result: DeblurResult, tmp_path: Path) -> None:
    mask = np.zeros((64, 96), bool)
    records: list[dict] = []
    for filled in (10, 20):
        mask[:filled] = True
        given = deblurrer.restore(result.analysis, mask=mask)
        (tmp_path / "mask.png").write_bytes(mask.tobytes())
        records.append(make_record(deblurrer, given, mask=tmp_path / "mask.png"))
    assert [record["settings"]["threshold"] for record in records] == [None, None]
    assert records[0]["settings"]["mask"]["name"] == "mask.png"
    assert records[0]["settings"]["mask_sha256"] != records[1]["settings"]["mask_sha256"]


def test_mean_displacement_is_from_start_to_end_over_the_mask(result: DeblurResult) -> None:
    mask = np.zeros((64, 96), bool)
    assert mean_displacement_px(result.analysis, mask) is None
    mask[5, 7] = True
    moved = result.analysis.end_displacement[5, 7] - result.analysis.start_displacement[5, 7]
    assert mean_displacement_px(result.analysis, mask) == pytest.approx(np.linalg.norm(moved))


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_record({"density": float("nan")})
