"""Curves of training runs, one alone and several side by side."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2aenet_core.curves import main
from m2aenet_core.training.curves import RunCurves, columns_of, compared_figure


def write_run(folder: Path, steps: int = 30, gain: float = 0.5) -> Path:
    folder.mkdir(parents=True)
    rows = [f"{step},{1 / step},{1 / step},{20 + step / 10},0.001" for step in range(1, steps + 1)]
    (folder / "losses.csv").write_text("\n".join(["step,loss,l1,psnr_db,learning_rate", *rows, ""]))
    rows = [f"{step},{25 + step / 10},{gain * step / steps},nan" for step in (steps // 2, steps)]
    (folder / "metrics.csv").write_text("\n".join(["step,psnr_db,gain_db,mask_iou", *rows, ""]))
    return folder


def test_runs_are_drawn_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(write_run(tmp_path / name)) for name in ("a", "b")]
    out = tmp_path / "new" / "curves.png"
    assert main(["--run", *runs, "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    # PSNR of the samples, PSNR of the validations and gain: two rows of panels
    # and a line of names above them
    assert Image.open(out).size == (1000, 625)


def test_a_run_alone_shows_its_losses_too(tmp_path: Path) -> None:
    out = tmp_path / "curves.png"
    assert main(["--run", str(write_run(tmp_path / "a")), "--out", str(out)]) == 0
    assert Image.open(out).size == (1000, 900)


def test_a_line_for_each_run_and_nothing_for_what_none_has() -> None:
    def columns(values: list[float]) -> dict[str, np.ndarray]:
        return {"step": np.array([1.0, 2.0]), "gain_db": np.array(values), "mask_iou": np.array([np.nan, np.nan])}

    losses = {"step": np.array([1.0, 2.0]), "psnr_db": np.array([20.0, 21.0])}
    figure = compared_figure([RunCurves("a", losses, columns([0, 1])), RunCurves("b", losses, columns([0, 2]))])
    psnr, gain = (axes for axes in figure.axes if axes.axison)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert len(psnr.lines) == 2
    assert [line.get_ydata()[-1] for line in gain.lines] == [1, 2]
    assert "gain" in gain.get_title()


def test_a_run_that_has_not_validated_yet_is_shown(tmp_path: Path) -> None:
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    (second / "metrics.csv").unlink()
    assert main(["--run", str(first), str(second), "--out", str(tmp_path / "curves.png")]) == 0


def test_runs_of_the_same_name_are_told_apart_by_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("m2aenet_core.curves.compared_png", lambda runs: shown.extend(r.name for r in runs) or b"")
    runs = [str(write_run(tmp_path / folder / "run")) for folder in ("a", "b")] + [str(write_run(tmp_path / "c"))]
    assert main(["--run", *runs, "--out", str(tmp_path / "curves.png")]) == 0
    assert shown == [runs[0], runs[1], "c"]


def test_what_cannot_be_shown_gets_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = str(write_run(tmp_path / "a")), str(tmp_path / "curves.png")
    for arguments, words in (
        (["--run", str(tmp_path)], "holds no step of a run"),
        (["--run", run, run], "named twice"),
        (["--run", run, "--out", str(tmp_path / "curves.txt")], "no PNG"),
    ):
        assert main([*arguments, *(["--out", out] if "--out" not in arguments else [])]) == 1
        assert words in capsys.readouterr().err
    assert not Path(out).exists()


def test_a_row_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    with (run / "losses.csv").open("a") as stream:
        stream.write("31,0.5")
    with (run / "metrics.csv").open("a") as stream:
        stream.write("30,26")
    assert main(["--run", str(run), "--out", str(tmp_path / "curves.png")]) == 0


def test_an_empty_figure_is_no_number() -> None:
    assert np.isnan(columns_of([{"step": "1", "loss": ""}])["loss"][0])
