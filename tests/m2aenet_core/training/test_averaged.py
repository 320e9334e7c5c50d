from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from m2aenet_core.checkpoint import load_model
from m2aenet_core.errors import InputError
from m2aenet_core.train import TrainConfig, train
from m2aenet_core.training.averaged import newest_averaged, read_config


def test_the_averaged_weights_of_a_finished_run_are_its_final_ones(config: TrainConfig) -> None:
    final = load_model(train(config))
    found = newest_averaged(config.out)
    assert found.step == config.steps
    assert not found.network.training
    theirs = found.network.state_dict()
    for name, value in final.state_dict().items():
        torch.testing.assert_close(theirs[name], value)


def test_the_settings_of_a_run_are_read_as_they_were(config: TrainConfig) -> None:
    short = dataclasses.replace(config, steps=1)
    train(short)
    assert read_config(config.out) == short


def test_without_a_checkpoint_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no checkpoint yet"):
        newest_averaged(tmp_path)
    (tmp_path / "last.ckpt").write_bytes(b"torn")
    with pytest.raises(InputError, match="holds no run"):
        newest_averaged(tmp_path)
    (tmp_path / "config.yaml").write_text("nonsense: 1\n")
    with pytest.raises(InputError, match="this version does not know"):
        newest_averaged(tmp_path)


def test_a_damaged_checkpoint_is_told(config: TrainConfig) -> None:
    train(dataclasses.replace(config, steps=1))
    checkpoint = Path(config.out) / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:2000])
    with pytest.raises(InputError, match="is damaged"):
        newest_averaged(config.out)
