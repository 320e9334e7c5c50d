"""Put what learned apart into one file: `python -m m2aenet_core.combine`, or `m2aenet combine`.

Motion (`m2aenet train --learn motion`) and restoration (`--learn restoration`) do not touch each other's weights, so
both can learn at once from the same weights, on two machines or in two processes. Here the motion of the one joins all
else of the other.
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
    motion: str
    """Weights that began as the same network and learned motion, to take the motion from."""
    out: str = "combined.safetensors"
    """The weights file to write."""
    half: bool = False
    """Write float16, half the size."""


def combine(config: CombineConfig) -> M2AENet:
    """Write and give the network with the motion of one and all else of another.

    Raises InputError for networks of another form, for motion that does not learn apart, and for features before the
    motion that are not the same.
    """
    rest, motion = _read(config.model), _read(config.motion)
    differing = [
        field.name
        for field in dataclasses.fields(rest.config)
        if not field.name.startswith("motion_")
        and field.name not in _AS_USED
        and getattr(rest.config, field.name) != getattr(motion.config, field.name)
    ]
    if differing:
        raise InputError(
            f"{config.model} and {config.motion} differ in {', '.join(differing)}; they cannot be combined"
        )
    of_motion = {id(each) for part in learning_parts(motion, "motion") for each in part.parameters()}
    taken = {name for name, each in motion.named_parameters() if id(each) in of_motion}
    state, others = motion.state_dict(), rest.state_dict()
    for name in state.keys() - taken:
        if name.startswith(_before_motion(motion)) and not torch.allclose(
            state[name].float(), others[name].float(), rtol=_ROUNDING, atol=_ROUNDING
        ):
            raise InputError(
                f"{config.motion} found its motion on other features than those of {config.model} ({name} differs); "
                "let both learn from the same weights"
            )
        state[name] = others[name]
    motion.load_state_dict(state)
    motion.config = dataclasses.replace(motion.config, **{name: getattr(rest.config, name) for name in _AS_USED})
    save_model(motion, config.out, {}, half=config.half)
    return motion


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
        about = "Put motion and restoration that learned apart into one file."
        config = parse_options(CombineConfig, "m2aenet combine", about, argv)
        combine(config)
        print(f"{config.out}: the motion of {config.motion}, all else of {config.model}")

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
