"""Made blur: numbered samples and their truth."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from m2aenet_core.data.draws import ShapeDraw
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.shapes import outline_alpha, shape_alphas
from m2aenet_core.data.synthetic import MadeBlur, MadeBlurConfig, _alike

# a box that fills its square
EVERYWHERE = ShapeDraw(0.0, 1.0, 12.0, 0.95, ((0.0, 0.0),) * 5, 1.0)
SMALL = MadeBlurConfig(crop_px=48, object_px=(20, 40), path_px=(4, 16))


def sample_of(batch: Batch, index: int) -> list[torch.Tensor]:
    return [tensor[index] for tensor in batch]


@pytest.fixture(scope="module")
def source() -> MadeBlur:
    import skimage.data

    return MadeBlur([skimage.data.chelsea(), skimage.data.astronaut()], config=SMALL)


@pytest.fixture(scope="module")
def made(source: MadeBlur) -> Batch:
    return source.batch(seed=3, first=0, count=12)


def test_a_batch_has_the_shapes_and_ranges_it_promises(made: Batch) -> None:
    for image in (made.blur, made.sharp):
        assert image.shape == (12, 3, 48, 48)
        assert image.min() >= 0
        assert image.max() <= 1
        # eight bits, as a file would hold
        torch.testing.assert_close((image * 255).round() / 255, image)
    assert made.mask.shape == (12, 1, 48, 48)
    assert set(made.mask.unique().tolist()) == {0.0, 1.0}
    assert made.start.shape == made.end.shape == (12, 2, 48, 48)


def test_seed_and_number_decide_a_sample_whatever_the_batch(source: MadeBlur, made: Batch) -> None:
    for number, batch, index in ((2, source.batch(3, 2, 1), 0), (5, source.batch(3, 4, 3), 1)):
        for ours, theirs in zip(sample_of(made, number), sample_of(batch, index), strict=True):
            assert torch.equal(ours, theirs)


def test_seeds_and_numbers_differ(source: MadeBlur, made: Batch) -> None:
    images = [*made.blur, source.batch(4, 0, 1).blur[0]]
    for first in range(len(images)):
        for second in range(first):
            assert not torch.equal(images[first], images[second])


def test_blur_equals_sharp_outside_the_mask_and_differs_inside(made: Batch) -> None:
    outside = (made.mask == 0).expand_as(made.blur)
    assert torch.equal(made.blur[outside], made.sharp[outside])
    for blur, sharp, mask in zip(made.blur, made.sharp, made.mask, strict=True):
        if mask.sum() > 50:
            assert not torch.equal(blur, sharp)


def test_displacements_are_zero_outside_the_mask(made: Batch) -> None:
    for field in (made.start, made.end):
        assert (field * (1 - made.mask)).abs().sum() == 0


def test_nothing_is_blurred_where_all_samples_stand_still(photo: np.ndarray) -> None:
    batch = MadeBlur([photo], config=replace(SMALL, still_share=1.0)).batch(0, 0, 4)
    assert torch.equal(batch.blur, batch.sharp)
    for truth in (batch.mask, batch.start, batch.end):
        assert truth.abs().sum() == 0


def test_the_share_of_still_samples_is_the_one_asked_for(photo: np.ndarray) -> None:
    config = replace(SMALL, still_share=0.5, crop_px=16, object_px=(12, 16))
    batch = MadeBlur([photo], config=config).batch(0, 0, 60)
    still = (batch.mask.sum(dim=(1, 2, 3)) == 0).float().mean()
    assert 0.3 < still < 0.7


@pytest.mark.parametrize("path_px", [(4.0, 6.0), (12.0, 16.0)])
def test_paths_are_as_long_as_asked_for(photo: np.ndarray, path_px: tuple[float, float]) -> None:
    config = replace(SMALL, path_px=path_px, spin_deg=0, growth=0, curvature=0, still_share=0, objects=1)
    batch = MadeBlur([photo], config=config).batch(0, 0, 8)
    lengths = (batch.end - batch.start).norm(dim=1, keepdim=True)[batch.mask > 0]
    assert path_px[0] - 1e-3 <= lengths.min()
    assert lengths.max() <= path_px[1] + 1e-3
    assert lengths.max() - lengths.min() > 0.1


def test_straight_paths_bend_only_with_curvature(photo: np.ndarray) -> None:
    straight = replace(SMALL, curvature=0, spin_deg=0, growth=0, still_share=0, objects=1)
    batch = MadeBlur([photo], config=straight).batch(0, 0, 4)
    torch.testing.assert_close(batch.start, -batch.end, atol=1e-4, rtol=0)
    bent = MadeBlur([photo], config=replace(straight, curvature=0.5)).batch(0, 0, 4)
    assert (bent.start + bent.end).abs().max() > 0.5


@pytest.mark.parametrize("change", [{"spin_deg": 20.0}, {"growth": 0.2}])
def test_rotation_and_growth_make_displacements_vary_within_an_object(
    photo: np.ndarray, change: dict[str, float]
) -> None:
    rigid = replace(SMALL, curvature=0, spin_deg=0, growth=0, still_share=0, objects=1)
    for config, varies in ((rigid, False), (replace(rigid, **change), True)):
        batch = MadeBlur([photo], config=config).batch(0, 0, 3)
        spreads = [end[:, mask[0] > 0].std(dim=1).max() for end, mask in zip(batch.end, batch.mask, strict=True)]
        assert (max(spreads) > 0.1) == varies


def test_noise_is_in_the_sharp_image_too(photo: np.ndarray) -> None:
    clean = replace(SMALL, noise=0, jpeg_share=0, still_share=1)
    quiet = MadeBlur([photo], config=clean).batch(0, 0, 8)
    noisy = MadeBlur([photo], config=replace(clean, noise=0.05)).batch(0, 0, 8)
    assert torch.equal(noisy.blur, noisy.sharp)
    assert not torch.equal(noisy.blur, quiet.blur)


def test_compression_changes_the_photo_a_little(photo: np.ndarray) -> None:
    plain = replace(SMALL, noise=0, jpeg_share=0)
    fine = MadeBlur([photo], config=plain).batch(0, 0, 4)
    compressed = MadeBlur([photo], config=replace(plain, jpeg_share=1)).batch(0, 0, 4)
    difference = (fine.blur - compressed.blur).abs()
    assert 0 < difference.mean() < 0.05


def test_cutouts_are_used_as_often_as_asked(photo: np.ndarray) -> None:
    green = np.full((40, 40, 4), (0, 255, 0, 255), np.uint8)
    config = replace(SMALL, objects=1, noise=0, jpeg_share=0, still_share=1, object_px=(30, 40))
    for share, is_green in ((1.0, True), (0.0, False)):
        batch = MadeBlur([photo], [green], replace(config, cutout_share=share)).batch(0, 0, 4)
        red, green_light, blue = batch.sharp.unbind(dim=1)
        assert bool((green_light - torch.maximum(red, blue) > 0.6).any()) == is_green


def test_more_objects_cover_more(photo: np.ndarray) -> None:
    one = MadeBlur([photo], config=replace(SMALL, objects=1, still_share=0)).batch(0, 0, 16)
    four = MadeBlur([photo], config=replace(SMALL, objects=4, still_share=0)).batch(0, 0, 16)
    assert four.mask.mean() > one.mask.mean()


def test_objects_grow_with_the_size_asked_for(photo: np.ndarray) -> None:
    shares = [
        MadeBlur([photo], config=replace(SMALL, object_px=size, still_share=0)).batch(0, 0, 8).mask.mean().item()
        for size in ((8, 10), (36, 40))
    ]
    assert shares[1] > 2 * shares[0]


def test_a_photo_smaller_than_the_crop_is_enlarged() -> None:
    tiny = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert MadeBlur([tiny], config=SMALL).batch(0, 0, 2).blur.shape == (2, 3, 48, 48)


def test_a_whole_photo_can_be_the_background(photo: np.ndarray, rng: np.random.Generator) -> None:
    config = replace(SMALL, noise=0, jpeg_share=0, still_share=0)
    batch = MadeBlur([photo], config=config).on_photo(photo, rng)
    assert batch.blur.shape == (1, 3, *photo.shape[:2])
    untouched = torch.from_numpy(photo.copy()).permute(2, 0, 1) / 255
    same = (batch.blur[0] - untouched).abs().amax(dim=0) < 1 / 255
    assert same.float().mean() > 0.8


EVERYTHING = replace(
    SMALL,
    objects=3,
    shake_share=0.4,
    shake_px=(2, 10),
    same_photo_share=0.5,
    occluder_share=0.3,
    defocus_share=0.4,
    highlight_share=0.4,
    soft_share=0.5,
    sensor_noise_share=0.5,
    tone_share=0.5,
    jpeg_share=0.6,
    halved_colour_share=0.5,
    encoded_share=0.3,
    few_frames_share=0.5,
    in_place_share=0.15,
    still_share=0.1,
    cutout_share=0.4,
)


@pytest.fixture(scope="module")
def everything() -> MadeBlur:
    import skimage.data

    photo = skimage.data.astronaut()
    y, x = np.mgrid[-1:1:80j, -1:1:120j]
    alpha = np.clip((1 - np.hypot(y, x)) * 40, 0, 1) * 255
    cutout = np.dstack([photo[100:180, 150:270], alpha.astype(np.uint8)])
    return MadeBlur([skimage.data.chelsea(), photo], [cutout], EVERYTHING)


def test_with_all_effects_a_sample_is_still_the_same_in_every_batch(everything: MadeBlur) -> None:
    together = everything.batch(2, 0, 12)
    for number in range(12):
        for ours, theirs in zip(sample_of(together, number), sample_of(everything.batch(2, number, 1), 0), strict=True):
            assert torch.equal(ours, theirs)


def test_with_all_effects_the_truth_keeps_its_promises(everything: MadeBlur) -> None:
    batch = everything.batch(4, 0, 24)
    outside = (batch.mask == 0).expand_as(batch.blur)
    assert torch.equal(batch.blur[outside], batch.sharp[outside])
    for field in (batch.start, batch.end):
        assert torch.isfinite(field).all()
        assert (field * (1 - batch.mask)).abs().sum() == 0
    torch.testing.assert_close((batch.blur * 255).round() / 255, batch.blur)
    assert batch.motion_known.all()
    assert batch.motion_known.dtype == torch.bool


def test_rendered_together_samples_are_what_they_are_alone(everything: MadeBlur) -> None:
    """What a GPU does, on the CPU: all samples of a batch in one rendering."""
    draws = [everything.draw(np.random.default_rng((2, number))) for number in range(16)]
    groups = _alike(draws)
    assert sorted(row for rows in groups for row in rows) == list(range(16))
    assert groups != [list(range(16))]
    assert max(map(len, groups)) >= 4
    together, alone = everything.render(draws, torch.device("cpu")), everything.batch(2, 0, 16)
    for row in range(16):
        for ours, theirs in zip(sample_of(together, row)[:2], sample_of(alone, row)[:2], strict=True):
            # a coefficient of JPEG, or a level, may be rounded the other way
            assert (ours - theirs).abs().mean() < 0.1 / 255
        assert (together.mask[row] != alone.mask[row]).float().mean() < 1e-3
        agree = (together.mask[row] == alone.mask[row]).float()
        for ours, theirs in ((together.start, alone.start), (together.end, alone.end)):
            torch.testing.assert_close(ours[row] * agree, theirs[row] * agree, atol=1e-3, rtol=0)


def test_a_batch_without_a_single_object_can_be_rendered(photo: np.ndarray) -> None:
    config = replace(SMALL, shake_share=1, still_share=0)
    source = MadeBlur([photo], config=config)
    draws = [source.draw(np.random.default_rng(number)) for number in range(12)]
    bare = [draw for draw in draws if not draw.objects]
    assert len(bare) >= 2
    batch = source.render(bare, torch.device("cpu"))
    assert torch.equal(batch.blur[:1], source.render(bare[:1], torch.device("cpu")).blur)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_makes_the_samples_of_the_cpu_but_for_the_noise() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    source = MadeBlur([photo], config=replace(EVERYTHING, noise=0, cutout_share=0))
    there, again, here = source.batch(2, 0, 16, "cuda"), source.batch(2, 0, 16, "cuda"), source.batch(2, 0, 16)
    for ours, same, theirs in zip(there, again, here, strict=True):
        assert ours.device.type == "cuda"
        assert torch.equal(ours, same)
        assert (ours.cpu().float() - theirs.float()).abs().mean() < 1e-3


def test_a_camera_alone_blurs_all_and_displaces_all_alike(photo: np.ndarray) -> None:
    config = replace(
        SMALL, shake_share=1, shake_px=(8, 12), shake_roll_deg=0, shake_zoom=0, still_share=0, noise=0, jpeg_share=0
    )
    batch = MadeBlur([photo], config=config).batch(1, 0, 8)
    spread = batch.end.amax(dim=(2, 3)) - batch.end.amin(dim=(2, 3))
    alone = spread.amax(dim=1) < 1e-3
    assert 1 <= alone.sum() < 8
    assert batch.mask[alone].min() == 1
    lengths = (batch.end - batch.start)[alone].norm(dim=1)
    assert lengths.min() >= 8 - 1e-3
    assert lengths.max() <= 12 + 1e-3


def test_with_a_moving_camera_still_samples_are_still(photo: np.ndarray) -> None:
    config = replace(SMALL, shake_share=1, still_share=1)
    batch = MadeBlur([photo], config=config).batch(0, 0, 4)
    assert torch.equal(batch.blur, batch.sharp)
    assert batch.mask.sum() == 0


def test_what_is_out_of_focus_is_not_called_blurred(photo: np.ndarray) -> None:
    quiet = replace(SMALL, still_share=1, noise=0, jpeg_share=0)
    sharp = MadeBlur([photo], config=quiet).batch(0, 0, 6)
    soft = MadeBlur([photo], config=replace(quiet, defocus_share=1, defocus_px=(3, 6))).batch(0, 0, 6)
    assert soft.mask.sum() == 0
    assert torch.equal(soft.blur, soft.sharp)
    details = [batch.blur.diff(dim=-1).abs().mean() for batch in (soft, sharp)]
    assert details[0] < 0.8 * details[1]


def test_the_sharp_truth_keeps_the_lens_blur(photo: np.ndarray) -> None:
    moving = replace(SMALL, still_share=0, noise=0, jpeg_share=0, defocus_share=1, defocus_px=(4, 6), objects=1)
    soft, crisp = (
        MadeBlur([photo], config=each).batch(0, 0, 12) for each in (moving, replace(moving, defocus_share=0))
    )
    inside = (soft.mask * crisp.mask)[..., 1:] > 0
    detail_soft, detail_crisp = (
        batch.sharp.diff(dim=-1).abs().mean(dim=1, keepdim=True)[inside].mean() for batch in (soft, crisp)
    )
    assert detail_soft < 0.95 * detail_crisp


def test_highlights_leave_more_white(photo: np.ndarray) -> None:
    quiet = replace(SMALL, still_share=0, noise=0, jpeg_share=0)
    plain = MadeBlur([photo], config=quiet).batch(0, 0, 12)
    bright = MadeBlur([photo], config=replace(quiet, highlight_share=1)).batch(0, 0, 12)
    assert (bright.blur == 1).float().mean() > (plain.blur == 1).float().mean()
    assert bright.blur.mean() > plain.blur.mean()


def test_encoded_samples_average_what_a_file_holds_and_others_light(photo: np.ndarray) -> None:
    """A mean of light, encoded, is brighter than the mean of what was encoded; the sharp photo is the same."""
    config = replace(SMALL, shake_share=1, still_share=0, noise=0, jpeg_share=0)
    sources = [MadeBlur([photo], config=replace(config, encoded_share=share)) for share in (0, 1)]
    draws = [[source.draw(np.random.default_rng(number)) for number in range(16)] for source in sources]
    bare = [number for number, draw in enumerate(draws[0]) if not draw.objects]
    light, encoded = (
        source.render([own[number] for number in bare], torch.device("cpu"))
        for source, own in zip(sources, draws, strict=True)
    )
    assert torch.equal(light.mask, encoded.mask)
    # encoded and decoded once more, a level may be rounded the other way
    assert (light.sharp - encoded.sharp).abs().max() < 1.01 / 255
    brighter = [(batch.blur - batch.sharp).mean(dim=(1, 2, 3)) for batch in (light, encoded)]
    assert (brighter[0] > brighter[1]).all()
    assert brighter[0].mean() > 0.003
    assert (light.blur - encoded.blur).abs().mean() > 0.003


def test_a_moving_camera_costs_a_whole_photo_its_border(photo: np.ndarray, rng: np.random.Generator) -> None:
    config = replace(SMALL, shake_share=1, still_share=0, shake_px=(10, 20))
    batch = MadeBlur([photo], config=config).on_photo(photo, rng)
    height, width = batch.blur.shape[-2:]
    border = photo.shape[0] - height
    assert 20 <= border <= 60
    assert photo.shape[1] - width == border


def test_what_moves_in_place_is_blurred_within_its_outline_alone(photo: np.ndarray) -> None:
    config = replace(SMALL, in_place_share=1, still_share=0, noise=0, jpeg_share=0, growth=0, spin_deg=0)
    source = MadeBlur([photo], config=config)
    for number in range(8):
        draw = source.draw(np.random.default_rng(number))
        sample = source.render([draw], torch.device("cpu"))
        assert draw.in_place is not None
        alpha = outline_alpha(draw.in_place, draw.size, torch.device("cpu"))
        moves = math.hypot(*draw.in_place.path.velocity) * 2 > 1.5
        assert torch.equal(sample.mask[0] > 0, (alpha > 0.02) & moves)
        # all of it goes the same way, and is the photo itself at mid-exposure
        displaced = (sample.end - sample.start)[0][:, sample.mask[0, 0] > 0]
        assert displaced.std(dim=1).amax() < 1e-3
        torch.testing.assert_close(
            displaced.mean(dim=1), 2 * torch.tensor(draw.in_place.path.velocity), atol=1e-3, rtol=0
        )
        # without its outline the same motion blurs all
        around = draw.in_place._replace(shape=EVERYWHERE, size=160)
        everywhere = source.render([draw._replace(in_place=around)], torch.device("cpu"))
        inside = (alpha == 1).expand(3, -1, -1)
        assert torch.equal(sample.blur[0][inside], everywhere.blur[0][inside])
        assert (everywhere.blur - sample.blur)[0][~inside].abs().max() > 0.02


def test_an_outline_is_the_shape_of_an_object_where_it_stands(photo: np.ndarray) -> None:
    """Half-way through its path, and whole."""
    draw = MadeBlur([photo], config=replace(SMALL, in_place_share=1, still_share=0)).draw(np.random.default_rng(3))
    assert draw.in_place is not None
    centred = draw.in_place._replace(centre=(39.5, 49.5))
    alpha = outline_alpha(centred, (80, 100), torch.device("cpu"))
    own = shape_alphas([centred.shape], torch.tensor([centred.size]), centred.size)[0]
    assert alpha.shape == (1, 80, 100)
    top, left = 40 - centred.size // 2, 50 - centred.size // 2
    assert torch.equal(alpha[:, top : top + centred.size, left : left + centred.size], own)
    assert (alpha > 0).sum() == (own > 0).sum()
    # cut off where it leaves the image
    corner = outline_alpha(centred._replace(centre=(0.5, 99.5)), (80, 100), torch.device("cpu"))
    half = centred.size // 2
    assert torch.equal(corner[:, : half + 1, 100 - half :], own[:, half - 1 :, :half])


def test_a_mean_of_few_frames_shows_its_edges_one_by_one() -> None:
    """Half black, half white, and a long path across: as many steps as there are frames, where others are smooth."""
    photo = np.zeros((300, 300, 3), np.uint8)
    photo[:, 150:] = 255
    config = replace(SMALL, shake_share=1, encoded_share=1, shake_px=(24, 24), curvature=0, still_share=0, noise=0)
    config = replace(config, jpeg_share=0, shake_roll_deg=0, shake_zoom=0, quarter_turns=False)
    smooth, stepped = (
        MadeBlur([photo], config=replace(config, few_frames_share=share, few_frames=(3, 3))) for share in (0, 1)
    )
    levels = []
    for number in range(40):
        draws = [source.draw(np.random.default_rng(number)) for source in (smooth, stepped)]
        if draws[0].objects:
            continue
        blurs = [
            source.render([draw], torch.device("cpu")).blur[0, 0]
            for source, draw in zip((smooth, stepped), draws, strict=True)
        ]
        levels.append([len(torch.unique((blur * 255).round())) for blur in blurs])
    many, few = np.array([each for each in levels if min(each) > 2]).T
    assert len(many) >= 3
    assert (few <= many).all()
    assert few.mean() < 0.7 * many.mean()
