"""The whole network: its identities, its gradients, its two ways of evaluation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from m2aenet_core.data.sample import Batch
from m2aenet_core.losses import LossConfig, compute_losses
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.mask_predictor import blur_probability, threshold_mask

# masks at the motion scale of an image of 64 x 80 pixels
HEIGHT, WIDTH = 8, 10


def test_the_default_network_has_the_papers_number_of_parameters() -> None:
    with torch.device("meta"):
        network = M2AENet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 17_437_865


def test_an_untrained_network_returns_its_input(tiny_config: M2AENetConfig) -> None:
    network, blur = M2AENet(tiny_config), torch.rand(2, 3, 37, 50)
    assert torch.equal(network.eval()(blur).restored, blur)
    assert torch.equal(network.train()(blur).restored, blur)


def test_an_untrained_network_keeps_most_pixels(tiny_config: M2AENetConfig) -> None:
    network, blur = M2AENet(tiny_config), torch.rand(2, 3, 64, 64)
    (mask,) = network.train()(blur).masks
    assert mask.mean() > 0.8
    assert network.eval()(blur).masks[0].mean() == 1


def blob() -> Tensor:
    mask = torch.zeros(2, 1, HEIGHT, WIDTH)
    mask[0, 0, 2:5, 3:7] = mask[1, 0, 4:6, 2:4] = 1
    return mask


def at_the_border() -> Tensor:
    mask = torch.zeros(2, 1, HEIGHT, WIDTH)
    mask[0, 0, :, 0] = mask[0, 0, -1] = mask[1, 0, 0, 4:] = 1
    return mask


def first_image_alone() -> Tensor:
    mask = torch.zeros(2, 1, HEIGHT, WIDTH)
    mask[0] = 1
    return mask


MASKS = {
    "random": lambda: (torch.rand(2, 1, HEIGHT, WIDTH) > 0.5).float(),
    "blob": blob,
    "border": at_the_border,
    "first image alone": first_image_alone,
    "empty": lambda: torch.zeros(2, 1, HEIGHT, WIDTH),
    "full": lambda: torch.ones(2, 1, HEIGHT, WIDTH),
}


@pytest.mark.parametrize("make_mask", MASKS.values(), ids=MASKS.keys())
def test_pruned_evaluation_equals_dense_evaluation(tiny_model: M2AENet, make_mask: Callable[[], Tensor]) -> None:
    mask = make_mask()
    with torch.no_grad():
        encoded = tiny_model.analyze(torch.rand(2, 3, 64, 80))
        dense, pruned = (tiny_model.restore(encoded, mask, pruned=pruned) for pruned in (False, True))
    torch.testing.assert_close(pruned, dense, atol=1e-5, rtol=1e-5)


def test_the_mask_decides_what_comes_out(tiny_model: M2AENet) -> None:
    with torch.no_grad():
        encoded = tiny_model.analyze(torch.rand(1, 3, 64, 80))
        empty, full = (tiny_model.restore(encoded, mask[:1]) for mask in (MASKS["empty"](), MASKS["full"]()))
    assert (empty - full).abs().max() > 1e-3


@pytest.mark.parametrize("size", [(37, 50), (64, 80), (1, 1), (17, 5)])
def test_any_size_is_restored_alike_pruned_and_dense(tiny_model: M2AENet, size: tuple[int, int]) -> None:
    blur = torch.rand(2, 3, *size)
    height, width = (-(-side // 16) * 16 for side in size)
    framed = torch.zeros(2, 3, height, width)
    framed[..., : size[0], : size[1]] = blur
    with torch.no_grad():
        output = tiny_model(blur, threshold=0.5)
        pruned = tiny_model.restore(tiny_model.analyze(framed), output.masks[0], pruned=True)
    assert output.restored.shape == blur.shape
    torch.testing.assert_close(pruned[..., : size[0], : size[1]], output.restored, atol=1e-5, rtol=1e-5)


def test_one_analysis_serves_every_threshold(tiny_model: M2AENet) -> None:
    blur = torch.rand(1, 3, 64, 80)
    with torch.no_grad():
        encoded = tiny_model.analyze(blur)
        for threshold in (0.3, 0.5, 0.7):
            output = tiny_model(blur, threshold)
            mask = threshold_mask(encoded.blur_logits, threshold)
            assert torch.equal(output.masks[0], mask)
            assert torch.equal(output.restored, tiny_model.restore(encoded, mask))


def test_a_higher_threshold_keeps_fewer_pixels(tiny_model: M2AENet) -> None:
    blur = torch.rand(1, 3, 64, 80)
    with torch.no_grad():
        probability = blur_probability(tiny_model(blur).blur_logits[0])
        kept = [tiny_model(blur, threshold).masks[0].sum() for threshold in (0.0, probability.median(), 1.0)]
    assert kept[0] == HEIGHT * WIDTH
    assert 0 < kept[1] < HEIGHT * WIDTH
    assert kept[2] == 0


def made_batch() -> Batch:
    """A bright square that moved 12 pixels to the right; random texture around it."""
    sharp = torch.rand(2, 3, 64, 64)
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 16:40, 16:48] = 1
    end = mask * torch.tensor([0.0, 6.0]).view(1, 2, 1, 1)
    blur = torch.where(mask > 0, torch.nn.functional.avg_pool2d(sharp, (1, 13), 1, (0, 6)), sharp)
    return Batch(blur, sharp, mask, -end, end, torch.tensor([True, True]))


def test_every_parameter_learns(tiny_config: M2AENetConfig, randomise: Callable[[nn.Module], None]) -> None:
    network = M2AENet(tiny_config).train()
    randomise(network)
    batch = made_batch()
    terms = compute_losses(network(batch.blur), batch, LossConfig(displacement=0.1))
    torch.stack(list(terms.values())).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_an_untrained_network_finds_its_way_off_the_identity(tiny_config: M2AENetConfig) -> None:
    """beta, gamma and the last convolution begin at 0: a few steps must wake all that lies behind them."""
    network, batch = M2AENet(tiny_config).train(), made_batch()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    losses = []
    for _ in range(8):
        terms = compute_losses(network(batch.blur), batch, LossConfig())
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    unmoved = [name for name, parameter in network.named_parameters() if torch.equal(parameter, before[name])]
    assert unmoved == []


def test_a_crop_of_what_was_encoded_is_cut_at_the_same_place_everywhere(tiny_model: M2AENet) -> None:
    with torch.no_grad():
        encoded = tiny_model.analyze(torch.rand(1, 3, 96, 128))
    # each tensor replaced by the places its pixels have in the image
    places = torch.arange(96.0 * 128).view(1, 1, 96, 128)

    def numbered(tensor: Tensor) -> Tensor:
        step = 96 // tensor.shape[2]
        return places[..., ::step, ::step].expand_as(tensor)

    part = encoded._replace(
        image=numbered(encoded.image),
        skips=tuple(map(numbered, encoded.skips)),
        features=numbered(encoded.features),
        blur_logits=numbered(encoded.blur_logits),
        motion=encoded.motion.map(numbered),
    ).crop(32, 48, 16, 64)
    for tensor in (part.image, *part.skips, part.features, part.blur_logits, *part.motion):
        step = 16 // tensor.shape[2]
        assert torch.equal(tensor[:, :1], places[..., 32:48:step, 48:112:step])
    assert [16 // skip.shape[2] for skip in part.skips] == [1, 2, 4]
    assert part.features.shape[-2:] == (2, 8)


def test_a_crop_of_the_whole_changes_nothing(tiny_model: M2AENet) -> None:
    with torch.no_grad():
        encoded = tiny_model.analyze(torch.rand(1, 3, 32, 48))
    part = encoded.crop(0, 0, 32, 48)
    assert torch.equal(part.features, encoded.features)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(part.skips, encoded.skips, strict=True))


def test_unequal_numbers_of_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="one number for each scale"):
        M2AENet(M2AENetConfig(encoder_blocks=(1, 1), decoder_blocks=(1,)))
