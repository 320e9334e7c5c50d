"""The time of steps, and what of it is waiting."""

import time

import pytest
import torch

from m2aenet_core.training.watch import Watch


def test_waiting_is_the_time_until_samples_are_there() -> None:
    watch = Watch(torch.device("cpu"))
    for _ in range(2):
        watch.mark()
        time.sleep(0.03)
        watch.mark()
        time.sleep(0.01)
        watch.mark()
    times = watch.take()
    assert len(times) == 2
    for each in times:
        assert 0.03 <= each.waiting_s < each.seconds - 0.009
    assert watch.take() == []


def test_a_step_that_is_not_over_has_no_time_yet() -> None:
    watch = Watch(torch.device("cpu"))
    watch.mark()
    watch.mark()
    assert watch.take() == []
    watch.mark()
    assert len(watch.take()) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_on_a_gpu_its_own_time_counts() -> None:
    device = torch.device("cuda")
    watch, matrix = Watch(device), torch.rand(4096, 4096, device=device)
    watch.mark()
    for _ in range(20):
        matrix @ matrix
    watch.mark()
    watch.mark()
    torch.cuda.synchronize()
    (step,) = watch.take()
    assert step.waiting_s > 0.9 * step.seconds
