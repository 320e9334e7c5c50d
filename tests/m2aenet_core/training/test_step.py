"""One optimisation step: its pace, and that neither parts nor processes change what it computes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from m2aenet_core.data.sample import Batch
from m2aenet_core.models.lmdvit import LMDViTConfig
from m2aenet_core.models.network import Network
from m2aenet_core.training.config import TrainConfig
from m2aenet_core.training.launch import chosen_precision
from m2aenet_core.training.sources import make_sources
from m2aenet_core.training.start import first_network
from m2aenet_core.training.state import TrainState
from m2aenet_core.training.step import learning_rate_at, make_optimizer, take_step


def begun(config: TrainConfig) -> tuple[Fabric, TrainState]:
    torch.manual_seed(0)
    fabric = Fabric(accelerator="cpu", devices=1, precision=chosen_precision(config))
    network = first_network(config)
    model, optimizer = fabric.setup(network, make_optimizer(config, network))
    return fabric, TrainState(model, first_network(config).eval(), optimizer)


def batch_of(config: TrainConfig, count: int) -> Batch:
    return make_sources(config).training.batch(0, 0, count)


def weights_after(config: TrainConfig, batch: Batch, steps: int = 3) -> tuple[Network, list[dict[str, float]]]:
    fabric, state = begun(config)
    figures = []
    for _ in range(steps):
        figures.append({name: value.item() for name, value in take_step(fabric, config, state, batch).items()})
        state.step += 1
    return state.ema, figures


def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine(config: TrainConfig) -> None:
    config = replace(config, steps=110, warmup_steps=10, learning_rate=1.0, final_learning_rate=0.1)
    rates = [learning_rate_at(step, config) for step in range(111)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx(0.55)
    assert rates[110] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_step_tells_the_loss_each_term_and_the_psnr(config: TrainConfig) -> None:
    _, (figures, *_) = weights_after(config, batch_of(config, 2), steps=1)
    assert list(figures) == ["loss", "l1", "ssim", "fft", "mask", "reblur", "total_variation", "psnr_db"]
    assert figures["loss"] == pytest.approx(sum(figures[name] for name in list(figures)[1:-1]), rel=1e-5)
    # an untrained network gives its input back
    blur, sharp = batch_of(config, 2)[:2]
    error = (blur - sharp).square().mean(dim=(1, 2, 3))
    assert figures["psnr_db"] == pytest.approx((-10 * error.log10()).mean().item(), abs=0.01)


DECISIONS = {"mask_predictors", "motion_analyzers"}
RESTORATION = {"middle", "ups", "decoders", "ending"}


@pytest.mark.parametrize(
    ("learn", "terms", "parts"),
    [
        ("decisions", ["mask", "reblur", "total_variation"], DECISIONS),
        ("motion", ["reblur", "total_variation", "path"], {"motion_analyzers"}),
        ("restoration", ["l1", "ssim", "fft"], RESTORATION),
        (
            "motion_and_restoration",
            ["l1", "ssim", "fft", "reblur", "total_variation", "path"],
            RESTORATION | {"motion_analyzers", "intro"},
        ),
    ],
)
def test_a_part_learns_from_its_own_terms(config: TrainConfig, learn: str, terms: list[str], parts: set[str]) -> None:
    config = replace(config, learn=learn, learning_rate=1e-2)
    if learn.startswith("motion"):
        model = replace(config.model, motion_surroundings=1, decision_encoder=learn != "motion")
        config = replace(config, model=model, loss=replace(config.loss, path=1.0))
    fabric, state = begun(config)
    before = {name: value.detach().clone() for name, value in state.model.named_parameters()}
    figures = take_step(fabric, config, state, batch_of(config, 2))
    take_step(fabric, config, state, batch_of(config, 2))
    assert list(figures) == ["loss", *terms, "psnr_db"]
    moved = {n for n, value in state.model.named_parameters() if not torch.equal(value, before[n])}
    changed = {part for part in DECISIONS | RESTORATION | {"intro"} if any(part in name for name in moved)}
    assert changed == parts


@pytest.mark.parametrize("network", ["m2aenet", "lmdvit"])
def test_a_batch_in_parts_learns_what_the_whole_batch_would(config: TrainConfig, network: str) -> None:
    vit = LMDViTConfig(width=4, depths=(1, 2, 1), heads=(1, 1, 1), window=4, drop_path=0.3)
    config = replace(config, network=network, lmdvit=vit, batch_size=4, learning_rate=1e-2)
    batch = batch_of(config, 4)
    whole, figures = weights_after(config, batch)
    parts, figures_of_parts = weights_after(replace(config, accumulate=4), batch)
    for ours, theirs in zip(figures, figures_of_parts, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    for (name, ours), theirs in zip(whole.named_parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4, msg=name)


def test_the_draws_of_a_step_follow_from_seed_and_step(config: TrainConfig) -> None:
    batch = batch_of(config, 2)

    def losses(**changes: int) -> list[float]:
        _, figures = weights_after(replace(config, learning_rate=1e-2, **changes), batch, steps=6)
        return [step["loss"] for step in figures]

    torch.manual_seed(1)
    assert losses() == losses()
    assert losses()[-1] != losses(seed=1)[-1]
    # a date is no seed of few bits
    assert losses(seed=20_240_713) == losses(seed=20_240_713)
    assert losses(seed=20_240_713)[-1] != losses(seed=20_240_714)[-1]


def test_gradients_are_clipped_to_the_norm(config: TrainConfig) -> None:
    batch, (fabric, state) = batch_of(config, 2), begun(config)
    seen: list[float] = []

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        gradients = [p.grad.norm() for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        seen.append(torch.stack(gradients).norm().item())

    state.optimizer.optimizer.register_step_pre_hook(note)  # type: ignore[attr-defined]
    for norm in (0.0, 1e-3):
        take_step(fabric, replace(config, clip_norm=norm), state, batch)
    assert seen[0] > 2e-3
    assert seen[1] == pytest.approx(1e-3, rel=1e-2)


def test_the_average_follows_slowly(config: TrainConfig) -> None:
    batch = batch_of(config, 2)
    fabric, state = begun(replace(config, learning_rate=0.1))
    state.step = 10_000
    before = {name: value.clone() for name, value in state.ema.state_dict().items()}
    take_step(fabric, replace(config, learning_rate=0.1, ema=0.9, steps=20_000), state, batch)
    for name, value in state.model.state_dict().items():
        torch.testing.assert_close(state.ema.state_dict()[name], 0.9 * before[name] + 0.1 * value)


@pytest.mark.parametrize("network", ["m2aenet", "nafnet"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_every_network_learns_in_every_precision(config: TrainConfig, network: str, precision: str) -> None:
    config = replace(config, network=network, precision=precision, learning_rate=3e-3, steps=40)
    _, figures = weights_after(config, batch_of(config, 2), steps=30)
    losses = [step["loss"] for step in figures]
    assert np.mean(losses[-5:]) < 0.95 * losses[0]
