"""Photos in, photos out, through a tiny real network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from m2aenet_core.analysis import Analysis, Tile, with_room
from m2aenet_core.checkpoint import save_model, sha256
from m2aenet_core.deblurrer import EXECUTIONS, HALO_PX, Deblurrer
from m2aenet_core.errors import Cancelled, InputError
from m2aenet_core.models.layers import ChannelAttention
from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.mask_predictor import threshold_mask
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import Network
from m2aenet_core.ops.light import to_linear, to_srgb

TILE_PX = 192


@pytest.fixture
def deblurrer(tiny_model: M2AENet) -> Deblurrer:
    return Deblurrer(tiny_model, device="cpu")


@pytest.fixture
def patch(photo: np.ndarray) -> np.ndarray:
    """A piece of a photo, (150, 170, 3) uint8: no side is a multiple of 16."""
    return photo[60:210, 80:250].copy()


@pytest.fixture
def wide(photo: np.ndarray) -> np.ndarray:
    """A piece of a photo that takes 2 by 3 tiles, (215, 304, 3) uint8."""
    return photo[40:255, 60:364].copy()


@pytest.fixture
def analysis(deblurrer: Deblurrer, patch: np.ndarray) -> Analysis:
    return deblurrer.analyze(patch)


def levels(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Give the absolute difference of two images, wide enough not to wrap around."""
    return np.abs(first.astype(np.float64) - second.astype(np.float64))


def spot(shape: tuple[int, ...], top: int, left: int, side: int = 10) -> np.ndarray:
    mask = np.zeros(shape[:2], bool)
    mask[top : top + side, left : left + side] = True
    return mask


def without_means(model: M2AENet, wide: np.ndarray) -> M2AENet:
    """Cut off what looks at the whole photo, so that only the reach of the convolutions is left."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, ChannelAttention):
                module.mix.weight.zero_()
        first, last = model.mask_predictors["3"].decide[0], model.mask_predictors["3"].decide[-1]
        first.weight[:, first.in_features // 2 :] = 0
        image = torch.from_numpy(wide[:208, :304].copy()).permute(2, 0, 1).unsqueeze(0) / 255
        blurred, sharp = model.analyze(image).blur_logits.unbind(dim=1)
        last.bias[0] -= (blurred - sharp).median()
        assert 0.3 < threshold_mask(model.analyze(image).blur_logits, 0.5).mean() < 0.7
    return model


# -- a network that knows no direction of time, and deconvolves ------------------------------------------------------


@pytest.fixture
def deconvolving(tiny_config: M2AENetConfig, randomise: Callable[[torch.nn.Module], None]) -> Deblurrer:
    form = replace(
        tiny_config, motion_output="path", motion_surroundings=1, motion_encoder=1, deconvolution=2, attention="local"
    )
    network = M2AENet(form)
    randomise(network)
    with torch.no_grad():
        # paths of some pixels, of all angles
        network.motion_analyzers["3"].conv.weight.mul_(3)
    return Deblurrer(network, device="cpu")


def test_all_that_moves_in_a_photo_moves_one_way(deconvolving: Deblurrer, patch: np.ndarray) -> None:
    analysis = deconvolving.analyze(patch)
    chords = (analysis.end_displacement - analysis.start_displacement).reshape(-1, 2)
    weights = analysis.blur_probability.reshape(-1, 1)
    doubled = np.stack([chords[:, 1] ** 2 - chords[:, 0] ** 2, 2 * chords.prod(axis=1)], axis=1)
    doubled /= np.maximum(np.linalg.norm(chords, axis=1), 1e-6)[:, None]
    cosine, sine = (doubled * weights).sum(axis=0)
    usual = np.array([np.sin(np.arctan2(sine, cosine) / 2), np.cos(np.arctan2(sine, cosine) / 2)])
    along = chords @ usual
    assert np.linalg.norm(chords, axis=1).max() > 1
    # the angle is that of the cells, of which pixels lie in between
    assert (along > -0.2 * np.linalg.norm(chords, axis=1) - 1e-3).all()


def test_what_is_deconvolved_is_pruned_as_the_rest(deconvolving: Deblurrer, patch: np.ndarray) -> None:
    analysis = deconvolving.analyze(patch)
    mask = spot(patch.shape, 60, 70, 24)
    dense = deconvolving.restore(analysis, mask=mask, execution="dense").restored
    pruned = deconvolving.restore(analysis, mask=mask, execution="exact").restored
    assert levels(dense, pruned).max() <= 1
    # and it is deconvolved at all
    deconvolution = deconvolving.model.deconvolution
    with torch.no_grad():
        for parameter in deconvolution.parameters():
            parameter.zero_()
    without = deconvolving.restore(analysis, mask=mask, execution="exact").restored
    assert levels(without, pruned)[mask].max() > 1


# -- what an analysis says ------------------------------------------------------------------------------------------


def test_an_analysis_has_the_photos_size(analysis: Analysis, patch: np.ndarray) -> None:
    assert analysis.blur_probability.shape == patch.shape[:2]
    assert analysis.blur_probability.dtype == np.float32
    assert 0 <= analysis.blur_probability.min() < analysis.blur_probability.max() <= 1
    for field in (analysis.start_displacement, analysis.end_displacement):
        assert field.shape == (*patch.shape[:2], 2)
        assert field.dtype == np.float32
        assert field.std() > 0
    assert analysis.image is patch
    assert analysis.seconds > 0


def test_an_analysis_says_what_the_network_says(tiny_model: M2AENet, photo: np.ndarray) -> None:
    image = photo[:64, :80]
    analysis = Deblurrer(tiny_model, device="cpu").analyze(image)
    with torch.no_grad():
        encoded = tiny_model.analyze(torch.from_numpy(image.copy()).permute(2, 0, 1).unsqueeze(0) / 255)
    probability = encoded.blur_logits.softmax(dim=1)[0, 0].numpy()
    start = encoded.motion.start[0].permute(1, 2, 0).numpy()
    # the mean of a cell is the cell's value, but for what bilinear growth takes from its neighbours
    np.testing.assert_allclose(analysis.coarse_probability[0, 0].numpy(), probability, atol=1e-5)
    inner = analysis.start_displacement[28:36, 36:44].mean(axis=(0, 1))
    low, high = (8 * bound(start[2:6, 3:7], axis=(0, 1)) for bound in (np.min, np.max))
    assert (low <= inner).all()
    assert (inner <= high).all()
    # pixels of the image, eight to a cell
    np.testing.assert_allclose(analysis.start_displacement[0, 0], 8 * start[0, 0], rtol=1e-3, atol=1e-4)


def test_a_trajectory_goes_from_start_through_nothing_to_end(analysis: Analysis, patch: np.ndarray) -> None:
    path = analysis.trajectory(n=5)
    assert path.shape == (5, *patch.shape[:2], 2)
    np.testing.assert_allclose(path[0], analysis.start_displacement, atol=1e-5)
    np.testing.assert_allclose(path[2], 0, atol=1e-5)
    np.testing.assert_allclose(path[4], analysis.end_displacement, atol=1e-5)


def test_the_trajectory_at_points_is_the_trajectory_there(analysis: Analysis) -> None:
    points = np.array([[0, 0], [149, 169], [70, 3]])
    along = analysis.trajectory_at(points, n=7)
    assert along.shape == (3, 7, 2)
    np.testing.assert_allclose(along, analysis.trajectory(7)[:, points[:, 0], points[:, 1]].transpose(1, 0, 2))
    assert analysis.trajectory_at(np.zeros((0, 2), int)).shape == (0, 9, 2)


# -- every photo ----------------------------------------------------------------------------------------------------

CHANNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "grey": lambda image: image[..., 0],
    "one channel": lambda image: image[..., :1],
    "colour": lambda image: image,
    "alpha": lambda image: np.dstack([image, image[..., 0]]),
}
DEPTHS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uint8": lambda image: image,
    "uint16": lambda image: image.astype(np.uint16) * 257,
    "int16": lambda image: (image.astype(np.int16) - 128) * 200,
    "float32": lambda image: image.astype(np.float32) / 255,
    "float64": lambda image: image.astype(np.float64) / 255,
}


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_every_photo_comes_back_in_its_shape_depth_and_range(
    deblurrer: Deblurrer, photo: np.ndarray, channels: str, depth: str
) -> None:
    for size in ((1, 1), (1, 7), (17, 5)):
        image = DEPTHS[depth](CHANNELS[channels](photo[100 : 100 + size[0], 100 : 100 + size[1]]))
        before = image.copy()
        result = deblurrer(image, mask=np.ones(size, bool))
        assert result.restored.shape == image.shape
        assert result.restored.dtype == image.dtype
        low, high = result.analysis.value_range
        assert low <= result.restored.min()
        assert result.restored.max() <= high
        assert not np.array_equal(result.restored, image)
        assert np.array_equal(image, before)
        if channels == "alpha":
            assert np.array_equal(result.restored[..., 3], image[..., 3])


@pytest.mark.parametrize("depth", ["uint16", "float32", "float64"])
def test_a_photo_is_restored_alike_in_every_depth(deblurrer: Deblurrer, photo: np.ndarray, depth: str) -> None:
    image = photo[:48, :64]
    expected, deep = (deblurrer(DEPTHS[name](image), mask=np.ones((48, 64))).restored for name in ("uint8", depth))
    scale = 257 if depth == "uint16" else 1 / 255
    assert levels(deep / scale, expected).max() <= 0.51


def test_a_value_range_of_ones_own_is_used(deblurrer: Deblurrer, photo: np.ndarray) -> None:
    image = photo[:48, :64].astype(np.float32)
    mask = np.ones((48, 64), bool)
    own = deblurrer(image * 3 + 7, mask=mask, value_range=(7.0, 7 + 3 * 255.0)).restored
    np.testing.assert_allclose((own - 7) / 3, deblurrer(image, mask=mask, value_range=(0, 255)).restored, atol=0.01)


# -- restoring ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("execution", ["exact", "adaptive"])
def test_light_is_restored_as_what_the_eye_sees_of_it(
    deblurrer: Deblurrer, patch: np.ndarray, scale: float, execution: str
) -> None:
    seen = patch.astype(np.float64) / 255
    light = to_linear(torch.from_numpy(seen)).numpy()
    mask = spot(patch.shape, 40, 40, 60)
    as_light = deblurrer(light, mask=mask, scale=scale, linear_light=True, execution=execution)
    as_seen = deblurrer(seen, mask=mask, scale=scale, execution=execution)
    assert as_light.analysis.linear_light
    found = to_srgb(torch.from_numpy(as_light.restored)).numpy()
    # a reduced copy is a mean of light there, and of what is seen here
    assert np.abs(found - as_seen.restored).max() < (1e-4 if scale == 1 else 0.05)
    assert np.abs(as_seen.restored - seen).max() > 0.01
    left_alone = (as_seen.restored == seen).all(axis=2)
    assert np.array_equal(as_light.restored[left_alone], light[left_alone])
    assert not np.array_equal(deblurrer(light, mask=mask, scale=scale, execution=execution).restored, as_light.restored)


@pytest.mark.parametrize("execution", ["exact", "adaptive", "dense"])
def test_both_at_once_is_one_after_the_other(deblurrer: Deblurrer, analysis: Analysis, execution: str) -> None:
    together = deblurrer(analysis.image, 0.45, execution=execution)
    apart = deblurrer.restore(analysis, 0.45, execution=execution)
    assert np.array_equal(together.restored, apart.restored)
    assert np.array_equal(together.mask, apart.mask)
    assert together.threshold == apart.threshold == 0.45
    assert together.execution == execution
    assert apart.analysis is analysis


def test_exact_equals_dense_within_a_level(deblurrer: Deblurrer, analysis: Analysis) -> None:
    median = float(np.median(analysis.blur_probability))
    for options in ({"threshold": median}, {"mask": spot(analysis.image.shape, 0, 120, 50)}, {"threshold": 1.0}):
        exact, dense = (deblurrer.restore(analysis, execution=name, **options) for name in ("exact", "dense"))
        assert levels(exact.restored, dense.restored).max() <= 1
        assert exact.macs < dense.macs
        assert not np.array_equal(exact.restored, analysis.image)


def test_exact_is_the_network_itself(deblurrer: Deblurrer, tiny_model: M2AENet, photo: np.ndarray) -> None:
    image = photo[:96, :128]
    with torch.no_grad():
        output = tiny_model(torch.from_numpy(image.copy()).permute(2, 0, 1).unsqueeze(0) / 255, 0.5)
    expected = output.restored[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    assert levels(deblurrer(image, 0.5, execution="exact").restored, expected).max() <= 0.51


def test_a_mask_over_all_makes_adaptive_exact(deblurrer: Deblurrer, analysis: Analysis) -> None:
    everywhere = np.ones(analysis.image.shape[:2], bool)
    exact, adaptive = (
        deblurrer.restore(analysis, mask=everywhere, execution=name).restored for name in ("exact", "adaptive")
    )
    assert np.array_equal(exact, adaptive)


def test_a_region_is_restored_as_it_is_in_the_whole_photo(tiny_model: M2AENet, wide: np.ndarray) -> None:
    deblurrer = Deblurrer(without_means(tiny_model, wide), device="cpu")
    analysis = deblurrer.analyze(wide)
    mask = spot(wide.shape, 100, 180, 48)
    exact, adaptive = (deblurrer.restore(analysis, mask=mask, execution=name) for name in ("exact", "adaptive"))
    assert 0 < adaptive.macs < exact.macs
    residual = exact.restored.astype(float)[mask] - wide[mask]
    # what the convolutions reach beyond the halo is missing
    assert levels(adaptive.restored, exact.restored)[mask].mean() < 0.02 * residual.std(axis=0).mean()


def test_restoring_follows_the_motion_of_the_analysis(
    deblurrer: Deblurrer, tiny_model: M2AENet, photo: np.ndarray
) -> None:
    """Where tiles overlap it is the blended one, which no tile has by itself."""
    image = photo[:96, :128]
    analysis = deblurrer.analyze(image)
    still = analysis.coarse_motion.map(torch.zeros_like)
    mask = np.ones((96, 128), bool)
    restored = deblurrer.restore(replace(analysis, coarse_motion=still), mask=mask, execution="dense").restored
    with torch.no_grad():
        encoded = tiny_model.analyze(torch.from_numpy(image.copy()).permute(2, 0, 1).unsqueeze(0) / 255)
        expected = tiny_model.restore(encoded._replace(motion=still), torch.ones(1, 1, 12, 16)).image
    assert levels(restored, expected[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255).max() <= 0.51
    assert not np.array_equal(restored, deblurrer.restore(analysis, mask=mask, execution="dense").restored)


def test_beyond_its_border_a_photo_goes_on_as_it_ends(deblurrer: Deblurrer) -> None:
    """Black would look like an edge, and an edge like motion."""
    flat = np.full((160, 176, 3), 0.5)
    whole, part = (deblurrer.analyze(image) for image in (flat, flat[:150, :170]))
    assert np.array_equal(part.blur_probability, whole.blur_probability[:150, :170])
    assert np.array_equal(part.start_displacement, whole.start_displacement[:150, :170])


def test_the_threshold_moves_without_another_analysis(deblurrer: Deblurrer, analysis: Analysis) -> None:
    low, median, high = np.quantile(analysis.blur_probability, (0.2, 0.5, 0.8))
    results = [deblurrer.restore(analysis, float(t), execution="exact") for t in (low, median, high)]
    for result, threshold, share in zip(results, (low, median, high), (0.8, 0.5, 0.2), strict=True):
        assert np.array_equal(result.mask, analysis.blur_probability > np.float32(threshold))
        assert result.density == pytest.approx(share, abs=0.01)
        assert result.density == pytest.approx(result.mask.mean())
    assert results[0].macs > results[1].macs > results[2].macs
    assert not np.array_equal(results[0].restored, results[1].restored)
    assert not np.array_equal(results[1].restored, results[2].restored)


def test_the_threshold_at_its_ends_takes_all_and_nothing(deblurrer: Deblurrer, analysis: Analysis) -> None:
    assert deblurrer.restore(analysis, 0.0).density == 1
    nothing = deblurrer.restore(analysis, 1.0)
    assert nothing.density == 0
    assert nothing.macs == 0


def test_an_empty_mask_returns_the_photo_bit_for_bit(deblurrer: Deblurrer, analysis: Analysis) -> None:
    for options in ({"threshold": 1.0}, {"mask": np.zeros(analysis.image.shape[:2], bool)}):
        restored = deblurrer.restore(analysis, execution="adaptive", **options).restored
        assert np.array_equal(restored, analysis.image)
        assert restored is not analysis.image


def test_a_photo_in_which_nothing_is_called_blurred_is_left_alone(deblurrer: Deblurrer, analysis: Analysis) -> None:
    """A cell may exceed the threshold when none of the pixels between cells does."""
    peak = analysis.blur_probability.max(), analysis.coarse_probability.max().item()
    result = deblurrer.restore(analysis, float(np.mean(peak)), execution="adaptive")
    assert result.density == 0
    assert np.array_equal(result.restored, analysis.image)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_pixels_far_from_the_mask_come_back_bit_for_bit(deblurrer: Deblurrer, photo: np.ndarray, dtype: str) -> None:
    image = DEPTHS[dtype](photo)
    mask = spot(photo.shape, 120, 200)
    result = deblurrer(image, mask=mask, execution="adaptive")
    # the halo, then up to the next position that the network can start from, a cell of the mask included
    reach = HALO_PX + 16 + 8
    near = spot(photo.shape, 120 - reach, 200 - reach, 10 + 2 * reach)
    assert np.array_equal(result.restored[~near], image[~near])
    assert levels(result.restored, image)[mask].max() > 0
    assert result.threshold is None
    assert np.array_equal(result.mask, mask)


def test_the_cost_of_adaptive_execution_follows_the_blur(deblurrer: Deblurrer, photo: np.ndarray) -> None:
    analysis = deblurrer.analyze(photo)
    costs = [
        deblurrer.restore(analysis, mask=spot(photo.shape, 100, 100, side), execution="adaptive").macs
        for side in (0, 10, 100, 200)
    ]
    assert costs == sorted(set(costs))
    assert costs[0] == 0
    assert costs[1] < deblurrer.restore(analysis, mask=spot(photo.shape, 100, 100), execution="exact").macs / 4


def test_a_restored_region_fades_into_the_photo(deblurrer: Deblurrer) -> None:
    flat = np.full((200, 200, 3), 0.5, np.float64)
    residual = deblurrer(flat, mask=spot(flat.shape, 96, 96, 8), execution="adaptive").restored - flat
    changed = np.argwhere(residual.any(axis=2))
    top, left = changed.min(axis=0)
    strength = np.abs(residual).max(axis=2)
    # the outermost row of the region against the strongest change
    assert strength[top, left:].max() < 0.1 * strength.max()


def test_mask_values_of_any_kind_count_where_they_are_not_zero(deblurrer: Deblurrer, analysis: Analysis) -> None:
    mask = spot(analysis.image.shape, 50, 60)
    expected = deblurrer.restore(analysis, mask=mask).restored
    for values in (mask.astype(np.uint8) * 255, mask * 0.2, mask.astype(np.int64) * -3):
        assert np.array_equal(deblurrer.restore(analysis, mask=values).restored, expected)


def test_a_masks_cell_is_blurred_where_any_of_its_pixels_is(deblurrer: Deblurrer, analysis: Analysis) -> None:
    one_pixel, cell = spot(analysis.image.shape, 83, 61, 1), spot(analysis.image.shape, 80, 56, 8)
    first, second = (deblurrer.restore(analysis, mask=mask).restored for mask in (one_pixel, cell))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, analysis.image)


def test_multiply_adds_are_those_of_the_padded_photo(
    deblurrer: Deblurrer, tiny_model: M2AENet, analysis: Analysis
) -> None:
    assert analysis.macs == tiny_model.analyze_macs(160, 176)
    assert deblurrer.restore(analysis, execution="dense").macs == tiny_model.restore_macs(160, 176)


# -- tiles ----------------------------------------------------------------------------------------------------------


def test_tiles_are_blended_into_one_analysis(tiny_model: M2AENet, wide: np.ndarray) -> None:
    whole = Deblurrer(tiny_model, device="cpu").analyze(wide)
    tiled = Deblurrer(tiny_model, device="cpu", tile_px=TILE_PX).analyze(wide)
    assert len(tiled.tiles) == 6
    # means over a tile are not those over the photo, and attention passes them on: no more than a tenth of the spread
    for ours, theirs in (
        (tiled.start_displacement, whole.start_displacement),
        (tiled.end_displacement, whole.end_displacement),
    ):
        assert levels(ours, theirs).mean() < 0.1 * theirs.std()


def test_tiles_agree_with_the_whole_up_to_the_reach_of_convolutions(tiny_model: M2AENet, wide: np.ndarray) -> None:
    model = without_means(tiny_model, wide)
    whole, tiled = (Deblurrer(model, device="cpu", tile_px=tile) for tile in (None, TILE_PX))
    ours, theirs = tiled.analyze(wide), whole.analyze(wide)
    # at its inner edges a tile sees black beside it; there it has next to no weight
    difference = levels(ours.blur_probability, theirs.blur_probability)
    assert difference.mean() < 0.002
    assert difference.max() < 0.4 * theirs.blur_probability.std()
    for execution in ("exact", "dense"):
        restored = levels(
            tiled.restore(ours, execution=execution).restored, whole.restore(theirs, execution=execution).restored
        )
        assert restored.mean() < 0.1
        assert restored.max() <= 8


@pytest.mark.parametrize("execution", ["exact", "adaptive", "dense"])
def test_tiles_that_memory_has_no_room_for_are_encoded_again(
    tiny_model: M2AENet, wide: np.ndarray, execution: str
) -> None:
    deblurrer = Deblurrer(tiny_model, device="cpu", tile_px=TILE_PX)
    kept = deblurrer.analyze(wide)
    assert all(tile.encoded is not None for tile in kept.tiles)
    dropped = replace(kept, tiles=[Tile(tile.box, None) for tile in kept.tiles])
    ours, theirs = (deblurrer.restore(each, execution=execution).restored for each in (dropped, kept))
    assert np.array_equal(ours, theirs)


def test_a_region_across_tiles_is_restored_in_all_of_them(tiny_model: M2AENet, wide: np.ndarray) -> None:
    tiled = Deblurrer(without_means(tiny_model, wide), device="cpu", tile_px=TILE_PX)
    analysis = tiled.analyze(wide)
    mask = np.zeros(wide.shape[:2], bool)
    mask[100:116] = True
    adaptive, exact = (tiled.restore(analysis, mask=mask, execution=name).restored for name in ("adaptive", "exact"))
    residual = exact.astype(float)[mask] - wide[mask]
    assert levels(adaptive, exact)[mask].mean() < 0.02 * residual.std(axis=0).mean()


# -- progress -------------------------------------------------------------------------------------------------------


def test_progress_is_told_between_tiles_and_between_regions(tiny_model: M2AENet, wide: np.ndarray) -> None:
    deblurrer = Deblurrer(tiny_model, device="cpu", tile_px=TILE_PX)
    calls: list[tuple[int, int]] = []
    analysis = deblurrer.analyze(wide, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(7)]
    calls.clear()
    two = spot(wide.shape, 0, 0) | spot(wide.shape, 205, 290)
    deblurrer.restore(analysis, mask=two, execution="adaptive", progress=lambda *call: calls.append(call))
    assert calls == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize("after", [0, 2])
def test_a_callback_can_stop_the_work_and_leaves_nothing_behind(
    tiny_model: M2AENet, wide: np.ndarray, after: int
) -> None:
    deblurrer = Deblurrer(tiny_model, device="cpu", tile_px=TILE_PX)
    calls = 0

    def stop(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if done == after:
            raise Cancelled

    with pytest.raises(Cancelled):
        deblurrer.analyze(wide, progress=stop)
    assert calls == after + 1
    assert not torch.is_inference_mode_enabled()
    analysis = deblurrer.analyze(wide)
    with pytest.raises(Cancelled):
        deblurrer.restore(analysis, execution="exact", progress=stop)
    assert np.array_equal(analysis.image, wide)
    assert deblurrer.restore(analysis).restored.shape == wide.shape


# -- models, devices, precisions ------------------------------------------------------------------------------------


def test_weights_come_from_a_file_by_path(tiny_model: M2AENet, patch: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_model(tiny_model, path)
    from_file = Deblurrer(path, device="cpu")
    assert from_file.weights_sha256 == sha256(path)
    assert from_file.model_name == str(path)
    in_memory = Deblurrer(tiny_model, device="cpu")
    assert in_memory.weights_sha256 is None
    assert in_memory.model_name == "M2AENet"
    assert np.array_equal(from_file(patch).restored, in_memory(patch).restored)


def test_automatic_choices_are_resolved_at_once(deblurrer: Deblurrer) -> None:
    assert deblurrer.device == torch.device("cpu")
    assert deblurrer.precision == "float32"
    assert deblurrer.execution == "adaptive"


def test_a_deblurrer_made_for_an_execution_uses_it(tiny_model: M2AENet, patch: np.ndarray) -> None:
    for execution in set(EXECUTIONS) - {"auto"}:
        assert Deblurrer(tiny_model, device="cpu", execution=execution)(patch).execution == execution


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("execution", ["exact", "dense", "adaptive"])
def test_lower_precision_is_close(
    tiny_model: M2AENet, deblurrer: Deblurrer, patch: np.ndarray, precision: str, execution: str
) -> None:
    mask = spot(patch.shape, 40, 30, 70)
    result = Deblurrer(tiny_model, device="cpu", precision=precision)(patch, mask=mask, execution=execution)
    expected = deblurrer(patch, mask=mask, execution=execution)
    changed = levels(expected.restored, patch).mean()
    assert levels(result.restored, expected.restored).mean() < 0.1 * changed
    assert not np.array_equal(result.restored, expected.restored)


def test_after_release_it_can_be_used_again(deblurrer: Deblurrer, patch: np.ndarray) -> None:
    before = deblurrer(patch)
    deblurrer.release()
    assert np.array_equal(deblurrer(patch).restored, before.restored)
    deblurrer.release()
    assert np.array_equal(deblurrer.restore(before.analysis).restored, before.restored)


def test_gradients_are_not_recorded(deblurrer: Deblurrer, analysis: Analysis) -> None:
    assert not analysis.coarse_probability.requires_grad
    assert not torch.is_inference_mode_enabled()
    assert all(parameter.requires_grad for parameter in deblurrer.model.parameters())


# -- what goes wrong ------------------------------------------------------------------------------------------------


def test_what_is_no_photo_is_refused(deblurrer: Deblurrer) -> None:
    for image, sentence in (
        (np.full((4, 4), np.nan), "the image holds NaN or infinity"),
        (np.full((4, 4, 3), np.inf), "the image holds NaN or infinity"),
        (np.zeros((0, 4)), "the image is empty"),
        (np.zeros((2, 4, 4, 3)), "the image has the shape 2x4x4x3"),
        (np.zeros(4), "the image has the shape 4"),
        (np.zeros((4, 4), bool), "the image is of type bool"),
    ):
        with pytest.raises(InputError, match=sentence):
            deblurrer.analyze(image)
        with pytest.raises(InputError, match=sentence):
            deblurrer(image, mask=np.ones((4, 4)))


def test_a_mask_of_another_size_is_refused(deblurrer: Deblurrer, analysis: Analysis) -> None:
    sentence = r"mask is 75x85 but the image is 150x170; resize one of them"
    with pytest.raises(InputError, match=sentence):
        deblurrer.restore(analysis, mask=np.ones((75, 85)))
    with pytest.raises(InputError, match=sentence):
        deblurrer(analysis.image, mask=np.ones((75, 85)))


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_zero_to_one_is_refused(deblurrer: Deblurrer, analysis: Analysis, threshold: float) -> None:
    sentence = f"the threshold is {threshold}; give a number from 0 to 1"
    with pytest.raises(InputError, match=sentence):
        deblurrer.restore(analysis, threshold)
    with pytest.raises(InputError, match=sentence):
        deblurrer(analysis.image, threshold)


def test_a_reversed_value_range_is_refused(deblurrer: Deblurrer, patch: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"value_range is 255 to 0; give black first, then a larger white"):
        deblurrer.analyze(patch, value_range=(255, 0))


def test_unknown_names_are_refused_with_those_to_choose_from(
    tiny_model: M2AENet, deblurrer: Deblurrer, analysis: Analysis
) -> None:
    with pytest.raises(InputError, match="there is no device 'tpu' here; choose one of auto, "):
        Deblurrer(tiny_model, device="tpu")
    with pytest.raises(InputError, match="there is no execution 'fast'; choose one of auto, exact, adaptive, dense"):
        Deblurrer(tiny_model, execution="fast")
    with pytest.raises(InputError, match="there is no precision 'int8'; choose one of auto, float32, bfloat16"):
        Deblurrer(tiny_model, precision="int8")
    with pytest.raises(InputError, match="there is no execution 'fast'; choose one of"):
        deblurrer.restore(analysis, execution="fast")
    # said before the first half costs time
    with pytest.raises(InputError, match="there is no execution 'fast'; choose one of"):
        deblurrer(analysis.image, execution="fast", progress=lambda done, total: pytest.fail("it was analyzed"))
    with pytest.raises(InputError, match="there are no weights called tiny"):
        Deblurrer("tiny")


def test_what_is_none_of_our_networks_is_refused() -> None:
    with pytest.raises(InputError, match="a Linear is none of our networks; give M2AENet, LMDViT or NAFNet"):
        Deblurrer(torch.nn.Linear(2, 2))


# -- networks without mask, without motion, and those that decide along ----------------------------------------------


SIZE = {"width": 4, "encoder_blocks": (1, 1, 1, 1), "middle_blocks": 1, "decoder_blocks": (1, 1, 1, 1)}


def random_network(network: Network, randomise: Callable[[torch.nn.Module], None]) -> Network:
    randomise(network)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith((".beta", ".gamma")):
                parameter.mul_(0.3)
            if name.startswith("ending."):
                parameter.mul_(0.05)
    return network.eval()


def test_nafnet_restores_the_whole_photo_and_says_what_it_does_not_know(
    photo: np.ndarray, randomise: Callable[[torch.nn.Module], None]
) -> None:
    network, image = random_network(NAFNet(**SIZE), randomise), photo[:64, :96]
    result = Deblurrer(network)(image)
    assert not result.analysis.has_mask
    assert not result.analysis.has_motion
    assert (result.analysis.blur_probability == 1).all()
    assert result.mask.all()
    assert not result.analysis.trajectory(5).any()
    with torch.no_grad():
        direct = network(torch.from_numpy(image / 255).float().permute(2, 0, 1).unsqueeze(0))
    expected = (direct[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255).round()
    np.testing.assert_allclose(result.restored, expected, atol=1)
    assert (result.restored != image).any()
    assert result.macs == network.restore_macs(64, 96)


def test_without_motion_nothing_moves(photo: np.ndarray, randomise: Callable[[torch.nn.Module], None]) -> None:
    network = random_network(M2AENet(M2AENetConfig(use_motion=False, **SIZE)), randomise)
    analysis = Deblurrer(network).analyze(photo[:64, :96])
    assert analysis.has_mask
    assert not analysis.has_motion
    assert analysis.start_displacement.shape == (64, 96, 2)
    assert not analysis.start_displacement.any()


def test_a_learnable_trajectory_keeps_all_its_instants(
    photo: np.ndarray, randomise: Callable[[torch.nn.Module], None]
) -> None:
    network = random_network(M2AENet(M2AENetConfig(trajectory="learnable", **SIZE)), randomise)
    analysis = Deblurrer(network).analyze(photo[:64, :96])
    path = analysis.trajectory(9)
    np.testing.assert_array_equal(path[0], analysis.start_displacement)
    np.testing.assert_array_equal(path[-1], analysis.end_displacement)
    middle = (analysis.start_displacement + analysis.end_displacement) / 2
    assert np.abs(path[4] - middle).max() > 0.1
    point = analysis.trajectory_at(np.array([[10, 20]]), 9)
    np.testing.assert_allclose(point[0], path[:, 10, 20], atol=1e-6)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_at_every_scale_the_networks_own_decisions_count(
    photo: np.ndarray, threshold: float, randomise: Callable[[torch.nn.Module], None]
) -> None:
    network, image = random_network(M2AENet(M2AENetConfig.every_scale(**SIZE)), randomise), photo[:64, :96]
    exact = Deblurrer(network, execution="exact")(image, threshold)
    with torch.no_grad():
        direct = network(torch.from_numpy(image / 255).float().permute(2, 0, 1).unsqueeze(0), threshold)
    expected = (direct.restored[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255).round()
    np.testing.assert_allclose(exact.restored, expected, atol=1)
    assert exact.macs == network.restore_macs(64, 96, direct.masks)
    assert exact.analysis.blur_probability.shape == (64, 96)


def test_at_every_scale_a_painted_mask_counts_instead(
    photo: np.ndarray, randomise: Callable[[torch.nn.Module], None]
) -> None:
    network, image = random_network(M2AENet(M2AENetConfig.every_scale(**SIZE)), randomise), photo[:64, :96]
    deblurrer = Deblurrer(network, execution="exact")
    analysis = deblurrer.analyze(image)
    nothing, everything = (deblurrer.restore(analysis, mask=np.full((64, 96), value)) for value in (False, True))
    assert nothing.macs < everything.macs
    assert (nothing.restored != everything.restored).any()


# -- LMD-ViT ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def lmdvit(photo: np.ndarray, randomise: Callable[[torch.nn.Module], None]) -> LMDViT:
    """Five tiny stages with random parameters; about half of the windows of `photo` are called blurred."""
    network = LMDViT(LMDViTConfig(width=8, depths=(1, 2, 2, 2, 1), heads=(1, 2, 2, 2, 1)))
    randomise(network)
    image = torch.from_numpy(photo[:96, :128].copy()).permute(2, 0, 1).unsqueeze(0) / 255
    with torch.no_grad():
        network.ending.weight.mul_(0.02)
        network.ending.bias.mul_(0.02)
        for stage in network.stages:
            for predictor in stage.predictors:
                last = [module for module in predictor.modules() if isinstance(module, torch.nn.Linear)][-1]
                last.bias.zero_()
        # stage by stage, since each one's features depend on the decisions before
        for number in range(len(network.shifts_px)):
            predictors = [predictor for stage in network.stages for predictor in stage.predictors]
            last = [module for module in predictors[number].modules() if isinstance(module, torch.nn.Linear)][-1]
            blurred, sharp = network.eval()(image).blur_logits[number].unbind(dim=1)
            last.bias[0] -= (blurred - sharp).median() + 1e-4
    return network.eval()


def test_lmdvit_decides_as_in_its_own_forward_pass(lmdvit: LMDViT, photo: np.ndarray) -> None:
    image = photo[:96, :128]
    result = Deblurrer(lmdvit, execution="exact")(image, 0.5)
    with torch.no_grad():
        output = lmdvit(torch.from_numpy(image.copy()).permute(2, 0, 1).unsqueeze(0) / 255, 0.5)
    assert any(0.1 < mask.mean() < 0.9 for mask in output.masks)
    expected = output.restored[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    assert levels(result.restored, expected).max() <= 0.51
    assert (result.restored != image).any()
    assert result.macs == lmdvit.restore_macs(96, 128, output.masks) < lmdvit.restore_macs(96, 128)


def test_lmdvits_mask_is_made_of_whole_windows(lmdvit: LMDViT, photo: np.ndarray) -> None:
    deblurrer = Deblurrer(lmdvit)
    analysis = deblurrer.analyze(photo[:100, :130])
    assert not analysis.has_motion
    assert analysis.blur_probability.shape == (100, 130)
    windows = analysis.blur_probability[:96, :128].reshape(12, 8, 16, 8)
    assert (windows == windows[:, :1, :, :1]).all()
    threshold = float(np.median(windows))
    mask = deblurrer.restore(analysis, threshold).mask
    assert 0.1 < mask.mean() < 0.9
    np.testing.assert_array_equal(mask, analysis.blur_probability > threshold)


@pytest.mark.parametrize("execution", ["exact", "adaptive", "dense"])
def test_lmdvit_restores_what_is_painted(lmdvit: LMDViT, photo: np.ndarray, execution: str) -> None:
    deblurrer, image = Deblurrer(lmdvit, execution=execution), photo[:224, :288]
    analysis = deblurrer.analyze(image)
    results = [deblurrer.restore(analysis, mask=spot(image.shape, 40, 40, side)) for side in (8, 60)]
    assert all((result.restored != image).any() for result in results)
    if execution != "dense":
        assert results[0].macs < results[1].macs
    if execution == "adaptive":
        far = np.s_[180:, 200:]
        assert np.array_equal(results[1].restored[far], image[far])


def test_lmdvit_in_tiles_gives_a_whole_photo(lmdvit: LMDViT, photo: np.ndarray) -> None:
    image = photo[:230, :330]
    tiled = Deblurrer(lmdvit, tile_px=TILE_PX)
    analysis = tiled.analyze(image)
    assert len(analysis.tiles) > 1
    assert tiled.restore(analysis).restored.shape == image.shape


def test_lmdvit_goes_through_a_file(lmdvit: LMDViT, photo: np.ndarray, tmp_path: Path) -> None:
    save_model(lmdvit, tmp_path / "lmdvit.safetensors")
    image = photo[:64, :96]
    from_file, direct = (Deblurrer(model)(image) for model in (tmp_path / "lmdvit.safetensors", lmdvit))
    np.testing.assert_array_equal(from_file.restored, direct.restored)


# -- what was restored before ----------------------------------------------------------------------------------------


def test_regions_whose_mask_is_the_same_are_taken_over(deblurrer: Deblurrer, photo: np.ndarray) -> None:
    analysis = deblurrer.analyze(photo)
    far, near = spot(photo.shape, 20, 20), spot(photo.shape, 200, 300)
    first = deblurrer.restore(analysis, mask=far | near)
    calls: list[tuple[int, int]] = []
    stroke = far | near | spot(photo.shape, 205, 312)
    second = deblurrer.restore(analysis, mask=stroke, previous=first, progress=lambda *call: calls.append(call))
    assert calls[-1] == (2, 2)
    assert second.pieces[0] is first.pieces[0]
    assert second.pieces[1] is not first.pieces[1]
    anew = deblurrer.restore(analysis, mask=stroke)
    assert np.array_equal(second.restored, anew.restored)
    assert second.macs == anew.macs
    assert np.array_equal(second.restored[:120], first.restored[:120])


def test_another_execution_takes_nothing_over(deblurrer: Deblurrer, analysis: Analysis) -> None:
    everywhere = np.ones(analysis.image.shape[:2], bool)
    dense = deblurrer.restore(analysis, mask=everywhere, execution="dense")
    exact = deblurrer.restore(analysis, mask=everywhere, execution="exact", previous=dense)
    assert exact.pieces[0] is not dense.pieces[0]


def test_what_a_network_decided_along_the_way_is_not_taken_over_by_a_mask(
    photo: np.ndarray, randomise: Callable[[torch.nn.Module], None]
) -> None:
    network, image = random_network(M2AENet(M2AENetConfig.every_scale(**SIZE)), randomise), photo[:64, :96]
    deblurrer = Deblurrer(network, execution="exact")
    analysis = deblurrer.analyze(image)
    own = deblurrer.restore(analysis, 0.5)
    painted, again = (deblurrer.restore(analysis, mask=own.mask, previous=previous) for previous in (own, None))
    assert (again.restored != own.restored).any()
    np.testing.assert_array_equal(painted.restored, again.restored)


def test_a_result_of_another_analysis_is_refused(deblurrer: Deblurrer, patch: np.ndarray) -> None:
    first, second = deblurrer.analyze(patch), deblurrer.analyze(patch)
    with pytest.raises(InputError, match="another analysis"):
        deblurrer.restore(first, previous=deblurrer.restore(second))


# -- too little memory ---------------------------------------------------------------------------------------------


class Short:
    """A network's method that runs out of memory with images of more pixels than it has room for."""

    def __init__(self, method: Callable[..., object], room: int) -> None:
        self.method, self.room, self.refused = method, room, 0

    def __call__(self, first: object, *rest: object, **options: object) -> object:
        image = first if isinstance(first, torch.Tensor) else first.image  # type: ignore[attr-defined]
        if image.shape[-1] * image.shape[-2] > self.room:
            self.refused += 1
            raise torch.OutOfMemoryError("made up")
        return self.method(first, *rest, **options)


@pytest.fixture
def large(photo: np.ndarray) -> np.ndarray:
    """A photo of 640 x 800 pixels."""
    return np.tile(photo, (3, 3, 1))[:640, :800].copy()


def test_where_memory_is_short_smaller_tiles_go_on(
    tiny_model: M2AENet, large: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    deblurrer = Deblurrer(tiny_model, device="cpu")
    short = Short(tiny_model.analyze, 520 * 520)
    monkeypatch.setattr(tiny_model, "analyze", short)
    analysis = deblurrer.analyze(large)
    assert short.refused == 1
    assert len(analysis.tiles) > 1
    assert np.isfinite(analysis.blur_probability).all()
    assert analysis.notes == ("The memory of this computer was too small for the tiles; smaller ones were taken.",)


def test_a_region_beyond_the_memory_is_restored_in_parts(
    tiny_model: M2AENet, large: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    deblurrer = Deblurrer(without_means(tiny_model, large[:215, :304]), device="cpu")
    analysis = deblurrer.analyze(large)
    everywhere = np.ones(large.shape[:2], bool)
    whole = deblurrer.restore(analysis, mask=everywhere)
    monkeypatch.setattr(tiny_model, "restore", Short(tiny_model.restore, 520 * 520))
    parts = deblurrer.restore(analysis, mask=everywhere)
    assert len(parts.pieces) > 1
    assert len(parts.notes) == 1
    assert levels(parts.restored, whole.restored).mean() < 0.02 * levels(whole.restored, large).mean()
    assert deblurrer.restore(analysis, mask=spot(large.shape, 0, 0)).notes == ()


def test_memory_that_is_too_small_for_the_smallest_tile_is_said(
    tiny_model: M2AENet, large: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    deblurrer = Deblurrer(tiny_model, device="cpu")
    monkeypatch.setattr(tiny_model, "analyze", Short(tiny_model.analyze, 100))
    with pytest.raises(InputError, match="not enough memory"):
        deblurrer.analyze(large)


def test_where_a_device_has_no_room_for_full_size_the_cpu_enlarges() -> None:
    refused = []

    def enlarge(field: torch.Tensor) -> torch.Tensor:
        if not refused:
            refused.append(field)
            raise torch.OutOfMemoryError("made up")
        return field + 1

    assert with_room(enlarge, torch.zeros(1)) == 1
    assert len(refused) == 1

    def fail(field: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        with_room(fail, torch.zeros(1))


def test_another_error_is_not_taken_for_too_little_memory(
    deblurrer: Deblurrer, tiny_model: M2AENet, patch: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: torch.Tensor) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(tiny_model, "analyze", fail)
    with pytest.raises(RuntimeError, match="something else"):
        deblurrer.analyze(patch)
