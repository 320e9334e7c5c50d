"""LMD-ViT: its size, its two ways of evaluation, its decisions, its gradients, its cost."""

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from m2aenet_core.data.sample import Batch
from m2aenet_core.errors import InputError
from m2aenet_core.losses import LossConfig, compute_losses, mask_loss
from m2aenet_core.models.confidence_predictor import ConfidencePredictor
from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
from m2aenet_core.models.mask_predictor import blur_probability
from m2aenet_core.models.network import Encoded
from m2aenet_core.ops.padding import centre_padding
from m2aenet_core.ops.windows import windows_of_cells

# windows of 4 pixels at three scales: sizes are padded to multiples of 16, cells are 4 x 4 pixels
TINY = LMDViTConfig(width=8, window=4, depths=(1, 3, 2, 3, 1), heads=(1, 2, 4, 2, 1))
HEIGHT, WIDTH = 64, 80
ROWS, COLUMNS = HEIGHT // 4, WIDTH // 4


def predictors(network: LMDViT) -> list[ConfidencePredictor]:
    """All predictors in the network's order."""
    return [
        module for stage in network.stages for module in stage.predictors if isinstance(module, ConfidencePredictor)
    ]


def centre(predictor: ConfidencePredictor, _: Any, logits: Tensor) -> Tensor:
    """Let a predictor call half of the windows that it sees blurred."""
    bias = predictor.decide[-1].bias
    excess = (logits[:, 0] - logits[:, 1]).median() - 1e-4
    bias[0] -= excess
    return torch.stack([logits[:, 0] - excess, logits[:, 1]], dim=1)


@pytest.fixture
def network(randomise: Callable[[nn.Module], None]) -> LMDViT:
    """Random parameters; each predictor calls about half of the windows of noise blurred."""
    network = LMDViT(TINY).eval()
    randomise(network)
    image = torch.rand(2, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        for predictor in predictors(network):
            predictor.decide[-1].weight.mul_(20)
    # in one pass, since the features of each predictor depend on the decisions before
    hooks = [predictor.register_forward_hook(centre) for predictor in predictors(network)]
    with torch.no_grad():
        network(image)
    for hook in hooks:
        hook.remove()
    return network


# -- size and start ----------------------------------------------------------------------------------------------


def test_the_default_network_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = LMDViT()
    assert sum(parameter.numel() for parameter in network.parameters()) == 54_549_163
    assert network.size_multiple == 128
    assert network.cell_px == 8


def test_an_untrained_network_returns_its_input() -> None:
    network, blur = LMDViT(TINY), torch.rand(2, 3, 37, 50)
    assert torch.equal(network.eval()(blur).restored, blur)
    assert torch.equal(network.train()(blur).restored, blur)


def test_an_untrained_network_keeps_most_windows() -> None:
    network, blur = LMDViT(TINY), torch.rand(2, 3, HEIGHT, WIDTH)
    drawn = torch.cat([mask.flatten() for mask in network.train()(blur).masks])
    assert 0.85 < drawn.mean() < 1
    assert all(mask.all() for mask in network.eval()(blur).masks)


def test_windows_are_dropped_as_in_the_released_network() -> None:
    rates = LMDViTConfig().drop_paths
    encoder = [rate for stage in rates[:4] for rate in stage]
    assert encoder == pytest.approx([0.1 * number / 18 for number in range(19)])
    assert rates[4] == (0.1, 0.1)
    assert [rate for stage in rates[5:] for rate in stage] == pytest.approx(encoder[::-1])
    assert tuple(map(len, rates)) == LMDViTConfig().depths


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"depths": (1, 1), "heads": (1, 1)}, "depths and heads need one number for each stage"),
        ({"depths": (1, 1, 1)}, "depths and heads need one number for each stage"),
        ({"depths": (1, 0, 1, 1, 1)}, "every stage needs a block and a head"),
        ({"heads": (1, 2, 0, 2, 1)}, "every stage needs a block and a head"),
        ({"window": 5}, "the window an even side"),
        ({"width": 6}, "the width must be a multiple of 4"),
        ({"heads": (1, 3, 1, 1, 1)}, "each stage's channels one of its heads"),
        ({"drop_path": 1.0}, "drop_path and the threshold must be from 0 to 1"),
        ({"threshold": 1.5}, "drop_path and the threshold must be from 0 to 1"),
        ({"temperature": 0.0}, "the temperature above 0"),
    ],
)
def test_a_config_that_cannot_be_built_gets_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        dataclasses.replace(TINY, **changes)


# -- pruned and dense --------------------------------------------------------------------------------------------


def blob() -> Tensor:
    mask = torch.zeros(2, 1, ROWS, COLUMNS)
    mask[0, 0, 5:9, 6:13] = mask[1, 0, 10:12, 4:6] = 1
    return mask


def at_the_border() -> Tensor:
    mask = torch.zeros(2, 1, ROWS, COLUMNS)
    mask[0, 0, :, 0] = mask[0, 0, -1] = mask[1, 0, 0, 8:] = 1
    return mask


def first_image_alone() -> Tensor:
    mask = torch.zeros(2, 1, ROWS, COLUMNS)
    mask[0] = 1
    return mask


MASKS: dict[str, Callable[[], Tensor]] = {
    "random": lambda: (torch.rand(2, 1, ROWS, COLUMNS) > 0.9).float(),
    "blob": blob,
    "border": at_the_border,
    "first image alone": first_image_alone,
    "one cell": lambda: F.one_hot(torch.tensor([0, 57]), ROWS * COLUMNS).view(2, 1, ROWS, COLUMNS).float(),
    "empty": lambda: torch.zeros(2, 1, ROWS, COLUMNS),
    "full": lambda: torch.ones(2, 1, ROWS, COLUMNS),
}


@pytest.mark.parametrize("make_mask", MASKS.values(), ids=MASKS.keys())
def test_pruned_evaluation_equals_dense_evaluation(network: LMDViT, make_mask: Callable[[], Tensor]) -> None:
    mask = make_mask()
    with torch.no_grad():
        encoded = network.analyze(torch.rand(2, 3, HEIGHT, WIDTH))
        dense, pruned = (network.restore(encoded, mask, pruned=pruned) for pruned in (False, True))
    torch.testing.assert_close(pruned.image, dense.image, atol=1e-5, rtol=1e-5)
    assert pruned.masks == dense.masks == (mask,)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("size", [(64, 80), (37, 51), (1, 1), (17, 5)])
def test_at_any_threshold_and_size_pruned_evaluation_is_the_forward_pass(
    network: LMDViT, size: tuple[int, int], threshold: float
) -> None:
    blur = torch.rand(2, 3, *size)
    padding = centre_padding(*size, 16)
    with torch.no_grad():
        output = network(blur, threshold)
        pruned = network.restore(network.analyze(padding.add(blur)), threshold, pruned=True)
    assert output.restored.shape == blur.shape
    torch.testing.assert_close(padding.remove(pruned.image), output.restored, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(one, other) for one, other in zip(pruned.masks, output.masks, strict=True))


def test_an_image_of_a_batch_is_restored_as_if_it_were_alone(network: LMDViT) -> None:
    blur = torch.rand(3, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        together = network.restore(network.analyze(blur), 0.5, pruned=True)
        alone = [network.restore(network.analyze(image), 0.5, pruned=True) for image in blur.split(1)]
    assert any(0 < mask.mean() < 1 for mask in together.masks)
    torch.testing.assert_close(together.image, torch.cat([one.image for one in alone]), atol=1e-5, rtol=1e-5)


def test_memory_order_and_gradients_do_not_change_the_result(network: LMDViT) -> None:
    blur = torch.rand(2, 3, HEIGHT, WIDTH)
    expected = network(blur).restored
    assert expected.requires_grad
    with torch.no_grad():
        swapped = blur.contiguous(memory_format=torch.channels_last)
        for given in (blur, swapped):
            torch.testing.assert_close(network(given).restored, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(swapped, blur)


def test_bfloat16_stays_near_float32(network: LMDViT) -> None:
    encoded = Encoded(torch.rand(1, 3, HEIGHT, WIDTH), None, None)
    mask = MASKS["blob"]()[:1]
    with torch.no_grad():
        exact = network.restore(encoded, mask, pruned=True).image
        with torch.autocast("cpu", torch.bfloat16):
            rough = network.restore(encoded, mask, pruned=True).image
    assert (rough - exact).abs().max() < 0.1 * (exact - encoded.image).abs().max()


# -- decisions ---------------------------------------------------------------------------------------------------


def test_the_mask_decides_what_comes_out(network: LMDViT) -> None:
    with torch.no_grad():
        encoded = network.analyze(torch.rand(2, 3, HEIGHT, WIDTH))
        images = [network.restore(encoded, MASKS[name](), pruned=True).image for name in ("empty", "blob", "full")]
    assert all((one - other).abs().max() > 1e-3 for one, other in pairwise(images))


def test_a_higher_threshold_keeps_fewer_windows(network: LMDViT) -> None:
    blur = torch.rand(2, 3, HEIGHT, WIDTH)
    kept = []
    with torch.no_grad():
        for threshold in (0.0, 0.5, 1.0):
            kept.append([mask.mean().item() for mask in network(blur, threshold).masks])
    assert set(kept[0]) == {1.0}
    assert 0 < kept[1][0] < 1
    assert set(kept[2]) == {0.0}


def test_the_threshold_may_be_a_tensor(network: LMDViT) -> None:
    blur = torch.rand(1, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        number, tensor = network(blur, 0.4), network(blur, torch.tensor(0.4))
        restored = network.restore(network.analyze(blur), torch.tensor(0.4), pruned=True)
    assert torch.equal(number.restored, tensor.restored)
    assert len(restored.masks) == len(tensor.masks)


def test_drawn_decisions_are_hard_and_change_from_pass_to_pass(network: LMDViT) -> None:
    blur = torch.rand(2, 3, HEIGHT, WIDTH)
    first, second = (network.train()(blur).masks for _ in range(2))
    assert all(((mask == 0) | (mask == 1)).all() for mask in first)
    assert any((one != other).any() for one, other in zip(first, second, strict=True))


def to_image(values: Tensor, shift_px: int) -> Tensor:
    """Paint values of windows (B, C, h, w) on the pixels that they belong to."""
    side = HEIGHT // values.shape[2]
    painted = values.repeat_interleave(side, 2).repeat_interleave(side, 3)
    return torch.roll(painted, (shift_px, shift_px), (2, 3))


def test_the_probability_of_a_cell_is_the_encoders_mean_confidence_there(network: LMDViT) -> None:
    blur = torch.rand(2, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        encoded, output = network.analyze(blur), network(blur)
    in_encoder = sum(len(stage.predictors) for stage in network.encoders)
    windows = zip(output.blur_logits[:in_encoder], output.shifts_px, strict=False)
    painted = torch.stack([to_image(blur_probability(logits), shift) for logits, shift in windows])
    probability = blur_probability(encoded.blur_logits)
    assert probability.shape == (2, 1, ROWS, COLUMNS)
    torch.testing.assert_close(probability, F.avg_pool2d(painted.mean(dim=0), 4), atol=1e-5, rtol=1e-4)
    assert probability.std() > 0.01
    assert all(torch.equal(*pair) for pair in zip(encoded.masks, output.masks[:in_encoder], strict=True))


def test_the_blur_logits_of_an_analysis_are_log_probabilities(network: LMDViT) -> None:
    with torch.no_grad():
        logits = network.analyze(torch.rand(1, 3, HEIGHT, WIDTH)).blur_logits
    torch.testing.assert_close(logits.exp().sum(dim=1), torch.ones(1, ROWS, COLUMNS))


def test_a_window_that_holds_a_blurred_pixel_is_wanted_by_the_pruning_loss(network: LMDViT) -> None:
    """The loss rolls the mask by shifts_px: its target is above 0 exactly where a mask of cells keeps the window."""
    cells = MASKS["blob"]()
    mask = cells.repeat_interleave(4, 2).repeat_interleave(4, 3)
    with torch.no_grad():
        output = network(torch.rand(2, 3, HEIGHT, WIDTH))
    assert output.shifts_px == (0, 0, 4, 0, 8, 0, 4, 0)
    for logits, shift in zip(output.blur_logits, output.shifts_px, strict=True):
        side = HEIGHT // logits.shape[2]
        kept = windows_of_cells(cells, side // 4, is_shifted=shift > 0)
        sure = torch.cat([kept, 1 - kept], dim=1).mul(40) - 20
        # a window is called as it is kept: what is left is the share of sharp pixels in kept windows
        target = F.avg_pool2d(torch.roll(mask, (-shift, -shift), (2, 3)), side)
        assert torch.equal(target > 0, kept > 0)
        expected = 40 * (kept - target).mean()
        torch.testing.assert_close(mask_loss(sure, mask, shift), expected, atol=1e-4, rtol=1e-4)


def test_a_part_of_an_analysis_is_restored_like_that_part_of_the_image(network: LMDViT) -> None:
    blur = torch.rand(1, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        part = network.analyze(blur).crop(16, 32, 32, 48)
        expected = network.restore(network.analyze(blur[..., 16:48, 32:80]), 0.5, pruned=True)
        assert torch.equal(network.restore(part, 0.5, pruned=True).image, expected.image)


def test_padding_is_centred_and_black(network: LMDViT) -> None:
    blur = torch.rand(1, 3, 33, 62)
    padding = centre_padding(33, 62, 16)
    assert padding == (7, 1, 8, 1)
    framed = torch.zeros(1, 3, 48, 64)
    framed[..., 7:40, 1:63] = blur
    assert torch.equal(padding.add(blur), framed)
    assert torch.equal(padding.remove(framed), blur)
    with torch.no_grad():
        assert torch.equal(network(blur).restored, network(framed).restored[..., 7:40, 1:63])


def test_the_gate_lets_a_tenth_of_the_residual_through_at_least(network: LMDViT) -> None:
    blur = torch.rand(1, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        network.ending.weight[3] = 0
        network.ending.bias[3] = 100
        open_gate = network(blur).restored - blur
        network.ending.bias[3] = -100
        closed_gate = network(blur).restored - blur
    torch.testing.assert_close(closed_gate, 0.1 * open_gate, atol=1e-6, rtol=1e-4)
    assert open_gate.abs().max() > 1e-2


# -- training ----------------------------------------------------------------------------------------------------


def made_batch() -> Batch:
    """A bright square that moved 12 pixels to the right; random texture around it."""
    sharp = torch.rand(2, 3, 64, 64)
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 16:40, 16:48] = 1
    end = mask * torch.tensor([0.0, 6.0]).view(1, 2, 1, 1)
    blur = torch.where(mask > 0, F.avg_pool2d(sharp, (1, 13), 1, (0, 6)), sharp)
    return Batch(blur, sharp, mask, -end, end, torch.ones(2, dtype=torch.bool))


def test_every_parameter_learns(network: LMDViT) -> None:
    batch = made_batch()
    terms = compute_losses(network.train()(batch.blur), batch, LossConfig())
    torch.stack(list(terms.values())).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_the_restored_image_alone_teaches_the_predictors(network: LMDViT) -> None:
    """The gradient of the decisions is that of the drawn Gumbel-Softmax: no mask is needed for it."""
    batch = made_batch()
    F.l1_loss(network.train()(batch.blur).restored, batch.sharp).backward()
    for predictor in predictors(network):
        gradient = predictor.decide[-1].weight.grad
        assert gradient is not None
        assert gradient.abs().sum() > 0


def test_an_untrained_network_finds_its_way_off_the_identity() -> None:
    network, batch = LMDViT(TINY).train(), made_batch()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    losses = []
    for _ in range(12):
        terms = compute_losses(network(batch.blur), batch, LossConfig())
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for name, parameter in network.named_parameters():
        assert not torch.equal(parameter, before[name]), name


# -- counting ----------------------------------------------------------------------------------------------------


def count_flops(run: Callable[[], Any]) -> tuple[float, Any]:
    """Give the multiply-adds that torch counts in a run, and what it gives; torch leaves out attention on a CPU."""

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    on_cpu = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=on_cpu) as counter:
        result = run()
    return counter.get_total_flops() / 2, result


def test_the_count_of_analysis_is_torchs(network: LMDViT) -> None:
    blur = torch.rand(1, 3, HEIGHT, WIDTH)
    counted, encoded = count_flops(lambda: network.analyze(blur))
    assert any(0 < mask.mean() < 1 for mask in encoded.masks)
    assert network.analyze_macs(HEIGHT, WIDTH, encoded.masks) == counted
    assert network.analyze_macs(HEIGHT, WIDTH) > counted


@pytest.mark.parametrize("batch", [1, 2])
def test_the_count_of_restoration_is_torchs_pruned_and_dense(network: LMDViT, batch: int) -> None:
    encoded = Encoded(torch.rand(batch, 3, HEIGHT, WIDTH), None, None)
    pruned, restored = count_flops(lambda: network.restore(encoded, 0.5, pruned=True))
    dense, _ = count_flops(lambda: network.restore(encoded, 0.5))
    assert network.restore_macs(HEIGHT, WIDTH, restored.masks) == pruned / batch
    assert network.restore_macs(HEIGHT, WIDTH) == dense / batch
    assert pruned < dense


@pytest.mark.parametrize("name", MASKS)
def test_with_a_mask_no_predictor_is_run_or_counted(network: LMDViT, name: str) -> None:
    encoded, mask = Encoded(torch.rand(2, 3, HEIGHT, WIDTH), None, None), MASKS[name]()
    counted, restored = count_flops(lambda: network.restore(encoded, mask, pruned=True))
    assert network.restore_macs(HEIGHT, WIDTH, restored.masks) == counted / 2


def test_the_grids_are_those_of_the_masks(network: LMDViT) -> None:
    with torch.no_grad():
        output = network(torch.rand(1, 3, HEIGHT, WIDTH))
    grids = network.decision_grids(HEIGHT, WIDTH)
    assert grids == tuple((mask.shape[2], mask.shape[3]) for mask in output.masks)
    ones = [torch.ones(1, 1, *grid) for grid in grids]
    assert network.restore_macs(HEIGHT, WIDTH, ones) == network.restore_macs(HEIGHT, WIDTH)
