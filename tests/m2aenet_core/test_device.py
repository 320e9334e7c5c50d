"""Devices by name."""

import pytest
import torch

from m2aenet_core.device import available_devices, free_bytes, resolve_device
from m2aenet_core.errors import InputError


def test_the_cpu_is_always_there_and_comes_last() -> None:
    assert available_devices()[-1].name == "cpu"


def test_every_device_that_is_offered_can_be_used() -> None:
    for info in available_devices():
        device = resolve_device(info.name)
        assert torch.ones(2, device=device).sum().item() == 2
        assert info.free_bytes > 0
        assert "GB free" in info.label


def test_auto_is_the_first_on_offer() -> None:
    assert resolve_device("auto") == torch.device(available_devices()[0].name)


def test_cuda_without_a_number_is_the_first_one_or_a_sentence() -> None:
    if torch.cuda.is_available():
        assert resolve_device("cuda") == torch.device("cuda:0")
    else:
        with pytest.raises(InputError, match="there is no device 'cuda' here; choose one of auto, "):
            resolve_device("cuda")


@pytest.mark.parametrize("name", ["", "gpu", "cuda:99", "cpu:7", "CPU"])
def test_other_names_get_a_sentence_with_those_to_choose_from(name: str) -> None:
    with pytest.raises(InputError, match=f"there is no device '{name}' here; choose one of auto, .*cpu$"):
        resolve_device(name)


def test_free_memory_is_below_what_a_machine_has() -> None:
    assert 2**20 < free_bytes(torch.device("cpu")) < 2**60
