"""Released checkpoints: their keys, their wrappings, and the outputs of the released code.

The reference numbers were computed with the code that the authors of NAFNet and LMD-ViT released, under pseudo-random
weights that anybody can make again from the names and shapes of the released tensors (`drawn`).
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from m2aenet_core.errors import InputError
from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import Network, as_output
from m2aenet_core.published import load_published, read_published

# -- the names of the released tensors -----------------------------------------------------------------------------

NAFNET_NAMES = {
    "expand1": "conv1",
    "depthwise": "conv2",
    "attention.mix": "sca.1",
    "project1": "conv3",
    "expand2": "conv4",
    "project2": "conv5",
    "middle.": "middle_blks.",
}
LMDVIT_NAMES = {
    "intro.": "input_proj.proj.0.",
    "ending.": "output_proj.proj.0.",
    "encoders.": "encoderlayer_",
    "middle.": "conv.",
    "decoders.": "decoderlayer_",
    "attention.project": "attn.proj",
    "feed_forward.expand": "mlp.linear1.0",
    "feed_forward.depthwise": "mlp.dwconv.0",
    "feed_forward.project": "mlp.linear2.0",
    "modulator": "modulator.weight",
    "embed": "score_predictor.in_conv",
    "decide": "score_predictor.out_conv",
    "predictors": "blocks",
}


def translated(name: str, names: Mapping[str, str]) -> str:
    for ours, theirs in names.items():
        name = name.replace(ours, theirs)
    return name


def released_nafnet(network: NAFNet) -> dict[str, Tensor]:
    """Give the tensors under the names that the NAFNet authors' checkpoints have for them."""
    return {translated(name, NAFNET_NAMES): value for name, value in network.state_dict().items()}


def released_lmdvit(network: LMDViT) -> dict[str, Tensor]:
    """Give the tensors under the names, and in the form, that the LMD-ViT authors' checkpoints have for them."""
    window, state = network.config.window, {}
    for name, value in network.state_dict().items():
        stem, _, kind = translated(name, LMDVIT_NAMES).rpartition(".")
        if stem.endswith("attention.query_key_value"):
            stem = stem.replace("attention.query_key_value", "attn.qkv")
            channels = len(value) // 3
            state[f"{stem}.to_q.{kind}"], state[f"{stem}.to_kv.{kind}"] = value.split([channels, 2 * channels])
        elif kind == "position_bias":
            stem = stem.replace("attention", "attn")
            state[f"{stem}.relative_position_bias_table"] = value.flatten(1).t()
            state[f"{stem}.relative_position_index"] = position_index(window)
        else:
            numbered = stem.startswith(("downs.", "ups."))
            state[f"{sampled(stem)}.{kind}" if numbered else f"{dotless(stem)}.{kind}"] = value
    return {dotless(name): value for name, value in state.items()}


def sampled(stem: str) -> str:
    part, number = stem.split(".")
    return f"dowsample_{number}.conv.0" if part == "downs" else f"upsample_{number}.deconv.0"


def dotless(name: str) -> str:
    return name.replace("encoderlayer_.", "encoderlayer_").replace("decoderlayer_.", "decoderlayer_")


def position_index(window: int) -> Tensor:
    """Give the row of the table for each pair of pixels, found by their distance one by one."""
    pixels = range(window**2)
    wide = 2 * window - 1
    rows = [
        [(at // window - to // window + window - 1) * wide + at % window - to % window + window - 1 for to in pixels]
        for at in pixels
    ]
    return torch.tensor(rows)


def digest(state: Mapping[str, Tensor]) -> str:
    lines = sorted(f"{name} {tuple(value.shape)}" for name, value in state.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_names_and_shapes_are_those_of_the_released_networks() -> None:
    """Number and digest of the released networks' own state dicts, at the published size."""
    with torch.device("meta"):
        nafnet, lmdvit = released_nafnet(NAFNet()), released_lmdvit(LMDViT())
    assert len(nafnet) == 664
    assert digest(nafnet) == "67d353bc56df7954029650d80f20fdbb4f54cd689754fe10b7391728a23f6ed0"
    assert len(lmdvit) == 951
    assert digest(lmdvit) == "0034618457d7c0e1ecca1855543bee26c99edd89aa8ddfe5338eb1795ed68bbd"


# -- the released code's outputs -----------------------------------------------------------------------------------


def uniform(name: str, count: int) -> NDArray[np.float64]:
    """Give numbers from -1 to 1 from the raw bits of PCG64, which no version of numpy may change."""
    raw = np.random.PCG64(zlib.crc32(name.encode())).random_raw(count)
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1


def drawn(state: Mapping[str, Tensor], seed: str) -> dict[str, Tensor]:
    """Give weights for released names and shapes, each from its name alone.

    Numbers of variance 1, evenly distributed, from crc32(seed + name). With more than one dimension they are divided
    by the root of the number of values in a tensor's first entry; else they are divided by ten, and 1 is added to
    those called weight. Integers stay as they are.
    """
    weights = {}
    for name, like in state.items():
        if not like.is_floating_point():
            weights[name] = like
            continue
        numbers = 3**0.5 * uniform(seed + name, like.numel())
        one = 1 if name.endswith("weight") else 0
        numbers = numbers / like[0].numel() ** 0.5 if like.dim() > 1 else 0.1 * numbers + one
        weights[name] = torch.from_numpy(numbers.astype(np.float32)).view(like.shape)
    return weights


def made_image(height: int, width: int) -> Tensor:
    """Give an image (1, 3, H, W): waves, with noise in a disc, so that windows differ."""
    y, x = np.mgrid[:height, :width]
    noise = (uniform("image", 3 * height * width) + 1).reshape(1, 3, height, width) / 2
    waves = 0.5 + 0.25 * np.sin(x / 17) + 0.25 * np.cos(y / 23)
    is_inside = (y - 0.4 * height) ** 2 + (x - 0.6 * width) ** 2 < (0.3 * min(height, width)) ** 2
    return torch.from_numpy((0.5 * waves + 0.5 * np.where(is_inside, noise, 0.5)).astype(np.float32))


class Reference(NamedTuple):
    """What the released code gives: 24 values evenly spread over the flat output, its mean and deviation, and for
    each predictor how many windows it keeps."""

    kind: str
    network: Callable[[], Network]
    seed: str
    size: tuple[int, int]
    values: str
    mean: float
    deviation: float
    kept: tuple[int, ...] = ()


SMALL_LMDVIT = LMDViTConfig(width=8, depths=(1, 1, 2, 3, 2, 2, 1, 2, 1), heads=(1, 2, 2, 4, 4, 4, 4, 2, 1))
REFERENCES = {
    "small LMD-ViT": Reference(
        "lmdvit",
        lambda: LMDViT(SMALL_LMDVIT),
        "60/",
        (150, 131),
        """
        -0.09923 0.61761 -0.32262 0.07880 -0.15301 -0.33750 1.34117 1.18421
        1.14476 0.98882 1.04453 0.33315 1.23587 0.87948 0.29797 0.61668
        -1.35661 0.07617 -1.08540 -0.94480 0.58595 0.64327 -0.09533 0.75582
        """,
        0.476006,
        0.715607,
        (1024, 221, 44, 64, 4, 9, 0, 4, 0, 1, 6, 21, 256, 0),
    ),
    "published LMD-ViT": Reference(
        "lmdvit",
        LMDViT,
        "23/",
        (128, 256),
        """
        0.91272 0.02003 1.97897 -4.71613 -0.27768 -0.48763 -0.07680 0.32830
        1.37458 2.41685 2.68430 0.94560 0.70337 0.22085 0.37454 0.46120
        2.52804 1.16723 1.20554 0.25465 0.67958 0.65584 1.57425 0.49253
        """,
        0.683817,
        1.136295,
        (512, 128, 120, 0, 6, 0, 7, 1, 0, 0, 7, 32, 0, 0, 128, 0),
    ),
    "small NAFNet": Reference(
        "nafnet",
        lambda: NAFNet(width=8, encoder_blocks=(1, 2, 1), middle_blocks=2, decoder_blocks=(1, 1, 3)),
        "",
        (45, 70),
        """
        0.78095 0.55358 0.41525 2.50075 2.84066 -0.63030 0.75279 0.58245
        2.27431 -3.79167 -0.93655 -0.97045 2.14739 -2.17013 -0.21208 0.69955
        -0.34052 0.38693 -2.46957 0.88351 2.58048 1.72768 -2.13230 -0.46037
        """,
        0.735367,
        1.863642,
    ),
    "published NAFNet": Reference(
        "nafnet",
        NAFNet,
        "",
        (101, 135),
        """
        -0.78280 -4.41384 -1.61352 0.09341 -0.72107 -1.23501 -0.27412 0.26983
        0.03855 -0.88269 1.02089 -1.28598 3.65300 1.08387 -1.44112 0.09406
        2.22168 3.74919 5.19584 2.40563 1.11935 0.20152 3.31067 1.79866
        """,
        0.875059,
        2.005017,
    ),
}
RELEASED: dict[str, Callable[[Any], dict[str, Tensor]]] = {"nafnet": released_nafnet, "lmdvit": released_lmdvit}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if "published" in name else []) for name in REFERENCES]
)
def test_the_output_is_that_of_the_released_code(name: str) -> None:
    reference = REFERENCES[name]
    network = load_published(reference.kind, drawn(RELEASED[reference.kind](reference.network()), reference.seed))
    with torch.no_grad():
        output = as_output(network(made_image(*reference.size)))
    values = output.restored.flatten()
    places = torch.linspace(0, len(values) - 1, 24, dtype=torch.float64).round().long()
    torch.testing.assert_close(
        values[places], torch.tensor([float(value) for value in reference.values.split()]), atol=2e-4, rtol=1e-4
    )
    assert values.double().mean().item() == pytest.approx(reference.mean, abs=1e-4)
    assert values.double().std().item() == pytest.approx(reference.deviation, abs=1e-4)
    assert tuple(int(mask.sum()) for mask in output.masks) == reference.kept


# -- every size, every wrapping ------------------------------------------------------------------------------------

LMDVIT_SIZES = {
    "as published, smaller": SMALL_LMDVIT,
    "two scales, windows of 4": LMDViTConfig(width=8, window=4, depths=(1, 3, 2, 2, 1), heads=(1, 2, 4, 2, 1)),
    "twice the hidden channels": LMDViTConfig(width=4, window=2, depths=(1, 1, 1), heads=(1, 1, 2), mlp_ratio=2.0),
    "hidden channels in no whole ratio": LMDViTConfig(
        width=8, window=2, depths=(1,) * 3, heads=(1,) * 3, mlp_ratio=2.5
    ),
}


@pytest.mark.parametrize("config", LMDVIT_SIZES.values(), ids=LMDVIT_SIZES.keys())
def test_the_size_of_an_lmdvit_is_worked_out(config: LMDViTConfig, randomise: Callable[[nn.Module], None]) -> None:
    network, blur = LMDViT(config).eval(), torch.rand(1, 3, 33, 20)
    randomise(network)
    loaded = load_published("lmdvit", released_lmdvit(network))
    assert loaded.config == config
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(blur).restored, network(blur).restored)


@pytest.mark.parametrize(
    "network",
    [
        NAFNet(width=4, encoder_blocks=(1, 2, 1), middle_blocks=2, decoder_blocks=(1, 1, 3)),
        NAFNet(width=4, encoder_blocks=(2,), middle_blocks=1, decoder_blocks=(12,)),
    ],
    ids=["three scales", "one scale"],
)
def test_the_size_of_a_nafnet_is_worked_out(network: NAFNet, randomise: Callable[[nn.Module], None]) -> None:
    randomise(network)
    loaded, blur = load_published("nafnet", released_nafnet(network)), torch.rand(1, 3, 17, 20)
    assert loaded.config == network.config
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(blur), network.eval()(blur))


@pytest.fixture
def released(randomise: Callable[[nn.Module], None]) -> dict[str, Tensor]:
    """The tensors of a small LMD-ViT."""
    network = LMDViT(LMDVIT_SIZES["two scales, windows of 4"])
    randomise(network)
    return released_lmdvit(network)


def with_module(state: dict[str, Tensor]) -> dict[str, Any]:
    return {f"module.{name}": value for name, value in state.items()}


WRAPPINGS: dict[str, Callable[[dict[str, Tensor]], dict[Any, Any]]] = {
    "plain": dict,
    "params": lambda state: {"params": state},
    "state_dict": lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"state": {0: {"step": 1}}}},
    "model": lambda state: {"model": state},
    "module": with_module,
    "module twice": lambda state: with_module(with_module(state)),
    "state_dict and module": lambda state: {"state_dict": with_module(state)},
    "wrapped twice": lambda state: {"model": {"params": state, "iteration": 5}},
    "arrays": lambda state: {name: value.numpy() for name, value in state.items()},
    "without position index": lambda state: {n: value for n, value in state.items() if not n.endswith("_index")},
    "halves": lambda state: {n: value.half() if value.is_floating_point() else value for n, value in state.items()},
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_any_wrapping_gives_the_same_network(released: dict[str, Tensor], name: str) -> None:
    expected = load_published("lmdvit", released).state_dict()
    loaded = load_published("lmdvit", WRAPPINGS[name](released)).state_dict()
    tolerance = 1e-3 if name == "halves" else 0
    for key, value in loaded.items():
        torch.testing.assert_close(value, expected[key], atol=tolerance, rtol=tolerance)


def test_nothing_is_shared_with_what_was_given(released: dict[str, Tensor]) -> None:
    network = load_published("lmdvit", released)
    before = {name: value.clone() for name, value in released.items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in released.items())


# -- what is no such checkpoint ------------------------------------------------------------------------------------


def test_other_kinds_get_a_sentence() -> None:
    with pytest.raises(InputError, match="released checkpoints of restormer are not known; give nafnet or lmdvit"):
        load_published("restormer", {})


OTHERS: list[dict[Any, Any]] = [
    {},
    {"weight": torch.zeros(2)},
    {"epoch": 3, "note": "text"},
    {"params": {}},
    {"intro.bias": torch.zeros(4)},
    {0: torch.zeros(4)},
]


@pytest.mark.parametrize("state", OTHERS)
@pytest.mark.parametrize(("kind", "name"), [("nafnet", "a NAFNet"), ("lmdvit", "an LMD-ViT")])
def test_other_checkpoints_get_a_sentence(state: dict[Any, Any], kind: str, name: str) -> None:
    with pytest.raises(InputError, match=f"these are not the weights of {name}; give"):
        load_published(kind, state)


def test_a_nafnet_is_no_lmdvit_and_an_lmdvit_no_nafnet(released: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match="these are not the weights of an LMD-ViT"):
        load_published("lmdvit", released_nafnet(NAFNet(width=4)))
    with pytest.raises(InputError, match="these are not the weights of a NAFNet"):
        load_published("nafnet", released)


@pytest.mark.parametrize(
    "name",
    [
        "conv.blocks.1.norm1.weight",
        "encoderlayer_1.blocks.2.mlp.dwconv.0.bias",
        "encoderlayer_0.blocks.0.attn.qkv.to_q.weight",
        "decoderlayer_0.blocks.1.attn.qkv.to_kv.bias",
        "decoderlayer_1.blocks.0.modulator.weight",
        "encoderlayer_0.blocks.0.score_predictor.out_conv.4.bias",
        "dowsample_1.conv.0.weight",
        "upsample_0.deconv.0.bias",
    ],
)
def test_missing_and_misshapen_tensors_get_a_sentence(released: dict[str, Tensor], name: str) -> None:
    value = released.pop(name)
    with pytest.raises(InputError, match="the checkpoint does not fit an LMD-ViT: Missing key"):
        load_published("lmdvit", released)
    with pytest.raises(InputError, match="the checkpoint does not fit an LMD-ViT: size mismatch"):
        load_published("lmdvit", released | {name: torch.cat([value, value])})


@pytest.mark.parametrize("part", ["input_proj.proj.0.weight", "conv.blocks.0", "decoderlayer_1.blocks.0.attn"])
def test_without_what_tells_the_size_the_checkpoint_is_refused(released: dict[str, Tensor], part: str) -> None:
    rest = {name: value for name, value in released.items() if not name.startswith(part)}
    with pytest.raises(InputError, match="these are not the weights of an LMD-ViT"):
        load_published("lmdvit", rest)


def test_a_tensor_too_many_gets_a_sentence(released: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match=r"does not fit an LMD-ViT: Unexpected key.*cross_attn"):
        load_published("lmdvit", released | {"conv.blocks.0.cross_attn.proj.bias": torch.zeros(3)})


def test_biases_in_another_order_are_refused(released: dict[str, Tensor]) -> None:
    released["conv.blocks.0.attn.relative_position_index"] = position_index(4).t().contiguous()
    with pytest.raises(InputError, match="numbers relative positions in another way"):
        load_published("lmdvit", released)


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_released_file_is_read(released: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "model_LMDVIT.pth"
    torch.save({"epoch": 7, "state_dict": with_module(released)}, path)
    expected = load_published("lmdvit", released).state_dict()
    for given in (path, str(path)):
        loaded = read_published(given, "lmdvit").state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in loaded.items())


class Malicious:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("this_must_not_be_made",)


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_a_file_with_code_in_it_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_zip: bool) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Malicious()}, tmp_path / "bad.pth", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(InputError, match=r"bad\.pth is not a checkpoint of tensors alone; get it again") as caught:
        read_published(tmp_path / "bad.pth", "lmdvit")
    # torch says how to run it all the same
    assert "weights_only" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]


@pytest.mark.parametrize("size", [0, 1, 100, -100])
def test_a_file_cut_short_gets_a_sentence(released: dict[str, Tensor], tmp_path: Path, size: int) -> None:
    path = tmp_path / "short.pth"
    torch.save(released, path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"short\.pth is not a checkpoint of tensors alone; get it again"):
        read_published(path, "lmdvit")


def test_a_file_of_something_else_gets_a_sentence(tmp_path: Path) -> None:
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    with pytest.raises(InputError, match=r"list\.pth holds a list, not named weights; give a released checkpoint"):
        read_published(tmp_path / "list.pth", "nafnet")


def test_a_file_that_is_not_there_gets_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pth", tmp_path):
        with pytest.raises(InputError, match=r"there is no file .*; give the checkpoint that the authors of nafnet"):
            read_published(path, "nafnet")
