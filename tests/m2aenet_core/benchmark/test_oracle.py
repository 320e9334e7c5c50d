"""The truth in place of what a network found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from m2aenet_core.benchmark.command import main
from m2aenet_core.benchmark.oracle import OracleConfig, _true_motions, benchmark_oracle
from m2aenet_core.checkpoint import load_model, save_model
from m2aenet_core.errors import InputError
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.models.m2aenet_config import M2AENetConfig
from m2aenet_core.models.network import Encoded
from m2aenet_core.models.trajectory import Motion


def test_every_truth_takes_its_turn(photos: Path) -> None:
    config = OracleConfig(data=str(photos), model="small", limit=1, device="cpu")
    ((*figures,),) = benchmark_oracle(config)
    gains = {(each.mask, each.motion): each.gain_w for each in figures}
    assert list(gains) == [
        ("found", "found"),
        ("true", "found"),
        ("everywhere", "found"),
        ("true", "with true length"),
        ("true", "with true angle"),
        ("true", "with true bend"),
        ("true", "true"),
        ("true", "true but straight"),
        ("true", "reversed"),
        ("true", "none"),
    ]
    # what restores is told something else each time
    assert len(set(gains.values())) == len(gains)


def test_a_threshold_that_nothing_reaches_leaves_the_found_mask_empty(photos: Path) -> None:
    low, high = (
        next(benchmark_oracle(OracleConfig(data=str(photos), model="small", limit=1, threshold=t, device="cpu")))
        for t in (0.0, 1.0)
    )
    # at threshold 0 all of it is found
    assert low[0].gain_w == pytest.approx(low[2].gain_w, abs=1e-6)
    assert high[0].gain_w != low[0].gain_w
    assert [each.gain_w for each in high[1:]] == [each.gain_w for each in low[1:]]


@pytest.mark.parametrize("form", ["quadratic", "learnable"])
def test_the_truth_is_in_cells_and_runs_as_what_was_found(form: str) -> None:
    """Half of a cell moves, by 8 pixels one way before mid-exposure and 16 the other way after it; a cell has 8."""
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :4] = 1
    start, end = torch.zeros(1, 2, 16, 16), torch.zeros(1, 2, 16, 16)
    start[:, 1], end[:, 1] = -8.0, 16.0
    instants = 2 if form == "quadratic" else 9
    # found backwards: the end comes first
    found = torch.zeros(1, 2 * instants, 2, 2)
    found[:, 1], found[:, -1] = 2, -1
    encoded = Encoded(torch.zeros(1, 3, 16, 16), None, Motion(found, form))  # type: ignore[arg-type]
    motions = _true_motions(encoded, mask, start, end)
    true, reverse, none = (motions[name] for name in ("true", "reversed", "none"))
    assert true.start[0, :, 0, 0].tolist() == [0, 2]
    assert true.end[0, :, 0, 0].tolist() == [0, -1]
    assert reverse.end[0, 1, 1, 0] == 2
    assert true.field.shape == found.shape
    assert not true.field[..., 1].any()
    assert not none.field.any()
    torch.testing.assert_close(true.trajectory(9)[4], torch.zeros(1, 2, 2, 2))


def test_a_part_of_the_truth_takes_the_place_of_that_part_alone() -> None:
    """Found: 4 cells to the right, straight; true: from (0, 0) down by 6, bent by 1 to the right."""
    mask, start, end = torch.ones(1, 1, 16, 16), torch.zeros(1, 2, 16, 16), torch.zeros(1, 2, 16, 16)
    start[:, 0], end[:, 0], start[:, 1], end[:, 1] = -24.0, 24.0, 8.0, 8.0

    def motions_for(found: tuple[float, float]) -> dict[str, Motion]:
        last = torch.tensor(found).view(1, 2, 1, 1).expand(1, 2, 2, 2)
        return _true_motions(Encoded(torch.zeros(1, 3, 16, 16), None, Motion.of(-last, last)), mask, start, end)

    motions = motions_for((0.0, 2.0))
    ends = {name: (each.start[0, :, 0, 0].tolist(), each.end[0, :, 0, 0].tolist()) for name, each in motions.items()}
    assert ends["with true length"] == ([0, -3], [0, 3])
    assert ends["with true bend"] == ([0, -1], [0, 3])
    assert ends["true but straight"] in (([-3, 0], [3, 0]), ([3, 0], [-3, 0]))
    assert ends["true"] in (([-3, 1], [3, 1]), ([3, 1], [-3, 1]))
    aslant = motions_for((2.0, 2.0))["with true angle"]
    torch.testing.assert_close(aslant.end[0, :, 0, 0], torch.tensor([8**0.5, 0.0]))


def test_the_command_prints_the_table_and_keeps_the_figures(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "oracle.json"
    assert main(f"oracle --data {photos} --model small --limit 1 --device cpu --out {out}".split()) == 0
    rows = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()]
    table = [row for row in rows if len(row) > 2][2:]
    assert [row[1:3] for row in table][:2] == [["found", "found"], ["true", "found"]]
    measured = json.loads(out.read_text())["measurements"]
    assert float(table[0][3]) == pytest.approx(measured[0]["gain_w"], abs=6e-4)
    assert float(table[3][4]) == pytest.approx(measured[3]["gain_w"] - measured[0]["gain_w"], abs=2e-3)


@pytest.mark.parametrize("wrong", ["--limit 0", "--limit -1", "--threshold 5"])
def test_what_measures_nothing_gets_a_sentence(photos: Path, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"oracle --data {photos} --model small --device cpu {wrong}".split()) == 1
    assert "; give " in capsys.readouterr().err


def test_a_network_without_motion_has_masks_alone(photos: Path, tmp_path: Path) -> None:
    config = M2AENetConfig(
        width=4, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), use_motion=False, attention="local"
    )
    save_model(M2AENet(config), tmp_path / "masks.safetensors")
    model = str(tmp_path / "masks.safetensors")
    (figures,) = benchmark_oracle(OracleConfig(data=str(photos), model=model, limit=1, device="cpu"))
    assert [each.mask for each in figures] == ["found", "true", "everywhere"]


def test_a_network_that_takes_no_mask_is_refused(photos: Path, tmp_path: Path) -> None:
    config = M2AENetConfig(
        width=4, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), scales="every", predictor="dynamicvit"
    )
    save_model(M2AENet(config), tmp_path / "every.safetensors")
    model = str(tmp_path / "every.safetensors")
    assert load_model(model).decides_along
    with pytest.raises(InputError, match="takes no mask from others"):
        list(benchmark_oracle(OracleConfig(data=str(photos), model=model, device="cpu")))
