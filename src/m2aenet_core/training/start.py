"""The network that a run begins with: new, or from weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from m2aenet_core.checkpoint import NETWORKS, load_model
from m2aenet_core.errors import InputError
from m2aenet_core.models.learning import learning_parts
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import Network
from m2aenet_core.models.widening import widen
from m2aenet_core.published import read_published
from m2aenet_core.training.config import NetworkKind, TrainConfig

KINDS: Mapping[NetworkKind, str] = {"m2aenet": "M2AENet", "nafnet": "NAFNet", "lmdvit": "LMDViT"}

_RELEASED_SUFFIXES = {".pth", ".pt", ".ckpt"}
# parts that begin as the identity, so that weights without them go on with them
_NEW_PARTS = ("surroundings.", "motion_surroundings.", "motion_encoders.", "decision_encoder.", "deconvolution.")
_WEIGHTS_OF_A_RUN = ("best.safetensors", "final.safetensors", "last.safetensors")


def new_network(config: TrainConfig) -> Network:
    """Give the network of a config with its first, random weights."""
    build, _ = NETWORKS[KINDS[config.network]]
    return build(config.network_config)


def first_network(config: TrainConfig) -> Network:
    """Give the network that a run begins with, in training mode; what is not to learn wants no gradients.

    Raises InputError for what `with_first_weights` does, and for a network that cannot learn in parts.
    """
    network = with_first_weights(config)
    if config.learn != "all":
        assert isinstance(network, M2AENet)
        parts = learning_parts(network, config.learn)
        network.requires_grad_(False)
        for part in parts:
            part.requires_grad_(True)
    return network


def with_first_weights(config: TrainConfig) -> Network:
    """Give the network of a config with the weights that it begins with.

    Without `init_from` it is new. Weights may be of the same network, or of a NAFNet of the same size for an M2AENet,
    which then begins as that NAFNet. A NAFNet may begin with the backbone of an M2AENet of its size. Either may begin
    as a narrower one of which its width is a multiple.

    Raises InputError for weights of another network, naming what differs.
    """
    network = new_network(config)
    if config.init_from is None:
        return network.train()
    start = _as_wide_as(network, _read(config.init_from, config.network), config.seed)
    if isinstance(network, M2AENet) and isinstance(start, NAFNet):
        _check_same(config.init_from, start.config, network.config, only_shared=True)
        begun = M2AENet.from_nafnet(start, network.config)
        shared = {name: value for name, value in begun.state_dict().items() if not name.startswith(_NEW_PARTS)}
        begun.load_state_dict(_with_new_parts(begun, begun, shared))
        return begun.train()
    if isinstance(network, NAFNet) and isinstance(start, M2AENet):
        _check_same(config.init_from, start.config, network.config, only_shared=True)
        return start.to_nafnet().train()
    state = start.state_dict()
    if type(start) is not type(network):
        raise InputError(f"{config.init_from} holds the weights of a {_kind(start)}, the run trains a {_kind(network)}")
    state = _with_new_parts(network, start, state)
    if _shapes(state) != _shapes(network.state_dict()):
        _check_same(config.init_from, start.config, network.config)
    network.load_state_dict(state)
    return network.train()


def _as_wide_as(network: Network, start: Network, seed: int) -> Network:
    """Give a network to start from, widened where it is narrower than the one that is to be trained."""
    if not isinstance(network, M2AENet | NAFNet) or not isinstance(start, M2AENet | NAFNet):
        return start
    before, now = start.config.width, network.config.width
    if before >= now or now % before:
        return start
    build, _ = NETWORKS[_kind(start)]
    wide = build(dataclasses.replace(start.config, width=now)).eval()
    widen(start, wide, torch.Generator().manual_seed(seed))
    return wide


def _with_new_parts(network: Network, start: Network, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the weights of a network with those parts that it did not have, as they are in another one.

    Surroundings and encoders of the decisions or the motion alone begin as those that they shared. An analyzer whose
    output means something else begins anew.
    """
    fresh = network.state_dict()
    new = {name: value for name, value in fresh.items() if name.startswith(_NEW_PARTS)}
    for name in new:
        shared = state.get(_shared_before(name))
        if shared is not None and shared.shape == new[name].shape:
            new[name] = shared
    merged = new | dict(state)
    if isinstance(network, M2AENet) and network.config.motion_output != start.config.motion_output:
        merged |= {name: value for name, value in fresh.items() if name.startswith("motion_analyzers.")}
    return merged


def _shared_before(name: str) -> str:
    """Give what a weight of the motion alone is called where motion is found in what it shares."""
    parts = name.split(".")
    if parts[0] == "decision_encoder":
        return name.removeprefix("decision_encoder.")
    if parts[0] != "motion_encoders":
        return name.removeprefix("motion_")
    kind = {"stage": "encoders", "down": "downs"}.get(parts[2])
    return name if kind is None else ".".join((kind, str(int(parts[1]) - 1), *parts[3:]))


def in_channels_last(network: Network) -> Network:
    """Give the network with its kernels in channels_last memory, in which its layers are quickest."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for parameter in network.parameters():
        if parameter.dim() == 4 and len(parameter) == 1:
            # a gain for each channel is the same in either memory, but processes that share a batch compare the strides
            parameter.data = parameter.data.flatten().view(parameter.shape)
    return network


def _read(name_or_path: str, network: NetworkKind) -> Network:
    path = Path(name_or_path)
    if path.is_dir():
        weights = next((path / name for name in _WEIGHTS_OF_A_RUN if (path / name).is_file()), None)
        if weights is None:
            raise InputError(f"{path} holds no weights; give the folder of a run that has validated, or a file")
        return load_model(weights)
    if path.suffix.lower() in _RELEASED_SUFFIXES:
        return read_published(path, "lmdvit" if network == "lmdvit" else "nafnet")
    return load_model(name_or_path)


def _check_same(source: str, theirs: Any, ours: Any, *, only_shared: bool = False) -> None:
    """Raise InputError that names the settings in which two networks differ."""
    before, now = dataclasses.asdict(theirs), dataclasses.asdict(ours)
    names = before.keys() & now.keys() if only_shared else before.keys() | now.keys()
    differences = [f"{n} {before[n]}, not {now[n]}" for n in now if n in names and before.get(n) != now[n]]
    if differences:
        raise InputError(f"{source} has {'; '.join(differences)}; train a network of that form, or start from another")


def _kind(network: Network) -> str:
    return type(network).__name__


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
