"""Which parts of an M2AENet learn when not all of it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import nn

from m2aenet_core.errors import InputError

if TYPE_CHECKING:
    from m2aenet_core.models.m2aenet import M2AENet

Learning = Literal["all", "decisions", "motion", "restoration", "motion_and_restoration"]
"""What of a network learns: everything, where blur is and how it moved, how it moved, what is made of that, or both of
the last two, each from its own terms of the loss."""


def learning_parts(network: M2AENet, learn: Learning) -> list[nn.Module]:
    """Give what learns: everything; mask predictor, motion analyzer, their surroundings and the encoder, if they have
    one to themselves; the motion analyzer and its own surroundings; what follows them; or both of the last two.

    Raises InputError for a network that decides nothing, or at every scale, where the two cannot be told apart, and for
    motion that has no surroundings of its own.
    """
    if learn == "all":
        return [network]
    if network.decides_along or not len(network.guided_scales):
        raise InputError("this network takes no decisions before it restores; choose scales: fourth, with a mask")
    of_motion: list[nn.Module] = [network.motion_encoders, network.motion_surroundings, network.motion_analyzers]
    if learn == "decisions":
        of_all = [network.surroundings, network.mask_predictors, *of_motion]
        return of_all if network.decision_encoder is None else [network.decision_encoder, *of_all]
    if learn in ("motion", "motion_and_restoration") and not len(network.motion_surroundings):
        raise InputError("motion learns alone where it has surroundings of its own; give motion_surroundings")
    if learn == "motion":
        return of_motion
    if learn == "motion_and_restoration":
        if network.decision_encoder is None:
            raise InputError("motion and restoration learn beside each other with a decision_encoder; give one, or all")
        return [*of_motion, *learning_parts(network, "restoration")]
    following = [network.encoders[-1], network.downs[-1], network.middle, network.ups, network.decoders, network.ending]
    if network.decision_encoder is not None:
        following = [network.intro, network.encoders, network.downs, *following[2:]]
    return following if network.deconvolution is None else [network.deconvolution, *following]
