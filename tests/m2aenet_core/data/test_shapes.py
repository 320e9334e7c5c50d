"""Cut-outs and random shapes."""

import numpy as np
import pytest

from m2aenet_core.data.shapes import photo_patch, random_shape, resized_cutout, shaped_patch


@pytest.mark.parametrize("seed", range(20))
def test_a_shape_ends_softly_before_the_border_of_its_canvas(seed: int) -> None:
    size = 64
    alpha = random_shape(np.random.default_rng(seed), size)
    assert alpha.shape == (size, size)
    assert alpha.dtype == np.float32
    assert alpha.min() == 0
    assert 0.9 < alpha.max() <= 1
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    # alpha rises over two pixels from the canvas' edge; the outermost ones are centred half a pixel inside
    assert border.max() <= 0.25
    assert ((alpha > 0.05) & (alpha < 0.95)).sum() >= 20


def test_shapes_differ_from_draw_to_draw(rng: np.random.Generator) -> None:
    assert not np.array_equal(random_shape(rng, 48), random_shape(rng, 48))


@pytest.mark.parametrize("size", [16, 64, 500])
def test_a_patch_of_a_photo_has_the_size_asked_for(rng: np.random.Generator, photo: np.ndarray, size: int) -> None:
    patch = photo_patch(rng, photo, size)
    assert patch.shape == (size, size, 3)
    assert patch.dtype == np.uint8
    assert patch.std() > 0


def test_a_shaped_patch_holds_photo_and_alpha(rng: np.random.Generator, photo: np.ndarray) -> None:
    cutout = shaped_patch(rng, photo, 64)
    assert cutout.shape == (64, 64, 4)
    assert cutout[..., 3].max() > 230
    assert cutout[..., 3].min() == 0


@pytest.mark.parametrize("shape", [(40, 80), (80, 40), (33, 33), (3, 200)])
def test_a_cutout_fills_its_canvas_along_the_longer_side(shape: tuple[int, int]) -> None:
    cutout = np.full((*shape, 4), 255, np.uint8)
    canvas = resized_cutout(cutout, 50)
    assert canvas.shape == (50, 50, 4)
    opaque = canvas[..., 3] > 128
    longer = int(np.argmax(shape))
    assert opaque.any(axis=1 - longer).all()
    rows, columns = np.nonzero(opaque)
    assert abs(rows.min() - (49 - rows.max())) <= 1
    assert abs(columns.min() - (49 - columns.max())) <= 1


def test_hidden_colours_do_not_bleed_into_the_edge() -> None:
    cutout = np.zeros((80, 80, 4), np.uint8)
    cutout[..., 0] = 255  # red where it cannot be seen
    cutout[20:61, 20:61] = (0, 255, 0, 255)
    canvas = resized_cutout(cutout, 23)
    seen = canvas[..., 3] > 5
    edge = seen & (canvas[..., 3] < 250)
    assert edge.any()
    assert canvas[seen][:, 0].max() == 0
    assert canvas[seen][:, 1].min() >= 254
