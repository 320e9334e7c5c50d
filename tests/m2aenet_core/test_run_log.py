"""What a run leaves to look at."""

import csv
import io
import math
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from m2aenet_core.data.sample import Batch
from m2aenet_core.models.network import NetworkOutput
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.pixels import to_uint8
from m2aenet_core.run_log import COLUMNS, RunLog, preview, validation_metrics

METRICS = {"gain_db": 1.5, "outside_psnr_db": 40.0, "mask_iou": 0.5, "displacement_error_px": 2.0}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_row_holds_the_mean_of_the_steps_since_the_last(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0) as log:
        for loss in (1.0, 2.0, 6.0):
            log.add({"loss": loss})
        log.write(3, METRICS)
    (row,) = rows_of(tmp_path)
    assert tuple(row) == COLUMNS
    assert row["step"] == "3"
    assert float(row["loss"]) == 3
    assert float(row["gain_db"]) == 1.5
    assert float(row["seconds"]) >= 0
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_resumed_run_keeps_its_rows_and_drops_those_of_an_abandoned_stretch(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0) as log:
        for step in (2, 4, 6):
            log.add({"loss": float(step)})
            log.write(step, METRICS)
    seconds = [float(row["seconds"]) for row in rows_of(tmp_path)]
    with RunLog(tmp_path, 4) as log:
        log.add({"loss": 0.5})
        log.write(5, METRICS)
    rows = rows_of(tmp_path)
    assert [row["step"] for row in rows] == ["2", "4", "5"]
    # the clock goes on
    assert float(rows[-1]["seconds"]) >= seconds[1]


def test_the_figures_are_replaced_as_a_whole(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0) as log:
        log.add({"loss": 1.0})
        log.write(1, METRICS)
        before = (tmp_path / "metrics.csv").read_text()
        with (tmp_path / "metrics.csv").open() as reader:
            log.write(2, METRICS)
            # who reads meanwhile sees the older file whole
            assert reader.read() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv", "tensorboard"]


def test_a_process_that_only_helps_writes_nothing(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0, is_writer=False) as log:
        log.add({"loss": 1.0})
        assert log.summary() == ""
    assert list(tmp_path.iterdir()) == []


def test_the_summary_tells_the_last_loss_and_the_last_validation(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0) as log:
        assert log.summary() == ""
        log.add({"loss": 0.25})
        assert log.summary() == "loss 0.2500"
        log.write(7, METRICS)
        assert log.summary() == "loss 0.2500, +1.50 dB in the blur at step 7"


def truth() -> Batch:
    """Two samples, the second of which stands still."""
    sharp = torch.rand(2, 3, 32, 32)
    mask = torch.zeros(2, 1, 32, 32)
    mask[0, :, 8:24, 8:24] = 1
    end = mask * torch.tensor([0.0, 4.0]).view(1, 2, 1, 1)
    blur = torch.where(mask > 0, sharp.roll(3, dims=3), sharp)
    return Batch(blur, sharp, mask, -end, end, torch.ones(len(blur), dtype=torch.bool))


def outputs(restored: torch.Tensor, batch: Batch, sign: float = 1) -> list[NetworkOutput]:
    """What a network with perfect masks and motion gives, with another restored image."""
    logits = 50 * sign * torch.cat([2 * batch.mask - 1, 1 - 2 * batch.mask], dim=1)
    return [
        NetworkOutput(
            restored[i : i + 1],
            (logits[i : i + 1],),
            (batch.mask[i : i + 1],),
            (Motion.of(batch.start[i : i + 1], batch.end[i : i + 1]),),
        )
        for i in range(len(restored))
    ]


def test_returning_the_blur_gains_nothing_and_harms_nothing() -> None:
    batch = truth()
    metrics = validation_metrics(outputs(batch.blur, batch), batch)
    assert metrics == {"gain_db": 0, "outside_psnr_db": 80, "mask_iou": 1, "displacement_error_px": 0}


def test_returning_nearly_the_truth_gains() -> None:
    batch = truth()
    near = batch.sharp + 2 / 255 * batch.mask
    metrics = validation_metrics(outputs(near, batch), batch)
    assert 20 < metrics["gain_db"] < 60
    assert metrics["outside_psnr_db"] == 80


def test_harm_outside_the_blur_shows() -> None:
    batch = truth()
    harmed = (batch.blur + 10 / 255 * (1 - batch.mask)).clamp(0, 1)
    metrics = validation_metrics(outputs(harmed, batch), batch)
    assert metrics["gain_db"] == 0
    assert 20 < metrics["outside_psnr_db"] < 40


def test_a_reversed_mask_overlaps_nowhere() -> None:
    batch = truth()
    assert validation_metrics(outputs(batch.blur, batch, sign=-1), batch)["mask_iou"] == 0


def test_masks_and_motion_are_compared_at_full_size() -> None:
    batch = truth()
    small = [
        output._replace(
            blur_logits=(output.blur_logits[0][..., 4::8, 4::8],),
            displacements=(output.displacements[0].map(lambda field: field[..., 4::8, 4::8] / 8),),
        )
        for output in outputs(batch.blur, batch)
    ]
    metrics = validation_metrics(small, batch)
    assert metrics["mask_iou"] > 0.8
    assert metrics["displacement_error_px"] < 1


def test_the_preview_shows_a_row_of_five_pictures_for_each_sample() -> None:
    batch = truth()
    image = np.asarray(Image.open(io.BytesIO(preview(outputs(batch.sharp, batch), batch))))
    assert image.shape == (2 * 32, 5 * 32, 3)
    blur, restored, sharp, probability, mask = np.split(image[:32], 5, axis=1)
    assert np.array_equal(blur, to_uint8(batch.blur[0]))
    assert np.array_equal(restored, sharp)
    assert np.array_equal(probability, mask)
    assert set(np.unique(mask)) == {0, 255}


def test_the_preview_stops_after_the_samples_asked_for() -> None:
    batch = truth()
    image = Image.open(io.BytesIO(preview(outputs(batch.sharp, batch), batch, samples=1)))
    assert image.size == (5 * 32, 32)


def test_pictures_are_clamped_and_rounded() -> None:
    image = torch.tensor([-0.5, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 1.7]).view(1, 1, 6).expand(3, 1, 6)
    assert to_uint8(image)[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]


def test_a_validation_without_blur_has_no_figures_of_blur() -> None:
    batch = truth()
    still = Batch(*(tensor[1:] for tensor in batch))
    with warnings.catch_warnings(action="error"):
        metrics = validation_metrics(outputs(still.blur, still), still)
    assert all(math.isnan(metrics[name]) for name in ("gain_db", "mask_iou", "displacement_error_px"))
    assert metrics["outside_psnr_db"] == 80
