"""`m2aenet synthesize`, from the command line to the files."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from m2aenet_core import synthesize as command
from m2aenet_core.cli import main
from m2aenet_core.data.pairs import read_pairs
from m2aenet_core.data.render import MIN_PATH_PX
from m2aenet_core.synthesis.set_folder import SampleFiles, SetFolder, read_sample

SMALL = ["--blur.object_px", "[24,60]", "--blur.path_px", "[4,12]", "--device", "cpu"]
LOCAL = ["--blur.still_share", "0", "--blur.shake_share", "0"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    Image.fromarray(skimage.data.astronaut()[:120, :160]).save(folder / "a.png")
    Image.fromarray(skimage.data.chelsea()[50:170, 100:280]).save(folder / "deep" / "b.png")
    return folder


@pytest.fixture
def make(photos: Path, tmp_path: Path) -> Callable[..., int]:
    def run(*words: str, out: str = "set") -> int:
        return main(["synthesize", str(photos), "-o", str(tmp_path / out), *SMALL, *words])

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def pixels_of(folder: Path) -> dict[str, bytes]:
    """All but what names the folder and the time."""
    return {name: content for name, content in contents(folder).items() if not name.endswith(".yaml")}


def test_a_set_has_the_layout_of_reloblur(make: Callable[..., int], tmp_path: Path) -> None:
    assert make() == 0
    assert sorted(contents(tmp_path / "set")) == [
        "dataset/train/s01/01/0001_blur.png",
        "dataset/train/s01/01/0001_sharp.png",
        "dataset/train/s02/01/0002_blur.png",
        "dataset/train/s02/01/0002_sharp.png",
        "displacement/train/s01/01/0001.npz",
        "displacement/train/s02/01/0002.npz",
        "masks/train/s01/01/0001.png",
        "masks/train/s02/01/0002.png",
        "records/train/s01/01/0001.json",
        "records/train/s02/01/0002.json",
        "train.csv",
        "train.json",
        "train.yaml",
        "train_preview.png",
    ]
    for root in (tmp_path / "set", tmp_path / "set" / "dataset"):
        pairs = read_pairs(root, "train")
        assert [pair.name for pair in pairs] == ["s01/01/0001", "s02/01/0002"]
        assert all(pair.mask is not None and pair.mask.is_file() for pair in pairs)


def test_the_files_of_a_sample_agree(make: Callable[..., int], tmp_path: Path) -> None:
    assert make(*LOCAL, "--samples", "4") == 0
    folder = SetFolder(tmp_path / "set", "train")
    for number, (scene, take) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        sample = read_sample(folder.files(scene, take, number))
        height, width = sample.mask.shape
        assert sample.blur.shape == sample.sharp.shape == (height, width, 3)
        assert sample.start.shape == sample.end.shape == (height, width, 2)
        assert sample.mask.any()
        assert np.array_equal(sample.blur[~sample.mask], sample.sharp[~sample.mask])
        assert not np.array_equal(sample.blur, sample.sharp)
        moved = np.hypot(*np.moveaxis(sample.end - sample.start, -1, 0))
        assert moved[~sample.mask].max() == 0
        assert moved[sample.mask].max() > MIN_PATH_PX
        assert sample.record["blurred_share"] == pytest.approx(sample.mask.mean(), abs=1e-3)
        assert sample.record["longest_path_px"] == pytest.approx(moved.max(), abs=0.05)
        assert (sample.record["height"], sample.record["width"]) == (height, width)


def test_whole_photos_come_as_they_are_but_for_the_blur(make: Callable[..., int], photos: Path, tmp_path: Path) -> None:
    plain = ["tone", "soft", "defocus", "highlight", "jpeg"]
    shares = [word for name in plain for word in (f"--blur.{name}_share", "0")]
    assert make(*LOCAL, *shares, "--blur.noise", "0") == 0
    sample = read_sample(SetFolder(tmp_path / "set", "train").files(0, 0, 0))
    photo = np.asarray(Image.open(photos / "a.png"))
    assert sample.blur.shape == photo.shape
    assert np.abs(sample.blur.astype(int) - photo)[~sample.mask].mean() < 0.5


def test_the_same_command_again_changes_nothing(make: Callable[..., int], tmp_path: Path) -> None:
    assert make() == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set" / "dataset").rglob("*.png")}
    first = contents(tmp_path / "set")
    assert make() == 0
    assert contents(tmp_path / "set") == first
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_set_that_was_stopped_is_completed_to_the_same_files(
    make: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make("--samples", "4", out="whole") == 0
    write, written = command.write_sample, []

    def stopped(files: SampleFiles, *sample: object) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(files)
        write(files, *sample)

    monkeypatch.setattr(command, "write_sample", stopped)
    assert make("--samples", "4") == 130
    left = contents(tmp_path / "set")
    assert len([name for name in left if name.endswith("_blur.png")]) == 2
    assert not [name for name in left if ".tmp" in name]
    monkeypatch.undo()
    assert make("--samples", "4") == 0
    assert pixels_of(tmp_path / "set") == pixels_of(tmp_path / "whole")


def test_a_sample_with_a_file_missing_is_made_again(make: Callable[..., int], tmp_path: Path) -> None:
    assert make() == 0
    first = contents(tmp_path / "set")
    (tmp_path / "set" / "masks" / "train" / "s02" / "01" / "0002.png").unlink()
    assert make() == 0
    assert contents(tmp_path / "set") == first


def test_more_samples_add_to_a_set(make: Callable[..., int], tmp_path: Path) -> None:
    assert make("--samples", "1") == 0
    first = (tmp_path / "set" / "dataset" / "train" / "s01" / "01" / "0001_blur.png").read_bytes()
    assert make("--samples", "3") == 0
    assert (tmp_path / "set" / "dataset" / "train" / "s01" / "01" / "0001_blur.png").read_bytes() == first
    assert (tmp_path / "set" / "dataset" / "train" / "s01" / "02" / "0003_blur.png").is_file()
    with (tmp_path / "set" / "train.csv").open(newline="") as stream:
        assert [row["number"] for row in csv.DictReader(stream)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--seed", "1"], "seed was 0 and is 1"),
        (["--blur.noise", "0.1"], "blur.noise was 0.012 and is 0.1"),
        (["--crops"], "crops was false and is true"),
    ],
)
def test_a_set_made_with_other_settings_is_left_alone(
    make: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert make("--samples", "1") == 0
    first = contents(tmp_path / "set")
    assert make("--samples", "1", *words) == 1
    assert sentence in capsys.readouterr().err
    assert contents(tmp_path / "set") == first


def test_photos_that_changed_make_another_set(
    make: Callable[..., int], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make("--samples", "1") == 0
    Image.fromarray(skimage.data.coffee()[:100, :100]).save(photos / "c.png")
    assert make("--samples", "1") == 1
    assert "photos was" in capsys.readouterr().err


def test_splits_lie_beside_each_other_with_samples_of_their_own(make: Callable[..., int], tmp_path: Path) -> None:
    assert make("--samples", "1") == 0
    assert make("--samples", "1", "--split", "test") == 0
    files = contents(tmp_path / "set")
    names = [f"dataset/{split}/s01/01/0001_blur.png" for split in ("train", "test")]
    assert files[names[0]] != files[names[1]]
    assert len(read_pairs(tmp_path / "set", "test")) == 1


def test_the_written_settings_repeat_the_set(make: Callable[..., int], tmp_path: Path) -> None:
    assert make("--samples", "2", "--seed", "7", *LOCAL) == 0
    again = ["synthesize", "--config", str(tmp_path / "set" / "train.yaml"), "-o", str(tmp_path / "again")]
    assert main(again) == 0
    assert pixels_of(tmp_path / "again") == pixels_of(tmp_path / "set")


def test_crops_have_one_size_and_come_in_scenes_of_a_hundred(make: Callable[..., int], tmp_path: Path) -> None:
    assert make("--crops", "--blur.crop_px", "64", "--samples", "3", "--blur.shake_share", "1") == 0
    folder = SetFolder(tmp_path / "set", "train")
    for number in range(3):
        assert read_sample(folder.files(0, number, number)).blur.shape == (64, 64, 3)
    assert json.loads(folder.files(0, 0, 0).record.read_bytes())["photo"] in {"a.png", "deep/b.png"}


def test_the_table_tells_what_moves_in_place_and_what_is_made_of_frames(
    make: Callable[..., int], tmp_path: Path
) -> None:
    blur = ["--blur.in_place_share", "1", "--blur.encoded_share", "1", "--blur.few_frames_share", "1"]
    assert make(*LOCAL, *blur, "--blur.few_frames", "[5,5]") == 0
    with (tmp_path / "set" / "train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["moves_in_place"] for row in rows] == ["True", "True"]
    assert [row["camera_moves"] for row in rows] == ["False", "False"]
    assert [row["objects"] for row in rows] == ["0", "0"]
    assert [(row["is_encoded"], row["instants"]) for row in rows] == [("True", "5"), ("True", "5")]
    assert all(float(row["longest_path_px"]) > 1.5 for row in rows)


def test_large_photos_are_shrunk_first(make: Callable[..., int], tmp_path: Path) -> None:
    assert make("--longest-px", "100", *LOCAL) == 0
    sample = read_sample(SetFolder(tmp_path / "set", "train").files(0, 0, 0))
    assert sample.blur.shape == (75, 100, 3)


@pytest.fixture
def bad_photos(photos: Path) -> Path:
    Image.fromarray(skimage.data.coffee()[:40, :90]).save(photos / "c.png")
    (photos / "d.jpg").write_bytes(b"no photo")
    return photos


def test_all_bad_files_are_named_before_anything_is_written(
    make: Callable[..., int], bad_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cutouts = tmp_path / "cutouts"
    cutouts.mkdir()
    assert make(*LOCAL) == 1
    told = capsys.readouterr().err
    assert "c.png: is 90x40; made blur needs photos of at least 64 pixels" in told
    assert "d.jpg: " in told
    assert "--skip-bad" in told
    assert not (tmp_path / "set").exists()
    (cutouts / "e.png").touch()
    (cutouts / "f.png").touch()
    assert make("--skip-bad", "--cutouts", str(cutouts), *LOCAL) == 1
    assert "nothing is left: each of the 2 samples" in capsys.readouterr().err


def test_bad_photos_can_be_left_out(
    make: Callable[..., int], bad_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make("--skip-bad", *LOCAL) == 0
    assert "2 of 4 samples are left out: 1 too small, 1 unreadable" in capsys.readouterr().err
    with (tmp_path / "set" / "train.csv").open(newline="") as file:
        assert {row["photo"] for row in csv.DictReader(file)} == {"a.png", "deep/b.png"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--samples", "0"], "give at least 1"),
        (["--seed", "-1"], "seed is -1; give 0 or more"),
        (["--blur.shake_share", "2"], "give a share between 0 and 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    make: Callable[..., int], capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert make(*words) in (1, 2)
    assert sentence in capsys.readouterr().err


def test_a_set_that_lies_among_its_photos_can_be_completed(make: Callable[..., int], photos: Path) -> None:
    assert make("--out", str(photos / "set"), "--samples", "1") == 0
    assert make("--out", str(photos / "set"), "--samples", "2") == 0
    assert len(list((photos / "set").rglob("*_blur.png"))) == 2


def test_without_previews_there_is_no_picture(make: Callable[..., int], tmp_path: Path) -> None:
    assert make("--samples", "1", "--previews", "0") == 0
    assert not list((tmp_path / "set").glob("*preview*"))
