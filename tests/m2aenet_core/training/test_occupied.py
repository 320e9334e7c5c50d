from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from m2aenet_core.errors import InputError
from m2aenet_core.training.occupied import RUNNING, occupied, process_in

HOLD = """
import sys, time
from m2aenet_core.training.occupied import occupied
with occupied(sys.argv[1]):
    time.sleep(60)
"""


def test_a_folder_tells_its_process_as_long_as_the_block_lasts(tmp_path: Path) -> None:
    with occupied(tmp_path / "run"):
        process = process_in(tmp_path / "run")
        assert process is not None
        assert process.pid == os.getpid()
        (tmp_path / "run" / "config.yaml").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.yaml"]


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), occupied(tmp_path / "run"):
        raise ZeroDivisionError
    assert not (tmp_path / "run").exists()


def test_two_processes_do_not_train_in_one_folder_and_one_that_was_killed_is_no_obstacle(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)])
    try:
        while process_in(tmp_path) is None:
            assert other.poll() is None
            time.sleep(0.05)
        with pytest.raises(InputError, match=f"process {other.pid} is training in"), occupied(tmp_path):
            raise AssertionError
        assert (tmp_path / RUNNING).is_file()
    finally:
        other.kill()
        other.wait()
    assert (tmp_path / RUNNING).is_file()
    assert process_in(tmp_path) is None
    with occupied(tmp_path):
        pass


@pytest.mark.parametrize(
    "change", [{"began": 1.0}, {"host": "elsewhere"}, {"pid": 2**22 + 1}], ids=["reused", "elsewhere", "gone"]
)
def test_another_process_of_that_number_is_not_taken_for_the_run(tmp_path: Path, change: dict[str, object]) -> None:
    with occupied(tmp_path):
        note = json.loads((tmp_path / RUNNING).read_bytes())
        assert note["began"] == psutil.Process().create_time()
        (tmp_path / RUNNING).write_text(json.dumps({**note, **change}))
        assert process_in(tmp_path) is None


def test_a_damaged_note_is_none(tmp_path: Path) -> None:
    (tmp_path / RUNNING).write_text("{")
    assert process_in(tmp_path) is None
