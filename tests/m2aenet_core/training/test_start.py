"""The network that a run begins with."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from m2aenet_core.checkpoint import save_model
from m2aenet_core.errors import InputError
from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import as_output
from m2aenet_core.training.config import NetworkKind, TrainConfig
from m2aenet_core.training.start import first_network, new_network

SMALL_VIT = LMDViTConfig(width=4, depths=(1, 1, 1), heads=(1, 1, 1), window=4)

# what the authors of NAFNet call the layers of ours
RELEASED_NAMES = {
    "middle.": "middle_blks.",
    ".expand1.": ".conv1.",
    ".depthwise.": ".conv2.",
    ".attention.mix.": ".sca.1.",
    ".project1.": ".conv3.",
    ".expand2.": ".conv4.",
    ".project2.": ".conv5.",
}


def same_weights(ours: nn.Module, theirs: nn.Module) -> bool:
    first, second = ours.state_dict(), theirs.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("network", "kind"), [("m2aenet", M2AENet), ("nafnet", NAFNet), ("lmdvit", LMDViT)])
def test_each_network_can_be_begun_and_begun_again_from_its_weights(
    config: TrainConfig, network: str, kind: type[nn.Module], tmp_path: Path, randomise: Callable[[nn.Module], None]
) -> None:
    config = replace(config, network=network, lmdvit=SMALL_VIT)
    new = new_network(config)
    assert isinstance(new, kind)
    randomise(new)
    save_model(new, tmp_path / "start.safetensors")
    begun = first_network(replace(config, init_from=str(tmp_path / "start.safetensors")))
    assert same_weights(begun, new)
    assert begun.training


def test_the_folder_of_a_run_gives_its_best_weights(
    config: TrainConfig, tmp_path: Path, randomise: Callable[[nn.Module], None]
) -> None:
    best, final = new_network(config), new_network(config)
    randomise(best)
    save_model(best, tmp_path / "best.safetensors")
    save_model(final, tmp_path / "final.safetensors")
    assert same_weights(first_network(replace(config, init_from=str(tmp_path))), best)
    (tmp_path / "best.safetensors").unlink()
    assert same_weights(first_network(replace(config, init_from=str(tmp_path))), final)
    (tmp_path / "final.safetensors").unlink()
    with pytest.raises(InputError, match="holds no weights; give the folder of a run that has validated"):
        first_network(replace(config, init_from=str(tmp_path)))


def released(nafnet: NAFNet, path: Path) -> Path:
    """Write a NAFNet as its authors released theirs."""
    state = {}
    for name, value in nafnet.state_dict().items():
        for ours, theirs in RELEASED_NAMES.items():
            name = name.replace(ours, theirs)
        state[name] = value
    torch.save({"params": state}, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_an_m2aenet_begins_as_the_nafnet_it_is_given(
    config: TrainConfig, tmp_path: Path, suffix: str, randomise: Callable[[nn.Module], None], photo: torch.Tensor
) -> None:
    nafnet = NAFNet.from_config(config.nafnet).eval()
    randomise(nafnet)
    path = tmp_path / f"nafnet{suffix}"
    if suffix == ".pth":
        released(nafnet, path)
    else:
        save_model(nafnet, path)
    network = first_network(replace(config, init_from=str(path)))
    assert network.training
    assert network.config == config.model
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        # threshold 0: every pixel is kept
        torch.testing.assert_close(network.eval()(image, threshold=0.0).restored, nafnet(image), rtol=1e-4, atol=1e-4)
    # an encoder of the motion alone begins as the stage that it repeats
    apart = replace(config.model, motion_surroundings=1, motion_encoder=2)
    begun = first_network(replace(config, init_from=str(path), model=apart)).state_dict()
    assert any(name.startswith("motion_encoders.3.down.") for name in begun)
    for name, tensor in begun.items():
        for own, shared in (("motion_encoders.3.stage.", "encoders.2."), ("motion_encoders.3.down.", "downs.2.")):
            if name.startswith(own) and name.replace(own, shared) in begun:
                torch.testing.assert_close(tensor, begun[name.replace(own, shared)])


def test_a_nafnet_begins_as_the_backbone_of_an_m2aenet(
    config: TrainConfig, tmp_path: Path, randomise: Callable[[nn.Module], None], photo: torch.Tensor
) -> None:
    m2aenet = M2AENet(replace(config.model, attention="frame"))
    randomise(m2aenet)
    save_model(m2aenet, tmp_path / "m2aenet.safetensors")
    nafnet = first_network(replace(config, network="nafnet", init_from=str(tmp_path / "m2aenet.safetensors")))
    assert isinstance(nafnet, NAFNet)
    assert nafnet.training
    ours = m2aenet.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in nafnet.state_dict().items())
    wider = replace(config, network="nafnet", nafnet=replace(config.nafnet, width=6))
    with pytest.raises(InputError, match="has width 4, not 6"):
        first_network(replace(wider, init_from=str(tmp_path / "m2aenet.safetensors")))


@pytest.mark.parametrize(("network", "start"), [("m2aenet", M2AENet), ("nafnet", NAFNet), ("nafnet", M2AENet)])
def test_a_network_begins_as_a_narrower_one(
    config: TrainConfig,
    tmp_path: Path,
    randomise: Callable[[nn.Module], None],
    network: NetworkKind,
    start: type[M2AENet] | type[NAFNet],
) -> None:
    narrow = M2AENet(config.model) if start is M2AENet else NAFNet.from_config(config.nafnet)
    randomise(narrow)
    save_model(narrow, tmp_path / "narrow.safetensors")
    config = replace(config, network=network, init_from=str(tmp_path / "narrow.safetensors"), seed=3)
    wide = replace(config, model=replace(config.model, width=8), nafnet=replace(config.nafnet, width=8))
    begun, expected = first_network(wide).eval(), first_network(config).eval()
    blur = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        ours, theirs = as_output(begun(blur)).restored, as_output(expected(blur)).restored
    assert not torch.allclose(theirs, blur, atol=1e-3)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert same_weights(begun, first_network(wide))
    assert not same_weights(begun, first_network(replace(wide, seed=4)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 6}, "has width 4, not 6; train a network of that form, or start from another"),
        ({"middle_blocks": 2}, "has middle_blocks 1, not 2"),
        ({"use_mask": False, "trajectory": "learnable"}, "has use_mask True, not False; trajectory quadratic, not"),
    ],
)
def test_weights_of_another_form_cannot_be_begun_from(
    config: TrainConfig, tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    save_model(new_network(config), tmp_path / "start.safetensors")
    other = replace(config, model=replace(config.model, **changes), init_from=str(tmp_path / "start.safetensors"))
    with pytest.raises(InputError, match=sentence):
        first_network(other)


def test_a_nafnet_of_another_size_cannot_be_begun_from(config: TrainConfig, tmp_path: Path) -> None:
    save_model(NAFNet.from_config(replace(config.nafnet, width=8)), tmp_path / "start.safetensors")
    with pytest.raises(InputError, match="has width 8, not 4"):
        first_network(replace(config, init_from=str(tmp_path / "start.safetensors")))


def test_another_kind_of_network_cannot_be_begun_from(config: TrainConfig, tmp_path: Path) -> None:
    save_model(LMDViT(SMALL_VIT), tmp_path / "start.safetensors")
    with pytest.raises(InputError, match="holds the weights of a LMDViT, the run trains a M2AENet"):
        first_network(replace(config, init_from=str(tmp_path / "start.safetensors")))


def test_settings_without_weights_may_differ(config: TrainConfig, tmp_path: Path) -> None:
    save_model(new_network(config), tmp_path / "start.safetensors")
    warmer = replace(
        config, model=replace(config.model, temperature=2.0), init_from=str(tmp_path / "start.safetensors")
    )
    assert first_network(warmer).config.temperature == 2.0


def test_weights_without_surroundings_go_on_with_them(
    config: TrainConfig, tmp_path: Path, randomise: Callable[[nn.Module], None]
) -> None:
    plain = new_network(config)
    randomise(plain)
    save_model(plain, tmp_path / "start.safetensors")
    wider = replace(config, init_from=str(tmp_path / "start.safetensors"), model=replace(config.model, surroundings=1))
    begun, blur = first_network(wider).eval(), torch.rand(1, 3, 32, 48)
    assert begun.config.surroundings == 1
    torch.testing.assert_close(begun(blur).restored, plain.eval()(blur).restored)


def test_motion_takes_the_surroundings_along_that_it_shared(
    config: TrainConfig, tmp_path: Path, randomise: Callable[[nn.Module], None]
) -> None:
    model = replace(config.model, surroundings=1)
    shared = new_network(replace(config, model=model))
    assert isinstance(shared, M2AENet)
    randomise(shared)
    save_model(shared, tmp_path / "start.safetensors")
    start = replace(config, init_from=str(tmp_path / "start.safetensors"))
    apart = replace(model, motion_surroundings=1, deconvolution=2)
    begun, blur = first_network(replace(start, model=apart)).eval(), torch.rand(1, 3, 32, 48)
    before, after = shared.eval()(blur), begun(blur)
    torch.testing.assert_close(after.displacements[0].field, before.displacements[0].field)
    torch.testing.assert_close(after.restored, before.restored)
    # an encoder of its own begins as the stage that it repeats
    begun = first_network(replace(start, model=replace(apart, motion_encoder=2))).eval()
    torch.testing.assert_close(begun(blur).displacements[0].field, before.displacements[0].field)
    # so does an encoder of the decisions
    begun = first_network(replace(start, model=replace(apart, motion_encoder=2, decision_encoder=True))).eval()
    torch.testing.assert_close(begun(blur).displacements[0].field, before.displacements[0].field)
    torch.testing.assert_close(begun(blur).restored, before.restored)
    # an output that means something else cannot be gone on with
    renewed = first_network(replace(start, model=replace(apart, motion_output="path"))).eval()
    assert not torch.allclose(renewed.motion_analyzers["3"].conv.weight, shared.motion_analyzers["3"].conv.weight)


def test_where_decisions_learn_the_rest_wants_no_gradients(config: TrainConfig) -> None:
    network = first_network(replace(config, learn="decisions"))
    assert isinstance(network, M2AENet)
    learning = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learning == {"mask_predictors", "motion_analyzers"}
