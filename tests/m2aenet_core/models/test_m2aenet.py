"""The whole network: its identities, its gradients, its two ways of evaluation, in every form that the paper varies."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from m2aenet_core.data.sample import Batch
from m2aenet_core.errors import InputError
from m2aenet_core.losses import LossConfig, compute_losses
from m2aenet_core.models.layers import ChannelAttention
from m2aenet_core.models.learning import Learning, learning_parts
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.mask_predictor import MaskPredictor, blur_probability, threshold_mask
from m2aenet_core.models.nafnet import NAFNet

# masks at the cells' scale of an image of 64 x 80 pixels
HEIGHT, WIDTH = 8, 10

SIZE = {"width": 4, "encoder_blocks": (1, 1, 1, 2), "middle_blocks": 1, "decoder_blocks": (1, 1, 1, 1)}
FORMS = {
    "fourth stage": M2AENetConfig.fourth_stage(**SIZE),
    "every scale": M2AENetConfig.every_scale(**SIZE),
    "positions 1 and 2": M2AENetConfig(mask_positions=(1, 2), **SIZE),
    "positions 1 and 3": M2AENetConfig(mask_positions=(1, 3), **SIZE),
    "all positions": M2AENetConfig(mask_positions=(1, 2, 3), **SIZE),
    "every scale, all positions": M2AENetConfig.every_scale(mask_positions=(1, 2, 3), **SIZE),
    "linear": M2AENetConfig(trajectory="linear", **SIZE),
    "learnable": M2AENetConfig(trajectory="learnable", **SIZE),
    "every scale, learnable": M2AENetConfig.every_scale(trajectory="learnable", **SIZE),
    "25 taps": M2AENetConfig(taps=25, **SIZE),
    "without motion": M2AENetConfig(use_motion=False, **SIZE),
    "every scale, without motion": M2AENetConfig.every_scale(use_motion=False, **SIZE),
    "without mask": M2AENetConfig(use_mask=False, **SIZE),
    "local attention": M2AENetConfig(attention="local", **SIZE),
    "every scale, without mask": M2AENetConfig.every_scale(use_mask=False, **SIZE),
    "surroundings": M2AENetConfig(surroundings=1, attention="local", **SIZE),
    "every scale, surroundings": M2AENetConfig.every_scale(surroundings=2, **SIZE),
    "motion's own surroundings": M2AENetConfig(motion_surroundings=1, motion_output="path", **SIZE),
    "deconvolution": M2AENetConfig(deconvolution=3, surroundings=1, motion_surroundings=1, **SIZE),
    "motion's own encoder": M2AENetConfig(
        motion_encoder=2, motion_surroundings=1, motion_output="path", attention="local", **SIZE
    ),
    "decisions' own encoder": M2AENetConfig(
        decision_encoder=True,
        motion_encoder=1,
        motion_surroundings=1,
        motion_output="path",
        deconvolution=2,
        attention="local",
        **SIZE,
    ),
    "deconvolution without mask": M2AENetConfig(deconvolution=1, use_mask=False, **SIZE),
}
forms = pytest.mark.parametrize("config", FORMS.values(), ids=FORMS.keys())
masked_forms = pytest.mark.parametrize(
    "config", [form for form in FORMS.values() if form.use_mask], ids=[name for name in FORMS if "out mask" not in name]
)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def random_network(config: M2AENetConfig, randomise: Callable[[nn.Module], None]) -> M2AENet:
    """Random parameters; about half of the cells of noise are called blurred at each scale; a visible residual."""
    network = M2AENet(config).eval()
    randomise(network)
    with torch.no_grad():
        # deep random networks overflow without the residual scales that training keeps small
        for name, parameter in network.named_parameters():
            if name.endswith((".beta", ".gamma")):
                parameter.mul_(0.3)
        for scale, predictor in network.mask_predictors.items():
            predictor.decide[-1].weight.mul_(30)
            found = network(torch.rand(2, 3, 64, 80)).blur_logits[network.guided_scales.index(int(scale))]
            blurred, sharp = found.unbind(dim=1)
            predictor.decide[-1].bias[0] -= (blurred - sharp).median()
    return network


def test_the_networks_have_the_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        assert count(M2AENet()) == count(M2AENet(M2AENetConfig.fourth_stage())) == 17_437_865
        assert count(M2AENet(M2AENetConfig.every_scale())) == 17_440_371
        assert count(NAFNet()) == 17_111_907


def test_without_mask_and_motion_it_is_nafnet_exactly(randomise: Callable[[nn.Module], None]) -> None:
    neither = M2AENet(M2AENetConfig(use_mask=False, use_motion=False, **SIZE)).eval()
    nafnet, blur = NAFNet(**SIZE).eval(), torch.rand(2, 3, 37, 50)
    randomise(nafnet)
    neither.load_state_dict(nafnet.state_dict())
    assert torch.equal(neither(blur).restored, nafnet(blur))
    encoded = neither.analyze(torch.rand(1, 3, 32, 48))
    assert torch.equal(neither.restore(encoded, 0.5).image, nafnet(encoded.image))


@forms
def test_a_trained_nafnet_goes_on_as_m2aenet_with_the_same_output(
    config: M2AENetConfig, randomise: Callable[[nn.Module], None]
) -> None:
    """Centre-tap kernels, zero displacement, full mask."""
    nafnet, blur = NAFNet(**SIZE, attention=config.attention).eval(), torch.rand(2, 3, 37, 50)
    randomise(nafnet)
    network = M2AENet.from_nafnet(nafnet, replace(config, width=64))
    assert network.config == config
    output = network(blur)
    assert all(mask.mean() == 1 for mask in output.masks)
    torch.testing.assert_close(output.restored, nafnet(blur), atol=1e-5, rtol=1e-5)


@forms
def test_an_untrained_network_returns_its_input(config: M2AENetConfig) -> None:
    network, blur = M2AENet(config), torch.rand(2, 3, 37, 50)
    assert torch.equal(network.eval()(blur).restored, blur)
    assert torch.equal(network.train()(blur).restored, blur)


@masked_forms
def test_an_untrained_network_keeps_most_pixels(config: M2AENetConfig) -> None:
    network, blur = M2AENet(config), torch.rand(2, 3, 64, 64)
    masks = network.train()(blur).masks
    assert len(masks) == (4 if config.scales == "every" else 1)
    assert all(mask.mean() > 0.8 for mask in masks)
    assert all(mask.mean() == 1 for mask in network.eval()(blur).masks)


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


@forms
@pytest.mark.parametrize("make_mask", MASKS.values(), ids=MASKS.keys())
def test_pruned_evaluation_equals_dense_evaluation(
    config: M2AENetConfig, make_mask: Callable[[], Tensor], randomise: Callable[[nn.Module], None]
) -> None:
    network, mask = random_network(config, randomise), make_mask()
    with torch.no_grad():
        encoded = network.analyze(torch.rand(2, 3, 64, 80))
        dense, pruned = (network.restore(encoded, mask, pruned=pruned) for pruned in (False, True))
    torch.testing.assert_close(pruned.image, dense.image, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(pruned.masks, dense.masks, strict=True):
        assert torch.equal(ours, theirs)


@forms
@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.5, 1.0])
def test_a_threshold_decides_alike_dense_pruned_and_in_the_forward_pass(
    config: M2AENetConfig, threshold: float, randomise: Callable[[nn.Module], None]
) -> None:
    network, blur = random_network(config, randomise), torch.rand(2, 3, 64, 80)
    with torch.no_grad():
        output = network(blur, threshold)
        encoded = network.analyze(blur)
        for pruned in (False, True):
            restored = network.restore(encoded, threshold, pruned=pruned)
            torch.testing.assert_close(restored.image, output.restored, atol=1e-5, rtol=1e-5)
            assert all(torch.equal(ours, theirs) for ours, theirs in zip(restored.masks, output.masks, strict=True))
    if config.use_mask and threshold == 0.5:
        assert all(0.05 < mask.mean() < 0.95 for mask in output.masks)


@masked_forms
def test_the_mask_decides_what_comes_out(config: M2AENetConfig, randomise: Callable[[nn.Module], None]) -> None:
    network = random_network(config, randomise)
    with torch.no_grad():
        encoded = network.analyze(torch.rand(1, 3, 64, 80))
        empty, full = (network.restore(encoded, MASKS[name]()[:1]).image for name in ("empty", "full"))
    assert (empty - full).abs().max() > 1e-3


@forms
@pytest.mark.parametrize("size", [(37, 50), (1, 1), (17, 5)])
def test_any_size_is_restored_alike_pruned_and_dense(
    config: M2AENetConfig, size: tuple[int, int], randomise: Callable[[nn.Module], None]
) -> None:
    network, blur = random_network(config, randomise), torch.rand(2, 3, *size)
    height, width = (-(-side // 16) * 16 for side in size)
    framed = torch.zeros(2, 3, height, width)
    framed[..., : size[0], : size[1]] = blur
    with torch.no_grad():
        output = network(blur, threshold=0.5)
        pruned = network.restore(network.analyze(framed), 0.5, pruned=True)
    assert output.restored.shape == blur.shape
    torch.testing.assert_close(pruned.image[..., : size[0], : size[1]], output.restored, atol=1e-5, rtol=1e-5)


def test_one_analysis_serves_every_threshold(tiny_model: M2AENet) -> None:
    blur = torch.rand(1, 3, 64, 80)
    with torch.no_grad():
        encoded = tiny_model.analyze(blur)
        for threshold in (0.3, 0.5, 0.7):
            output = tiny_model(blur, threshold)
            assert encoded.blur_logits is not None
            mask = threshold_mask(encoded.blur_logits, threshold)
            assert torch.equal(output.masks[0], mask)
            assert torch.equal(output.restored, tiny_model.restore(encoded, mask).image)


def test_a_higher_threshold_keeps_fewer_pixels(tiny_model: M2AENet) -> None:
    blur = torch.rand(1, 3, 64, 80)
    with torch.no_grad():
        probability = blur_probability(tiny_model(blur).blur_logits[0])
        kept = [tiny_model(blur, threshold).masks[0].sum() for threshold in (0.0, probability.median(), 1.0)]
    assert kept[0] == HEIGHT * WIDTH
    assert 0 < kept[1] < HEIGHT * WIDTH
    assert kept[2] == 0


def test_the_configs_threshold_counts_where_none_is_given(randomise: Callable[[nn.Module], None]) -> None:
    blur = torch.rand(1, 3, 64, 80)
    strict = random_network(M2AENetConfig(threshold=0.9, **SIZE), randomise)
    with torch.no_grad():
        assert torch.equal(strict(blur).masks[0], strict(blur, 0.9).masks[0])
        assert strict(blur).masks[0].sum() < strict(blur, 0.5).masks[0].sum()


def test_at_every_scale_the_probability_is_the_mean_of_the_scales(randomise: Callable[[nn.Module], None]) -> None:
    network, blur = random_network(FORMS["every scale"], randomise), torch.rand(1, 3, 64, 80)
    with torch.no_grad():
        shown = blur_probability(network.analyze(blur).blur_logits)
        planes = [blur_probability(logits) for logits in network(blur).blur_logits]
    assert [tuple(plane.shape[-2:]) for plane in planes] == [(64, 80), (32, 40), (16, 20), (8, 10)]
    mean = sum(nn.functional.adaptive_avg_pool2d(plane, (HEIGHT, WIDTH)) for plane in planes) / 4
    torch.testing.assert_close(shown, mean, atol=1e-5, rtol=1e-4)


def test_the_mask_of_cells_reaches_every_scale(randomise: Callable[[nn.Module], None]) -> None:
    network, mask = random_network(FORMS["every scale"], randomise), blob()[:1]
    with torch.no_grad():
        masks = network.restore(network.analyze(torch.rand(1, 3, 64, 80)), mask).masks
    for scale, at_scale in enumerate(masks):
        assert torch.equal(at_scale, mask.repeat_interleave(8 >> scale, 2).repeat_interleave(8 >> scale, 3))


def made_batch() -> Batch:
    """A bright square that moved 12 pixels to the right; random texture around it."""
    sharp = torch.rand(2, 3, 64, 64)
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 16:40, 16:48] = 1
    end = mask * torch.tensor([0.0, 6.0]).view(1, 2, 1, 1)
    blur = torch.where(mask > 0, torch.nn.functional.avg_pool2d(sharp, (1, 13), 1, (0, 6)), sharp)
    return Batch(blur, sharp, mask, -end, end, torch.tensor([True, True]))


@forms
def test_every_parameter_learns(config: M2AENetConfig, randomise: Callable[[nn.Module], None]) -> None:
    network = M2AENet(config).train()
    randomise(network)
    batch = made_batch()
    terms = compute_losses(network(batch.blur), batch, LossConfig(displacement=0.1))
    torch.stack(list(terms.values())).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_the_reconstruction_alone_teaches_predictor_and_analyzer(randomise: Callable[[nn.Module], None]) -> None:
    """The gradient goes through the drawn mask and through where the taps read."""
    network, batch = M2AENet(FORMS["fourth stage"]).train(), made_batch()
    randomise(network)
    (network(batch.blur).restored - batch.sharp).abs().mean().backward()
    for part in (network.mask_predictors, network.motion_analyzers):
        assert all(parameter.grad.abs().sum() > 0 for parameter in part.parameters())


@pytest.mark.parametrize("name", ["fourth stage", "every scale"])
def test_an_untrained_network_finds_its_way_off_the_identity(name: str) -> None:
    """beta, gamma and the last convolution begin at 0: a few steps must wake all that lies behind them."""
    network, batch = M2AENet(FORMS[name]).train(), made_batch()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    losses = []
    for _ in range(16):
        terms = compute_losses(network(batch.blur), batch, LossConfig())
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    unmoved = [name for name, parameter in network.named_parameters() if torch.equal(parameter, before[name])]
    assert unmoved == []


def test_a_low_temperature_draws_what_is_likelier(randomise: Callable[[nn.Module], None]) -> None:
    """Gumbel noise decides less the surer the logits are; the temperature shapes the gradient, not the draw."""
    torch.manual_seed(3)
    gradients = []
    for temperature in (0.5, 5.0):
        torch.manual_seed(3)
        network = M2AENet(M2AENetConfig(temperature=temperature, **SIZE)).train()
        randomise(network)
        torch.manual_seed(4)
        output = network(torch.rand(1, 3, 64, 64))
        output.masks[0].sum().backward()
        gradients.append((output.masks[0].detach(), network.mask_predictors["3"].decide[-1].bias.grad.abs().sum()))
    (first, steep), (second, flat) = gradients
    assert torch.equal(first, second)
    assert steep != flat


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
    for tensor in (part.image, *part.skips, part.features, part.blur_logits, part.motion.field):
        step = 16 // tensor.shape[2]
        assert torch.equal(tensor[:, :1], places[..., 32:48:step, 48:112:step])
    assert [16 // skip.shape[2] for skip in part.skips] == [1, 2, 4]
    assert part.features.shape[-2:] == (2, 8)


@forms
def test_a_crop_of_the_whole_changes_nothing(config: M2AENetConfig, randomise: Callable[[nn.Module], None]) -> None:
    network = random_network(config, randomise)
    with torch.no_grad():
        encoded = network.analyze(torch.rand(1, 3, 32, 48))
        whole = encoded.crop(0, 0, 32, 48)
        assert torch.equal(network.restore(whole, 0.5).image, network.restore(encoded, 0.5).image)


WRONG = {
    "one number for each scale": {"encoder_blocks": (1, 1), "decoder_blocks": (1,)},
    "do not fill a square kernel": {"taps": 8},
    r"mask_positions \[0, 4\] are not some of \[1, 2, 3\]": {"mask_positions": (0, 4)},
    r"mask_positions \[\] are not": {"mask_positions": ()},
    "the temperature must be above 0": {"temperature": 0.0},
    "the threshold from 0 to 1": {"threshold": 1.5},
}


@pytest.mark.parametrize(("sentence", "values"), WRONG.items(), ids=WRONG.keys())
def test_configs_that_make_no_network_are_refused(sentence: str, values: dict[str, object]) -> None:
    with pytest.raises(InputError, match=sentence):
        M2AENetConfig(**values)


def test_local_attention_reaches_every_block_at_its_scale() -> None:
    def cells(network: nn.Module) -> list[int]:
        return [module.cell for module in network.modules() if isinstance(module, ChannelAttention)]

    local = M2AENet(M2AENetConfig(attention="local", **SIZE))
    nafnet = NAFNet(*SIZE.values(), attention="local")  # type: ignore[arg-type]
    for network in (local, nafnet, M2AENet.from_nafnet(nafnet)):
        assert sorted(cells(network)) == sorted([48, 24, 12, 6, 6, 3, 6, 12, 24, 48])
        assert network.encoders[0][0].attention.cell == network.decoders[-1][0].attention.cell == 48
    assert local.mask_predictors["3"].cell == 6
    assert set(cells(M2AENet(M2AENetConfig(**SIZE)))) == {0}


def test_surroundings_begin_as_nothing_and_then_reach_far() -> None:
    def found(image: Tensor) -> Tensor:
        (logits,) = network(image).blur_logits
        return logits

    plain = M2AENet(FORMS["fourth stage"]).eval()
    network = M2AENet(replace(plain.config, surroundings=1)).eval()
    network.load_state_dict(network.state_dict() | plain.state_dict())
    image = torch.rand(1, 3, 48, 320)
    assert torch.equal(found(image), plain(image).blur_logits[0])
    # the means over all pixels would reach everywhere
    for module in network.modules():
        if isinstance(module, (ChannelAttention, MaskPredictor)):
            module.cell = 1
    nn.init.normal_(network.surroundings["3"].up_near.weight)
    changed = image.clone()
    changed[..., 250:] = 0
    difference = (found(changed) - found(image)).abs().amax(dim=(0, 1, 2))
    # cells of 8 pixels: some 25 pixels are what the encoder alone sees
    assert difference[25] > 0
    assert difference[:5].max() == 0


@pytest.mark.parametrize("form", ["surroundings", "deconvolution", "motion's own encoder", "decisions' own encoder"])
@pytest.mark.parametrize("learn", ["decisions", "motion", "restoration"])
def test_a_part_learns_without_the_rest(learn: Learning, form: str, randomise: Callable[[nn.Module], None]) -> None:
    network, batch = M2AENet(FORMS[form]).train(), made_batch()
    if learn == "motion" and form == "surroundings":
        with pytest.raises(InputError, match="give motion_surroundings"):
            learning_parts(network, learn)
        return
    randomise(network)
    output = network(batch.blur, learn=learn)
    assert torch.equal(output.restored, batch.blur) == (learn != "restoration")
    assert bool(output.blur_logits) == (learn != "motion")
    terms = compute_losses(output, batch, LossConfig(displacement=0.1, path=0.1))
    torch.stack(list(terms.values())).sum().backward()
    learning = {id(parameter) for part in learning_parts(network, learn) for parameter in part.parameters()}
    assert learning
    for name, parameter in network.named_parameters():
        decides = ("surroundings", "motion_", "mask_predictors")
        if learn != "restoration" or not name.startswith(decides):
            assert (parameter.grad is not None) == (id(parameter) in learning), name


@pytest.mark.parametrize("form", ["surroundings", "deconvolution", "motion's own encoder", "decisions' own encoder"])
def test_both_parts_are_all_but_first_stages_that_both_need(form: str) -> None:
    network = M2AENet(FORMS[form])
    parts = [learning_parts(network, learn) for learn in ("decisions", "restoration")]
    first, second = ({id(parameter) for each in some for parameter in each.parameters()} for some in parts)
    assert not first & second
    rest = {name.split(".")[0] for name, each in network.named_parameters() if id(each) not in first | second}
    assert rest == (set() if network.config.decision_encoder else {"intro", "encoders", "downs"})


def test_what_is_restored_learns_without_moving_the_decisions(randomise: Callable[[nn.Module], None]) -> None:
    network, blur = random_network(FORMS["decisions' own encoder"], randomise), torch.rand(1, 3, 64, 80)
    with torch.no_grad():
        before, restored = network.analyze(blur), network(blur).restored
        for part in learning_parts(network, "restoration"):
            for parameter in part.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        after = network.analyze(blur)
        assert not torch.allclose(network(blur).restored, restored, atol=1e-3)
    assert before.motion is not None
    assert after.motion is not None
    assert torch.equal(after.motion.field, before.motion.field)
    assert torch.equal(after.blur_logits, before.blur_logits)


def test_motion_and_restoration_learn_beside_each_other(randomise: Callable[[nn.Module], None]) -> None:
    form = replace(FORMS["motion's own encoder"], decision_encoder=True, deconvolution=2)
    network, batch = M2AENet(form).train(), made_batch()
    randomise(network)
    learn: Learning = "motion_and_restoration"
    motion, both = (
        {id(parameter) for part in learning_parts(network, of) for parameter in part.parameters()}
        for of in ("motion", learn)
    )
    for parameter in network.parameters():
        parameter.requires_grad_(id(parameter) in both)

    def learned(config: LossConfig) -> set[int]:
        network.zero_grad()
        terms = compute_losses(network(batch.blur, learn=learn), batch, config)
        torch.stack(list(terms.values())).sum().backward()
        return {id(parameter) for parameter in network.parameters() if parameter.grad is not None}

    nothing = LossConfig(l1=0, ssim=0, fft=0, mask=0, reblur=0, total_variation=0)
    assert learned(replace(nothing, path=1)) == motion
    # what is restored pulls at no motion
    assert learned(replace(nothing, l1=1)) == both - motion


def test_motion_learns_beside_the_restoration_with_an_encoder_of_the_decisions_own() -> None:
    with pytest.raises(InputError, match="with a decision_encoder; give one"):
        learning_parts(M2AENet(FORMS["motion's own encoder"]), "motion_and_restoration")


def test_masks_are_those_of_inference_while_the_restoration_alone_learns(
    randomise: Callable[[nn.Module], None],
) -> None:
    network, blur = random_network(FORMS["deconvolution"], randomise).train(), torch.rand(2, 3, 64, 80)
    drawn, decided = network(blur), network(blur, learn="restoration")
    assert torch.equal(decided.masks[0], threshold_mask(decided.blur_logits[0], network.config.threshold))
    assert not torch.equal(drawn.masks[0], decided.masks[0])


@pytest.mark.parametrize("part", ["motion_surroundings", "motion_encoders"])
def test_masks_do_not_see_what_the_motion_alone_sees(part: str, randomise: Callable[[nn.Module], None]) -> None:
    network, blur = M2AENet(FORMS["motion's own encoder"]).eval(), torch.rand(1, 3, 64, 80)
    randomise(network)
    before = network(blur)
    randomise(network.get_submodule(part))
    after = network(blur)
    assert torch.equal(after.blur_logits[0], before.blur_logits[0])
    assert not torch.equal(after.displacements[0].field, before.displacements[0].field)


def test_a_deconvolution_is_shown_what_the_decision_takes_in_alone(randomise: Callable[[nn.Module], None]) -> None:
    network, blur = M2AENet(FORMS["deconvolution"]).eval(), torch.rand(1, 3, 64, 80)
    randomise(network)
    assert network.deconvolution is not None
    motion = network.analyze(blur).motion
    assert motion is not None
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., 2:5, 3:7] = 1
    change = network.deconvolution.change(blur, motion.map(lambda field: field + 0.5), mask)
    assert change.shape == (1, 6, 64, 80)
    # bilinear weights of a cell reach half a cell beyond it
    assert not change[..., :12, :].any()
    assert change[..., 20:36, 28:52].abs().mean() > 1e-3
    assert not network.deconvolution.change(blur, motion.map(torch.zeros_like), mask).any()


@pytest.mark.parametrize(
    "changes",
    [
        {"deconvolution": -1},
        {"motion_surroundings": -1},
        {"decision_encoder": True, "scales": "every"},
        {"decision_encoder": True, "use_mask": False, "use_motion": False},
        {"motion_encoder": -1, "motion_surroundings": 1},
        {"motion_encoder": 1},
        {"motion_encoder": 1, "motion_surroundings": 1, "use_motion": False},
        {"motion_encoder": 1, "motion_surroundings": 1, "scales": "every"},
        {"motion_encoder": 1, "motion_surroundings": 1, "encoder_blocks": (1, 1), "decoder_blocks": (1, 1)},
        {"deconvolution": 2, "scales": "every"},
        {"deconvolution": 2, "use_motion": False},
        {"motion_output": "path", "trajectory": "learnable"},
    ],
)
def test_forms_that_do_not_fit_together_get_a_sentence(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"give|set it to 0"):
        M2AENetConfig(**SIZE | changes)


def test_decisions_on_the_way_cannot_learn_apart() -> None:
    with pytest.raises(InputError, match="takes no decisions before it restores"):
        learning_parts(M2AENet(FORMS["every scale"]), "restoration")
