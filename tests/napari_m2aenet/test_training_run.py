"""How a run stands, from what lies in its folder; and a real one from its start over a stop to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_m2aenet.training_process import LOG, Order, RunProcess
from napari_m2aenet.training_run import RunState, TrainingRun, duration, last_validation

RUN_S = 300


@pytest.fixture
def photos(tmp_path: Path, photo: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.roll(photo, 20 * number, axis=1)).save(folder / f"{number}.png")
    return folder


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + RUN_S
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def folder_with(path: Path, steps: int, rows: int) -> str:
    path.mkdir(exist_ok=True)
    (path / "config.yaml").write_text(f"steps: {steps}\n")
    (path / "losses.csv").write_text("step,loss,psnr_db\n" + "".join(f"{i + 1},0.5,20\n" for i in range(rows)))
    return str(path)


@pytest.mark.parametrize(
    ("rows", "state", "words"),
    [
        (0, RunState.NONE, "No run yet."),
        (5, RunState.STOPPED, "Step 5 of 20, loss 0.5000. It is stopped; Go on takes it up again."),
        (20, RunState.FINISHED, "Step 20 of 20, loss 0.5000. It is finished."),
    ],
)
def test_a_folder_without_a_process_tells_how_far_its_run_came(
    tmp_path: Path, rows: int, state: RunState, words: str
) -> None:
    run = TrainingRun(folder_with(tmp_path / "run", 20, rows))
    assert run.state is state
    assert run.describe() == words


def test_a_run_whose_files_cannot_be_read_for_a_moment_stands_as_it_did(
    tmp_path: Path, no_more_files: Callable[[], AbstractContextManager[None]]
) -> None:
    run = TrainingRun(folder_with(tmp_path / "run", 20, 20))
    with no_more_files():
        run.update()
    assert run.describe() == "Step 20 of 20, loss 0.5000. It is finished."


def test_the_last_validation_is_told_as_far_as_the_network_has_such_figures(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "run", 20, 5)
    assert last_validation(TrainingRun(folder)) == ""
    (tmp_path / "run" / "metrics.csv").write_text("step,loss,psnr_db,gain_db,mask_iou\n4,1,30.1,0.5,nan\n")
    assert last_validation(TrainingRun(folder)) == "Validation at step 4: 30.10 dB, +0.50 dB inside the blur."


def test_an_error_of_an_earlier_stretch_is_no_news(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "run", 20, 5)
    (tmp_path / "run" / LOG).write_text("error: the disk is full\n")
    assert TrainingRun(folder).state is RunState.FAILED
    assert "the disk is full" in TrainingRun(folder).describe()
    time.sleep(0.02)
    folder_with(tmp_path / "run", 20, 6)
    assert TrainingRun(folder).state is RunState.STOPPED


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (12_000, "3 h 20 min"), (187_200, "2 days 4 h")]
)
def test_times_are_told_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.slow
def test_a_run_that_cannot_begin_says_why(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    order = Order(str(tmp_path / "run"), str(empty), recipe="debug", device="cpu")
    run = TrainingRun(order.out, RunProcess.start(order))
    assert run.state is RunState.STARTING
    wait(lambda: not run.is_running)
    assert run.state is RunState.FAILED
    assert str(empty) in run.describe()
    assert "error:" in (tmp_path / "run" / LOG).read_text()
    later = TrainingRun(order.out)  # in another window, which did not see how it ended
    assert later.state is RunState.FAILED
    assert later.describe() == run.describe()


@pytest.mark.slow
def test_a_run_is_stopped_found_again_and_brought_to_its_end(tmp_path: Path, photos: Path) -> None:
    order = Order(
        str(tmp_path / "run"),
        str(photos),
        recipe="debug",
        device="cpu",
        steps=10_000,
        more="--workers 0 --save_every 5",
    )
    run = TrainingRun(order.out, RunProcess.start(order))
    wait(lambda: run.update() and run.step >= 3)
    assert run.state is RunState.RUNNING
    assert run.total == 10_000

    found = TrainingRun(order.out)  # as another window does
    assert found.process is not None
    assert run.process is not None
    assert found.process.pid == run.process.pid
    assert found.state is RunState.RUNNING
    found.process.stop()
    assert found.state is RunState.STOPPING
    wait(lambda: not found.is_running)
    found.update()
    assert found.state is RunState.STOPPED
    assert found.has_checkpoint
    assert run.state is RunState.STOPPED
    stopped_at = found.step

    more = Order(order.out, steps=stopped_at + 4, device="cpu")
    again = TrainingRun(more.out, RunProcess.start(more))
    assert again.state is RunState.STARTING  # the rows of the stretch before are no sign of life
    wait(lambda: not again.is_running)
    again.update()
    assert again.state is RunState.FINISHED
    assert list(again.losses.columns["step"]) == list(range(1, stopped_at + 5))
    assert again.best_weights is not None
