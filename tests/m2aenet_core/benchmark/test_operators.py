"""Operators are measured beside others that give the same, and the figures can be read by people and programs."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from m2aenet_core.benchmark.measure import Measurement, check_agreement, measure
from m2aenet_core.benchmark.operators import OperatorsConfig, benchmark_operators, main, to_table
from m2aenet_core.benchmark.report import encode_measurements
from m2aenet_core.benchmark.subjects import CHOSEN, OPERATORS, SIZES, Subject, blobs, smooth_offsets, subjects
from m2aenet_core.errors import InputError

CPU = torch.device("cpu")
HAS_COMPILER = any(shutil.which(name) for name in ("g++", "c++", "clang++", "cl"))


@pytest.fixture
def _thread_count() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_thread_count")
def test_every_operator_is_measured_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "operators.json"
    assert main(["--sizes", "tiny", "--rounds", "1", "--threads", "1", "--out", str(out)]) == 0
    content = json.loads(out.read_text())
    assert content.keys() == {"machine", "versions", "settings", "measurements"}
    assert content["machine"]["processor"]
    assert content["versions"]["torch"] == torch.__version__
    assert content["settings"]["rounds"] == 1
    text = capsys.readouterr().out
    names = {field.name for field in dataclasses.fields(Measurement)}
    for row in content["measurements"]:
        assert row.keys() == names
        assert row["forward_s"] > 0
        assert row["forward_backward_s"] > 0
        assert row["way"] in text
    chosen = [row for row in content["measurements"] if row["way"] == CHOSEN]
    assert len({row["operator"] for row in chosen}) == len(OPERATORS)
    assert all(row["forward_ratio"] == row["forward_backward_ratio"] == 1 for row in chosen)
    assert len(content["measurements"]) > 2 * len(chosen)


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_can_be_measured_alone(operator: str) -> None:
    config = OperatorsConfig(operators=(operator,), sizes="tiny", rounds=1)
    assert len({some[0].operator for some in benchmark_operators(config)}) == 1


def test_an_operator_that_does_not_exist_gets_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--operators", "splatter"]) == 1
    assert "there is no operator 'splatter'; choose some of reblur, look_up" in capsys.readouterr().err


def test_no_rounds_measure_nothing() -> None:
    with pytest.raises(InputError, match="0 rounds measure nothing"):
        next(benchmark_operators(OperatorsConfig(rounds=0)))


def doubled(values: Tensor) -> Tensor:
    return values * 2


def nearly_doubled(values: Tensor) -> Tensor:
    return values * 2.1


def no_number(values: Tensor) -> Tensor:
    return values * math.nan


def doubled_with_another_gradient(values: Tensor) -> Tensor:
    return values + values.detach()


@pytest.mark.parametrize("other", [nearly_doubled, no_number, doubled_with_another_gradient])
def test_a_way_with_other_results_or_gradients_is_not_measured(other: object) -> None:
    subject = Subject("double", "3", (torch.rand(3),), {CHOSEN: doubled, "other": other})  # type: ignore[dict-item]
    with pytest.raises(RuntimeError, match=r"double \(3\): 'other' differs from the chosen way"):
        measure(subject, 1, CPU)


def test_a_way_with_the_same_results_and_gradients_agrees() -> None:
    check_agreement(Subject("double", "3", (torch.rand(3),), {CHOSEN: doubled, "sum": lambda values: values + values}))


def test_the_table_has_a_row_for_each_way_and_a_gap_for_what_is_not_known() -> None:
    first = Measurement("double", "3 x 4", CHOSEN, 0.002, 1, 0.004, 1, 2**20, 3 * 2**20)
    other = dataclasses.replace(first, way="slowly", forward_s=0.005, forward_ratio=2.5, forward_peak_bytes=math.nan)
    title, _, headings, rule, *rows = to_table([first, other]).splitlines()[:6]
    assert title == "double, 3 x 4"
    assert len({len(line) for line in (headings, rule, *rows)}) == 1
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells[0] == [CHOSEN, "2.00", "1.00", "4.00", "1.00", "1.0", "3.0"]
    assert cells[1] == ["slowly", "5.00", "2.50", "4.00", "1.00", "", "3.0"]


def test_what_is_no_finite_number_is_null_in_the_file() -> None:
    row = Measurement("double", "3", CHOSEN, 0.002, math.inf, 0.004, 1, math.nan, 1.0)
    content = json.loads(encode_measurements(OperatorsConfig(), [row], CPU))
    assert content["measurements"][0]["forward_peak_bytes"] is None
    assert content["measurements"][0]["forward_ratio"] is None


def test_paths_are_smooth_and_never_end_on_a_whole_pixel() -> None:
    offsets = smooth_offsets((2, 3, 32, 32), CPU)
    assert offsets.shape == (9, 2, 2, 32, 32)
    assert ((offsets - offsets.round()).abs() > 0).all()
    assert (offsets[..., 1:] - offsets[..., :-1]).abs().max() < offsets.abs().max()


@pytest.mark.parametrize("density", [0.05, 0.2, 0.5])
def test_blobs_cover_the_share_that_was_asked_for(density: float) -> None:
    assert blobs((1, 1, 90, 160), density, CPU).mean().item() == pytest.approx(density, abs=0.005)


def test_photos_and_training_crops_are_among_the_real_sizes() -> None:
    settings = [subject.setting for subject in subjects(("reblur", "pruned_convolution"), SIZES["real"], CPU)]
    assert "1 x 3 x 540 x 720, 9 instants" in settings
    assert any(setting.startswith("1 x 512 x 90 x 160, 20% kept") for setting in settings)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_COMPILER, reason="torch.compile builds C++, and there is no compiler here")
def test_the_chosen_way_is_measured_compiled_too() -> None:
    config = OperatorsConfig(operators=("look_up",), sizes="tiny", rounds=1, compile=True)
    (measurements,) = benchmark_operators(config)
    assert f"{CHOSEN}, compiled" in {each.way for each in measurements}
