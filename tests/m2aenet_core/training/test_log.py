"""The figures that a run leaves."""

import csv
from pathlib import Path

import numpy as np
import pytest

from m2aenet_core.errors import InputError
from m2aenet_core.training.log import LOSSES, METRICS, RunLog, read_rows

FIGURES = {"loss": 1.0, "l1": 0.1, "psnr_db": 30.0}
PICTURE = np.zeros((8, 8, 3), np.uint8)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_step_has_a_row_as_soon_as_it_is_over(tmp_path: Path) -> None:
    third = float(np.float32(1 / 3))
    with RunLog(tmp_path, 0) as log:
        for step, loss in ((1, 2.0), (2, third)):
            log.add(step, {**FIGURES, "loss": loss})
            rows = rows_of(tmp_path / LOSSES)
            assert [row["step"] for row in rows] == [str(n + 1) for n in range(step)]
    assert list(rows[-1]) == ["step", *FIGURES]
    assert np.float32(rows[-1]["loss"]) == np.float32(third)


def test_each_validation_has_a_row(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0) as log:
        assert log.last_validation is None
        log.validated(7, {"gain_db": 1.5, "mask_iou": float("nan")}, PICTURE)
        assert log.last_validation == {"step": "7", "gain_db": "1.5", "mask_iou": "nan"}
    assert rows_of(tmp_path / METRICS) == [{"step": "7", "gain_db": "1.5", "mask_iou": "nan"}]


def test_a_resumed_run_keeps_its_rows_and_drops_those_of_an_abandoned_stretch(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0) as log:
        for step in range(1, 7):
            log.add(step, FIGURES)
        for step in (2, 4, 6):
            log.validated(step, {"gain_db": float(step)}, PICTURE)
    with RunLog(tmp_path, 5) as log:
        assert log.losses_since_validation == [FIGURES["loss"]]
    with RunLog(tmp_path, 4) as log:
        assert log.losses_since_validation == []
        log.add(5, {**FIGURES, "loss": 0.5})
        log.validated(5, {"gain_db": 9.0}, PICTURE)
    assert [row["step"] for row in rows_of(tmp_path / LOSSES)] == ["1", "2", "3", "4", "5"]
    assert rows_of(tmp_path / LOSSES)[-1]["loss"] == "0.5"
    assert [row["step"] for row in rows_of(tmp_path / METRICS)] == ["2", "4", "5"]


@pytest.mark.parametrize("torn", ["3,1,0.", "3", "3,1,0.1,30,7", "3,1,0.1,30", ""])
def test_a_row_that_was_cut_short_is_dropped(tmp_path: Path, torn: str) -> None:
    with RunLog(tmp_path, 0) as log:
        for step in (1, 2):
            log.add(step, FIGURES)
    with (tmp_path / LOSSES).open("a") as stream:
        stream.write(torn)
    with RunLog(tmp_path, 2) as log:
        log.add(3, FIGURES)
    assert [row["step"] for row in rows_of(tmp_path / LOSSES)] == ["1", "2", "3"]
    assert all(None not in row and None not in row.values() for row in rows_of(tmp_path / LOSSES))


def test_a_run_that_begins_anew_begins_with_empty_logs(tmp_path: Path) -> None:
    for _ in range(2):
        with RunLog(tmp_path, 0) as log:
            log.add(1, FIGURES)
            log.validated(1, {"gain_db": 1.0}, PICTURE)
    assert len(rows_of(tmp_path / LOSSES)) == len(rows_of(tmp_path / METRICS)) == 1


def test_tensorboard_gets_means_of_every_term_each_validation_and_its_picture(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path, 0, points_every=2) as log:
        for step in range(1, 6):
            log.add(step, {**FIGURES, "loss": float(step)})
        log.validated(5, {"gain_db": 1.5}, PICTURE)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(point.step, point.value) for point in events.Scalars("train/loss")] == [(2, 1.5), (4, 3.5)]
    assert {f"train/{name}" for name in FIGURES} | {"validation/gain_db"} == set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["validation"]


def test_metrics_are_replaced_as_a_whole(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0) as log:
        log.validated(1, {"gain_db": 1.0}, PICTURE)
        before = (tmp_path / METRICS).read_text()
        with (tmp_path / METRICS).open() as reader:
            log.validated(2, {"gain_db": 2.0}, PICTURE)
            # who reads meanwhile sees the older file whole
            assert reader.read() == before


def test_a_folder_that_cannot_be_made_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another folder"):
        RunLog(tmp_path / "file" / "run", 0)


def test_a_missing_file_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "gone.csv") == []
