"""Train an M2AENet on blur made from sharp photos: `python -m m2aenet_core.train`, or `m2aenet train`.

A run lives in its folder: config.yaml, metrics.csv, TensorBoard events, preview.png, last.ckpt, best.safetensors
and, at the end, final.safetensors. Started again with the same folder, it goes on where it stopped.
"""

from __future__ import annotations

import copy
import io
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import AdamW
from tqdm import tqdm

from m2aenet_core.atomic import write_atomic
from m2aenet_core.checkpoint import load_model, save_model
from m2aenet_core.data.folder import list_images, read_cutouts, read_photos
from m2aenet_core.data.loader import batches
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.synthetic import MadeBlur, MadeBlurConfig
from m2aenet_core.errors import InputError
from m2aenet_core.losses import LossConfig, compute_losses
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.network import as_output
from m2aenet_core.options import parse_options, recipe_names, to_yaml
from m2aenet_core.run_log import RunLog, preview, validation_metrics

# validation samples come from a seed of their own, so that they never repeat training samples
_VALIDATION_SEED = 20_240_713


@dataclass(frozen=True)
class TrainConfig:
    """All that decides a run."""

    data: str
    """Folder of sharp photos, sub-folders included."""
    out: str
    """Folder of the run; made if it is missing, resumed if it holds a run."""
    cutouts: str | None = None
    """Folder of cut-out objects: RGBA images, or image/ beside alpha/ or mask/."""
    manifest: str | None = None
    """CSV file with the columns file and clear_licence; only rows marked yes are used."""
    validation: str | None = None
    """Folder of sharp photos to validate on; without it, training photos are used."""
    init_from: str | None = None
    """Weights to start from: a name or a .safetensors file of the same network."""
    model: M2AENetConfig = field(default_factory=M2AENetConfig)
    """The network."""
    blur: MadeBlurConfig = field(default_factory=MadeBlurConfig)
    """The blur it learns from."""
    loss: LossConfig = field(default_factory=LossConfig)
    """What it minimises."""
    steps: int = 10_000
    """Optimisation steps of the whole run."""
    batch_size: int = 8
    """Samples of a step."""
    learning_rate: float = 1e-3
    """Highest learning rate; it falls along a cosine to final_learning_rate."""
    final_learning_rate: float = 1e-6
    """Learning rate of the last step."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0."""
    weight_decay: float = 1e-3
    """AdamW's weight decay."""
    clip_norm: float = 1.0
    """Gradients longer than this are scaled down; 0 leaves them."""
    ema: float = 0.999
    """Decay of the averaged weights, which are validated and saved."""
    seed: int = 0
    """Decides weights, samples and masks."""
    workers: int = 1
    """Processes that make samples ahead."""
    accelerator: str = "auto"
    """Device kind for Lightning Fabric: auto, cpu, cuda or mps."""
    devices: int = 1
    """Devices to share each batch between; on a CPU, processes (with OMP_NUM_THREADS=1, one for each core)."""
    precision: str = "32-true"
    """Precision for Lightning Fabric: 32-true, bf16-mixed or 16-mixed."""
    validate_every: int = 500
    """Steps between validations and previews."""
    validation_samples: int = 32
    """Samples of a validation."""
    save_every: int = 250
    """Steps between checkpoints."""
    max_time_s: float = math.inf
    """Seconds after which the run stops, to be resumed later."""


@dataclass
class TrainState:
    """What a checkpoint keeps beside the config."""

    model: nn.Module
    ema: M2AENet
    optimizer: torch.optim.Optimizer
    step: int = 0
    best_gain_db: float = -math.inf


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Give the learning rate of a step: linear warm-up, then a cosine."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def train(config: TrainConfig) -> Path:
    """Run to the last step, or to max_time_s, and give the written weights file."""
    if config.batch_size % config.devices:
        raise InputError(
            f"batch_size {config.batch_size} cannot be shared between {config.devices} devices; change one"
        )
    fabric = Fabric(
        accelerator=config.accelerator,
        devices=config.devices,
        strategy="ddp" if config.devices > 1 else "auto",
        precision=config.precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    torch.manual_seed(config.seed)
    out = Path(config.out)
    source, validation = make_sources(config)
    state = _setup(fabric, config)
    _resume(out / "last.ckpt", state, fabric)
    # not before: a run that cannot begin leaves the folder of another as it was
    if fabric.is_global_zero:
        write_atomic(out / "config.yaml", to_yaml(config).encode())
    with RunLog(out, state.step, is_writer=fabric.is_global_zero) as log:
        try:
            fit(fabric, config, state, source, validation, log)
        except KeyboardInterrupt:
            if fabric.is_global_zero:
                _save_checkpoint(out / "last.ckpt", state)
            raise
    name = "final.safetensors" if state.step >= config.steps else "last.safetensors"
    if fabric.is_global_zero:
        _save_weights(out / name, state, config)
    return out / name


def make_sources(config: TrainConfig) -> tuple[MadeBlur, Batch]:
    """Give the training source and the validation samples."""
    photos = read_photos(list_images(config.data, config.manifest))
    cutouts = read_cutouts(config.cutouts, config.manifest) if config.cutouts else []
    source = MadeBlur(photos, cutouts, config.blur)
    held_out = (
        MadeBlur(read_photos(list_images(config.validation)), cutouts, config.blur) if config.validation else source
    )
    return source, held_out.batch(_VALIDATION_SEED, 0, config.validation_samples)


def _setup(fabric: Fabric, config: TrainConfig) -> TrainState:
    model = M2AENet(config.model)
    if config.init_from:
        start = load_model(config.init_from)
        if getattr(start, "config", None) != config.model:
            raise InputError(f"{config.init_from} holds {start.config}, but the run trains {config.model}")
        model.load_state_dict(start.state_dict())
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ema = fabric.to_device(copy.deepcopy(model).eval().requires_grad_(False))
    optimizer = AdamW(model.parameters(), config.learning_rate, betas=(0.9, 0.9), weight_decay=config.weight_decay)
    wrapped, optimizer = fabric.setup(model, optimizer)
    return TrainState(wrapped, ema, optimizer)


def fit(
    fabric: Fabric, config: TrainConfig, state: TrainState, source: MadeBlur, validation: Batch, log: RunLog
) -> None:
    """Take steps until the end of the run or of the time."""
    deadline = time.monotonic() + config.max_time_s
    validation = fabric.to_device(validation)
    stream = batches(
        source,
        seed=config.seed,
        size=config.batch_size // fabric.world_size,
        rank=fabric.global_rank,
        ranks=fabric.world_size,
        first=state.step,
        last=config.steps,
        workers=config.workers,
    )
    for batch in _progress(stream, state.step, config.steps, log):
        log.add(_step(fabric, config, state, fabric.to_device(batch)))
        state.step += 1
        # one process decides when time is up: clocks differ, and all must take the same number of steps
        is_late = fabric.broadcast(time.monotonic() > deadline) if math.isfinite(config.max_time_s) else False
        is_last = state.step == config.steps or is_late
        if fabric.is_global_zero and (state.step % config.validate_every == 0 or is_last):
            _validate(config, state, validation, log)
        if fabric.is_global_zero and (state.step % config.save_every == 0 or is_last):
            _save_checkpoint(Path(config.out) / "last.ckpt", state)
        if is_last:
            return


def _progress(stream: Iterator[Batch], step: int, steps: int, log: RunLog) -> Iterator[Batch]:
    quiet = not log.is_writer
    with tqdm(stream, initial=step, total=steps, unit="step", dynamic_ncols=True, mininterval=1, disable=quiet) as bar:
        for batch in bar:
            yield batch
            bar.set_postfix_str(log.summary(), refresh=False)


def _step(fabric: Fabric, config: TrainConfig, state: TrainState, batch: Batch) -> dict[str, float]:
    """Take one optimisation step and give its figures."""
    # the masks' randomness depends on the step alone, so that a resumed run draws the same
    torch.manual_seed((config.seed * 1_000_003 + state.step) * fabric.world_size + fabric.global_rank)
    rate = learning_rate_at(state.step, config)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.model.train()
    output = as_output(state.model(batch.blur.to(memory_format=torch.channels_last)))
    terms = compute_losses(output, batch, config.loss)
    loss = torch.stack(list(terms.values())).sum()
    if not torch.isfinite(loss):
        raise InputError(f"the loss became {loss.item()} at step {state.step}; lower learning_rate and run again")
    fabric.backward(loss)
    if config.clip_norm:
        fabric.clip_gradients(state.model, state.optimizer, max_norm=config.clip_norm)
    state.optimizer.step()
    state.optimizer.zero_grad()
    _update_average(state, config.ema)
    figures = {name: float(term.detach()) for name, term in terms.items()}
    return {"loss": float(loss.detach()), "learning_rate": rate, **figures}


@torch.no_grad()
def _update_average(state: TrainState, decay: float) -> None:
    # young runs change quickly: the average follows them at first
    decay = min(decay, (1 + state.step) / (10 + state.step))
    current = [parameter.detach() for parameter in state.model.parameters()]
    torch._foreach_lerp_(list(state.ema.parameters()), current, 1 - decay)


def _validate(config: TrainConfig, state: TrainState, validation: Batch, log: RunLog) -> None:
    out = Path(config.out)
    with torch.inference_mode():
        outputs = [as_output(state.ema(blur.unsqueeze(0))) for blur in validation.blur]
    metrics = validation_metrics(outputs, validation)
    log.write(state.step, metrics)
    write_atomic(out / "preview.png", preview(outputs, validation))
    if metrics["gain_db"] > state.best_gain_db:
        state.best_gain_db = metrics["gain_db"]
        _save_weights(out / "best.safetensors", state, config)


def _save_weights(path: Path, state: TrainState, config: TrainConfig) -> None:
    summary = {"steps": state.step, "batch_size": config.batch_size, "best_validation_gain_db": state.best_gain_db}
    save_model(state.ema, path, {"training": json.dumps(summary)})


def _save_checkpoint(path: Path, state: TrainState) -> None:
    buffer = io.BytesIO()
    content = {
        "model": state.model.state_dict(),
        "ema": state.ema.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "best_gain_db": state.best_gain_db,
    }
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


def _resume(path: Path, state: TrainState, fabric: Fabric) -> None:
    if not path.is_file():
        return
    try:
        content: dict[str, Any] = torch.load(path, map_location=fabric.device, weights_only=True)
    except Exception as error:  # a damaged file raises whatever it leads the reader to
        raise InputError(f"{path} is damaged or no checkpoint; remove it, or choose another --out") from error
    try:
        state.model.load_state_dict(content["model"])
        state.ema.load_state_dict(content["ema"])
        state.optimizer.load_state_dict(content["optimizer"])
        state.step, state.best_gain_db = content["step"], content["best_gain_db"]
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is not a checkpoint of this network ({reason}); choose another --out") from error


def parse(argv: Sequence[str] | None = None) -> TrainConfig:
    """Give the config of a command line: recipe, then YAML file, then flags."""
    about = (
        "Train an M2AENet on blur made from sharp photos. "
        f"--recipe NAME stands for the --config of a built-in recipe: {', '.join(recipe_names())}."
    )
    return parse_options(TrainConfig, "m2aenet train", about, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the command line says."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        weights = train(parse(argv))
        # the processes that share the batches run this too
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"weights written to {weights}")

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
