"""Probabilities of blur, and masks made from them."""

import pytest
import torch

from m2aenet_core.models.mask_predictor import MaskPredictor, blur_probability, sample_mask, threshold_mask
from m2aenet_core.ops.draws import Draws


def logits_of(probability: torch.Tensor) -> torch.Tensor:
    """Give logits (B, 2, H, W) of a probability of blur (B, 1, H, W)."""
    return torch.cat([probability, 1 - probability], dim=1).log()


def test_the_probability_is_that_of_channel_zero() -> None:
    probability = torch.rand(2, 1, 4, 5)
    torch.testing.assert_close(blur_probability(logits_of(probability)), probability)


def test_at_first_nearly_every_pixel_is_kept() -> None:
    probability = blur_probability(MaskPredictor(32)(torch.randn(1, 32, 8, 8)))
    assert probability.min() > 0.85


def test_a_training_mask_is_hard_forward_and_soft_backward() -> None:
    logits = torch.randn(2, 2, 16, 16, requires_grad=True)
    mask = sample_mask(logits)
    assert mask.shape == (2, 1, 16, 16)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    (mask * torch.randn_like(mask)).sum().backward()
    assert logits.grad is not None
    assert (logits.grad != 0).all()


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_training_masks_are_drawn_with_the_predicted_probability(probability: float) -> None:
    mask = sample_mask(logits_of(torch.full((1, 1, 200, 200), probability)))
    # 40,000 draws: four standard deviations are at most 0.01
    assert mask.mean().item() == pytest.approx(probability, abs=0.01)


def test_a_test_mask_holds_what_exceeds_the_threshold() -> None:
    probability = torch.tensor([0.1, 0.49, 0.51, 0.9]).view(1, 1, 2, 2)
    mask = threshold_mask(logits_of(probability), 0.5)
    assert mask.flatten().tolist() == [0, 0, 1, 1]
    assert threshold_mask(logits_of(probability), 0.0).sum() == 4
    assert threshold_mask(logits_of(probability), 1.0).sum() == 0


def test_a_threshold_for_each_image_of_a_batch_is_broadcast() -> None:
    probability = torch.full((2, 1, 3, 3), 0.5)
    mask = threshold_mask(logits_of(probability), torch.tensor([0.4, 0.6]).view(2, 1, 1, 1))
    assert mask[0].sum() == 9
    assert mask[1].sum() == 0


def test_a_pixel_is_judged_by_its_features_and_by_the_mean_of_all(tiny_model: torch.nn.Module) -> None:
    predictor, features = tiny_model.mask_predictors["3"], torch.randn(1, 32, 6, 6)
    before = predictor(features)
    changed = features.clone()
    changed[0, :, 0, 0] += 5
    shift = predictor(changed) - before
    assert shift[0, :, 0, 0].abs().max() > 1e-4
    # elsewhere only the mean reaches: features that were equal stay equal
    equal = torch.randn(1, 32, 1, 1).expand(1, 32, 6, 6).clone()
    equal[0, :, 0, 0] += 5
    elsewhere = predictor(equal)[0].flatten(1)[:, 1:]
    torch.testing.assert_close(elsewhere, elsewhere[:, :1].expand_as(elsewhere))
    assert shift[0, :, 3, 3].abs().max() > 1e-6


def test_the_mask_of_a_sample_follows_from_its_draws_alone() -> None:
    logits = torch.randn(4, 2, 16, 16)
    seeds = torch.arange(4)
    whole = sample_mask(logits, draws=Draws(seeds))
    parts = [sample_mask(logits[part], draws=Draws(seeds[part])) for part in (slice(0, 1), slice(1, 4))]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole, sample_mask(logits, draws=Draws(seeds + 4)))


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_masks_with_draws_have_the_predicted_probability(probability: float) -> None:
    mask = sample_mask(logits_of(torch.full((4, 1, 100, 100), probability)), draws=Draws(torch.arange(4)))
    assert mask.mean().item() == pytest.approx(probability, abs=0.01)
