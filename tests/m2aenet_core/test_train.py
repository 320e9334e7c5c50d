"""Tiny real runs: what they leave, how they go on, what they refuse."""

import csv
import dataclasses
import math
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from m2aenet_core.checkpoint import load_model, read_metadata, save_model
from m2aenet_core.data.synthetic import MadeBlurConfig
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import InputError
from m2aenet_core.losses import LossConfig
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.options import recipe_names
from m2aenet_core.train import TrainConfig, learning_rate_at, main, make_sources, parse, train

ONE_BLOCK = M2AENetConfig(width=4, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import skimage.data

    folder = tmp_path_factory.mktemp("photos")
    for name in ("chelsea", "astronaut"):
        Image.fromarray(getattr(skimage.data, name)()[50:150, 100:220]).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def config(photos: Path, tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        data=str(photos),
        out=str(tmp_path / "run"),
        model=ONE_BLOCK,
        blur=MadeBlurConfig(crop_px=32, object_px=(12, 24), path_px=(4, 8), still_share=0),
        steps=4,
        batch_size=2,
        workers=0,
        accelerator="cpu",
        validate_every=2,
        save_every=2,
        validation_samples=2,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same_weights(ours: Path, theirs: Path) -> None:
    first, second = load_file(ours), load_file(theirs)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


# -- what a run leaves ----------------------------------------------------------------------------------------------


def test_a_run_leaves_its_config_figures_preview_checkpoint_and_weights(config: TrainConfig, photo: np.ndarray) -> None:
    final, out = train(config), Path(config.out)
    assert final == out / "final.safetensors"
    names = {path.name for path in out.iterdir()}
    assert names == {
        "config.yaml",
        "metrics.csv",
        "tensorboard",
        "preview.png",
        "last.ckpt",
        "best.safetensors",
        "final.safetensors",
    }
    with (out / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    assert Image.open(out / "preview.png").size == (5 * 32, 2 * 32)
    for name in ("best.safetensors", "final.safetensors"):
        assert load_model(out / name).config == ONE_BLOCK
        assert '"steps": ' in read_metadata(out / name)["training"]
        assert Deblurrer(out / name, device="cpu")(photo[:40, :50]).restored.shape == (40, 50, 3)


def test_the_config_of_a_run_starts_the_same_run_again(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    assert parse(["--config", str(Path(config.out) / "config.yaml")]) == replace(config, steps=1)


def test_training_changes_every_weight(config: TrainConfig) -> None:
    torch.manual_seed(config.seed)
    before = M2AENet(config.model).state_dict()
    after = load_file(train(config))
    unchanged = [name for name, value in before.items() if torch.equal(value, after[name])]
    assert unchanged == []


def test_the_seed_decides_the_run(config: TrainConfig, tmp_path: Path) -> None:
    one = replace(config, steps=1)
    first, same, other = (
        train(replace(one, out=str(tmp_path / name), seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert_same_weights(first, same)
    assert not torch.equal(load_file(first)["intro.weight"], load_file(other)["intro.weight"])


# -- stopping and going on ------------------------------------------------------------------------------------------


def test_a_run_that_was_stopped_and_resumed_ends_with_the_weights_of_one_that_was_not(
    config: TrainConfig, tmp_path: Path
) -> None:
    uninterrupted = train(replace(config, out=str(tmp_path / "uninterrupted")))
    stopped = [train(replace(config, max_time_s=0)) for _ in range(2)]
    assert [path.name for path in stopped] == ["last.safetensors"] * 2
    assert torch.load(Path(config.out) / "last.ckpt", weights_only=True)["step"] == 2
    resumed = train(config)
    assert resumed.name == "final.safetensors"
    assert_same_weights(resumed, uninterrupted)
    ours, theirs = (torch.load(path.parent / "last.ckpt", weights_only=True) for path in (resumed, uninterrupted))
    for name, value in theirs["model"].items():
        assert torch.equal(ours["model"][name], value), name


def test_ctrl_c_keeps_what_was_learned(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uninterrupted = train(replace(config, out=str(tmp_path / "uninterrupted"), validate_every=99, save_every=99))
    steps = 0

    def interrupted(step: int, config: TrainConfig) -> float:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise KeyboardInterrupt
        return learning_rate_at(step, config)

    with monkeypatch.context() as patched:
        patched.setattr("m2aenet_core.train.learning_rate_at", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(replace(config, validate_every=99, save_every=99))
    assert torch.load(Path(config.out) / "last.ckpt", weights_only=True)["step"] == 2
    assert_same_weights(train(replace(config, validate_every=99, save_every=99)), uninterrupted)


def test_a_finished_run_is_not_trained_again(config: TrainConfig) -> None:
    first = load_file(train(config))
    metrics = (Path(config.out) / "metrics.csv").read_bytes()
    again = load_file(train(config))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert (Path(config.out) / "metrics.csv").read_bytes() == metrics


def test_more_steps_carry_a_finished_run_on(config: TrainConfig) -> None:
    train(replace(config, steps=2))
    train(config)
    assert torch.load(Path(config.out) / "last.ckpt", weights_only=True)["step"] == 4


@pytest.mark.parametrize(
    "content",
    [b"", b"no checkpoint at all", b"PK\x03\x04cut", b"\x80\x02cut", None],
    ids=["empty", "text", "zip", "pickle", "half"],
)
def test_a_damaged_checkpoint_gets_a_sentence_and_is_left_as_it_is(config: TrainConfig, content: bytes | None) -> None:
    train(replace(config, steps=1))
    path = Path(config.out) / "last.ckpt"
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    before = contents(Path(config.out))
    with pytest.raises(InputError, match=r"last\.ckpt is damaged or no checkpoint; remove it, or choose another --out"):
        train(config)
    assert contents(Path(config.out)) == before


def test_a_file_of_other_things_is_no_checkpoint(config: TrainConfig) -> None:
    Path(config.out).mkdir()
    for content in ([1, 2], {"model": 3}, {}):
        torch.save(content, Path(config.out) / "last.ckpt")
        with pytest.raises(
            InputError, match=r"last\.ckpt is not a checkpoint of this network .*; choose another --out"
        ):
            train(config)


def test_the_checkpoint_of_another_network_gets_a_sentence_and_is_left_as_it_is(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    before = contents(Path(config.out))
    with pytest.raises(InputError, match=r"last\.ckpt is not a checkpoint of this network"):
        train(replace(config, model=replace(ONE_BLOCK, middle_blocks=2)))
    assert contents(Path(config.out)) == before


# -- where it starts ------------------------------------------------------------------------------------------------


def test_a_run_can_start_from_weights(config: TrainConfig, tiny_model: M2AENet, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    save_model(tiny_model, start)
    still = replace(config, model=tiny_model.config, init_from=str(start), steps=2)
    assert_same_weights(train(replace(still, learning_rate=0, final_learning_rate=0)), start)


def test_weights_of_another_size_cannot_be_started_from(
    config: TrainConfig, tiny_model: M2AENet, tmp_path: Path
) -> None:
    start = tmp_path / "start.safetensors"
    save_model(tiny_model, start)
    with pytest.raises(InputError, match=r"start\.safetensors holds M2AENetConfig.*, but the run trains M2AENetConfig"):
        train(replace(config, init_from=str(start)))


def test_validation_samples_are_not_those_of_the_training(config: TrainConfig) -> None:
    source, validation = make_sources(config)
    training = source.batch(config.seed, 0, 8).blur
    assert len(validation.blur) == config.validation_samples
    assert not any(torch.equal(image, other) for image in training for other in validation.blur)


def test_validation_photos_can_be_others(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "held out").mkdir()
    Image.fromarray(np.full((64, 64, 3), 77, np.uint8)).save(tmp_path / "held out" / "grey.png")
    quiet = replace(config, blur=replace(config.blur, noise=0, jpeg_share=0))
    _, validation = make_sources(replace(quiet, validation=str(tmp_path / "held out")))
    assert (validation.sharp == 77 / 255).float().mean() > 0.2
    _, validation = make_sources(quiet)
    assert (validation.sharp == 77 / 255).float().mean() < 0.1


def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine(config: TrainConfig) -> None:
    config = replace(config, steps=110, warmup_steps=10, learning_rate=1.0, final_learning_rate=0.1)
    rates = [learning_rate_at(step, config) for step in range(111)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx(0.55)
    assert rates[110] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)


# -- what it refuses ------------------------------------------------------------------------------------------------


def test_a_loss_that_explodes_gets_a_sentence(config: TrainConfig) -> None:
    with pytest.raises(InputError, match=r"the loss became (nan|inf) at step \d; lower learning_rate and run again"):
        train(replace(config, learning_rate=1e30, clip_norm=0))


def test_a_batch_that_devices_cannot_share_gets_a_sentence(config: TrainConfig) -> None:
    with pytest.raises(InputError, match="batch_size 3 cannot be shared between 2 devices; change one"):
        train(replace(config, batch_size=3, devices=2))


def test_a_missing_folder_gets_a_sentence_and_makes_no_run(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path / "gone"), "--out", config.out, "--accelerator", "cpu"]) == 1
    assert "gone is not a folder; give a folder of photos" in capsys.readouterr().err
    assert not Path(config.out).exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--stepz", "3"],
        ["--steps", "many"],
        ["--model.widht", "8"],
        ["--loss.ssim", "a lot"],
        ["--blur.path_px", "[1]"],
        ["stray"],
    ],
)
def test_a_typo_in_a_flag_ends_with_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", "photos", "--out", "run", *arguments]) == 2
    error = capsys.readouterr().err
    assert arguments[0].removeprefix("--").split(".")[-1] in error


@pytest.mark.parametrize("line", ["stepz: 3", "model: {widht: 8}", "steps: many", "loss: {l1: [1, 2]}"])
def test_a_typo_in_a_file_ends_with_code_2(line: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"data: photos\nout: run\n{line}\n")
    assert main(["--config", str(path)]) == 2


def test_a_run_needs_photos_and_a_folder() -> None:
    assert main([]) == 2
    assert main(["--data", "photos"]) == 2


@pytest.mark.parametrize("arguments", [["--recipe", "huge"], ["--recipe"], ["--recipe", "../recipes/small"]])
def test_an_unknown_recipe_gets_a_sentence_with_the_known_ones(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", "photos", "--out", "run", *arguments]) == 1
    error = capsys.readouterr().err
    assert "there is no recipe called" in error
    assert f"choose one of {', '.join(recipe_names())}" in error


# -- recipes --------------------------------------------------------------------------------------------------------


def test_recipes_are_found_in_the_package_wherever_it_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = resources.files("m2aenet_core") / "recipes"
    assert recipe_names() == sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir())
    assert {"debug", "paper", "small"} <= set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_says_what_is_trained(name: str) -> None:
    config = parse(["--data", "photos", "--out", "run", "--recipe", name])
    assert isinstance(config.model, M2AENetConfig)
    assert isinstance(config.blur, MadeBlurConfig)
    assert isinstance(config.loss, LossConfig)
    written = yaml.safe_load((resources.files("m2aenet_core") / "recipes" / f"{name}.yaml").read_text())
    values = dataclasses.asdict(config)
    for key, value in written.items():
        expected = value.items() if isinstance(value, dict) else [(None, value)]
        for inner, number in expected:
            parsed = values[key] if inner is None else values[key][inner]
            assert (list(parsed) if isinstance(parsed, tuple) else parsed) == number, (key, inner)


@pytest.mark.parametrize("name", recipe_names())
def test_the_network_of_every_recipe_can_be_built(name: str) -> None:
    with torch.device("meta"):
        M2AENet(parse(["--data", "photos", "--out", "run", "--recipe", name]).model)


def test_the_papers_recipe_trains_the_papers_network() -> None:
    assert parse(["--data", "photos", "--out", "run", "--recipe", "paper"]).model == M2AENetConfig()


@pytest.mark.parametrize(
    "arguments",
    [["--recipe", "debug", "--steps", "7"], ["--steps", "7", "--recipe", "debug"]],
    ids=["recipe first", "flag first"],
)
def test_a_flag_counts_more_than_the_recipe(arguments: list[str]) -> None:
    config = parse(["--data", "photos", "-o", "run", *arguments])
    assert config.steps == 7
    assert config.out == "run"
    assert config.model.width == 8


def test_the_debug_recipe_runs_from_the_command_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    settings = ["--steps", "1", "--workers", "0", "--validation_samples", "1", "--blur.still_share", "0"]
    code = main(["--recipe", "debug", "--data", str(photos), "--out", str(out), "--accelerator", "cpu", *settings])
    assert code == 0
    assert f"weights written to {out / 'final.safetensors'}" in capsys.readouterr().out
