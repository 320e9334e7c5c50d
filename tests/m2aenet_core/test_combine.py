"""Motion and restoration that learned apart, in one file."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from m2aenet_core.checkpoint import load_model, save_model
from m2aenet_core.cli import main
from m2aenet_core.combine import CombineConfig, combine
from m2aenet_core.errors import InputError
from m2aenet_core.models.learning import Learning, learning_parts
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.nafnet import NAFNet

FORM = M2AENetConfig(
    width=4,
    encoder_blocks=(1, 1, 1, 2),
    attention="local",
    motion_surroundings=1,
    motion_output="path",
    deconvolution=2,
)


@pytest.fixture
def config(tmp_path: Path, randomise: Callable[[nn.Module], None], monkeypatch: pytest.MonkeyPatch) -> CombineConfig:
    """Both learned from the same weights: one all but the motion, the other the motion, on an encoder of its own."""
    monkeypatch.chdir(tmp_path)
    rest, motion = M2AENet(FORM), M2AENet(replace(FORM, motion_encoder=1))
    randomise(rest)
    motion.load_state_dict(motion.state_dict() | rest.state_dict())
    for part in learning_parts(rest, "restoration"):
        randomise(part)
    for part in learning_parts(motion, "motion"):
        randomise(part)
    save_model(rest, tmp_path / "rest.safetensors")
    save_model(motion, tmp_path / "motion.safetensors", half=True)
    return CombineConfig(
        model=str(tmp_path / "rest.safetensors"),
        motion=str(tmp_path / "motion.safetensors"),
        out=str(tmp_path / "both.safetensors"),
    )


def test_both_may_be_used_with_other_thresholds(config: CombineConfig) -> None:
    used = replace(FORM, threshold=0.25, ensemble=4)
    save_model(M2AENet(used), Path(config.model))
    save_model(M2AENet(replace(FORM, motion_encoder=1)), Path(config.motion))
    for name in ("model", "motion"):
        network = load_model(getattr(config, name))
        network.load_state_dict({key: torch.zeros_like(value) for key, value in network.state_dict().items()})
        save_model(network, getattr(config, name))
    assert combine(config).config == replace(used, motion_encoder=1)
    assert load_model(config.out).config == replace(used, motion_encoder=1)


@torch.no_grad()
def test_the_motion_is_that_of_the_one_and_all_else_that_of_the_other(config: CombineConfig) -> None:
    combine(config)
    both, rest, motion = (load_model(path).eval() for path in (config.out, config.model, config.motion))
    assert isinstance(both, M2AENet)
    assert both.config == replace(FORM, motion_encoder=1)
    blur = torch.rand(1, 3, 64, 48)
    found, shared, own = (network.analyze(blur) for network in (both, rest, motion))
    assert found.motion is not None
    assert shared.motion is not None
    assert own.motion is not None
    torch.testing.assert_close(found.motion.field, own.motion.field, rtol=1e-2, atol=1e-2)
    assert not torch.allclose(found.motion.field, shared.motion.field, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(found.blur_logits, shared.blur_logits)
    restored = both.restore(found._replace(motion=shared.motion), 0.5).image
    torch.testing.assert_close(restored, rest.restore(shared, 0.5).image)


def test_restoration_that_learned_from_the_first_convolution_on_joins_the_motion(
    config: CombineConfig, randomise: Callable[[nn.Module], None]
) -> None:
    rest = M2AENet(replace(FORM, motion_encoder=1, decision_encoder=True))
    randomise(rest)
    motion = M2AENet(rest.config)
    motion.load_state_dict(rest.state_dict())
    with torch.no_grad():
        for part in (*learning_parts(rest, "restoration"), *learning_parts(motion, "motion")):
            for parameter in part.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    save_model(rest, config.model)
    save_model(motion, config.motion)
    both, blur = combine(config).eval(), torch.rand(1, 3, 64, 48)
    with torch.no_grad():
        found, shared, own = (network.eval().analyze(blur) for network in (both, rest, motion))
        assert found.motion is not None
        assert own.motion is not None
        assert torch.equal(found.motion.field, own.motion.field)
        restored = both.restore(found._replace(motion=shared.motion), 0.5).image
        assert torch.equal(restored, rest.restore(shared, 0.5).image)


@torch.no_grad()
def test_all_decisions_are_taken_from_a_narrower_network(
    config: CombineConfig, randomise: Callable[[nn.Module], None]
) -> None:
    form = replace(FORM, motion_encoder=1, decision_encoder=True, surroundings=1)
    narrow, rest = M2AENet(form), M2AENet(replace(form, width=8, threshold=0.25))
    randomise(narrow)
    randomise(rest)
    save_model(narrow, "narrow.safetensors")
    save_model(rest, config.model)
    wide = replace(config, decisions="narrow.safetensors", motion=None)
    both, blur = combine(wide).eval(), torch.rand(1, 3, 64, 48)
    assert both.config == rest.config
    found, own, others = (network.eval().analyze(blur) for network in (both, narrow, rest))
    assert found.motion is not None
    assert own.motion is not None
    torch.testing.assert_close(found.motion.field, own.motion.field, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.blur_logits, own.blur_logits, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found.blur_logits, others.blur_logits, rtol=1e-2, atol=1e-2)
    assert torch.equal(both.restore(others, 0.5).image, rest.restore(others, 0.5).image)
    # the shares of a widened network are drawn at random, and the same each time
    again = combine(replace(wide, overwrite=True)).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in both.state_dict().items())


def test_weights_that_exist_are_replaced_only_where_asked(
    config: CombineConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(config.out).write_bytes(b"older")
    words = f"combine --model {config.model} --motion {config.motion} --out {config.out}".split()
    assert main(words) == 1
    assert f"{config.out} exists; choose another name or allow overwriting" in capsys.readouterr().err
    assert Path(config.out).read_bytes() == b"older"
    assert main([*words, "--overwrite", "true"]) == 0
    assert isinstance(load_model(config.out), M2AENet)


def test_decisions_are_taken_where_they_have_an_encoder_of_their_own_and_fit(config: CombineConfig) -> None:
    form = replace(FORM, motion_encoder=1, decision_encoder=True)
    save_model(M2AENet(form), "own.safetensors")
    save_model(M2AENet(replace(form, width=6)), "wide.safetensors")
    for changes, sentence in (
        ({"decisions": "own.safetensors"}, "give weights with decision_encoder"),
        ({"model": "own.safetensors", "decisions": config.motion}, "give weights with decision_encoder"),
        ({"model": "wide.safetensors", "decisions": "own.safetensors"}, "no multiple of the 4 of"),
        ({"model": "own.safetensors", "decisions": "wide.safetensors"}, "differ in width"),
    ):
        with pytest.raises(InputError, match=sentence):
            combine(replace(config, motion=None, **changes))
    assert not Path(config.out).exists()


def test_the_command_says_what_came_from_where(config: CombineConfig, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"combine --model {config.model} --motion {config.motion} --out {config.out} --half true"
    assert main(command.split()) == 0
    assert f"the motion of {config.motion}, all else of {config.model}" in capsys.readouterr().out
    assert Path(config.out).stat().st_size < 0.6 * Path(config.model).stat().st_size


def test_what_cannot_be_combined_is_refused_and_nothing_is_written(
    config: CombineConfig, tmp_path: Path, randomise: Callable[[nn.Module], None]
) -> None:
    strangers: dict[str, nn.Module] = {
        "other features": M2AENet(FORM),
        "differ in deconvolution": M2AENet(replace(FORM, deconvolution=0)),
        "give motion_surroundings": M2AENet(replace(FORM, motion_surroundings=0)),
        "holds a NAFNet": NAFNet(),
    }
    for sentence, stranger in strangers.items():
        randomise(stranger)
        # the random numbers are the same each time
        stranger.get_parameter("intro.weight").data.mul_(2)
        save_model(stranger, tmp_path / "stranger.safetensors")
        with pytest.raises(InputError, match=sentence):
            combine(replace(config, motion=str(tmp_path / "stranger.safetensors")))
    assert not Path(config.out).exists()


def test_the_mean_of_two_lies_between_them(
    config: CombineConfig, tmp_path: Path, randomise: Callable[[nn.Module], None]
) -> None:
    form = replace(FORM, decision_encoder=True)
    one, other, moving = (M2AENet(form) for _ in range(3))
    parts: tuple[tuple[M2AENet, Learning], ...] = ((other, "restoration"), (moving, "motion"))
    for network, learn in parts:
        network.load_state_dict(one.state_dict())
        for part in learning_parts(network, learn):
            randomise(part)
    files = {name: str(tmp_path / f"{name}.safetensors") for name in ("one", "other", "moving")}
    for network, file in zip((one, other, moving), files.values(), strict=True):
        save_model(network, file)
    mean = combine(CombineConfig(model=files["one"], mean_with=files["other"], out=config.out))
    for (name, value), first, second in zip(
        load_model(config.out).named_parameters(), one.parameters(), other.parameters(), strict=True
    ):
        torch.testing.assert_close(value, (first + second) / 2, msg=name)
    assert mean.config == form
    both = combine(
        CombineConfig(model=files["one"], mean_with=files["other"], motion=files["moving"], out="moved.safetensors")
    )
    torch.testing.assert_close(both.motion_analyzers["3"].conv.weight, moving.motion_analyzers["3"].conv.weight)
    torch.testing.assert_close(both.ending.weight, mean.ending.weight)
    assert not torch.equal(mean.ending.weight, one.ending.weight)


def test_the_share_of_the_other_one_in_the_mean_is_as_asked(
    config: CombineConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = M2AENet(FORM), M2AENet(FORM)
    save_model(one, config.model)
    save_model(other, "other.safetensors")
    words = f"combine --model {config.model} --mean_with other.safetensors --share 0.75 --out {config.out}"
    assert main(words.split()) == 0
    assert f"0.25 of {config.model} and 0.75 of other.safetensors" in capsys.readouterr().out
    expected = one.intro.weight / 4 + other.intro.weight * 0.75
    torch.testing.assert_close(load_model(config.out).intro.weight, expected)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, math.nan])
def test_a_share_that_is_none_is_refused(config: CombineConfig, share: float) -> None:
    with pytest.raises(InputError, match="give a number between 0 and 1"):
        combine(replace(config, mean_with=config.model, share=share))


def test_there_is_no_mean_of_other_parts(config: CombineConfig) -> None:
    with pytest.raises(InputError, match="differ in motion_encoder"):
        combine(replace(config, mean_with=config.motion, motion=None))
    # the same parts, which mean something else
    save_model(M2AENet(replace(FORM, motion_output="ends")), "ends.safetensors")
    with pytest.raises(InputError, match="differ in motion_output"):
        combine(replace(config, mean_with="ends.safetensors", motion=None))


def test_nothing_to_combine_gets_a_sentence(config: CombineConfig, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["combine", "--model", config.model, "--out", config.out]) != 0
    assert "give --motion, --decisions or --mean_with" in capsys.readouterr().err
    assert not Path(config.out).exists()
