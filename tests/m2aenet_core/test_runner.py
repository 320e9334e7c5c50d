"""A network on a device: tiles by memory, and what is done when it is too small."""

import pytest
import torch

from m2aenet_core import runner as runner_module
from m2aenet_core.device import is_out_of_memory
from m2aenet_core.errors import InputError
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.runner import Runner
from m2aenet_core.tiling import Box

SHORT = torch.OutOfMemoryError("made up")


@pytest.fixture
def runner(tiny_model: M2AENet) -> Runner:
    return Runner(tiny_model, torch.device("cpu"), "float32")


def test_a_photo_with_room_is_one_tile_and_others_take_less(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    pixel_bytes = 4 * runner.network.fused_live_values
    monkeypatch.setattr(runner_module, "free_bytes", lambda device: 2 * 1000 * 1000 * pixel_bytes)
    assert runner.tile_side(500, 2000) == 2000
    assert 600 < runner.tile_side(501, 2000) < 1000


def test_a_large_computer_does_not_fill_its_memory(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = []
    for free in (1 << 40, 1 << 44):
        monkeypatch.setattr(runner_module, "free_bytes", lambda device, free=free: free)
        sides.append(runner.tile_side(100_000, 100_000))
    assert sides[0] == sides[1]


def test_a_box_beyond_the_memory_is_cut(runner: Runner) -> None:
    parts = runner.make_room(SHORT, Box(64, 32, 640, 480), 96)
    assert len(parts) > 1
    assert min(part.top for part in parts) == 64
    assert min(part.left for part in parts) == 32
    assert max(part.bottom for part in parts) == 704
    assert max(part.right for part in parts) == 512


def test_a_device_that_is_too_small_leaves_the_work_to_the_cpu(runner: Runner) -> None:
    runner.device, runner.precision = torch.device("meta"), "float16"
    assert runner.make_room(SHORT, Box(0, 0, 160, 160), 96) == [Box(0, 0, 160, 160)]
    assert (runner.device.type, runner.precision) == ("cpu", "float32")
    assert "the CPU went on" in runner.notes[0]
    with pytest.raises(InputError, match="not enough memory"):
        runner.make_room(SHORT, Box(0, 0, 160, 160), 96)


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (SHORT, True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: not enough memory"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_each_kind_of_device_says_in_its_own_way_that_memory_is_short(error: Exception, is_it: bool) -> None:
    assert is_out_of_memory(error) is is_it


def test_the_cpu_really_says_so() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 58)
    assert is_out_of_memory(caught.value)
