"""What cannot be trained with, and what a run that goes on may change."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from m2aenet_core.errors import InputError
from m2aenet_core.options import to_yaml
from m2aenet_core.training.config import TrainConfig, check_config, check_resumable


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": None}, "there is nothing to train on; give --data with sharp photos, --pairs with pairs, or both"),
        ({"shares": (1.0, 1.0)}, "there are 2 shares for 1 sources"),
        ({"pairs": ("a", "b"), "shares": (1.0, 1.0)}, "there are 2 shares for 3 sources"),
        ({"steps": 0}, "steps is 0; give at least 1"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"log_every": 0}, "log_every"),
        ({"seed": -1}, "seed is -1; give 0 or more"),
        ({"seed": 1 << 63}, "give 0 or more, below 2"),
        ({"workers": -1}, "workers is -1; give 0 or more"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; give 0 or more"),
        ({"learning_rate": math.nan}, "learning_rate is nan; give 0 or more"),
        ({"betas": (1.5, 0.9)}, r"betas are \(1.5, 0.9\); give two numbers"),
        ({"blur": {"crop_px": 8}}, "blur.crop_px is 8; give at least 16"),
        ({"loss": {"shift_px": 400}}, "loss.shift_px is 400; give 0 to less than blur.crop_px"),
        ({"loss": {"instants": 2}}, "loss.instants is 2; give at least 3"),
        ({"network": "nafnet", "loss": {"l1": 0, "ssim": 0, "fft": 0}}, "there is nothing to minimise; give a weight"),
        ({"learn": "motion", "loss": {"reblur": 0, "total_variation": 0}}, "of loss.reblur, loss.total_variation"),
        ({"learn": "decisions", "loss": {"mask": 0}}, "nothing teaches the masks; give a weight to one of loss.mask"),
        ({"learn": "decisions", "loss": {"reblur": 0}}, "nothing teaches the motion; give a weight to one of loss.re"),
        (
            {"learn": "motion", "data": None, "pairs": ("a",), "loss": {"reblur": 0, "total_variation": 0, "path": 1}},
            "there is nothing to minimise; give a weight to one of loss.reblur, loss.total_variation$",
        ),
        (
            {"learn": "motion_and_restoration", "loss": {"l1": 0, "ssim": 0, "fft": 0, "path": 1}},
            "nothing teaches the restoration; give a weight to one of loss.l1",
        ),
    ],
)
def test_what_cannot_be_trained_with_gets_a_sentence(
    config: TrainConfig, changes: dict[str, Any], sentence: str
) -> None:
    check_config(config)
    inner = {name: replace(getattr(config, name), **of) for name, of in changes.items() if isinstance(of, dict)}
    with pytest.raises(InputError, match=sentence):
        check_config(replace(config, **changes | inner))


@pytest.fixture
def begun(config: TrainConfig) -> TrainConfig:
    """A config whose run has begun."""
    Path(config.out).mkdir()
    (Path(config.out) / "config.yaml").write_text(to_yaml(config))
    return config


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"steps": 99, "max_time_s": 5.0},
        {"data": "elsewhere", "workers": 7, "devices": 2, "num_nodes": 2, "accelerator": "cuda", "accumulate": 2},
        {"validate_every": 9, "save_every": 9, "log_every": 9, "validation_samples": 9, "precision": "bf16-mixed"},
        {"nafnet": "other"},  # not the network that is trained
    ],
)
def test_a_run_goes_on_with_other_lengths_paths_and_devices(begun: TrainConfig, changes: dict[str, Any]) -> None:
    if "nafnet" in changes:
        changes = {"nafnet": replace(begun.nafnet, width=99)}
    check_resumable(Path(begun.out), replace(begun, **changes))


def test_a_run_does_not_go_on_with_other_settings(begun: TrainConfig) -> None:
    other = replace(
        begun,
        learning_rate=0.5,
        model=replace(begun.model, middle_blocks=2),
        loss=replace(begun.loss, mask=7.0),
        blur=replace(begun.blur, path_px=(1.0, 2.0)),
    )
    with pytest.raises(InputError) as caught:
        check_resumable(Path(begun.out), other)
    sentence = str(caught.value)
    assert "holds a run with other settings" in sentence
    for part in (
        "learning_rate was 0.001, is 0.5",
        "model.middle_blocks was 1, is 2",
        "loss.mask was 0.01, is 7.0",
        "blur.path_px was [4.0, 8.0], is [1.0, 2.0]",
    ):
        assert part in sentence
    assert "give those of" in sentence
    assert sentence.count(" was ") == 4


def test_another_network_is_another_run(begun: TrainConfig) -> None:
    with pytest.raises(InputError, match="network was m2aenet, is nafnet"):
        check_resumable(Path(begun.out), replace(begun, network="nafnet"))


def test_settings_that_an_older_version_did_not_have_count_as_equal(begun: TrainConfig) -> None:
    path = Path(begun.out) / "config.yaml"
    values = yaml.safe_load(path.read_text())
    del values["betas"]
    path.write_text(yaml.safe_dump({**values, "long_gone": 3}))
    check_resumable(Path(begun.out), replace(begun, betas=(0.9, 0.99)))


@pytest.mark.parametrize("content", ["", "- a\n", "{broken", "network: unheard_of\n", "just words\n"])
def test_settings_that_are_none_get_a_sentence(begun: TrainConfig, content: str) -> None:
    (Path(begun.out) / "config.yaml").write_text(content)
    with pytest.raises(InputError, match=r"config\.yaml cannot be read as a run's settings; remove it, or choose"):
        check_resumable(Path(begun.out), begun)


def test_a_folder_without_a_run_is_free(config: TrainConfig, tmp_path: Path) -> None:
    check_resumable(tmp_path, config)
