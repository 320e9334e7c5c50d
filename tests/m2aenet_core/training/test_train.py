"""Tiny real runs: what they leave, how they go on, what they refuse."""

import contextlib
import csv
import dataclasses
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image
from safetensors.torch import load_file

import m2aenet_core
from m2aenet_core.checkpoint import load_model, read_metadata, save_model
from m2aenet_core.data.sample import Batch
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import InputError
from m2aenet_core.models.lmdvit import LMDViTConfig
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.nafnet import NAFNetConfig
from m2aenet_core.options import recipe_names, recipe_values, to_yaml
from m2aenet_core.train import TrainConfig, is_first_process, main, parse, train
from m2aenet_core.training.config import check_config
from m2aenet_core.training.start import new_network
from m2aenet_core.training.state import TrainState
from m2aenet_core.training.step import take_step


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def step_of(config: TrainConfig) -> int:
    return int(torch.load(Path(config.out) / "last.ckpt", weights_only=True)["step"])


def assert_same_weights(ours: Path, theirs: Path) -> None:
    first, second = load_file(ours), load_file(theirs)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


# -- what a run leaves ----------------------------------------------------------------------------------------------


def test_a_run_leaves_figures_pictures_checkpoint_weights_and_a_report(config: TrainConfig, photo: np.ndarray) -> None:
    final, out = train(config), Path(config.out)
    assert final == out / "final.safetensors"
    names = {path.name for path in out.iterdir()}
    assert names == {
        "best.safetensors",
        "checked",
        "config.yaml",
        "curves.png",
        "final.safetensors",
        "last.ckpt",
        "losses.csv",
        "metrics.csv",
        "pictures",
        "preview.png",
        "report.md",
        "tensorboard",
    }
    assert [row["step"] for row in rows_of(out / "losses.csv")] == ["1", "2", "3", "4"]
    assert [row["step"] for row in rows_of(out / "metrics.csv")] == ["2", "4"]
    for name in ("losses.csv", "metrics.csv"):
        assert all(math.isfinite(float(value)) for row in rows_of(out / name) for value in row.values())
    assert [path.name for path in sorted((out / "pictures").iterdir())] == ["0000002.png", "0000004.png"]
    for name in ("best.safetensors", "final.safetensors"):
        assert load_model(out / name).config == config.model
        assert '"steps": ' in read_metadata(out / name)["training"]
        assert Deblurrer(out / name, device="cpu")(photo[:40, :50]).restored.shape == (40, 50, 3)


def test_the_share_of_waiting_and_the_speed_are_told(config: TrainConfig) -> None:
    train(config)
    for row in rows_of(Path(config.out) / "metrics.csv"):
        assert 0 < float(row["waiting_share"]) < 1
        assert float(row["images_per_s"]) > 0


def test_the_report_tells_the_run_and_shows_its_pictures(config: TrainConfig) -> None:
    train(replace(config, max_time_s=0))
    out = Path(config.out)
    stopped = (out / "report.md").read_text()
    assert "after 1 steps so far, of 4" in stopped
    assert "None so far." in stopped
    train(config)
    report = (out / "report.md").read_text()
    assert "after 4 steps to the end: 8 samples of 32 x 32 pixels" in report
    for part in (
        f"made blur from {config.data}: 2 photos and 0 cut-outs",
        "| 4 |",
        "waiting for samples",
        "Best: ",
        "torch ",
    ):
        assert part in report
    links = re.findall(r"!\[.*?\]\((.*?)\)", report)
    assert links == ["curves.png", "pictures/0000002.png", "preview.png"]
    for link in links:
        assert Image.open(out / link).size[0] > 100
    # the settings in it, and the command to go on, are those of the run
    settings = report.rpartition("```yaml\n")[2].partition("```")[0]
    (out / "again.yaml").write_text(settings)
    assert parse(["--config", str(out / "again.yaml")]) == replace(config, nafnet=NAFNetConfig())
    assert f"m2aenet train --config {out}/config.yaml --steps 8" in report


def test_the_config_of_a_run_starts_the_same_run_again(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    assert parse(["--config", str(Path(config.out) / "config.yaml")]) == replace(config, steps=1)


def test_training_changes_every_weight(config: TrainConfig) -> None:
    torch.manual_seed(config.seed)
    before = M2AENet(config.model).state_dict()
    after = load_file(train(config))
    unchanged = [name for name, value in before.items() if torch.equal(value, after[name])]
    assert unchanged == []


@pytest.mark.parametrize(
    "form",
    [
        {"use_mask": False},
        {"use_motion": False},
        {"scales": "every", "predictor": "dynamicvit"},
        {"trajectory": "linear"},
        {"trajectory": "learnable"},
        {"mask_positions": (1, 2, 3)},
    ],
    ids=lambda form: "-".join(form),
)
def test_every_form_of_the_network_can_be_trained(config: TrainConfig, form: dict[str, Any]) -> None:
    config = replace(config, model=replace(config.model, **form), steps=2)
    assert load_model(train(config)).config == config.model


def test_a_nafnet_can_be_trained(config: TrainConfig) -> None:
    final = train(replace(config, network="nafnet", steps=2))
    assert load_model(final).config == config.nafnet
    assert list(rows_of(final.parent / "losses.csv")[0]) == [
        "step",
        "loss",
        "l1",
        "ssim",
        "fft",
        "psnr_db",
        "learning_rate",
    ]
    assert rows_of(final.parent / "metrics.csv")[0]["mask_iou"] == "nan"


def test_an_lmdvit_can_be_trained(config: TrainConfig) -> None:
    vit = LMDViTConfig(width=4, depths=(1, 1, 1), heads=(1, 1, 1), window=4)
    final = train(replace(config, network="lmdvit", lmdvit=vit, steps=2))
    assert load_model(final).config == vit
    assert "mask" in rows_of(final.parent / "losses.csv")[0]
    assert float(rows_of(final.parent / "metrics.csv")[0]["mask_iou"]) >= 0


def test_the_seed_decides_the_run(config: TrainConfig, tmp_path: Path) -> None:
    one = replace(config, steps=1)
    first, same, other = (
        train(replace(one, out=str(tmp_path / name), seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert_same_weights(first, same)
    assert not torch.equal(load_file(first)["intro.weight"], load_file(other)["intro.weight"])


# -- stopping and going on ------------------------------------------------------------------------------------------


def test_a_run_that_was_stopped_and_resumed_computes_what_one_that_was_not_does(
    config: TrainConfig, tmp_path: Path
) -> None:
    uninterrupted = train(replace(config, out=str(tmp_path / "uninterrupted")))
    stopped = [train(replace(config, max_time_s=0)) for _ in range(2)]
    assert [path.name for path in stopped] == ["last.safetensors"] * 2
    assert step_of(config) == 2
    resumed = train(config)
    assert resumed.name == "final.safetensors"
    assert_same_weights(resumed, uninterrupted)
    assert (resumed.parent / "losses.csv").read_bytes() == (uninterrupted.parent / "losses.csv").read_bytes()
    ours, theirs = (torch.load(path.parent / "last.ckpt", weights_only=True) for path in (resumed, uninterrupted))
    for name, value in theirs["model"].items():
        assert torch.equal(ours["model"][name], value), name


def interrupting(at: int, times: int = 1) -> Callable[..., dict[str, torch.Tensor]]:
    """Give a step that Ctrl-C is pressed in, between the optimizer's step and the count."""

    def step(fabric: Fabric, config: TrainConfig, state: TrainState, batch: Batch) -> dict[str, torch.Tensor]:
        figures = take_step(fabric, config, state, batch)
        if state.step == at:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return figures

    return step


def test_ctrl_c_is_granted_after_the_step_and_nothing_is_lost(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seldom = replace(config, validate_every=99, save_every=99)
    uninterrupted = train(replace(seldom, out=str(tmp_path / "uninterrupted")))
    with monkeypatch.context() as patched:
        patched.setattr("m2aenet_core.training.loop.take_step", interrupting(at=2))
        with pytest.raises(KeyboardInterrupt):
            train(seldom)
    assert step_of(config) == 3
    assert (Path(config.out) / "last.safetensors").is_file()
    resumed = train(seldom)
    assert_same_weights(resumed, uninterrupted)
    assert (resumed.parent / "losses.csv").read_bytes() == (uninterrupted.parent / "losses.csv").read_bytes()
    # the validation's loss is the mean since the one before, whatever stopped in between
    assert [[row["loss"] for row in rows_of(path.parent / "metrics.csv")] for path in (resumed, uninterrupted)] == [
        [f"{np.mean([float(row['loss']) for row in rows_of(resumed.parent / 'losses.csv')]):.6g}"]
    ] * 2


def test_a_second_ctrl_c_is_obeyed_at_once_and_leaves_the_checkpoint_before(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = train(replace(config, out=str(tmp_path / "uninterrupted")))
    with monkeypatch.context() as patched:
        patched.setattr("m2aenet_core.training.loop.take_step", interrupting(at=2, times=2))
        with pytest.raises(KeyboardInterrupt):
            train(config)
    # the third step was torn apart: what it did is not kept
    assert step_of(config) == 2
    assert_same_weights(train(config), uninterrupted)


def test_ctrl_c_ends_the_command_with_a_sentence(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("m2aenet_core.training.loop.take_step", interrupting(at=1))
    Path(config.out).mkdir()
    file = Path(config.out) / "mine.yaml"
    file.write_text(to_yaml(config))
    assert main(["--config", str(file)]) == 130
    assert "holds the run so far; the same command goes on with it" in capsys.readouterr().err


def test_a_finished_run_is_not_trained_again(config: TrainConfig) -> None:
    first = load_file(train(config))
    figures = [(Path(config.out) / name).read_bytes() for name in ("metrics.csv", "losses.csv")]
    again = load_file(train(config))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert [(Path(config.out) / name).read_bytes() for name in ("metrics.csv", "losses.csv")] == figures


def test_more_steps_carry_a_finished_run_on(config: TrainConfig) -> None:
    train(replace(config, steps=2))
    train(config)
    assert step_of(config) == 4


def test_other_settings_are_not_mixed_into_a_run(config: TrainConfig) -> None:
    train(replace(config, steps=1))
    before = contents(Path(config.out))
    with pytest.raises(InputError, match=r"holds a run with other settings \(learning_rate was 0.001, is 0.5\)"):
        train(replace(config, learning_rate=0.5))
    assert contents(Path(config.out)) == before


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


def reach_step_2(config: TrainConfig) -> None:
    for _ in range(2):
        train(replace(config, max_time_s=0))


def assert_goes_on_after(config: TrainConfig, refused: InputError, tmp_path: Path) -> None:
    """What was there before the disk refused is whole, and the run computes what it would have."""
    assert "was not written because" in str(refused)
    assert step_of(config) == 2
    assert not list(Path(config.out).glob(".*"))
    uninterrupted = train(replace(config, out=str(tmp_path / "uninterrupted")))
    assert_same_weights(train(config), uninterrupted)


def test_a_file_that_may_not_grow_ends_the_run_with_a_sentence_and_the_checkpoint_before(
    config: TrainConfig, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    reach_step_2(config)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(InputError, match="was not written because it is larger than a file may be here") as caught:
            train(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_goes_on_after(config, caught.value, tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a small disk can only be made by root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_ends_the_run_with_a_sentence_and_the_checkpoint_before(
    config: TrainConfig, small_disk: Path, tmp_path: Path
) -> None:
    config = replace(config, out=str(small_disk / "run"))
    reach_step_2(config)
    with (small_disk / "others").open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        with pytest.raises(InputError, match="because the disk is full; free some space and run again") as caught:
            train(config)
    (small_disk / "others").unlink()
    assert_goes_on_after(config, caught.value, tmp_path)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_computes_what_an_uninterrupted_one_does(
    config: TrainConfig, tmp_path: Path, rng: np.random.Generator
) -> None:
    long = replace(config, steps=40, save_every=4, validate_every=16, workers=1)
    uninterrupted = train(replace(long, out=str(tmp_path / "uninterrupted")))
    file = tmp_path / "killed.yaml"
    file.write_text(to_yaml(long))
    losses = Path(long.out) / "losses.csv"
    reached = []
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "m2aenet_core.train", "--config", str(file)], stderr=subprocess.DEVNULL
        )
        wanted = (reached[-1] if reached else 0) + int(rng.integers(2, 10))
        while process.poll() is None and len(rows_of(losses)) < wanted:
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0, 0.1)))
        process.kill()
        process.wait()
        reached.append(len(rows_of(losses)))
    assert reached[-1] < long.steps, "it was never killed in time"
    resumed = train(long)
    assert losses.read_bytes() == (uninterrupted.parent / "losses.csv").read_bytes()
    assert_same_weights(resumed, uninterrupted)
    steps = [[row["step"] for row in rows_of(path.parent / "metrics.csv")] for path in (resumed, uninterrupted)]
    assert steps[0] == steps[1] == ["16", "32", "40"]
    assert not list(Path(long.out).glob(".*")) or all(path.suffix for path in Path(long.out).glob(".*"))


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_behind(config: TrainConfig, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    file = tmp_path / "killed.yaml"
    file.write_text(to_yaml(replace(config, steps=10_000, workers=2)))
    process = subprocess.Popen(
        [sys.executable, "-m", "m2aenet_core.train", "--config", str(file)], stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not rows_of(Path(config.out) / "losses.csv"):
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    process.wait()
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, [child.cmdline() for child in alive]
    assert len(gone) == len(children)


@pytest.mark.slow
def test_a_run_whose_samples_stop_coming_ends_with_a_sentence(config: TrainConfig, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    file = tmp_path / "starved.yaml"
    file.write_text(to_yaml(replace(config, steps=10_000, workers=2)))
    process = subprocess.Popen(
        [sys.executable, "-m", "m2aenet_core.train", "--config", str(file)], stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not rows_of(Path(config.out) / "losses.csv"):
        time.sleep(0.05)
    psutil.Process(process.pid).children()[0].kill()
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "a process that makes samples has died" in error
    assert "Traceback" not in error


# -- several processes ----------------------------------------------------------------------------------------------


def run_command(*words: str, **environment: str) -> None:
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr


def assert_close_losses(ours: Path, theirs: Path) -> None:
    first, second = rows_of(ours / "losses.csv"), rows_of(theirs / "losses.csv")
    assert [row["step"] for row in first] == [row["step"] for row in second]
    for our, their in zip(first, second, strict=True):
        for name, value in our.items():
            assert float(value) == pytest.approx(float(their[name]), rel=2e-4, abs=1e-6), (our["step"], name)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["ours", "torchrun", "fabric run"])
def test_two_processes_compute_the_losses_of_one(config: TrainConfig, tmp_path: Path, launcher: str) -> None:
    config = replace(config, batch_size=4, steps=6, learning_rate=3e-3)
    alone = train(replace(config, out=str(tmp_path / "alone")))
    file = tmp_path / "two.yaml"
    file.write_text(to_yaml(config))
    program = Path(m2aenet_core.__file__).parent / "train.py"
    bin_folder = Path(sys.executable).parent
    if launcher == "ours":
        run_command(sys.executable, "-m", "m2aenet_core.train", "--config", str(file), "--devices", "2")
    elif launcher == "torchrun":
        words = ["--nproc-per-node", "2", "--master-port", "29417", "-m", "m2aenet_core.train", "--config", str(file)]
        run_command(str(bin_folder / "torchrun"), *words)
    else:
        words = ["--accelerator", "cpu", "--devices", "2", "--strategy", "ddp", "--main-port", "29418", str(program)]
        run_command(str(bin_folder / "fabric"), "run", *words, "--config", str(file))
    assert_close_losses(Path(config.out), alone.parent)
    ours, theirs = load_file(Path(config.out) / "final.safetensors"), load_file(alone)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-4, msg=name)


_APART = """
import os, sys

from m2aenet_core.train import main

os.makedirs(f"machine{os.environ['RANK']}", exist_ok=True)
os.chdir(f"machine{os.environ['RANK']}")
sys.exit(main())
"""


@pytest.mark.slow
def test_machines_that_do_not_share_the_folder_do_not_go_on_apart(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "apart.py").write_text(_APART)
    (tmp_path / "two.yaml").write_text(to_yaml(replace(config, steps=2, out="run")))

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        words = ["--nproc-per-node", "2", "--master-port", "29419", "apart.py", "--config", "../two.yaml", *more]
        return subprocess.run(
            [str(Path(sys.executable).parent / "torchrun"), *words],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert run().returncode == 0
    before = (tmp_path / "machine0" / "run" / "last.ckpt").read_bytes()
    done = run("--steps", "4")
    assert done.returncode != 0
    assert "not all machines find the same run in run; give an --out that all of them share" in done.stderr
    assert (tmp_path / "machine0" / "run" / "last.ckpt").read_bytes() == before


@pytest.mark.parametrize(
    ("environment", "is_first"),
    [
        ({}, True),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, True),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}, False),
        # a process that Fabric itself started, in a job of one task
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "LOCAL_RANK": "1"}, False),
        ({"RANK": "1", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
    ],
)
def test_one_process_speaks_for_all(
    environment: dict[str, str], is_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() == is_first


def test_a_picture_that_was_cut_short_by_a_kill_is_passed_over(config: TrainConfig) -> None:
    pictures = Path(config.out) / "pictures"
    pictures.mkdir(parents=True)
    (pictures / ".87686c306cf6.tmp.png").write_bytes(b"half a picture")
    train(config)
    assert "Step 2:" in (Path(config.out) / "report.md").read_text("utf-8")


# -- where it starts ------------------------------------------------------------------------------------------------


def test_a_run_can_start_from_weights(config: TrainConfig, tiny_model: M2AENet, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    save_model(tiny_model, start)
    still = replace(config, model=tiny_model.config, init_from=str(start), steps=2)
    assert_same_weights(train(replace(still, learning_rate=0, final_learning_rate=0)), start)


def test_what_a_run_began_with_may_be_gone_when_it_goes_on(
    config: TrainConfig, tiny_model: M2AENet, tmp_path: Path
) -> None:
    start = tmp_path / "start.safetensors"
    save_model(tiny_model, start)
    begun = replace(config, model=tiny_model.config, init_from=str(start))
    train(replace(begun, steps=2))
    start.unlink()
    assert load_model(train(replace(begun, steps=3))).config == tiny_model.config


# -- what it refuses ------------------------------------------------------------------------------------------------


def test_a_loss_that_explodes_gets_a_sentence(config: TrainConfig) -> None:
    with pytest.raises(InputError, match=r"the loss became (nan|inf) at step \d; begin again with a lower"):
        train(replace(config, learning_rate=1e30, clip_norm=0))


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


def test_recipes_are_found_wherever_the_program_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert {"debug", "default", "paper", "small", "ablation/no-mask"} <= set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_says_what_is_trained(name: str) -> None:
    values = dataclasses.asdict(parse(["--data", "photos", "--out", "run", "--recipe", name]))
    for key, value in recipe_values(name).items():
        expected = value.items() if isinstance(value, dict) else [(None, value)]
        for inner, number in expected:
            parsed = values[key] if inner is None else values[key][inner]
            assert (list(parsed) if isinstance(parsed, tuple) else parsed) == number, (key, inner)


@pytest.mark.parametrize("name", recipe_names())
def test_the_network_of_every_recipe_can_be_built(name: str) -> None:
    config = parse(["--data", "photos", "--out", "run", "--recipe", name])
    check_config(config)
    with torch.device("meta"):
        assert new_network(config).config == config.network_config


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("no-mask", {"model": {"use_mask": False}}),
        ("no-motion", {"model": {"use_motion": False}}),
        ("linear", {"model": {"trajectory": "linear"}}),
        ("learnable", {"model": {"trajectory": "learnable"}}),
        ("every-scale", {"model": {"scales": "every", "predictor": "dynamicvit"}}),
        ("mask-positions-1-2", {"model": {"mask_positions": (1, 2)}}),
        ("mask-positions-1-3", {"model": {"mask_positions": (1, 3)}}),
        ("mask-positions-1-2-3", {"model": {"mask_positions": (1, 2, 3)}}),
        ("n2-5", {"loss": {"instants": 5}}),
        ("n2-15", {"loss": {"instants": 15}}),
        ("n2-30", {"loss": {"instants": 30}}),
        ("mask-weight-paper", {"loss": {"mask": 0.01}}),
    ],
)
def test_a_row_of_the_ablation_is_the_method_with_one_change(name: str, changes: dict[str, Any]) -> None:
    both, variant = (parse(["--data", "p", "--out", "r", "--recipe", f"ablation/{row}"]) for row in ("both", name))
    changed = {key: replace(getattr(both, key), **inner) for key, inner in changes.items()}
    assert variant == replace(both, **changed)


def test_the_backbone_of_the_ablation_is_as_large_as_the_method() -> None:
    both, alone = (parse(["--data", "p", "--out", "r", "--recipe", f"ablation/{row}"]) for row in ("both", "nafnet"))
    assert alone.network == "nafnet"
    for size in ("width", "encoder_blocks", "middle_blocks", "decoder_blocks"):
        assert getattr(alone.nafnet, size) == getattr(both.model, size)
    assert replace(alone, network="m2aenet", nafnet=NAFNetConfig()) == both


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
