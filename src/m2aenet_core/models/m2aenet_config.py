"""Size and form of an M2AENet, with every choice that the paper varies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from m2aenet_core.errors import InputError
from m2aenet_core.models.ensemble import check_copies
from m2aenet_core.models.layers import Attention
from m2aenet_core.models.m2as_block import MASK_POSITIONS
from m2aenet_core.models.mask_predictor import PredictorForm
from m2aenet_core.models.motion_analyzer import MotionOutput
from m2aenet_core.models.nafnet import check_blocks
from m2aenet_core.models.trajectory import TrajectoryForm
from m2aenet_core.models.trajectory_conv import kernel_side


@dataclass(frozen=True)
class M2AENetConfig:
    """Size and form of an M2AENet. The defaults are Appendix A's network: 17,437,865 parameters.

    Raises InputError for values that do not fit together.
    """

    width: int = 32
    """Channels at full resolution; doubled at each of the four scales below."""
    encoder_blocks: tuple[int, ...] = (1, 1, 1, 28)
    """Blocks of each encoder stage."""
    middle_blocks: int = 1
    """Blocks at the lowest resolution."""
    decoder_blocks: tuple[int, ...] = (1, 1, 1, 1)
    """Blocks of each decoder stage, from the lowest resolution up."""
    scales: Literal["fourth", "every"] = "fourth"
    """Where masks and motion are used: at the last encoder stage, or at every scale of encoder, middle and decoder."""
    predictor: PredictorForm = "lmdvit"
    """Form of the mask predictor's embedding."""
    use_mask: bool = True
    """Predict where blur is, and skip the rest."""
    use_motion: bool = True
    """Predict how pixels moved, and convolve along it."""
    mask_positions: tuple[int, ...] = (1,)
    """Convolutions of a block that skip sharp pixels, of 1, 2 and 3 (Figure 7)."""
    trajectory: TrajectoryForm = "quadratic"
    """Form of the trajectory: quadratic (eq. 4), linear (eq. 12), or learnable, a displacement for each tap."""
    taps: int = 9
    """Taps of the motion-aware convolution (N1), the square of an odd number."""
    temperature: float = 1.0
    """Temperature of the Gumbel-Softmax that draws masks in training."""
    attention: Attention = "frame"
    """What the attention takes its means over: the whole frame (the papers), or the surroundings of each place."""
    surroundings: int = 0
    """Blocks at each step of the small U-net that shows mask predictor and motion analyzer what lies around; 0 without
    (the papers)."""
    motion_surroundings: int = 0
    """The same for the motion analyzer alone, which then learns without the masks; 0 where it shares theirs."""
    decision_encoder: bool = False
    """Give mask and motion an encoder of their own, so that all of what is restored can learn; without (the papers)
    they are found in what is restored from."""
    motion_encoder: int = 0
    """Blocks of an encoder of the motion's own, which repeats the stage before the last for it and adds these at the
    last one's scale; 0 where the motion is found in what is restored from (the papers)."""
    motion_output: MotionOutput = "ends"
    """What the motion analyzer's convolution gives: both ends of the path (the paper), or the path without a direction
    of time, which no photo tells."""
    deconvolution: int = 0
    """Iterations of a deconvolution along the motion that was found, which the restoration is shown; 0 without (the
    papers)."""
    threshold: float = 0.5
    """Probability above which a pixel counts as blurred where none is given (epsilon)."""
    ensemble: int = 1
    """Of how many turned copies of a photo the mean is taken where no other number is given: 1 (the paper), 2, 4 or 8.
    Training sees one."""

    def __post_init__(self) -> None:
        self._check_choices()
        check_blocks(self.encoder_blocks, self.decoder_blocks)
        check_copies(self.ensemble)
        try:
            kernel_side(self.taps)
        except ValueError as error:
            raise InputError(str(error)) from error
        if not self.mask_positions or not set(self.mask_positions) <= set(MASK_POSITIONS):
            raise InputError(f"mask_positions {list(self.mask_positions)} are not some of {list(MASK_POSITIONS)}")
        for name in ("surroundings", "motion_surroundings", "motion_encoder", "deconvolution"):
            if getattr(self, name) < 0:
                unit = "iterations" if name == "deconvolution" else "blocks"
                raise InputError(f"{name} is {getattr(self, name)}; give a number of {unit}, or 0 for none")
        if self.deconvolution and (self.scales == "every" or not self.use_motion or self.trajectory == "learnable"):
            raise InputError("deconvolution needs a path with two ends, found at the fourth stage; set it to 0")
        if self.motion_encoder and (self.scales == "every" or not self.use_motion or not self.motion_surroundings):
            raise InputError("motion_encoder needs motion with motion_surroundings, at the fourth stage; set it to 0")
        if self.motion_encoder and len(self.encoder_blocks) < 3:
            raise InputError("motion_encoder repeats a stage that another one comes before; give three encoder_blocks")
        if self.decision_encoder and (self.scales == "every" or not (self.use_mask or self.use_motion)):
            raise InputError("decision_encoder needs a mask or motion, found at the fourth stage; give false")
        if self.motion_output == "path" and self.trajectory == "learnable":
            raise InputError("a learnable trajectory has no two ends; give motion_output ends, or another trajectory")
        if self.temperature <= 0 or not 0 <= self.threshold <= 1:
            raise InputError("the temperature must be above 0, and the threshold from 0 to 1")

    def _check_choices(self) -> None:
        """See that every field with a few choices holds one of them: a weights file can hold anything."""
        for name, kind in get_type_hints(type(self)).items():
            if get_origin(kind) is Literal and getattr(self, name) not in get_args(kind):
                choices = ", ".join(map(str, get_args(kind)))
                raise InputError(f"there is no {name} {getattr(self, name)!r}; choose one of {choices}")

    @classmethod
    def fourth_stage(cls, **changes: Any) -> M2AENetConfig:
        """Give Appendix A's network: predictor and analyzer at the fourth encoder stage, 17,437,865 parameters."""
        return replace(cls(), **changes)

    @classmethod
    def every_scale(cls, **changes: Any) -> M2AENetConfig:
        """Give the main text's network: predictor and analyzer at each encoder scale, 17,440,371 parameters."""
        return replace(cls(scales="every", predictor="dynamicvit"), **changes)
