"""Canvases of cut-outs and of random shapes."""

import numpy as np
import pytest
import torch
from torch import Tensor

from m2aenet_core.data.draw_sample import draw_shape
from m2aenet_core.data.draws import Box, HighlightDraw, LightDraw, ObjectDraw
from m2aenet_core.data.pixel_bank import PixelBank
from m2aenet_core.data.shapes import object_canvases, shape_alphas
from m2aenet_core.ops.light import to_linear
from m2aenet_core.ops.turn import Turn

CPU = torch.device("cpu")
UPRIGHT = Turn(0, is_mirrored=False)


def bank(*pictures: np.ndarray) -> PixelBank:
    return PixelBank(pictures, budget_mb=0)


def cutout_canvas(cutout: np.ndarray, size: int, **changes: object) -> Tensor:
    draw = ObjectDraw(Box(0, 0, 0, *cutout.shape[:2]), size, None, 1.0, UPRIGHT)._replace(**changes)
    return object_canvases([draw], bank(), bank(cutout), CPU)[0]


def shape_of(seed: int, size: int, side: int | None = None) -> Tensor:
    shape = draw_shape(np.random.default_rng(seed))
    return shape_alphas([shape], torch.tensor([size]), side or size)[0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_a_shape_ends_softly_before_the_border_of_its_square(seed: int) -> None:
    alpha = shape_of(seed, 64)
    assert alpha.min() == 0
    assert 0.9 < alpha.max() <= 1
    border = torch.cat([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    # alpha rises over two pixels from the square's edge; the outermost ones are centred half a pixel inside
    assert border.max() <= 0.26
    assert ((alpha > 0.05) & (alpha < 0.95)).sum() >= 20


def test_shapes_differ_from_draw_to_draw() -> None:
    assert not torch.equal(shape_of(0, 48), shape_of(1, 48))


def test_a_shape_is_the_same_in_the_middle_of_a_larger_canvas() -> None:
    padded = shape_of(3, 40, side=52)
    torch.testing.assert_close(padded[6:46, 6:46], shape_of(3, 40), atol=1.1 / 255, rtol=0)
    assert padded.sum() == pytest.approx(padded[6:46, 6:46].sum().item())


def test_a_shape_is_filled_with_its_piece_of_the_photo(photo: np.ndarray) -> None:
    draw = ObjectDraw(Box(0, 50, 60, 64, 64), 64, draw_shape(np.random.default_rng(2)), 1.0, UPRIGHT)
    canvas = object_canvases([draw], bank(photo), bank(), CPU)[0]
    piece = torch.from_numpy(photo[50:114, 60:124].copy()).permute(2, 0, 1).float() / 255
    torch.testing.assert_close(canvas[:3], to_linear(piece) * canvas[3], atol=1e-5, rtol=0)
    assert canvas[3].max() > 0.9


def test_brightness_scales_the_colours(photo: np.ndarray) -> None:
    grey = np.full((50, 50, 3), 100, np.uint8)
    draw = ObjectDraw(Box(0, 0, 0, 40, 40), 40, draw_shape(np.random.default_rng(2)), 0.8, UPRIGHT)
    canvas = object_canvases([draw], bank(grey), bank(), CPU)[0]
    opaque = canvas[3] == 1
    torch.testing.assert_close(canvas[0][opaque], to_linear(torch.full((int(opaque.sum()),), 80 / 255)))


@pytest.mark.parametrize("shape", [(40, 80), (80, 40), (33, 33), (3, 200)])
def test_a_cutout_fills_its_canvas_along_the_longer_side(shape: tuple[int, int]) -> None:
    canvas = cutout_canvas(np.full((*shape, 4), 255, np.uint8), 50)
    assert canvas.shape == (4, 50, 50)
    opaque = canvas[3] > 0.5
    longer = int(np.argmax(shape))
    assert opaque.any(dim=1 - longer).all()
    rows, columns = torch.nonzero(opaque, as_tuple=True)
    assert abs(rows.min() - (49 - rows.max())) <= 1
    assert abs(columns.min() - (49 - columns.max())) <= 1


def test_hidden_colours_do_not_bleed_into_the_edge() -> None:
    cutout = np.zeros((80, 80, 4), np.uint8)
    cutout[..., 0] = 255  # red where it cannot be seen
    cutout[20:61, 20:61] = (0, 255, 0, 255)
    red, green, _, alpha = cutout_canvas(cutout, 24)
    assert ((alpha > 0.02) & (alpha < 0.98)).any()
    assert red.max() < 1e-5
    torch.testing.assert_close(green, alpha, atol=0.02, rtol=0)


def test_a_small_cutout_is_enlarged_smoothly() -> None:
    cutout = np.full((10, 10, 4), 255, np.uint8)
    cutout[:, :5, :3] = 0
    row = cutout_canvas(cutout, 40)[0, 20]
    assert torch.unique(row).numel() > 4


def test_objects_of_different_kinds_stand_in_one_batch(photo: np.ndarray) -> None:
    cutout = np.full((30, 60, 4), 200, np.uint8)
    draws = [
        ObjectDraw(Box(0, 0, 0, 40, 40), 40, draw_shape(np.random.default_rng(2)), 0.9, UPRIGHT),
        None,
        ObjectDraw(Box(0, 0, 0, 30, 60), 60, None, 1.1, UPRIGHT),
    ]
    together = object_canvases(draws, bank(photo), bank(cutout), CPU)
    assert together.shape == (3, 4, 60, 60)
    assert together[1].abs().sum() == 0
    for row, draw in enumerate(draws):
        if draw is not None:
            alone = object_canvases([draw], bank(photo), bank(cutout), CPU)[0]
            room = (60 - draw.size) // 2
            inside = together[row, :, room : 60 - room, room : 60 - room]
            torch.testing.assert_close(inside, alone, atol=0.01, rtol=0)


def test_a_lamp_shines_where_the_object_is() -> None:
    cutout = np.zeros((60, 60, 4), np.uint8)
    cutout[:, 30:] = (0, 0, 0, 255)
    lamps = [LightDraw((0.0, side), 2.0, (30.0, 20.0, 10.0)) for side in (-0.5, 0.5)]
    canvas = cutout_canvas(cutout, 60, lights=tuple(lamps))
    lit = canvas[0] > 1
    assert lit[:, 30:].any()
    assert not lit[:, :30].any()
    torch.testing.assert_close(canvas[:3, 30, 45], torch.tensor([30.0, 20.0, 10.0]))


def test_highlights_of_an_object_are_brighter_than_white() -> None:
    cutout = np.full((40, 40, 4), 255, np.uint8)
    cutout[:20, :, :3] = 60
    plain, bright = (cutout_canvas(cutout, 40, highlights=each) for each in (None, HighlightDraw(0.5, 4.0)))
    torch.testing.assert_close(bright[:3, 30, 20], torch.full((3,), 5.0))
    assert torch.equal(bright[:, :15], plain[:, :15])


def test_an_object_out_of_focus_has_room_for_its_soft_edge() -> None:
    cutout = np.full((40, 40, 4), 255, np.uint8)
    sharp, soft = (cutout_canvas(cutout, 40, defocus_px=radius) for radius in (0.0, 4.5))
    assert soft.shape == (4, 50, 50)
    assert soft[3].sum() == pytest.approx(sharp[3].sum().item(), rel=1e-4)
    assert 0.3 < soft[3, 25, 5] < 0.7
    # light and alpha are softened alike: no dark rim
    torch.testing.assert_close(soft[0], soft[3], atol=1e-4, rtol=0)
