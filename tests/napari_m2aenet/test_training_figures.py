from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from napari_m2aenet.training_figures import GrowingTable, Pace, thinned


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "losses.csv"


def table(path: Path) -> GrowingTable:
    return GrowingTable(path, "step", "loss")


def test_a_table_that_is_not_there_yet_is_empty(path: Path) -> None:
    found = table(path)
    assert not found.update()
    assert len(found) == 0


def test_rows_are_read_as_they_are_written_and_each_once(path: Path) -> None:
    found = table(path)
    with path.open("a") as stream:
        stream.write("step,l1,loss\n")
        stream.flush()
        assert not found.update()
        stream.write("1,9,0.5\n2,9,0.2")
        stream.flush()
        assert found.update()
        assert list(found.columns["step"]) == [1]  # the second row may not be whole: 0.2 or 0.25?
        stream.write("5\n3,9,0.125\n")
        stream.flush()
        assert found.update()
    assert list(found.columns["step"]) == [1, 2, 3]
    assert list(found.columns["loss"]) == [0.5, 0.25, 0.125]
    assert not found.update()


def test_a_file_that_was_cut_when_a_run_went_on_is_read_anew(path: Path, tmp_path: Path) -> None:
    path.write_text("step,loss\n1,3\n2,2\n3,1\n")
    found = table(path)
    found.update()
    cut = tmp_path / "cut.csv"
    cut.write_text("step,loss\n1,3\n")
    cut.replace(path)
    with path.open("a") as stream:
        stream.write("2,8\n3,7\n4,6\n5,5\n")  # longer than before: only the file tells that it is another one
    assert found.update()
    assert list(found.columns["loss"]) == [3, 8, 7, 6, 5]


def test_a_file_that_is_gone_leaves_nothing(path: Path) -> None:
    path.write_text("step,loss\n1,3\n")
    found = table(path)
    found.update()
    path.unlink()
    assert found.update()
    assert len(found) == 0


def test_a_file_that_cannot_be_read_for_a_moment_takes_nothing_away(
    path: Path, no_more_files: Callable[[], AbstractContextManager[None]]
) -> None:
    path.write_text("step,loss\n1,3\n")
    found = table(path)
    found.update()
    with no_more_files():
        assert not found.update()
    assert list(found.columns["loss"]) == [3]
    with path.open("a") as stream:
        stream.write("2,4\n")
    assert found.update()
    assert list(found.columns["loss"]) == [3, 4]


def test_what_is_no_number_is_left_out_and_an_empty_cell_is_unknown(path: Path) -> None:
    path.write_text("step,loss\n1,\n2,x\n3\n4,nan\n5,0.5\n")
    found = table(path)
    found.update()
    assert list(found.columns["step"]) == [1, 4, 5]
    assert math.isnan(found.columns["loss"][0])


def test_a_column_that_a_network_does_not_have_is_unknown(path: Path) -> None:
    path.write_text("step\n1\n")
    found = table(path)
    found.update()
    assert math.isnan(found.columns["loss"][0])


def test_the_pace_is_that_of_the_last_minutes() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.seconds_for(10) is None
    for second, step in ((0, 1), (300, 2), (360, 32), (400, 52)):
        now[0] = second
        pace.see(step)
    assert pace.seconds_for(10) == pytest.approx(10 / 0.5)  # the slow start is forgotten


def test_a_run_that_begins_anew_has_a_new_pace() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    pace.see(500)
    now[0] = 10
    pace.see(3)
    assert pace.seconds_for(1) is None


def test_a_long_curve_is_thinned_to_means_and_a_short_one_is_not() -> None:
    x, y = array("d", range(1000)), array("d", [0, 2] * 500)
    xs, ys = thinned(x, y, 100)
    assert len(xs) == 100
    np.testing.assert_allclose(ys, 1)
    assert xs[0] == pytest.approx(4.5)
    xs, ys = thinned(x[:7], y[:7], 100)
    np.testing.assert_array_equal(xs, range(7))
    xs, ys = thinned(x[:101], y[:101], 100)
    assert len(xs) == 51
    assert ys[-1] == y[100]
