"""What reports say of the machine."""

import platform

import torch

from m2aenet_core import __version__
from m2aenet_core.machine import describe_machine, describe_versions


def test_the_machine_is_described_in_words() -> None:
    machine = describe_machine(torch.device("cpu"))
    assert machine["device"] == "cpu"
    assert machine["processor"]
    assert f"{torch.get_num_threads()} of " in machine["threads"]
    assert machine["system"] == platform.platform()


def test_versions_are_those_that_run() -> None:
    versions = describe_versions()
    assert versions["napari-m2aenet"] == __version__
    assert versions["torch"] == torch.__version__
