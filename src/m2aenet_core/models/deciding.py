"""What decides in M2AENet: mask predictors and motion analyzers at the guided scales, and the views that they have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from m2aenet_core.models.decision_encoder import DecisionEncoder
from m2aenet_core.models.layers import cell_at
from m2aenet_core.models.m2aenet_config import M2AENetConfig
from m2aenet_core.models.mask_predictor import MaskPredictor
from m2aenet_core.models.motion_analyzer import MotionAnalyzer
from m2aenet_core.models.motion_encoder import MotionEncoder
from m2aenet_core.models.network import Network
from m2aenet_core.models.surroundings import Surroundings
from m2aenet_core.models.trajectory import Motion


class DecidingNetwork(Network):
    """The part of M2AENet that finds blur and motion; what is restored depends on it through these alone.

    Modules are keyed by the scale they belong to. A part that the configuration leaves out is empty or None.
    """

    config: M2AENetConfig
    guided_scales: range
    downs: nn.ModuleList
    decision_encoder: DecisionEncoder | None

    def _make_deciders(self, channels: Sequence[int]) -> None:
        """Add what decides; channels: those of each scale. The order decides which initial weights a seed gives."""
        config = self.config
        self.mask_predictors = self._at_guided_scales(
            config.use_mask, lambda scale: MaskPredictor(channels[scale], config.predictor)
        )
        self.motion_analyzers = self._at_guided_scales(
            config.use_motion,
            lambda scale: MotionAnalyzer(channels[scale], config.trajectory, config.taps, config.motion_output),
        )
        self.surroundings = self._at_guided_scales(
            config.surroundings > 0, lambda scale: Surroundings(channels[scale], config.surroundings)
        )
        self.motion_surroundings = self._at_guided_scales(
            config.use_motion and config.motion_surroundings > 0,
            lambda scale: Surroundings(channels[scale], config.motion_surroundings),
        )
        self.motion_encoders = self._at_guided_scales(
            config.motion_encoder > 0,
            lambda scale: MotionEncoder(channels[scale - 1], config.encoder_blocks[scale - 1], config.motion_encoder),
        )
        self.decision_encoder = None
        if config.decision_encoder:
            self.decision_encoder = DecisionEncoder(config.width, config.encoder_blocks)

    def _at_guided_scales(self, is_used: bool, make: Callable[[int], nn.Module]) -> nn.ModuleDict:
        return nn.ModuleDict({str(scale): make(scale) for scale in self.guided_scales if is_used})

    def _decide_locally(self) -> None:
        """Take means over the surroundings of each place instead of over the whole frame."""
        views = (*self.surroundings.items(), *self.motion_surroundings.items(), *self.motion_encoders.items())
        for key, view in views:
            assert isinstance(view, Surroundings | MotionEncoder)
            view.attend_locally(int(key))
        if self.decision_encoder is not None:
            self.decision_encoder.attend_locally()
        for key, predictor in self.mask_predictors.items():
            assert isinstance(predictor, MaskPredictor)
            predictor.cell = cell_at(int(key))

    def _look(
        self, scale: int, features: Tensor, skips: Sequence[Tensor], *, with_mask: bool = True
    ) -> tuple[Tensor | None, Motion | None]:
        """Give blur logits and motion at a guided scale, each None where the network has none, or it is not wanted.

        skips: what the stages before gave, of which an encoder of the motion's own takes what its stage begins with.
        """
        config, key = self.config, str(scale)
        has_own_view = config.motion_surroundings > 0
        seen = features
        if config.surroundings and (with_mask or not has_own_view):
            seen = self.surroundings[key](features)
        logits = self.mask_predictors[key](seen) if self.has_mask and with_mask else None
        if not self.has_motion:
            return logits, None
        if config.motion_encoder:
            downs = self.downs if self.decision_encoder is None else self.decision_encoder.downs
            begins = downs[scale - 2](skips[scale - 2])
            # where the stages before do not learn, what leads from them to here does not either
            seen = self.motion_encoders[key](begins if skips[scale - 2].requires_grad else begins.detach())
        elif has_own_view:
            seen = features
        seen = self.motion_surroundings[key](seen) if has_own_view else seen
        return logits, self.motion_analyzers[key](seen)
