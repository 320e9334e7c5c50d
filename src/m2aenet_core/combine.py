"""Put what learned apart into one file: `python -m m2aenet_core.combine`, or `m2aenet combine`.

Motion (`m2aenet train --learn motion`) and restoration (`--learn restoration`) do not touch each other's weights, so
both can learn at once from the same weights, on two machines or in two processes. Here the motion of the one joins all
else of the other. Where decisions have an encoder of their own, all that they are (`--learn decisions`) can be taken
from a narrower network too, which is quicker to teach. Weights that went on from the same ones have a mean that is
often better than either (Wortsman et al., Model soups, ICML 2022), at no cost.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from m2aenet_core.atomic import require_free
from m2aenet_core.checkpoint import load_model, save_model
from m2aenet_core.errors import InputError
from m2aenet_core.models.learning import Learning, learning_parts
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.models.widening import widen
from m2aenet_core.options import parse_options

# what a network is used with, and does not learn
_AS_USED = frozenset({"threshold", "ensemble", "temperature"})
# both may have been stored as float16 in between
_ROUNDING = 2e-3


@dataclass(frozen=True)
class CombineConfig:
    """Which weights to take from where."""

    model: str
    """Weights by name, or a .safetensors file, to take all else from."""
    decisions: str | None = None
    """Weights whose decisions have an encoder of their own, to take masks and motion from, widened where they are
    narrower; those of `model` without."""
    motion: str | None = None
    """Weights that began as the same network and learned motion, to take the motion from; those of `model` without."""
    mean_with: str | None = None
    """Weights that began as the same network, whose mean with those of `model` is to be taken first."""
    share: float = 0.5
    """The part of `mean_with` in that mean, between 0 and 1; the rest is of `model`."""
    out: str = "combined.safetensors"
    """The weights file to write."""
    half: bool = False
    """Write float16, half the size."""
    overwrite: bool = False
    """Replace the weights file if it exists."""


def combine(config: CombineConfig) -> M2AENet:
    """Write and give the network with the decisions or the motion of one and all else of another, or of a mean of two.

    Raises InputError for networks of another form, for decisions or motion that do not learn apart, and for features
    before the motion that are not the same, for a share that is none, and for a file that exists unless `overwrite`.
    """
    if not 0 < config.share < 1:  # NaN too
        raise InputError(f"the share of mean_with is {config.share}; give a number between 0 and 1")
    require_free(Path(config.out), overwrite=config.overwrite)
    network = _read(config.model)
    if config.mean_with is not None:
        _take_mean(network, config)
    if config.decisions is not None:
        network = _with_decisions(network, config.model, config.decisions)
    if config.motion is not None:
        network = _with_motion(network, config.model, config.motion)
    save_model(network, config.out, {}, half=config.half)
    return network


def _take_mean(network: M2AENet, config: CombineConfig) -> None:
    """Let the weights of a network be the mean of its own and those that are to be mixed in."""
    assert config.mean_with is not None
    other = _read(config.mean_with)
    _check_alike(network, other, config.model, config.mean_with, with_motion=True)
    own, others = network.state_dict(), other.state_dict()
    network.load_state_dict({name: torch.lerp(own[name], value, config.share) for name, value in others.items()})


def _with_decisions(rest: M2AENet, its_name: str, name_of_decisions: str) -> M2AENet:
    """Give the network with all decisions of the weights that are named, and all else of another."""
    deciding = _read(name_of_decisions)
    for network, name in ((rest, its_name), (deciding, name_of_decisions)):
        if network.decision_encoder is None:
            raise InputError(
                f"the decisions of {name} have no encoder of their own; give weights with decision_encoder"
            )
    if deciding.config.width < rest.config.width:
        deciding = _widened(deciding, rest.config.width, its_name, name_of_decisions)
    _check_alike(rest, deciding, its_name, name_of_decisions)
    taken = _names_of(deciding, "decisions")
    return _joined(deciding, taken, rest)


def _widened(narrow: M2AENet, width: int, its_name: str, name_of_narrow: str) -> M2AENet:
    if width % narrow.config.width:
        raise InputError(
            f"{its_name} is {width} channels wide, no multiple of the {narrow.config.width} of {name_of_narrow}"
        )
    wide = M2AENet(dataclasses.replace(narrow.config, width=width))
    # the shares are random, and the file the same each time
    widen(narrow, wide, torch.Generator().manual_seed(0))
    return wide


def _with_motion(rest: M2AENet, its_name: str, name_of_motion: str) -> M2AENet:
    """Give the network with the motion of the weights that are named, and all else of another."""
    motion = _read(name_of_motion)
    _check_alike(rest, motion, its_name, name_of_motion)
    taken = _names_of(motion, "motion")
    state, others = motion.state_dict(), rest.state_dict()
    for name in state.keys() - taken:
        if name.startswith(_before_motion(motion)) and not torch.allclose(
            state[name].float(), others[name].float(), rtol=_ROUNDING, atol=_ROUNDING
        ):
            raise InputError(
                f"{name_of_motion} found its motion on other features than those of {its_name} ({name} differs); "
                "let both learn from the same weights"
            )
    return _joined(motion, taken, rest)


def _names_of(network: M2AENet, learn: Learning) -> set[str]:
    """Give the names of what learns in a part of a network."""
    learning = {id(each) for part in learning_parts(network, learn) for each in part.parameters()}
    return {name for name, each in network.named_parameters() if id(each) in learning}


def _joined(part: M2AENet, taken: set[str], rest: M2AENet) -> M2AENet:
    """Give the network with the weights of these names, all others of another network, used as the other one is."""
    others = rest.state_dict()
    part.load_state_dict({name: value if name in taken else others[name] for name, value in part.state_dict().items()})
    part.config = dataclasses.replace(part.config, **{name: getattr(rest.config, name) for name in _AS_USED})
    return part


def _check_alike(one: M2AENet, other: M2AENet, name: str, other_name: str, *, with_motion: bool = False) -> None:
    """Raise InputError for networks that differ in more than what they are used with and, if it may, their motion."""
    differing = [
        field.name
        for field in dataclasses.fields(one.config)
        if (with_motion or not field.name.startswith("motion_"))
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


def _sources(config: CombineConfig) -> str:
    """Tell what came from where."""
    rest = config.model
    if config.mean_with is not None:
        rest = f"the mean of {1 - config.share:g} of {config.model} and {config.share:g} of {config.mean_with}"
    taken = {"motion": config.motion, "decisions": config.decisions}
    parts = [f"the {part} of {source}" for part, source in taken.items() if source is not None]
    return ", ".join([*parts, f"all else of {rest}"]) if parts else rest


def main(argv: Sequence[str] | None = None) -> int:
    """Combine as the command line says."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Put motion and restoration that learned apart into one file, or the mean of two that learned alike."
        config = parse_options(CombineConfig, "m2aenet combine", about, argv)
        if config.motion is None and config.decisions is None and config.mean_with is None:
            raise InputError("there is nothing to combine; give --motion, --decisions or --mean_with")
        combine(config)
        print(f"{config.out}: {_sources(config)}")

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
