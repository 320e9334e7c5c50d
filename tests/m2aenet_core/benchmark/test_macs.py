"""The table of multiply-adds."""

import json
from pathlib import Path

import pytest

from m2aenet_core.benchmark.macs import NETWORKS, MacsConfig, benchmark_macs, main


def test_every_network_has_its_parameters_and_a_count_for_each_density(tmp_path: Path) -> None:
    out = tmp_path / "macs.json"
    assert main(["--height", "96", "--width", "128", "--densities", "[0.0, 0.3, 1.0]", "--out", str(out)]) == 0
    written = json.loads(out.read_text())
    assert written["densities"] == [0.0, 0.3, 1.0]
    assert list(written["networks"]) == list(NETWORKS)
    for name, count in written["networks"].items():
        least, some, most = count["macs"]
        if name in ("NAFNet", "without mask"):
            assert least == some == most
        else:
            assert least < some < most


def test_the_table_in_the_docs_is_what_the_command_counts(root: Path) -> None:
    page = (root / "docs" / "networks.md").read_text()
    table = page.split("## Multiply-adds at 2152x1436")[1]
    rows = {cells[0]: cells[1:] for line in table.splitlines() if (cells := line.strip("| ").split(" | "))}
    for name, count in benchmark_macs(MacsConfig()).items():
        macs = count["macs"]
        assert isinstance(macs, list)
        assert rows[name][:6] == [f"{each / 1e9:,.1f}" for each in macs]
        assert name not in page.split("##")[0] or f"{count['parameters']:,}" in page


def test_columns_are_called_by_their_densities(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--height", "96", "--width", "128", "--densities", "[0.005, 0.025, 0.07]"]) == 0
    assert "| network | parameters | 0.5% | 2.5% | 7% |" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--height", "0"], ["--densities", "[1.5]"]])
def test_impossible_photos_get_a_sentence(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(wrong) == 1
    assert "a photo has at least one pixel" in capsys.readouterr().err
