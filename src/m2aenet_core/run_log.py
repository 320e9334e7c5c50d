"""What a training run leaves to look at: figures in CSV and TensorBoard, and a preview picture."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from m2aenet_core.atomic import write_atomic
from m2aenet_core.data.sample import Batch
from m2aenet_core.metrics import displacement_error, mask_iou, psnr
from m2aenet_core.models.mask_predictor import blur_probability
from m2aenet_core.models.network import NetworkOutput
from m2aenet_core.ops.resize import resize_displacement, resize_image
from m2aenet_core.pixels import to_uint8

COLUMNS = ("step", "seconds", "loss", "gain_db", "outside_psnr_db", "mask_iou", "displacement_error_px")


class RunLog:
    """Collects the figures of steps, and writes their means with each validation."""

    def __init__(self, folder: Path, step: int, *, is_writer: bool = True) -> None:
        """Open the run's metrics.csv and TensorBoard events; rows after `step` are of an abandoned stretch.

        is_writer: False in processes that only help, which then write nothing.
        """
        self.is_writer = is_writer
        self._path = folder / "metrics.csv"
        self._rows = [row for row in _read_rows(self._path) if int(row["step"]) <= step]
        self._started = time.monotonic() - float(self._rows[-1]["seconds"] if self._rows else 0)
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1) if is_writer else None
        self._steps: list[Mapping[str, float]] = []

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, figures: Mapping[str, float]) -> None:
        """Keep the figures of a step."""
        if self.is_writer:
            self._steps.append(figures)

    def summary(self) -> str:
        """Give the last loss and the last validation for the progress bar."""
        last = self._rows[-1] if self._rows else None
        validated = f", {float(last['gain_db']):+.2f} dB in the blur at step {last['step']}" if last else ""
        return (f"loss {self._steps[-1]['loss']:.4f}" if self._steps else "") + validated

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write a row: means over the steps since the last one, and the validation's metrics."""
        means = {name: float(np.mean([figures[name] for figures in self._steps])) for name in self._steps[-1]}
        self._steps = self._steps[-1:]
        assert self._writer is not None, "only the writing process validates"
        for name, value in {**means, **metrics}.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
        values = {"step": step, "seconds": time.monotonic() - self._started, **means, **metrics}
        self._rows.append({name: f"{values[name]:.6g}" if name != "step" else str(step) for name in COLUMNS})
        table = io.StringIO()
        rows = csv.DictWriter(table, COLUMNS)
        rows.writeheader()
        rows.writerows(self._rows)
        write_atomic(self._path, table.getvalue().encode())


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def validation_metrics(outputs: Sequence[NetworkOutput], truth: Batch) -> dict[str, float]:
    """Give the means over samples that hold blur; outside_psnr_db is against the input, over all samples.

    NaN where there is no such sample, or where the network predicts no such thing.
    """
    gains, outside, overlaps, errors = [], [], [], []
    for index, output in enumerate(outputs):
        mask = truth.mask[index, 0].cpu().numpy() > 0.5
        blur, sharp, restored = (
            to_uint8(image) for image in (truth.blur[index], truth.sharp[index], output.restored[0])
        )
        if (~mask).any():
            outside.append(min(psnr(restored, blur, ~mask), 80.0))
        if not mask.any():
            continue
        gains.append(psnr(restored, sharp, mask) - psnr(blur, sharp, mask))
        if output.blur_logits:
            overlaps.append(mask_iou(_probability(output, mask.shape) > 0.5, mask))
        if output.displacements and truth.motion_known[index]:
            fields = (*_displacements(output, mask.shape), _field(truth.start[index]), _field(truth.end[index]))
            errors.append(displacement_error(*fields, mask))
    return {
        "gain_db": _mean(gains),
        "outside_psnr_db": _mean(outside),
        "mask_iou": _mean(overlaps),
        "displacement_error_px": _mean(errors),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def preview(outputs: Sequence[NetworkOutput], truth: Batch, samples: int = 6) -> bytes:
    """Give a PNG: blur, restored, sharp, probability and true mask of the first samples, a row each."""
    rows = []
    for index, output in enumerate(outputs[:samples]):
        found = torch.from_numpy(_probability(output, _size(truth))).unsqueeze(0)
        masks = [plane.cpu().expand(3, -1, -1) for plane in (found, truth.mask[index])]
        images = [truth.blur[index], output.restored[0], truth.sharp[index], *masks]
        rows.append(np.concatenate([to_uint8(image) for image in images], axis=1))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "PNG")
    return buffer.getvalue()


def _size(truth: Batch) -> tuple[int, int]:
    return truth.blur.shape[-2], truth.blur.shape[-1]


def _probability(output: NetworkOutput, size: tuple[int, ...]) -> NDArray[np.float32]:
    """Give the mean probability over the scales; 1 where the network knows no mask."""
    planes = [resize_image(blur_probability(logits.float()), (size[0], size[1])) for logits in output.blur_logits]
    if not planes:
        return np.ones(size, np.float32)
    return torch.stack(planes).mean(dim=0)[0, 0].cpu().numpy()


def _displacements(output: NetworkOutput, size: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give start and end (H, W, 2) of the last scale that has them."""
    motion = output.displacements[-1].map(Tensor.float)
    start, end = (_field(resize_displacement(field, (size[0], size[1]))[0]) for field in (motion.start, motion.end))
    return start, end


def _field(field: Tensor) -> NDArray[np.float32]:
    return torch.movedim(field, 0, -1).cpu().numpy()
