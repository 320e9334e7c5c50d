"""A long operator in passes whose values stay few."""

import pytest
import torch

from m2aenet_core.ops.passes import passes

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("rows", "row_bytes", "expected"),
    [
        (0, 10, []),
        (5, 10, [(0, 5)]),
        (10, 10, [(0, 10)]),
        (25, 10, [(0, 10), (10, 20), (20, 25)]),
        (2, 1000, [(0, 1), (1, 2)]),
        (3, 0, [(0, 3)]),
    ],
)
def test_each_row_is_in_one_pass_and_a_pass_fits_the_cache(
    rows: int, row_bytes: int, expected: list[tuple[int, int]]
) -> None:
    assert list(passes(rows, row_bytes, 100, CPU)) == expected


def test_threads_share_a_pass() -> None:
    torch.set_num_threads(2)
    assert list(passes(25, 10, 100, CPU)) == [(0, 20), (20, 25)]


def test_a_graphics_processor_gets_long_passes() -> None:
    assert list(passes(25, 10, 100, torch.device("cuda"))) == [(0, 25)]
