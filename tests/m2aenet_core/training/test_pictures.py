"""The picture of a validation."""

import numpy as np
import torch

from m2aenet_core.data.sample import Batch
from m2aenet_core.models.network import NetworkOutput
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.pixels import to_uint8
from m2aenet_core.training.pictures import validation_picture

SIDE, PANEL, TITLE, GAP = 32, 192, 18, 4


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


def panels(picture: np.ndarray, row: int) -> list[np.ndarray]:
    """Give the panels of a row, at the size of the samples."""
    step, top = PANEL + GAP, TITLE + row * (PANEL + GAP)
    count = picture.shape[1] // step
    return [picture[top : top + PANEL : 6, i * step : i * step + PANEL : 6] for i in range(count)]


def test_a_row_shows_what_came_in_what_was_made_of_it_and_the_truth() -> None:
    batch = truth()
    picture = validation_picture(outputs(batch.sharp, batch), batch)
    assert picture.shape == (TITLE + 2 * (PANEL + GAP), 7 * (PANEL + GAP), 3)
    blur, restored, sharp, probability, mask, found, true = panels(picture, 0)
    assert np.array_equal(blur, to_uint8(batch.blur[0]))
    assert np.array_equal(restored, to_uint8(batch.sharp[0]))
    assert np.array_equal(sharp, restored)
    assert np.array_equal(probability, mask)
    assert set(np.unique(mask)) == {0, 255}
    # the same motion gives the same curves, on a paler photo
    assert np.array_equal(found, true)
    whole = picture[TITLE : TITLE + PANEL, -(PANEL + GAP) : -GAP].astype(int)
    paler = (to_uint8(batch.blur[0]) // 2 + 127).repeat(6, axis=0).repeat(6, axis=1)
    assert (abs(whole - paler).max(axis=2) > 40).mean() > 0.05


def test_nothing_is_drawn_where_nothing_moves() -> None:
    batch = truth()
    *_, found, true = panels(validation_picture(outputs(batch.sharp, batch), batch), 1)
    paler = to_uint8(batch.blur[1]) // 2 + 127
    assert np.array_equal(found, paler)
    assert np.array_equal(true, paler)


def test_curves_run_from_cyan_to_magenta_along_the_motion() -> None:
    batch = truth()
    still = Batch(*(x[:1] for x in batch))._replace(blur=torch.full((1, 3, SIDE, SIDE), 0.5))
    picture = validation_picture(outputs(still.sharp, still), still).astype(int)
    true = picture[TITLE : TITLE + PANEL, -(PANEL + GAP) : -GAP]
    cyan = np.argwhere((true[..., 0] < 60) & (true[..., 1] > 200))
    magenta = np.argwhere((true[..., 0] > 200) & (true[..., 1] < 60))
    assert len(cyan) > 20
    assert len(magenta) > 20
    # from the start, 4 pixels to the left, to the end, 4 to the right, 6 times enlarged
    moved = magenta.mean(axis=0) - cyan.mean(axis=0)
    assert abs(moved[0]) < 3
    assert moved[1] > 24


def test_it_stops_after_the_samples_asked_for() -> None:
    batch = truth()
    assert validation_picture(outputs(batch.sharp, batch), batch, samples=1).shape[0] == TITLE + PANEL + GAP


def test_what_is_not_predicted_has_no_column() -> None:
    batch = truth()
    plain = [NetworkOutput(output.restored) for output in outputs(batch.sharp, batch)]
    assert validation_picture(plain, batch).shape[1] == 4 * (PANEL + GAP)


def test_motion_that_is_not_known_is_left_empty() -> None:
    batch = truth()._replace(motion_known=torch.tensor([False, True]))
    picture = validation_picture(outputs(batch.sharp, batch), batch)
    assert (panels(picture, 0)[-1] == 216).all()
    assert not (panels(picture, 1)[-1] == 216).all()
