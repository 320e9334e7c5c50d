"""`m2aenet deblur`: what goes in comes back restored, and what cannot be done is said and costs nothing else."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import tifffile
import torch
from PIL import Image
from safetensors.torch import save_file

from m2aenet_core import Deblurrer, M2AENet, M2AENetConfig, NAFNet, deblur_plan, save_model
from m2aenet_core.deblur import main
from m2aenet_core.deblur_files import explain_failure
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import read_image, write_image
from m2aenet_core.trust import measure_trust

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network too small to be good, and real."""
    torch.manual_seed(0)
    config = M2AENetConfig(width=8, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(M2AENet(config), path)
    return path


@pytest.fixture
def run(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Call the command in `tmp_path`: exit code, standard output, standard error. No temporary file may stay behind."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, model: str | None = None) -> tuple[int, str, str]:
        code = main([*arguments, "--model", model or str(weights), "--device", "cpu"])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    yield call
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def photo(height: int = 48, width: int = 64, top: int = 0) -> np.ndarray:
    return skimage.data.astronaut()[top : top + height, 200 : 200 + width]


def write_photo(path: str, **options: int) -> None:
    write_image(path, photo(**options))


KINDS = {
    "grey.png": photo()[..., 0],
    "rgb.png": photo(),
    "rgba.png": np.dstack([photo(), photo()[..., 2]]),
    "deep.png": photo().astype(np.uint16) * 257,
    "deep_rgba.png": np.dstack([photo(), photo()[..., 2]]).astype(np.uint16) * 257,
    "pixel.png": photo(1, 1),
    "line.png": photo(1, 50),
    "photo.jpg": photo(),
    "grey.jpg": photo()[..., 1],
    "photo.webp": photo(),
    "photo.bmp": photo(),
    "deep.tif": photo().astype(np.uint16) * 257,
    "float.tif": (photo() / 255).astype(np.float32),
    "double.tiff": (photo()[..., 0] / 255).astype(np.float64),
    "PHOTO.JPG": photo(),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_photo_comes_back_in_its_own_name_shape_and_dtype(run: Run, tmp_path: Path, name: str) -> None:
    write_image(name, KINDS[name])
    code, out, err = run(name, "-o", "out")
    assert (code, err) == (0, "")
    assert f"{Path('out') / name}: " in out
    assert names(tmp_path / "out") == {name, f"{name}.json"}
    before, after = read_image(name), read_image(Path("out") / name)
    assert (after.format, after.pixels.shape, after.pixels.dtype) == (
        before.format,
        before.pixels.shape,
        before.pixels.dtype,
    )
    if before.pixels.ndim == 3 and before.pixels.shape[2] == 4:
        np.testing.assert_array_equal(after.pixels[..., 3], before.pixels[..., 3])


def test_the_files_hold_what_the_deblurrer_says(run: Run, tmp_path: Path, weights: Path) -> None:
    write_photo("a.png")
    deblurrer = Deblurrer(weights, device="cpu")
    analysis = deblurrer.analyze(photo())
    threshold = float(np.median(analysis.blur_probability))
    result = deblurrer.restore(analysis, threshold)
    assert 0.1 < result.density < 0.9
    saved = ("--save-mask", "--save-probability", "--save-trajectories", "--save-figure")
    code, out, _ = run("a.png", "-o", "out", "--threshold", repr(threshold), *saved)
    assert code == 0
    assert f"{result.density:.1%} blurred, mean displacement" in out
    folder = tmp_path / "out"
    assert names(folder) == {
        "a.png",
        "a.png.json",
        "a_mask.png",
        "a_blur_probability.png",
        "a_trajectories.npz",
        "a_trajectories.png",
        "a_side_by_side.png",
    }
    np.testing.assert_array_equal(read_image(folder / "a.png").pixels, result.restored)
    np.testing.assert_array_equal(read_image(folder / "a_mask.png").pixels, result.mask * 255)
    probability = read_image(folder / "a_blur_probability.png").pixels
    assert probability.dtype == np.uint16
    np.testing.assert_allclose(probability / 65535, analysis.blur_probability, atol=1e-5)
    with np.load(folder / "a_trajectories.npz") as arrays:
        np.testing.assert_array_equal(arrays["start_displacement"], analysis.start_displacement)
        np.testing.assert_array_equal(arrays["end_displacement"], analysis.end_displacement)


def test_the_record_is_enough_to_make_the_photo_again(run: Run, tmp_path: Path) -> None:
    write_photo("a.png")
    run("a.png", "-o", "out", "--threshold", "0.4", "--execution", "exact")
    record = json.loads(Path("out/a.png.json").read_text("utf-8"))
    assert record["settings"]["threshold"] == 0.4
    assert record["settings"]["execution"] == "exact"
    command = [word if word != "out" else "again" for word in record["command"]]
    assert command[:2] == ["m2aenet", "deblur"]
    assert main(command[2:]) == 0
    assert Path("again/a.png").read_bytes() == Path("out/a.png").read_bytes()


def test_a_given_mask_decides_and_an_empty_one_changes_nothing(run: Run) -> None:
    write_photo("a.png")
    half = np.zeros((48, 64), np.uint8)
    write_image("none.png", half)
    half[:, :32] = 1
    write_image("half.png", half)
    assert run("a.png", "-o", "none", "--mask", "none.png", "--save-mask")[0] == 0
    np.testing.assert_array_equal(read_image("none/a.png").pixels, photo())
    assert run("a.png", "-o", "half", "--mask", "half.png", "--save-mask")[0] == 0
    np.testing.assert_array_equal(read_image("half/a_mask.png").pixels, half * 255)
    record = json.loads(Path("half/a.png.json").read_text("utf-8"))
    assert record["settings"]["threshold"] is None
    assert record["settings"]["mask"]["name"] == "half.png"
    assert record["result"]["density"] == 0.5


def test_a_photo_taken_upright_comes_back_upright_with_its_mask(run: Run) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo()).save("lying.jpg", exif=exif, quality=95)
    assert run("lying.jpg", "-o", "out", "--save-mask")[0] == 0
    assert read_image("out/lying_mask.png").pixels.shape == (64, 48)
    with Image.open("out/lying.jpg") as image:
        assert image.size == (48, 64)
        assert image.getexif()[0x0112] == 1


@pytest.fixture
def street(run: Run) -> None:
    """A folder with two photos, another below it, a hidden file and a text."""
    for index, name in enumerate(("street/a.png", "street/b.jpg", "street/night/c.png", "street/.hidden.png")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_photo(name, top=50 * index)
    Path("street/notes.txt").write_text("not a photo")


@pytest.mark.usefixtures("street")
def test_a_folder_gives_its_photos_and_sub_folders_when_asked(run: Run, tmp_path: Path) -> None:
    assert run("street", "-o", "flat")[0] == 0
    assert names(tmp_path / "flat") == {"a.png", "a.png.json", "b.jpg", "b.jpg.json"}
    assert run("street", "-o", "deep", "--recursive")[0] == 0
    assert names(tmp_path / "deep") == names(tmp_path / "flat") | {"night/c.png", "night/c.png.json"}


@pytest.mark.usefixtures("street")
def test_results_inside_the_folder_are_not_taken_for_photos(run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("street", "-o", "street/out", "-r", "--overwrite")[0] == 0
    assert {name for name in names(tmp_path / "street/out") if not name.endswith(".json")} == {
        "a.png",
        "b.jpg",
        "night/c.png",
    }


@pytest.mark.usefixtures("street")
def test_a_photo_named_twice_is_restored_once(run: Run) -> None:
    code, out, _ = run("street/a.png", "street", "street/../street/a.png", "-o", "out")
    assert code == 0
    assert "2 of 2 photos restored" in out


def test_the_format_can_be_changed(run: Run, tmp_path: Path) -> None:
    write_photo("a.jpg")
    write_image("deep.tiff", photo().astype(np.uint16) * 257)
    assert run("a.jpg", "deep.tiff", "-o", "png", "--format", "png")[0] == 0
    assert names(tmp_path / "png") == {"a.png", "a.png.json", "deep.png", "deep.png.json"}
    assert read_image("png/deep.png").pixels.dtype == np.uint16
    assert run("a.jpg", "deep.tiff", "-o", "tif", "--format", "tif")[0] == 0
    assert names(tmp_path / "tif") == {"a.tif", "a.tif.json", "deep.tiff", "deep.tiff.json"}


def test_nothing_is_overwritten_unless_told_and_that_is_said_before_any_work(run: Run, tmp_path: Path) -> None:
    write_photo("a.png")
    write_photo("b.png", top=100)
    Path("out").mkdir()
    Path("out/b.png.json").write_text("older")
    code, out, err = run("a.png", "b.png", "-o", "out")
    assert (code, out) == (1, "")
    assert err == f"error: {Path('out/b.png.json')} exists; choose another folder with -o, or add --overwrite\n"
    assert names(tmp_path / "out") == {"b.png.json"}
    Path("out/b.png").write_text("older")
    assert f"error: {Path('out/b.png')} (and 1 more) exists; " in run("a.png", "b.png", "-o", "out")[2]
    assert run("a.png", "b.png", "-o", "out", "--overwrite")[0] == 0
    assert json.loads(Path("out/b.png.json").read_text("utf-8"))["source"]["name"] == "b.png"


@pytest.mark.parametrize(
    ("first", "second", "options"),
    [
        ("one/a.png", "two/a.png", []),
        ("one/a.png", "one/a.jpg", ["--save-mask"]),
        ("one/a.png", "one/a.jpg", ["--format", "png"]),
    ],
)
def test_two_photos_with_one_output_are_both_named(run: Run, first: str, second: str, options: list[str]) -> None:
    write_photo(first)
    write_photo(second)
    code, _, err = run(first, second, "-o", "out", *options)
    assert code == 1
    assert f"{Path(first)} and {Path(second)} would both be written to" in err
    assert not Path("out").exists()


def test_an_input_is_never_replaced(run: Run) -> None:
    write_photo("a.png")
    write_image("a_mask.png", np.zeros((48, 64), np.uint8))
    for arguments in (
        ["a.png", "-o", "."],
        ["a.png", "-o", ".", "--format", "tif", "--save-mask", "--mask", "a_mask.png"],
    ):
        before = {name: Path(name).read_bytes() for name in names(Path())}
        code, _, err = run(*arguments, "--overwrite")
        assert code == 1
        assert "would replace an input; choose another output folder (-o)" in err
        assert {name: Path(name).read_bytes() for name in names(Path())} == before


def test_an_input_by_another_name_is_not_replaced_either(run: Run) -> None:
    write_photo("in/a.png")
    Path("out").mkdir()
    # a stand-in for a folder that is mounted twice, and for a disk that takes capitals for small letters
    os.link("in/a.png", "out/a.png")
    code, _, err = run("in/a.png", "-o", "out", "--overwrite")
    assert code == 1
    assert "would replace an input; choose another output folder (-o)" in err


def test_names_that_differ_in_capitals_are_one_where_the_disk_says_so(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photo("one/A.png")
    write_photo("two/a.png")
    monkeypatch.setattr(deblur_plan, "require_writable", lambda target: False)
    code, _, err = run("one/A.png", "two/a.png", "-o", "out")
    assert code == 1
    assert "would both be written to" in err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    if not (tmp_path / "one" / "a.png").exists():
        assert run("one/A.png", "two/a.png", "-o", "out")[0] == 0
        assert {"A.png", "a.png"} <= names(tmp_path / "out")


def make_bad_file(name: str) -> None:
    write_photo("whole.png")
    write_photo("whole.jpg")
    floats = np.full((48, 64), 0.5, np.float32)
    match name:
        case "cut.png" | "cut.jpg":
            whole = Path(f"whole{Path(name).suffix}").read_bytes()
            Path(name).write_bytes(whole[: len(whole) // 2])
        case "text.jpg":
            Path(name).write_text("a shopping list")
        case "empty.png":
            Path(name).touch()
        case "folder.png":
            Path(name).mkdir()
        case "nan.tif" | "infinity.tif":
            floats[3, 4] = np.nan if name == "nan.tif" else np.inf
            tifffile.imwrite(name, floats)
        case "stack.tif":
            tifffile.imwrite(name, np.stack([floats, floats]), photometric="minisblack")
        case "notes.txt":
            Path(name).write_text("not a photo")


BAD_FILES = {
    "missing.jpg": "missing.jpg does not exist; check its name",
    "no_folder": "no_folder does not exist; check its name",
    "cut.png": "cut.png is damaged or cut short (",
    "cut.jpg": "cut.jpg is damaged or cut short (",
    "text.jpg": "text.jpg is not a JPEG, PNG, TIFF, WebP or BMP image; save it as one of these",
    "empty.png": "empty.png is empty (0 bytes); copy it again from where it came",
    "folder.png": "folder.png holds no photos (",
    "nan.tif": "nan.tif: the image holds NaN or infinity; ",
    "infinity.tif": "infinity.tif: the image holds NaN or infinity; ",
    "stack.tif": "stack.tif holds 2 pages, and a photo has one; save each page as a file of its own",
    "notes.txt": "notes.txt does not end like an image file; use one of .jpg, ",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_named_and_the_others_are_done(run: Run, tmp_path: Path, name: str) -> None:
    make_bad_file(name)
    write_photo("good.png")
    write_photo("later.png")
    code, out, err = run("good.png", name, "later.png", "-o", "out")
    assert code == 1
    assert f"error: {BAD_FILES[name]}" in err
    assert "2 of 3 photos restored into out; 1 failed:\n" in err
    assert err.count(BAD_FILES[name]) == 2  # when it happens, and at the end
    assert out.count("% blurred") == 2
    assert names(tmp_path / "out") == {"good.png", "good.png.json", "later.png", "later.png.json"}


def test_a_mask_of_another_size_fails_for_the_photos_it_does_not_fit(run: Run, tmp_path: Path) -> None:
    write_photo("a.png")
    write_photo("wide.png", width=80)
    write_image("mask.png", np.full((48, 64), 255, np.uint8))
    code, _, err = run("a.png", "wide.png", "-o", "out", "--mask", "mask.png")
    assert code == 1
    assert "wide.png: mask is 48x64 but the image is 48x80; resize one of them" in err
    assert names(tmp_path / "out") == {"a.png", "a.png.json"}


def test_a_mask_that_cannot_be_read_is_said_before_any_work(run: Run) -> None:
    write_photo("a.png")
    code, _, err = run("a.png", "-o", "out", "--mask", "no.png")
    assert (code, err) == (1, "error: no.png does not exist; check its name\n")
    assert not Path("out").exists()


def test_pixels_that_the_format_cannot_hold_are_said(run: Run) -> None:
    write_image("float.tif", (photo() / 255).astype(np.float32))
    code, _, err = run("float.tif", "-o", "out", "--format", "png")
    assert code == 1
    assert f"float.tif: {Path('out/float.png')} cannot hold float32 pixels; write them as TIFF" in err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--threshold", "1.5"], "argument --threshold: 1.5 is not between 0 and 1; the usual threshold is 0.5"),
        (["--threshold=-0.1"], "argument --threshold: -0.1 is not between 0 and 1"),
        (["--threshold", "nan"], "argument --threshold: nan is not between 0 and 1"),
        (["--threshold", "half"], "argument --threshold: 'half' is not a number; give one between 0 and 1"),
        (["--threshold", "0.5", "--mask", "m.png"], "argument --mask: not allowed with argument --threshold"),
        (["--format", "gif"], "argument --format: invalid choice"),
        (["--tile-px", "0"], "argument --tile-px: '0' is not a number of pixels"),
        (["--scale", "2"], "argument --scale: 2 is not above 0 and up to 1; give one such as 0.5"),
        (["--scale", "half"], "argument --scale: 'half' is neither a number nor auto"),
        (["-o", ""], "argument -o/--out: an empty text names no file or folder"),
        (["--treshold", "0.5"], "unrecognized arguments: --treshold"),
    ],
)
def test_wrong_usage_is_explained_and_gives_2(run: Run, arguments: list[str], sentence: str) -> None:
    write_photo("a.png")
    code, _, err = run("a.png", "-o", "out", *arguments)
    assert code == 2
    assert sentence in err
    assert not Path("out").exists()


def test_no_input_and_no_folder_are_wrong_usage(run: Run) -> None:
    assert run("-o", "out")[0] == 2
    assert run("a.png")[0] == 2
    code, _, err = run("", "-o", "out")
    assert code == 2
    assert "argument INPUT: an empty text names no file or folder; write . for the current folder" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--device", "abacus"], "error: there is no device 'abacus' here; choose one of auto, "),
        (["--execution", "slow"], "error: there is no execution 'slow'; choose one of auto, exact, adaptive, dense"),
        (["--precision", "exact"], "error: there is no precision 'exact'; choose one of "),
    ],
)
def test_an_unknown_choice_gets_a_sentence(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    source, out = tmp_path / "a.png", tmp_path / "out"
    write_photo(str(source))
    assert main([str(source), "-o", str(out), "--model", str(weights), *arguments]) == 1
    assert sentence in capsys.readouterr().err
    assert not out.exists()


def test_a_checked_result_is_said_not_to_explain_its_photo(run: Run, changing_weights: Path) -> None:
    write_photo("a.png")
    write_image("m.png", np.full((48, 64), 255, np.uint8))
    code, out, _ = run("a.png", "-o", "out", "--mask", "m.png", "--check", model=str(changing_weights))
    assert code == 0
    check = json.loads(Path("out/a.png.json").read_text("utf-8"))["check"]
    result = Deblurrer(changing_weights, device="cpu")(photo(), mask=np.ones((48, 64), bool))
    trust = measure_trust(result)
    assert check["psnr_restored"] == pytest.approx(trust.explanation.psnr_restored)
    assert check["explained"] == pytest.approx(trust.explanation.explained)
    assert check["is_doubtful"] is True
    assert f". {check['verdict']}\n" in out


def test_without_being_asked_nothing_is_checked(run: Run) -> None:
    write_photo("a.png")
    _, out, _ = run("a.png", "-o", "out")
    assert "check" not in json.loads(Path("out/a.png.json").read_text("utf-8"))
    assert "xplained" not in out


def test_a_network_without_motion_cannot_be_checked(run: Run, tmp_path: Path) -> None:
    save_model(NAFNet(4, (1, 1, 1, 1), 1, (1, 1, 1, 1)), tmp_path / "plain.safetensors")
    write_photo("a.png")
    code, _, err = run("a.png", "-o", "out", "--check", model="plain.safetensors")
    assert code == 1
    assert "finds no motion; leave --check out" in err


def test_long_blur_is_worked_at_in_a_smaller_copy(run: Run, changing_weights: Path) -> None:
    write_image("photo.png", photo())
    outputs = {}
    for scale in ("1", "0.5", "auto"):
        code, said, _ = run("photo.png", "-o", scale, "--scale", scale, "--threshold", "0", model=str(changing_weights))
        assert code == 0
        assert ("at scale 0.5" in said) == (scale == "0.5")
        record = json.loads(Path(scale, "photo.png.json").read_text())
        # a photo of 48 pixels is too small to be looked at in a smaller copy
        assert record["settings"]["scale"] == (0.5 if scale == "0.5" else 1.0)
        outputs[scale] = read_image(Path(scale, "photo.png")).pixels
    assert np.array_equal(outputs["auto"], outputs["1"])
    assert (outputs["0.5"] != outputs["1"]).any()


def test_black_and_white_can_be_told(run: Run) -> None:
    write_image("dark.tif", photo().astype(np.uint16))
    assert run("dark.tif", "-o", "out", "--value-range", "0", "4095")[0] == 0
    assert json.loads(Path("out/dark.tif.json").read_text("utf-8"))["image"]["value_range"] == [0.0, 4095.0]
    code, _, err = run("dark.tif", "-o", "no", "--value-range", "5", "5")
    assert code == 1
    assert "dark.tif: value_range is 5.0 to 5.0; give black first, then a larger white" in err


def bad_weights(name: str, weights: Path) -> str:
    match name:
        case "pickle.pt":
            Path(name).write_bytes(pickle.dumps({"weight": [1.0]}))
        case "archive.pt":
            torch.save({"weight": torch.zeros(2)}, name)
        case "cut.safetensors":
            Path(name).write_bytes(weights.read_bytes()[:-1000])
        case "other.safetensors":
            save_file({"weight": torch.zeros(2)}, name)
    return name


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pickle.pt", "pickle.pt is a pickle, which can run code when it is opened; convert it to .safetensors"),
        ("archive.pt", "archive.pt is a pickle, which can run code when it is opened; convert it to .safetensors"),
        ("cut.safetensors", "cut.safetensors is not a whole .safetensors file; get it again"),
        ("other.safetensors", "other.safetensors holds the weights of another model; give a file written by this"),
        ("nowhere", "there are no weights called nowhere; give one of default"),
    ],
)
def test_weights_that_are_none_get_a_sentence(run: Run, weights: Path, name: str, sentence: str) -> None:
    write_photo("a.png")
    code, _, err = run("a.png", "-o", "out", model=bad_weights(name, weights))
    assert code == 1
    assert err.startswith(f"error: {sentence}")
    assert err.count("\n") == 1
    assert not Path("out").exists()


def test_a_folder_that_cannot_be_written_is_said_before_any_work(run: Run, tmp_path: Path) -> None:
    write_photo("a.png")
    Path("file").write_bytes(b"")
    folders = ["file", "file/sub/out"]
    if Path("/proc/self").exists():
        folders.append("/proc/out")
    for folder in folders:
        code, out, err = run("a.png", "-o", folder)
        assert (code, out) == (1, "")
        assert err.startswith(f"error: {Path(folder) / 'a.png'} was not written because ")
        assert err.endswith("; choose another folder\n")
    assert names(tmp_path) == {"a.png", "file"}


PROGRAM = "import sys; from m2aenet_core.cli import main; sys.exit(main())"


def test_a_photo_over_the_file_size_limit_leaves_nothing_and_the_others_are_done(tmp_path: Path, weights: Path) -> None:
    pytest.importorskip("resource", reason="file size limits are a POSIX matter")
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    write_image(tmp_path / "big.png", noise)
    write_image(tmp_path / "small.png", photo(16, 16))
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); {PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-c", limited, "deblur", "big.png", "small.png", "-o", "out", "--model", str(weights)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "out/big.png was not written because it is larger than a file may be here" in done.stderr
    assert "Traceback" not in done.stderr
    assert names(tmp_path / "out") == {"small.png", "small.png.json"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB, where one can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_nothing_half_written_and_the_others_are_done(run: Run, small_disk: Path) -> None:
    write_image("big.png", np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
    write_image("small.png", photo(16, 16))
    code, _, err = run("big.png", "small.png", "-o", str(small_disk))
    assert code == 1
    assert f"{small_disk / 'big.png'} was not written because the disk is full; free some space and run again" in err
    assert names(small_disk) == {"small.png", "small.png.json"}


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent in another way there")
def test_ctrl_c_stops_with_a_sentence_and_whole_files(tmp_path: Path, weights: Path) -> None:
    for index in range(200):
        write_image(tmp_path / f"in/{index:03}.png", photo(200, 200))
    command = [sys.executable, "-c", PROGRAM, "deblur", "in", "-o", "out", "--model", str(weights), "--save-mask"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "out/000.png.json").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; files that were finished are whole" in err
    assert "Traceback" not in err
    written = names(tmp_path / "out")
    assert not [name for name in written if name.startswith(".")]
    records = [name for name in written if name.endswith(".json")]
    assert 0 < len(records) < 200
    for name in records:  # where the record is, all files are
        outputs = json.loads((tmp_path / "out" / name).read_text("utf-8"))["outputs"].values()
        assert len(outputs) == 3
        assert written.issuperset(outputs)


@pytest.mark.parametrize("name", ["фото ü 写.png", os.fsdecode(b"\xff.png")], ids=["letters", "bytes"])
def test_a_name_that_cannot_be_printed_costs_nothing(tmp_path: Path, weights: Path, name: str) -> None:
    try:
        write_image(tmp_path / "in" / name, photo(16, 16))
    except (OSError, InputError, UnicodeError):
        pytest.skip("this file system has no such names")
    write_image(tmp_path / "in/later.png", photo(16, 16))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "deblur", "in", "-o", "out", "--model", str(weights), "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert names(tmp_path / "out") == {name, f"{name}.json", "later.png", "later.png.json"}
    record = json.loads((tmp_path / "out" / f"{name}.json").read_text("utf-8"))
    assert record["source"]["name"] == name


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that may not be looked into; of root, who may look everywhere, the system's answers are made up."""
    write_photo("locked/inside.png")
    folder = Path("locked").absolute()
    folder.chmod(0)
    if os.access(folder, os.R_OK | os.X_OK):

        def refusing(call: Callable[..., object], *, of_itself: bool) -> Callable[..., object]:
            def answer(path: object, *rest: object, **options: object) -> object:
                at = Path(str(path)).absolute() if isinstance(path, str | os.PathLike) else Path()
                if folder in at.parents or (of_itself and at == folder):
                    raise PermissionError(errno.EACCES, "Permission denied", str(path))
                return call(path, *rest, **options)

            return answer

        for name, of_itself in (("stat", False), ("scandir", True)):
            monkeypatch.setattr(os, name, refusing(getattr(os, name), of_itself=of_itself))
    yield folder
    monkeypatch.undo()
    folder.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter there")
@pytest.mark.parametrize(
    ("inputs", "named"),
    [(["locked"], "locked"), (["locked/inside.png"], "locked/inside.png"), ([".", "-r"], "./locked")],
)
def test_what_may_not_be_read_is_named_and_the_others_are_done(
    run: Run, locked: Path, inputs: list[str], named: str
) -> None:
    write_photo("a.png")
    code, _, err = run("a.png", *inputs, "-o", "out")
    assert code == 1
    assert err.count(f"{named} cannot be read (Permission denied); check its permissions") == 2
    assert names(Path("out")) == {"a.png", "a.png.json"}


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter there")
def test_an_output_folder_that_may_not_be_looked_into_is_said(run: Run, locked: Path) -> None:
    write_photo("a.png")
    code, _, err = run("a.png", "-o", "locked")
    assert code == 1
    assert err.startswith("error: locked/a.png was not written because the folder locked is not writable; choose")


def test_an_unforeseen_failure_is_reported_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise RuntimeError("a bug")
    except RuntimeError as error:
        sentence = explain_failure(Path("a.png"), error)
    assert sentence == "a.png failed for a reason that was not foreseen (RuntimeError: a bug); please report it"
    assert "RuntimeError: a bug" in capsys.readouterr().err
    for too_large in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory")):
        assert explain_failure(Path("a.png"), too_large).startswith("a.png does not fit into the memory; ")
    assert capsys.readouterr().err == ""
