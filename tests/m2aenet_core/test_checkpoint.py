"""Weights in and out."""

import dataclasses
import errno
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import m2aenet_core
from m2aenet_core.checkpoint import (
    embedded_weights,
    load_model,
    model_name,
    read_metadata,
    save_model,
    sha256,
    weights_path,
)
from m2aenet_core.errors import InputError
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.models.nafnet import NAFNet


@pytest.fixture
def weights(tiny_model: M2AENet, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_model(tiny_model, path)
    return path


def rewrite(path: Path, *, metadata: dict[str, str] | None = None, tensors: dict[str, Tensor] | None = None) -> None:
    """Write a weights file again with other metadata or tensors."""
    kept_tensors, kept_metadata = load_file(path), read_metadata(path)
    save_file(tensors or kept_tensors, path, {**kept_metadata, **(metadata or {})})


def test_what_is_saved_comes_back(tiny_model: M2AENet, weights: Path) -> None:
    loaded, blur = load_model(weights), torch.rand(1, 3, 32, 32)
    assert loaded.config == tiny_model.config
    assert not loaded.training
    assert loaded.state_dict().keys() == tiny_model.state_dict().keys()
    for name, value in tiny_model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert torch.equal(loaded(blur).restored, tiny_model(blur).restored)


def test_a_path_may_be_a_string(weights: Path) -> None:
    assert load_model(str(weights)).config == load_model(weights).config


def test_equal_weights_make_equal_files(tiny_model: M2AENet, tmp_path: Path) -> None:
    metadata = {name: f"{name} – ü" for name in "zyxwvutsrqponm"}
    files = [tmp_path / f"{number}.safetensors" for number in range(2)]
    for path, names in zip(files, (metadata, reversed(metadata)), strict=True):
        save_model(tiny_model, path, {name: metadata[name] for name in names})
    assert files[0].read_bytes() == files[1].read_bytes()
    assert metadata.items() <= read_metadata(files[0]).items()


def test_halves_take_half_the_space_and_come_back_as_float32(tiny_model: M2AENet, tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_model(tiny_model, whole)
    save_model(tiny_model, half, half=True)
    parameters = sum(parameter.numel() for parameter in tiny_model.parameters())
    assert whole.stat().st_size - half.stat().st_size >= 2 * parameters
    for name, value in load_model(half).state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, tiny_model.state_dict()[name], atol=1e-3, rtol=1e-3)


def test_channels_last_weights_are_saved_as_others(tiny_model: M2AENet, weights: Path, tmp_path: Path) -> None:
    swapped = tmp_path / "swapped.safetensors"
    save_model(tiny_model.to(memory_format=torch.channels_last), swapped)
    ours, theirs = load_file(swapped), load_file(weights)
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_metadata_hold_kind_config_version_and_what_is_added(tiny_model: M2AENet, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_model(tiny_model, path, {"training": "of the summary"})
    metadata = read_metadata(path)
    assert metadata["model"] == "M2AENet"
    assert metadata["version"] == m2aenet_core.__version__
    assert metadata["training"] == "of the summary"
    config = json.loads(metadata["config"])
    assert config == json.loads(json.dumps(dataclasses.asdict(tiny_model.config)))


@pytest.mark.parametrize("name", sorted(embedded_weights()))
def test_embedded_weights_can_be_loaded_by_name(name: str) -> None:
    assert isinstance(load_model(name), M2AENet)
    assert weights_path(name) == embedded_weights()[name]


@pytest.mark.skipif(not embedded_weights(), reason="a source tree without weights")
def test_the_default_is_among_the_embedded_weights() -> None:
    assert weights_path("default") in embedded_weights().values()


@pytest.mark.parametrize(
    ("device", "embedded", "name"),
    [
        ("cpu", ("full", "small"), "small"),
        ("mps", ("full", "small"), "small"),
        ("cuda", ("full", "small"), "full"),
        ("cuda", ("small",), "small"),
    ],
)
def test_what_is_the_default_depends_on_the_device(
    device: str, embedded: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("m2aenet_core.checkpoint.embedded_weights", lambda: dict.fromkeys(embedded, Path("here")))
    assert model_name("default", device) == name
    assert model_name("small", device) == "small"
    assert model_name(Path("mine.safetensors"), device) == "mine.safetensors"


def test_the_checksum_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# -- files that are no such weights ---------------------------------------------------------------------------------


def test_an_unknown_name_gets_a_sentence_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"there are no weights called huge; give one of default.*\.safetensors file"):
        load_model("huge")


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_a_pickle_is_refused_before_it_is_opened(tiny_model: M2AENet, tmp_path: Path, is_zip: bool) -> None:
    path = tmp_path / "model.pth"
    torch.save(tiny_model.state_dict(), path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(InputError, match=r"model\.pth is a pickle, which can run code .*; convert it to .safetensors"):
        load_model(path)


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_file_cut_short_gets_a_sentence(weights: Path, size: int) -> None:
    content = weights.read_bytes()
    weights.write_bytes(content[:size])
    with pytest.raises(InputError, match=r"tiny\.safetensors is not a whole .safetensors file; get it again"):
        load_model(weights)
    with pytest.raises(InputError, match="get it again"):
        read_metadata(weights)


def test_the_weights_of_another_model_get_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match=r"other\.safetensors holds the weights of another model; give a file written"):
        load_model(path)


@pytest.mark.parametrize(
    "config",
    [
        '{"width": 8}',
        '{"width": "wide"}',
        '{"width": -4}',
        '{"depth": 3}',
        '{"encoder_blocks": [1]}',
        '{"encoder_blocks": 4}',
        "[4, 4]",
        "null",
        "not JSON",
        "",
    ],
)
def test_a_config_that_does_not_fit_gets_a_sentence(weights: Path, config: str) -> None:
    rewrite(weights, metadata={"config": config})
    with pytest.raises(InputError, match=r"does not fit the network its config describes .*; get it again"):
        load_model(weights)


@pytest.mark.parametrize("field", ["trajectory", "scales", "attention", "predictor", "motion_output"])
def test_a_choice_that_is_none_gets_a_sentence(weights: Path, tiny_model: M2AENet, field: str) -> None:
    # the parameters fit all the same
    rewrite(weights, metadata={"config": json.dumps(dataclasses.asdict(tiny_model.config) | {field: "other"})})
    with pytest.raises(InputError, match=f"there is no {field} 'other'; choose one of "):
        load_model(weights)


def test_missing_weights_get_a_sentence(weights: Path) -> None:
    tensors = load_file(weights)
    del tensors["intro.weight"]
    rewrite(weights, tensors=tensors)
    with pytest.raises(InputError, match="does not fit the network its config describes"):
        load_model(weights)


def test_weights_that_may_not_be_read_get_a_sentence(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = rf"{re.escape(str(weights))} cannot be read \(Permission denied\); check its permissions"

    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    for method in ("open", "is_file"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, refuse)
            with pytest.raises(InputError, match=sentence):
                load_model(weights)


def test_only_our_networks_are_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a Linear cannot be saved with its config; give one of M2AENet, NAFNet"):
        save_model(nn.Linear(1, 1), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_when_saving_fails(tiny_model: M2AENet, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="was not written because"):
        save_model(tiny_model, tmp_path / "file" / "a.safetensors")
    older = tmp_path / "older.safetensors"
    older.write_bytes(b"older")
    with pytest.raises(TypeError):
        save_model(tiny_model, older, {"steps": 3})  # type: ignore[dict-item]  # metadata are strings
    assert older.read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "older.safetensors"]


# -- released checkpoints -------------------------------------------------------------------------------------------

RELEASED = {
    "norm1": "norm1",
    "expand1": "conv1",
    "depthwise": "conv2",
    "attention.mix": "sca.1",
    "project1": "conv3",
    "norm2": "norm2",
    "expand2": "conv4",
    "project2": "conv5",
}


def released_key(name: str) -> str:
    """Give the key that the NAFNet authors' checkpoints have for one of our parameters."""
    for ours, theirs in RELEASED.items():
        name = name.replace(f".{ours}.", f".{theirs}.")
    return name.replace("middle.", "middle_blks.")


@pytest.fixture
def nafnet(randomise: Callable[[nn.Module], None]) -> NAFNet:
    network = NAFNet(width=4, encoder_blocks=(1, 2, 1), middle_blocks=2, decoder_blocks=(1, 1, 3))
    randomise(network)
    return network


@pytest.fixture
def released(nafnet: NAFNet) -> dict[str, Tensor]:
    return {released_key(name): value for name, value in nafnet.state_dict().items()}


def test_a_released_pth_is_read_where_it_is_asked_for_by_name(
    nafnet: NAFNet, released: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "NAFNet-GoPro.pth"
    torch.save({"params": released}, path)
    with pytest.raises(InputError, match="is asked for as nafnet:"):
        load_model(path)
    assert weights_path(f"nafnet:{path}") == path
    loaded, blur = load_model(f"nafnet:{path}"), torch.rand(1, 3, 17, 20)
    assert torch.equal(loaded(blur), nafnet.eval()(blur))


def test_a_released_name_without_its_file_gets_a_sentence(tmp_path: Path) -> None:
    for read in (load_model, weights_path):
        with pytest.raises(InputError, match=r"there is no file .*; give the checkpoint that the authors of lmdvit"):
            read(f"lmdvit:{tmp_path / 'missing.pth'}")
