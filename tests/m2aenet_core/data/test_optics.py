"""Lens blur and highlights."""

import pytest
import torch
from torch import Tensor

from m2aenet_core.data.draws import DefocusDraw, HighlightDraw
from m2aenet_core.data.optics import brighten_highlights, defocus, defocus_scenes


def texture(batch: int = 1, side: int = 48) -> Tensor:
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(2))


def test_a_point_becomes_a_disc_of_the_same_light() -> None:
    point = torch.zeros(1, 3, 33, 33)
    point[..., 16, 16] = 50.0
    disc = defocus(point, [4.5])[0, 0]
    assert disc.sum() == pytest.approx(50.0, rel=1e-4)
    rows, columns = torch.meshgrid(torch.arange(33) - 16, torch.arange(33) - 16, indexing="ij")
    distance = torch.hypot(rows.float(), columns.float())
    inside = disc[distance < 3.9]
    torch.testing.assert_close(inside, inside.mean().expand_as(inside), rtol=1e-3, atol=0)
    assert disc[distance > 5.1].abs().max() < 1e-4


def test_half_a_pixel_changes_nothing() -> None:
    torch.testing.assert_close(defocus(texture(), [0.5]), texture(), atol=1e-5, rtol=0)


def test_larger_radii_are_softer() -> None:
    spreads = [defocus(texture(), [radius]).std().item() for radius in (0.5, 1.0, 2.0, 4.0)]
    assert spreads == sorted(spreads, reverse=True)


def test_a_flat_image_stays_flat_up_to_its_border() -> None:
    flat = torch.full((1, 4, 20, 31), 0.7)
    torch.testing.assert_close(defocus(flat, [6.0]), flat, atol=1e-5, rtol=0)


def test_an_image_smaller_than_the_disc_is_no_obstacle() -> None:
    torch.testing.assert_close(defocus(torch.ones(1, 3, 4, 9), [6.0]), torch.ones(1, 3, 4, 9), atol=1e-5, rtol=0)


def test_samples_have_their_own_radius() -> None:
    together = defocus(texture(2), [1.0, 3.0])
    for row, radius in enumerate((1.0, 3.0)):
        torch.testing.assert_close(together[row : row + 1], defocus(texture(2)[row : row + 1], [radius]))


def test_along_a_ramp_one_side_is_sharp_and_the_other_out_of_focus() -> None:
    # an angle of 0 points to the right
    ramped = defocus_scenes(texture(), [DefocusDraw(3.0, (0.0, 0.0, 0.4))])
    torch.testing.assert_close(ramped[..., :16], texture()[..., :16], atol=1e-5, rtol=0)
    torch.testing.assert_close(ramped[..., 32:], defocus(texture(), [3.0])[..., 32:], atol=1e-5, rtol=0)
    middle = ramped[..., 20:28].std()
    assert ramped[..., 32:].std() < middle < ramped[..., :16].std()


def test_a_scene_without_a_ramp_beside_one_with_a_ramp_is_soft_everywhere() -> None:
    draws = [DefocusDraw(3.0, None), DefocusDraw(2.0, (1.0, 0.1, 0.5))]
    together = defocus_scenes(texture(2), draws)
    for row, draw in enumerate(draws):
        alone = defocus_scenes(texture(2)[row : row + 1], [draw])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=0)


def test_highlights_grow_and_the_rest_stays() -> None:
    light = torch.linspace(0, 1, 101).view(1, 1, 1, 101).expand(1, 3, 1, 101)
    bright = brighten_highlights(light, [HighlightDraw(0.5, 3.0)])
    torch.testing.assert_close(bright[..., :51], light[..., :51])
    assert (bright.diff(dim=-1) > 0).all()
    assert bright.max() == pytest.approx(4.0)


def test_alpha_is_no_light() -> None:
    canvas = torch.ones(1, 4, 2, 2)
    bright = brighten_highlights(canvas, [HighlightDraw(0.5, 3.0)])
    assert bright[:, 3].max() == 1
    assert bright[:, :3].min() == 4
