"""The confidence of a window is the mean of the mask predictor's over its pixels, with less work."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from m2aenet_core.models.confidence_predictor import ConfidencePredictor
from m2aenet_core.models.mask_predictor import MaskPredictor
from m2aenet_core.ops.windows import window_mean

CHANNELS, WINDOW = 8, 4


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("has_gradients", [True, False])
def test_it_is_the_mean_of_the_mask_predictor(
    randomise: Callable[[nn.Module], None], shift: int, has_gradients: bool
) -> None:
    predictor, reference = ConfidencePredictor(CHANNELS, WINDOW, shift), MaskPredictor(CHANNELS)
    randomise(predictor)
    reference.load_state_dict(predictor.state_dict())
    features = torch.randn(2, CHANNELS, 16, 24)
    with torch.set_grad_enabled(has_gradients):
        logits, expected = predictor(features), window_mean(reference(features), WINDOW, shift)
    assert logits.shape == (2, 2, 4, 6)
    assert logits.std() > 0.01
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def test_portions_of_any_size_give_the_same(randomise: Callable[[nn.Module], None]) -> None:
    predictor, pixels = ConfidencePredictor(CHANNELS, WINDOW, 0), torch.randn(2, 100, CHANNELS)
    randomise(predictor)
    whole, parts = (predictor._pixel_logits(pixels, at_once) for at_once in (100, 7))
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-5)


def test_an_untrained_predictor_keeps_its_windows() -> None:
    confidence = ConfidencePredictor(CHANNELS, WINDOW, 0)(torch.randn(1, CHANNELS, 16, 16)).softmax(dim=1)[:, 0]
    assert confidence.min() > 0.9
