"""Devices, precision and processes."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from m2aenet_core.errors import InputError
from m2aenet_core.training.config import TrainConfig
from m2aenet_core.training.launch import chosen_precision, launch, memory_for_pairs, requested


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((9, 0), "bf16-mixed"), ((8, 0), "bf16-mixed"), ((7, 5), "16-mixed"), ((6, 1), "32-true")],
)
def test_a_gpu_computes_with_the_numbers_it_is_quick_with(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
    assert chosen_precision(replace(config, accelerator="cuda")) == expected
    assert chosen_precision(replace(config, accelerator="auto")) == expected
    assert chosen_precision(replace(config, accelerator="cpu")) == "32-true"
    assert chosen_precision(replace(config, accelerator="cuda", precision="32-true")) == "32-true"


def test_a_cpu_computes_in_float32(config: TrainConfig) -> None:
    assert launch(config).strategy.precision.precision == "32-true"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_gets_a_sentence(config: TrainConfig) -> None:
    with pytest.raises(InputError, match=r"there are no such devices .* change accelerator, devices or precision"):
        launch(replace(config, accelerator="cuda"))


def test_a_batch_that_parts_cannot_share_gets_a_sentence(config: TrainConfig) -> None:
    with pytest.raises(InputError, match="batch_size 2 cannot be shared evenly between 1 devices in 3 parts"):
        launch(replace(config, accumulate=3))


def test_more_than_one_device_shares_by_ddp(config: TrainConfig) -> None:
    assert requested(replace(config, devices=2))["strategy"] == "ddp"
    assert requested(replace(config, num_nodes=2))["strategy"] == "ddp"
    assert requested(config)["strategy"] == "auto"


def test_torchrun_says_how_many_processes_there_are(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6"}.items():
        monkeypatch.setenv(name, value)
    asked = requested(config)
    assert (asked["devices"], asked["num_nodes"], asked["strategy"]) == (2, 3, "ddp")


@pytest.mark.parametrize(("chosen", "expected"), [({}, {"precision"}), ({"LT_PRECISION": "bf16-mixed"}, set())])
def test_fabric_run_says_everything_but_what_it_was_not_told(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], expected: set[str]
) -> None:
    monkeypatch.setenv("LT_CLI_USED", "1")
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    asked: dict[str, Any] = requested(replace(config, devices=7))
    assert set(asked) == expected


def test_processes_of_a_machine_share_its_memory(config: TrainConfig) -> None:
    alone, among_four = memory_for_pairs(config), memory_for_pairs(replace(config, devices=4))
    assert among_four == pytest.approx(alone / 4, rel=0.2)


_COME_AND_GO = """
import sys
from types import SimpleNamespace

import torch
from torch.nn.parallel import DistributedDataParallel

from m2aenet_core.training.launch import leave


def learn(rank, folder, number):
    store = torch.distributed.FileStore(f"{folder}/store{number}", 2)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2, store=store)
    model = DistributedDataParallel(torch.nn.Linear(100, 100))
    for _ in range(2):
        model(torch.ones(4, 100)).sum().backward()
        figures = torch.ones(20)
        torch.distributed.all_reduce(figures)
        figures.tolist()
    leave(SimpleNamespace(world_size=2))
    return model


def come_and_go(rank, folder):
    torch.set_num_threads(1)
    for number in range(8):
        # the model, and with it the last hold on the group, goes after `leave`
        learn(rank, folder, number)


if __name__ == "__main__":
    torch.multiprocessing.spawn(come_and_go, (sys.argv[1],), nprocs=2)
"""


@pytest.mark.slow
def test_processes_that_leave_their_group_do_not_wait_for_ever(tmp_path: Path) -> None:
    # without the pause in `leave` one of the first few rounds ended in a deadlock
    script = tmp_path / "come_and_go.py"
    script.write_text(_COME_AND_GO)
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
