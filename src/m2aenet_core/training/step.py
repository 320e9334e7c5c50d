"""One optimisation step."""

from __future__ import annotations

import math

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import AdamW

from m2aenet_core.data.sample import Batch
from m2aenet_core.losses import compute_losses
from m2aenet_core.models.network import NetworkOutput, as_output
from m2aenet_core.ops.draws import Draws
from m2aenet_core.training.config import TrainConfig, reaching_loss
from m2aenet_core.training.state import TrainState

# a sample's number fills the low bits of its seed, the run's seed the high ones
_SAMPLE_BITS, _RUN_BITS = 40, 23
_NO_ERROR = 1e-8


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Give the learning rate of a step: linear warm-up, then a cosine."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def make_optimizer(config: TrainConfig, network: torch.nn.Module) -> AdamW:
    """Give the optimizer of a run, for what learns of a network."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return AdamW(learning, config.learning_rate, betas=config.betas, weight_decay=config.weight_decay)


def take_step(fabric: Fabric, config: TrainConfig, state: TrainState, batch: Batch) -> dict[str, Tensor]:
    """Take one optimisation step with this process's share of a batch.

    Gives the loss, each of its terms and psnr_db, PSNR of the samples, as they were before the step and over all
    processes; on the device, so that nobody waits for them.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate_at(state.step, config)
    state.model.train()
    seeds = _seeds(fabric, config, state.step, len(batch.blur))
    totals: dict[str, Tensor] = {}
    for number, part in enumerate(torch.arange(len(batch.blur)).chunk(config.accumulate)):
        is_last = number == config.accumulate - 1
        samples = Batch(*(tensor[part[0] : part[-1] + 1] for tensor in batch))
        with fabric.no_backward_sync(state.model, enabled=not is_last):  # type: ignore[arg-type]
            figures = _learn_from(fabric, config, state, samples, seeds[part[0] : part[-1] + 1])
        for name, value in figures.items():
            totals[name] = totals.get(name, 0) + value / config.accumulate
    if config.clip_norm:
        fabric.clip_gradients(state.model, state.optimizer, max_norm=config.clip_norm, error_if_nonfinite=False)
    state.optimizer.step()
    state.optimizer.zero_grad()
    _update_average(state, config.ema)
    return _over_all(fabric, totals)


def _learn_from(
    fabric: Fabric, config: TrainConfig, state: TrainState, samples: Batch, seeds: Tensor
) -> dict[str, Tensor]:
    """Add the gradients of some samples, and give their figures."""
    output = _output(config, state, samples.blur, seeds)
    terms = compute_losses(output, samples, reaching_loss(config))
    loss = torch.stack(list(terms.values())).sum()
    fabric.backward(loss / config.accumulate)
    figures = {"loss": loss, **terms, "psnr_db": _psnr_db(output.restored, samples.sharp)}
    return {name: value.detach() for name, value in figures.items()}


def _output(config: TrainConfig, state: TrainState, blur: Tensor, seeds: Tensor) -> NetworkOutput:
    blur = blur.to(memory_format=torch.channels_last)
    if config.network == "nafnet":
        return as_output(state.model(blur))
    draws = Draws(seeds)
    if config.network == "lmdvit":
        return as_output(state.model(blur, draws=draws))
    return as_output(state.model(blur, draws=draws, learn=config.learn))


def _seeds(fabric: Fabric, config: TrainConfig, step: int, count: int) -> Tensor:
    """Give a seed for each sample of this process: they follow from its number in the run alone."""
    first = (step * fabric.world_size + fabric.global_rank) * count
    numbers = torch.arange(first, first + count, device=fabric.device)
    return numbers + (_high_bits(config.seed) << _SAMPLE_BITS)


def _high_bits(seed: int) -> int:
    """Give the run's part of its samples' seeds: a seed that has room there is itself, a larger one is mixed."""
    if seed < 1 << _RUN_BITS:
        return seed
    return int(np.random.SeedSequence(seed).generate_state(1)[0]) >> (32 - _RUN_BITS)


@torch.no_grad()
def _psnr_db(restored: Tensor, sharp: Tensor) -> Tensor:
    error = (restored.float().clamp(0, 1) - sharp).square().mean(dim=(1, 2, 3))
    return -10 * error.clamp_min(_NO_ERROR).log10().mean()


@torch.no_grad()
def _update_average(state: TrainState, decay: float) -> None:
    # young runs change quickly: the average follows them at first
    decay = min(decay, (1 + state.step) / (10 + state.step))
    current = [parameter.detach() for parameter in state.model.parameters()]
    torch._foreach_lerp_(list(state.ema.parameters()), current, 1 - decay)


def _over_all(fabric: Fabric, figures: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the means over all processes."""
    if fabric.world_size == 1:
        return figures
    values = fabric.all_reduce(torch.stack(list(figures.values())), reduce_op="mean")
    assert isinstance(values, Tensor)
    return dict(zip(figures, values, strict=True))
