"""A folder as a job, and the promise behind it: window, command and Python give the same pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from napari.layers import Image

from m2aenet_core import Deblurrer, M2AENet, save_model
from m2aenet_core.cli import main
from m2aenet_core.image_io import read_image, write_image
from napari_m2aenet.folder import FolderJob, FolderWish
from napari_m2aenet.models import ModelShelf, OpenDeblurrer, open_deblurrer
from napari_m2aenet.session import Session
from napari_m2aenet.settings import Settings
from napari_m2aenet.source import source_of_layer


@pytest.fixture
def street(tmp_path: Path, photo: np.ndarray) -> Path:
    """Two photos, one below them, and a file that is none."""
    folder = tmp_path / "street"
    (folder / "night").mkdir(parents=True)
    write_image(folder / "a.png", photo)
    write_image(folder / "night" / "b.tif", photo[..., 0].astype(np.uint16) * 200)
    (folder / "c.jpg").write_bytes(b"no photo")
    return folder


def run(wish: FolderWish, opener: OpenDeblurrer, **settings: object) -> FolderJob:
    job = FolderJob(wish, Settings(**settings), ModelShelf(opener))  # type: ignore[arg-type]
    job()
    return job


def test_photos_are_restored_and_those_that_fail_are_named(
    street: Path, tmp_path: Path, open_tiny: OpenDeblurrer
) -> None:
    job = run(FolderWish(street, tmp_path / "out", is_recursive=True, extras=("save_mask",)), open_tiny)
    assert job.error is None
    assert job.summary() == f"2 of 3 photos are restored into {tmp_path / 'out'}. 1 failed; they are listed."
    good, bad, deep = job.arrived
    assert good.startswith("a.png: ")
    assert bad.startswith(f"⚠ {street / 'c.jpg'} is not a JPEG, PNG")
    assert deep.startswith("b.tif: ")
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {
        "a.png",
        "a.png.json",
        "a_mask.png",
        "b.tif",
        "b.tif.json",
        "b_mask.png",
    }


def test_nothing_is_replaced_unless_it_was_asked_for(street: Path, tmp_path: Path, open_tiny: OpenDeblurrer) -> None:
    wish = FolderWish(street, tmp_path / "out")
    run(wish, open_tiny)
    again = run(wish, open_tiny)
    assert str(again.error) == f"{tmp_path / 'out' / 'a.png'} exists; choose another folder, or tick “Replace files”."
    assert run(FolderWish(street, tmp_path / "out", may_overwrite=True), open_tiny).error is None
    assert "would replace an input" in str(run(FolderWish(street, street, may_overwrite=True), open_tiny).error)


@pytest.mark.parametrize("wish", [FolderWish(Path(), Path("out")), FolderWish(Path("gone"), Path("out"))])
def test_a_missing_folder_is_a_sentence(wish: FolderWish) -> None:
    with pytest.raises(ValueError, match="There is no folder to restore yet; choose one that holds photos"):
        wish.check()


def test_stopped_in_the_middle_the_finished_photos_stay(street: Path, tmp_path: Path, open_tiny: OpenDeblurrer) -> None:
    wish = FolderWish(street, tmp_path / "out", is_recursive=True)
    job = FolderJob(wish, Settings(), ModelShelf(open_tiny))
    take = job._take

    def take_and_stop(done: object) -> None:
        take(done)  # type: ignore[arg-type]
        job.cancel()

    job._take = take_and_stop  # type: ignore[method-assign, assignment]
    job()
    assert (job.value, job.error) == (None, None)
    assert job.summary().startswith("Stopped. 1 of 3 photos are restored")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png", "a.png.json"}


def test_window_command_and_python_give_the_same_pixels(
    model: M2AENet, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU, bit for bit: one photo through the window's session, its folder job, the command and the library."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    write_image("in/photo.png", photo)
    save_model(model, "mine.safetensors")
    torch.manual_seed(5)
    with_python = Deblurrer("mine.safetensors", device="cpu")(read_image("in/photo.png").pixels, 0.45)
    assert 0.05 < with_python.density < 0.95
    assert (with_python.restored != photo).any()

    session = Session()
    session.choose(model="mine.safetensors", device="cpu")
    session.request_threshold(0.45)
    session.request_run(source_of_layer(Image(photo, rgb=True)))
    while (job := session.next_job()) is not None:
        job()
        session.finish(job)
    assert session.restored is not None
    np.testing.assert_array_equal(session.restored.result.restored, with_python.restored)

    wish = FolderWish(Path("in"), Path("window"))
    settings = {"model": "mine.safetensors", "device": "cpu", "threshold": 0.45}
    assert run(wish, open_deblurrer, **settings).error is None
    options = ["--threshold", "0.45", "--model", "mine.safetensors", "--device", "cpu"]
    assert main(["deblur", "in/photo.png", "-o", "command", *options]) == 0
    assert Path("window/photo.png").read_bytes() == Path("command/photo.png").read_bytes()
    np.testing.assert_array_equal(read_image("window/photo.png").pixels, with_python.restored)

    # and the record of the folder job names a command that does the same once more
    command = json.loads(Path("window/photo.png.json").read_text("utf-8"))["command"]
    assert main([word if word != "window" else "again" for word in command[1:]]) == 0
    assert Path("again/photo.png").read_bytes() == Path("window/photo.png").read_bytes()
