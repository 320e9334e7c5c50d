"""Long blur is worked at in a reduced copy, and nothing that was sharp pays for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage

from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import InputError
from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import Network
from m2aenet_core.tiling import Box
from m2aenet_core.working_scale import Enlargement, reduced_mask, reduced_photo, reduced_size


@pytest.fixture
def deblurrer(tiny_model: M2AENet) -> Deblurrer:
    return Deblurrer(tiny_model, device="cpu")


@pytest.fixture
def patch(photo: np.ndarray) -> np.ndarray:
    """A piece of a photo, (151, 203, 3) uint8: both sides are odd."""
    return photo[60:211, 80:283].copy()


def spot(shape: tuple[int, ...], top: int, left: int, side: int = 10) -> np.ndarray:
    mask = np.zeros(shape[:2], bool)
    mask[top : top + side, left : left + side] = True
    return mask


# -- the way down and back -------------------------------------------------------------------------------------------


def test_a_reduced_photo_has_no_moire() -> None:
    """Lines of one pixel become their mean, wherever the new pixels lie."""
    lines = np.zeros((301, 200), np.uint8)
    lines[:, ::2] = 255
    reduced = reduced_photo(lines, (0, 255), (113, 75))
    assert reduced.shape == (113, 75, 1)
    np.testing.assert_allclose(reduced[:, 3:-3], 0.5, atol=0.06)
    assert lines[::3, ::3][:113, :67].std() > 100


def test_a_reduced_photo_is_the_same_in_bands(photo: np.ndarray) -> None:
    tall = np.tile(photo, (2, 1, 1))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(tall).permute(2, 0, 1)[None] / 255, size=(223, 170), mode="bicubic", antialias=True
    )
    found = reduced_photo(tall, (0, 255), (223, 170))
    np.testing.assert_allclose(found, expected[0].clamp(0, 1).permute(1, 2, 0), atol=1e-5)


def test_a_reduced_mask_holds_every_pixel() -> None:
    rng = np.random.default_rng(0)
    for full, small in (((151, 203), (76, 102)), ((7, 9), (7, 3)), ((30, 40), (15, 20))):
        for _ in range(20):
            mask = np.zeros(full, bool)
            y, x = rng.integers(full[0]), rng.integers(full[1])
            mask[y, x] = True
            rows, columns = np.nonzero(reduced_mask(mask, small))
            assert rows.tolist() == [int((y + 0.5) * small[0] / full[0])]
            assert columns.tolist() == [int((x + 0.5) * small[1] / full[1])]


def test_what_is_enlarged_in_parts_lies_where_the_whole_would(photo: np.ndarray) -> None:
    enlargement = Enlargement(reduced=(40, 50), full=(87, 111))
    low = (photo[:40, :50] / 255).astype(np.float32)
    tensor = torch.from_numpy(low).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(tensor, size=(87, 111), mode="bicubic")[0].permute(1, 2, 0).numpy()
    box = Box(8, 16, 24, 24)
    place = enlargement.box(box)
    part = enlargement.part(low[8:32, 16:40], box, place)
    inner = np.s_[place.top + 5 : place.bottom - 5, place.left + 5 : place.right - 5]
    np.testing.assert_allclose(part[5:-5, 5:-5], expected[inner], atol=1e-4)
    bands = [enlargement.part(low[8:32, 16:40], box, place._replace(top=row, height=1)) for row in range(20, 40)]
    np.testing.assert_allclose(np.concatenate(bands), part[20 - place.top : 40 - place.top], atol=1e-5)


@pytest.mark.parametrize("scale", [0, -0.5, 1.01, float("nan"), "half"])
def test_a_scale_that_is_none_is_refused(deblurrer: Deblurrer, patch: np.ndarray, scale: float) -> None:
    with pytest.raises(InputError, match=r"the working scale is .*; give a number above 0 and up to 1, or auto"):
        deblurrer.analyze(patch, scale=scale)


def test_a_scale_that_leaves_nothing_is_refused(deblurrer: Deblurrer, patch: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"a working scale of 0.003 leaves nothing of 151x203 pixels; give a larger"):
        deblurrer.analyze(patch, scale=0.003)
    assert reduced_size((151, 203), 0.007) == (1, 1)
    assert deblurrer(patch, scale=0.007).restored.shape == patch.shape


# -- what an analysis says -------------------------------------------------------------------------------------------


def test_full_size_is_as_without_a_scale(deblurrer: Deblurrer, patch: np.ndarray) -> None:
    plain, whole = deblurrer(patch), deblurrer(patch, scale=1.0)
    assert whole.analysis.scale == 1
    assert whole.analysis.reduced is None
    assert np.array_equal(plain.restored, whole.restored)
    assert np.array_equal(plain.analysis.start_displacement, whole.analysis.start_displacement)


def test_a_smaller_scale_gives_what_the_network_says_of_the_reduced_copy(
    deblurrer: Deblurrer, patch: np.ndarray
) -> None:
    analysis = deblurrer.analyze(patch, scale=0.5)
    assert analysis.scale == 0.5
    assert analysis.image is patch
    assert analysis.seen[0].shape == (76, 102, 3)
    assert analysis.padded_size == (80, 112)
    small = deblurrer.analyze(reduced_photo(patch, (0, 255), (76, 102)), value_range=(0, 1))
    assert analysis.blur_probability.shape == (151, 203)
    # the middle of a pixel of the copy lies between those of the photo
    np.testing.assert_allclose(
        analysis.blur_probability[40:111:2], small.blur_probability[20:56].repeat(2, 1)[:, :203], atol=0.1
    )
    for name in ("start_displacement", "end_displacement"):
        large, tiny = getattr(analysis, name), getattr(small, name)
        assert large.shape == (151, 203, 2)
        # pixels of the photo, of which there are 151 / 76 to one of the copy down and 203 / 102 across
        np.testing.assert_allclose(large.mean(axis=(0, 1)), tiny.mean(axis=(0, 1)) * (151 / 76, 203 / 102), rtol=0.02)
    np.testing.assert_allclose(analysis.trajectory(3)[2], analysis.end_displacement, atol=1e-4)


def test_paths_without_a_direction_of_time_are_as_long_where_both_sides_are_reduced_differently() -> None:
    form = {"width": 4, "encoder_blocks": (1, 1), "middle_blocks": 1, "decoder_blocks": (1, 1)}
    network = M2AENet(M2AENetConfig(**form, motion_output="path"))
    with torch.no_grad():
        analyzer = network.motion_analyzers["1"].conv
        analyzer.weight.zero_()
        # four cells to the right, which is the angle 0, doubled or not
        analyzer.bias.copy_(torch.tensor([4.0, 0, 0, 0]))
    # seven rows become four
    analysis = Deblurrer(network, device="cpu").analyze(np.zeros((7, 200, 3), np.uint8), scale=0.5)
    path = analysis.end_displacement - analysis.start_displacement
    np.testing.assert_allclose(path, np.broadcast_to((0, 4 * network.cell_px * 2), path.shape), atol=1e-3)


# -- what comes back -------------------------------------------------------------------------------------------------

KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "colour": lambda image: image,
    "grey, 16 bits": lambda image: image[..., 0].astype(np.uint16) * 257,
    "one channel, float": lambda image: image[..., :1].astype(np.float32) / 255,
    "alpha": lambda image: np.dstack([image, image[..., 0]]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.5, 0.37])
def test_outside_of_the_pieces_every_photo_stays_bit_for_bit(
    deblurrer: Deblurrer, photo: np.ndarray, kind: str, scale: float
) -> None:
    image = KINDS[kind](photo[:299])
    mask = spot(image.shape, 20, 30, 12)
    result = deblurrer(image, mask=mask, scale=scale)
    assert result.restored.shape == image.shape
    assert result.restored.dtype == image.dtype
    assert np.array_equal(result.mask, mask)
    near = np.zeros(image.shape[:2], bool)
    for piece in result.pieces:
        box = result.analysis.enlargement.box(piece.box)
        near[box.top : box.bottom, box.left : box.right] = True
    assert near.mean() < 0.6
    assert np.array_equal(result.restored[~near], image[~near])
    assert (result.restored[mask] != image[mask]).any()
    if kind == "alpha":
        assert np.array_equal(result.restored[..., 3], image[..., 3])


def test_a_photo_too_small_for_the_copy_to_lose_a_pixel_is_worked_at_as_it_is(deblurrer: Deblurrer) -> None:
    for size in ((1, 1), (1, 9), (9, 2)):
        image = np.full((*size, 3), 90, np.uint8)
        assert deblurrer(image, mask=np.ones(size), scale=0.5).restored.shape == image.shape


def test_a_network_that_changes_nothing_leaves_the_finest_texture(rng: np.random.Generator) -> None:
    identity = M2AENet(
        M2AENetConfig(width=4, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))
    )
    texture = rng.integers(0, 256, (120, 163, 3), dtype=np.uint8)
    result = Deblurrer(identity, device="cpu")(texture, mask=np.ones((120, 163)), scale=0.5)
    assert np.array_equal(result.restored, texture)
    # which the copy itself has lost
    assert reduced_photo(texture, (0, 255), (60, 82)).std() * 255 < 0.75 * texture.std()


def test_what_is_added_is_smooth_so_that_detail_stays(photo: np.ndarray) -> None:
    """Real weights, everything called blurred: the finest detail is the photo's own."""
    seen = photo[100:228, 100:260].copy()
    smeared, sharp = np.s_[:, :80], np.s_[:, 96:]
    seen[smeared] = ndimage.uniform_filter1d(seen[smeared], 15, axis=1)
    restored = Deblurrer("small", device="cpu")(seen, mask=np.ones(seen.shape[:2]), scale=0.5).restored

    def finest(image: np.ndarray) -> float:
        return float(np.std(image - ndimage.uniform_filter(image, (3, 3, 0))))

    change, before, after = restored.astype(float) - seen, seen[sharp].astype(float), restored[sharp].astype(float)
    assert change[smeared].std() > 0.5
    assert finest(after) > 0.98 * finest(before)
    lost = ndimage.zoom(ndimage.zoom(before, (0.5, 0.5, 1), order=1), (2, 2, 1), order=3)
    assert finest(lost) < 0.8 * finest(before)


def test_whole_frames_and_tiles_agree(tiny_model: M2AENet, photo: np.ndarray) -> None:
    whole, tiled = (Deblurrer(tiny_model, device="cpu", tile_px=tile) for tile in (None, 192))
    large = np.tile(photo, (3, 3, 1))[:640, :801]
    everywhere = np.ones(large.shape[:2], bool)
    for execution in ("adaptive", "dense"):
        first, second = (each(large, mask=everywhere, scale=0.5, execution=execution) for each in (whole, tiled))
        assert len(second.analysis.tiles) > len(first.analysis.tiles) == 1
        difference = np.abs(first.restored.astype(float) - second.restored)
        change = np.abs(first.restored.astype(float) - large)
        assert difference.mean() < 0.5 * change.mean()


def test_a_stroke_takes_over_the_other_regions(deblurrer: Deblurrer, photo: np.ndarray) -> None:
    large = np.tile(photo, (2, 2, 1))
    analysis = deblurrer.analyze(large, scale=0.5)
    far, near = spot(large.shape, 20, 20), spot(large.shape, 400, 600)
    first = deblurrer.restore(analysis, mask=far | near)
    second = deblurrer.restore(analysis, mask=far | near | spot(large.shape, 410, 612), previous=first)
    assert second.pieces[0] is first.pieces[0]
    assert second.pieces[1] is not first.pieces[1]
    assert np.array_equal(second.restored[:250], first.restored[:250])


@pytest.mark.parametrize(
    "network",
    [
        NAFNet(width=4, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1)),
        LMDViT(LMDViTConfig(width=8, depths=(1, 2, 2, 2, 1), heads=(1, 2, 2, 2, 1))),
    ],
    ids=["NAFNet", "LMDViT"],
)
def test_other_networks_work_at_a_scale_too(
    network: Network, patch: np.ndarray, randomise: Callable[[torch.nn.Module], None]
) -> None:
    randomise(network)
    deblurrer = Deblurrer(network, device="cpu")
    for scale in (0.5, "auto"):
        result = deblurrer(patch, 0.1, scale=scale)
        assert result.restored.shape == patch.shape
        assert result.analysis.blur_probability.shape == patch.shape[:2]
    assert result.analysis.scale == 1
