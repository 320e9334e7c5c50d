from __future__ import annotations

import sys
from pathlib import Path

import pytest

from m2aenet_core.errors import InputError
from m2aenet_core.train import parse
from napari_m2aenet.training_process import DataKind, Order, RunProcess, likely_kind


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "my photos"
    folder.mkdir()
    return folder


def test_the_command_is_one_that_the_trainer_understands(tmp_path: Path, photos: Path) -> None:
    order = Order(
        out=str(tmp_path / "run"),
        data=str(photos),
        recipe="debug",
        start_from="small",
        device="cuda:1",
        steps=7,
        more="--batch_size 3 --loss.mask 0.1",
    )
    words = order.command()
    assert words[:3] == [sys.executable, "-m", "m2aenet_core.train"]
    config = parse(words[3:])
    assert (config.out, config.data, config.pairs) == (str(tmp_path / "run"), str(photos), ())
    assert (config.init_from, config.accelerator, config.steps, config.batch_size) == ("small", "cuda", 7, 3)
    assert config.loss.mask == 0.1
    assert config.model.width == 8  # the recipe's


def test_pairs_are_given_as_pairs(tmp_path: Path, photos: Path) -> None:
    order = Order(str(tmp_path / "run"), str(photos), DataKind.PAIRS, "debug")
    config = parse(order.command()[3:])
    assert (config.data, config.pairs) == (None, (str(photos),))
    assert config.steps == 20  # the recipe's


def test_a_folder_with_a_run_goes_on_with_its_own_settings(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.yaml").write_text(f"out: elsewhere\ndata: {photos}\nsteps: 50\nbatch_size: 6\n")
    config = parse(Order(str(out), "/not/there", DataKind.PAIRS, "paper", steps=90).command()[3:])
    assert (config.out, config.data, config.steps, config.batch_size) == (str(out), str(photos), 90, 6)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (Order(out=""), "no folder for the run"),
        (Order(out="run"), "nothing to learn from"),
        (Order(out="run", data="/not/there"), "/not/there is not a folder"),
        (Order(out="run", data=".", more='--masks "my masks'), "close the quotation marks"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(
    order: Order, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence):
        order.command()
    with pytest.raises(InputError, match=sentence):
        RunProcess.start(order)
    assert list(tmp_path.iterdir()) == []


def test_what_a_folder_holds_is_recognised(tmp_path: Path, photos: Path) -> None:
    (photos / "one.png").touch()
    assert likely_kind(str(photos)) is DataKind.PHOTOS
    for kind in ("blur", "sharp"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        (tmp_path / "set" / kind / "one.png").touch()
    assert likely_kind(str(tmp_path / "set")) is DataKind.PAIRS
    assert likely_kind(str(tmp_path / "nowhere")) is DataKind.PHOTOS
