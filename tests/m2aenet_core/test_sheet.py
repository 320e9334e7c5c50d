"""Contact sheets of photos whose sharp version nobody knows."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2aenet_core.checkpoint import save_model
from m2aenet_core.errors import InputError
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.sheet import SheetConfig, draw_sheets, main, strongest


@pytest.fixture
def config(tiny_model: M2AENet, photo: np.ndarray, tmp_path: Path) -> SheetConfig:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    Image.fromarray(photo[:90, :120]).save(folder / "a.png")
    Image.fromarray(photo[:90, :120]).convert("L").save(folder / "b.jpg")
    Image.fromarray(photo[50:150, 20:90]).save(folder / "more" / "c.png")
    save_model(tiny_model, tmp_path / "tiny.safetensors")
    model = str(tmp_path / "tiny.safetensors")
    return SheetConfig(str(folder), str(tmp_path / "sheets"), model, device="cpu", rows=2)


def test_every_photo_is_on_a_sheet(config: SheetConfig) -> None:
    written, failures = draw_sheets(config)
    assert failures == []
    assert [path.name for path in written] == ["sheet_01.jpg", "sheet_02.jpg"]
    first, second = (np.asarray(Image.open(io.BytesIO(path.read_bytes()))) for path in written)
    assert first.shape[1] == second.shape[1] == 4 * 280 + 3 * 4
    assert first.shape[0] > second.shape[0]
    # the grey photo stands in the second line, in grey
    line = first[first.shape[0] // 2 + 60 : first.shape[0] // 2 + 160, :280].astype(int)
    assert np.ptp(line, axis=2).mean() < 8
    assert line.std() > 10


def test_a_third_of_a_photo_need_not_have_its_exact_shape(config: SheetConfig, photo: np.ndarray) -> None:
    for path in Path(config.data).rglob("*.*"):
        path.unlink()
    # 188 and 187 pixels high, when they are as wide as a cell
    Image.fromarray(np.resize(photo, (242, 361, 3))).save(Path(config.data) / "odd.png")
    (written,) = draw_sheets(config).files
    assert Image.open(written).height == 2 * 22 + 188


def test_sheets_can_be_made_smaller(config: SheetConfig, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", config.data, "--out", config.out, "--model", config.model, "--device", "cpu"]
    assert main([*words, "--width", "400", "--rows", "3"]) == 0
    path = Path(config.out) / "sheet_01.jpg"
    assert capsys.readouterr().out.strip() == str(path)
    assert Image.open(path).width == 400


def test_a_photo_is_never_replaced_by_a_sheet(config: SheetConfig) -> None:
    precious = Path(config.data) / "sheet_02.jpg"
    (Path(config.data) / "b.jpg").rename(precious)
    before = precious.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"sheet_02\.jpg would replace a photo; choose another folder with --out"):
            draw_sheets(replace(config, out=config.data, overwrite=overwrite))
    assert precious.read_bytes() == before
    assert not (Path(config.data) / "sheet_01.jpg").exists()


def test_older_sheets_are_kept_unless_told_and_are_not_photos(config: SheetConfig) -> None:
    config = replace(config, out=str(Path(config.data) / "sheets"))
    (older,) = draw_sheets(replace(config, rows=3)).files
    before = older.read_bytes()
    with pytest.raises(InputError, match=r"sheet_01\.jpg exists; .* or add --overwrite"):
        draw_sheets(config)
    assert older.read_bytes() == before
    assert len(draw_sheets(replace(config, overwrite=True)).files) == 2
    assert older.read_bytes() != before
    for path in (*Path(config.data).glob("*.*"), *Path(config.data).glob("more/*")):
        path.unlink()
    with pytest.raises(InputError, match="holds no image but those in"):
        draw_sheets(replace(config, overwrite=True))


def test_a_photo_that_cannot_be_read_is_named_and_the_others_are_drawn(
    config: SheetConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(config.data) / "aa.png").write_text("a shopping list")
    (Path(config.data) / "z.jpg").write_bytes(b"")
    words = ["--data", config.data, "--out", config.out, "--model", config.model, "--device", "cpu", "--rows", "2"]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert "error: " + str(Path(config.data) / "aa.png") + " is not a JPEG" in captured.err
    assert "error: " + str(Path(config.data) / "z.jpg") + " is empty" in captured.err
    assert Image.open(Path(config.out) / "sheet_01.jpg").height > Image.open(Path(config.out) / "sheet_02.jpg").height


def test_the_part_that_is_shown_is_where_the_blur_is() -> None:
    probability = np.full((60, 90), 0.2, np.float32)
    probability[40:, 70:] = 0.9
    rows, columns = strongest(probability > 0.5, probability)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (20, 30)
    assert (rows.start, columns.stop) == (40, 90)
    # nothing is blurred: what is likeliest
    rows, columns = strongest(np.zeros((60, 90), bool), probability)
    assert probability[rows, columns].mean() > 0.5
    assert strongest(np.zeros((1, 1), bool), np.zeros((1, 1), np.float32)) == (slice(0, 1), slice(0, 1))


def test_a_sheet_higher_than_a_jpeg_can_be_is_refused_before_any_work(config: SheetConfig) -> None:
    for number in range(300):
        (Path(config.data) / f"{number}.png").touch()
    with pytest.raises(InputError, match=r"may make a sheet higher than a JPEG can be \(65,500 pixels\); give fewer"):
        draw_sheets(replace(config, rows=300))
    assert not Path(config.out).exists()


@pytest.mark.parametrize("wrong", [["--rows", "0"], ["--width", "-1"], ["--quality", "101"]])
def test_settings_that_make_no_sheet_are_refused(
    config: SheetConfig, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", config.data, "--out", config.out, *wrong]) == 1
    assert "rows must be at least 1" in capsys.readouterr().err
    assert not Path(config.out).exists()
