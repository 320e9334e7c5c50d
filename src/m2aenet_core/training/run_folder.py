"""What a run leaves in its folder while it goes on: figures, pictures, checkpoints and weights."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from m2aenet_core.atomic import write_atomic
from m2aenet_core.checkpoint import save_model
from m2aenet_core.data.folder import Pixels
from m2aenet_core.data.sample import Batch
from m2aenet_core.errors import InputError
from m2aenet_core.training.config import TrainConfig
from m2aenet_core.training.log import RunLog
from m2aenet_core.training.pictures import validation_picture
from m2aenet_core.training.state import TrainState, save_checkpoint
from m2aenet_core.training.step import learning_rate_at
from m2aenet_core.training.validation import validate, validation_metrics
from m2aenet_core.training.watch import StepTime, Watch

CHECKPOINT, PICTURES = "last.ckpt", "pictures"
BEST, FINAL, LAST = "best.safetensors", "final.safetensors", "last.safetensors"

# steps that a GPU may be ahead of what is logged, so that it never waits for the log
_PENDING_STEPS = 20
# pictures stay at steps that grow by this factor: two dozen in the longest run
_PICTURE_GROWTH = 1.25
_BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} steps [{elapsed}<{remaining}{postfix}]"


class _Pending(NamedTuple):
    """Figures of a step that may not be computed yet."""

    step: int
    names: tuple[str, ...]
    values: Tensor


class RunFolder:
    """Keeps a run's folder up to date. In processes that only help it writes nothing."""

    def __init__(self, fabric: Fabric, config: TrainConfig, state: TrainState, validation: Batch) -> None:
        """Take a state to go on from, and the samples to validate on."""
        self._fabric, self._config, self._state = fabric, config, state
        self._out = Path(config.out)
        self._validation = fabric.to_device(validation) if fabric.is_global_zero else None
        self._log: RunLog | None = None
        self._bar: tqdm[Any] | None = None
        self._pending: list[_Pending] = []
        self._losses: list[float] = []
        self._times: list[StepTime] = []
        self._saved_step = state.step
        self._began = time.monotonic() - state.seconds

    def __enter__(self) -> RunFolder:
        if self._fabric.is_global_zero:
            steps = self._config.steps
            self._log = RunLog(self._out, self._state.step, points_every=self._config.log_every)
            self._losses = self._log.losses_since_validation
            self._bar = tqdm(total=steps, initial=self._state.step, bar_format=_BAR, dynamic_ncols=True, mininterval=1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._log is not None and self._bar is not None:
            self._bar.close()
            self._log.__exit__(kind, error, traceback)

    def add(self, figures: Mapping[str, Tensor], watch: Watch) -> None:
        """Take the figures of the step that the state has just made; validate and save where it is time."""
        step, config = self._state.step, self._config
        self._pending.append(_Pending(step, tuple(figures), torch.stack(list(figures.values()))))
        is_validated = step % config.validate_every == 0 or step == config.steps
        is_saved = step % config.save_every == 0
        may_lag = self._fabric.device.type != "cpu" and len(self._pending) < _PENDING_STEPS
        if is_validated or is_saved or not may_lag:
            self._catch_up(watch)
        if is_validated:
            self._validate()
        if is_saved:
            self._save()

    def finish(self) -> None:
        """Write a checkpoint of the last step, unless there is one."""
        self._catch_up(None)
        if self._saved_step != self._state.step:
            self._save()

    def _catch_up(self, watch: Watch | None) -> None:
        """Log what is pending. Raises InputError for a loss that is no number, in all processes alike."""
        for step, names, values in self._pending:
            figures = dict(zip(names, values.tolist(), strict=True))
            if not math.isfinite(figures["loss"]):
                raise InputError(
                    f"the loss became {figures['loss']} at step {step}; begin again with a lower learning_rate "
                    "and another --out"
                )
            if self._log is not None:
                self._log.add(step, {**figures, "learning_rate": learning_rate_at(step - 1, self._config)})
                self._losses.append(figures["loss"])
                self._show(figures)
        self._pending = []
        if watch is not None:
            self._times += watch.take()

    def _show(self, figures: Mapping[str, float]) -> None:
        assert self._bar is not None
        rate = self._bar.format_dict["rate"]
        speed = f", {rate * self._config.batch_size:.1f} images/s" if rate else ""
        self._bar.set_postfix_str(f"loss {figures['loss']:.4f}, {figures['psnr_db']:.2f} dB{speed}", refresh=False)
        self._bar.update()

    def _validate(self) -> None:
        if self._log is None or self._validation is None:
            return
        step = self._state.step
        outputs = validate(self._state.ema, self._validation)
        metrics = validation_metrics(outputs, self._validation)
        picture = validation_picture(outputs, self._validation)
        self._log.validated(step, {**self._since_last_validation(), **metrics}, picture)
        png = _png(picture)
        write_atomic(self._out / "preview.png", png)
        kept = self._out / PICTURES
        if step >= _PICTURE_GROWTH * max((int(path.stem) for path in kept_pictures(self._out)), default=0):
            write_atomic(kept / f"{step:07d}.png", png)
        if metrics["psnr_db"] > self._state.best_psnr_db:
            self._state.best_psnr_db = metrics["psnr_db"]
            save_weights(self._out / BEST, self._state, self._config)

    def _since_last_validation(self) -> dict[str, float]:
        """Give the run's seconds, and mean loss, speed and waiting since the last validation."""
        seconds = sum(each.seconds for each in self._times)
        figures = {
            "seconds": self._seconds(),
            "loss": float(np.mean(self._losses)),
            "images_per_s": len(self._times) * self._config.batch_size / seconds,
            "waiting_share": sum(each.waiting_s for each in self._times) / seconds,
        }
        self._losses, self._times = [], []
        return figures

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _save(self) -> None:
        self._saved_step = self._state.step
        self._state.seconds = self._seconds()
        if self._log is not None:
            save_checkpoint(self._out / CHECKPOINT, self._state, self._fabric)


def kept_pictures(folder: Path) -> list[Path]:
    """Give the validation pictures of a run's folder by their steps; what was cut short, or is another's, is none."""
    return sorted(path for path in (folder / PICTURES).glob("*.png") if path.stem.isdigit())


def save_weights(path: Path, state: TrainState, config: TrainConfig) -> None:
    """Write the averaged weights, whole or not at all, with what a reader of the file wants to know of the run."""
    summary = {
        "steps": state.step,
        "batch_size": config.batch_size,
        "crop_px": config.blur.crop_px,
        "best_validation_psnr_db": state.best_psnr_db if math.isfinite(state.best_psnr_db) else None,
    }
    save_model(state.ema, path, {"training": json.dumps(summary)})


def _png(picture: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
