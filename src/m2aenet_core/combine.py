"""Put what learned apart into one file: `python -m m2aenet_core.combine`, or `m2aenet combine`.

Motion (`m2aenet train --learn motion`) and restoration (`--learn restoration`) do not touch each other's weights, so
both can learn at once from the same weights, on two machines or in two processes. Here the motion of the one joins all
else of the other. Weights that went on from the same ones have a mean that is often better than either (Wortsman et
al., Model soups, ICML 2022), at no cost.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from m2aenet_core.checkpoint import load_model, save_model
from m2aenet_core.errors import InputError
from m2aenet_core.models.learning import learning_parts
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.options import parse_options

# what a network is used with, and does not learn
_AS_USED = frozenset({"threshold", "ensemble", "temperature"})
# both may have been stored as float16 in between
_ROUNDING = 2e-3


@dataclass(frozen=True)
class CombineConfig:
    """Which weights to take from where."""

    model: str
    """Weights by name, or a .safetensors file, to take all but the motion from."""
    motion: str | None = None
    """Weights that began as the same network and learned motion, to take the motion from; those of `model` without."""
    mean_with: str | None = None
    """Weights that began as the same network, whose mean with those of `model` is to be taken first."""
    out: str = "combined.safetensors"
    """The weights file to write."""
    half: bool = False
    """Write float16, half the size."""


def combine(config: CombineConfig) -> M2AENet:
    """Write and give the network with the motion of one and all else of another, or of the mean of two.

    Raises InputError for networks of another form, for motion that does not learn apart, and for features before the
    motion that are not the same.
    """
    network = _read(config.model)
    if config.mean_with is not None:
        _take_mean(network, config.model, config.mean_with)
    if config.motion is not None:
        network = _with_motion(network, config.model, config.motion)
    save_model(network, config.out, {}, half=config.half)
    return network


def _take_mean(network: M2AENet, its_name: str, name_of_other: str) -> None:
    """Let the weights of a network be the mean of its own and those that are named."""
    other = _read(name_of_other)
    _check_alike(network, other, its_name, name_of_other)
    state = network.state_dict()
    if state.keys() != other.state_dict().keys():
        raise InputError(f"{its_name} and {name_of_other} have other parts; there is no mean of them")
    network.load_state_dict({name: torch.lerp(state[name], value, 0.5) for name, value in other.state_dict().items()})


def _with_motion(rest: M2AENet, its_name: str, name_of_motion: str) -> M2AENet:
    """Give the network with the motion of the weights that are named, and all else of another."""
    motion = _read(name_of_motion)
    _check_alike(rest, motion, its_name, name_of_motion)
    of_motion = {id(each) for part in learning_parts(motion, "motion") for each in part.parameters()}
    taken = {name for name, each in motion.named_parameters() if id(each) in of_motion}
    state, others = motion.state_dict(), rest.state_dict()
    for name in state.keys() - taken:
        if name.startswith(_before_motion(motion)) and not torch.allclose(
            state[name].float(), others[name].float(), rtol=_ROUNDING, atol=_ROUNDING
        ):
            raise InputError(
                f"{name_of_motion} found its motion on other features than those of {its_name} ({name} differs); "
                "let both learn from the same weights"
            )
        state[name] = others[name]
    motion.load_state_dict(state)
    motion.config = dataclasses.replace(motion.config, **{name: getattr(rest.config, name) for name in _AS_USED})
    return motion


def _check_alike(one: M2AENet, other: M2AENet, name: str, other_name: str) -> None:
    """Raise InputError for networks that differ in more than their motion and what they are used with."""
    differing = [
        field.name
        for field in dataclasses.fields(one.config)
        if not field.name.startswith("motion_")
        and field.name not in _AS_USED
        and getattr(one.config, field.name) != getattr(other.config, field.name)
    ]
    if differing:
        raise InputError(f"{name} and {other_name} differ in {', '.join(differing)}; they cannot be combined")


def _before_motion(network: M2AENet) -> tuple[str, ...]:
    """Give how the names of what the motion is found on begin."""
    if network.decision_encoder is not None:
        return ("decision_encoder.",)
    last = len(network.config.encoder_blocks) - 1
    return ("intro.", *(f"{kind}.{scale}." for kind in ("encoders", "downs") for scale in range(last)))


def _read(name_or_path: str) -> M2AENet:
    model = load_model(name_or_path)
    if not isinstance(model, M2AENet):
        raise InputError(f"{name_or_path} holds a {type(model).__name__}; give an M2AENet, whose motion learns apart")
    return model


def main(argv: Sequence[str] | None = None) -> int:
    """Combine as the command line says."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Put motion and restoration that learned apart into one file, or the mean of two that learned alike."
        config = parse_options(CombineConfig, "m2aenet combine", about, argv)
        if config.motion is None and config.mean_with is None:
            raise InputError("there is nothing to combine; give --motion, --mean_with, or both")
        combine(config)
        rest = config.model if config.mean_with is None else f"the mean of {config.model} and {config.mean_with}"
        print(f"{config.out}: " + (f"the motion of {config.motion}, all else of {rest}" if config.motion else rest))

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
