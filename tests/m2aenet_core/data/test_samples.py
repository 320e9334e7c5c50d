"""The samples shown at first sight, with their truth."""

import numpy as np
import pytest

from m2aenet_core.data.samples import SAMPLES, Sample, make_sample


@pytest.fixture(scope="module")
def samples() -> dict[str, Sample]:
    return {name: make_sample(name) for name in SAMPLES}


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest, samples: dict[str, Sample]) -> Sample:
    return samples[request.param]


def test_every_sample_is_whole(sample: Sample) -> None:
    height, width = sample.mask.shape
    for image in (sample.blur, sample.sharp):
        assert image.shape == (height, width, 3)
        assert image.dtype == np.uint8
    for field in (sample.start_displacement, sample.end_displacement):
        assert field.shape == (height, width, 2)
        assert field.dtype == np.float32
        assert field.flags["C_CONTIGUOUS"]
    assert sample.mask.dtype == np.bool_
    assert 0.02 < sample.mask.mean() < 0.5


def test_blur_differs_from_sharp_inside_the_mask_alone(sample: Sample) -> None:
    difference = np.abs(sample.blur.astype(int) - sample.sharp).max(axis=-1)
    assert difference[sample.mask].mean() > 5
    # a pixel covered for less than a fiftieth of the exposure is not called blurred; in dark places it shows
    assert np.quantile(difference[~sample.mask], 0.999) <= 3
    assert difference[~sample.mask].max() <= 20


def test_what_moves_has_displacements_and_nothing_else_has(sample: Sample) -> None:
    path = np.hypot(*np.moveaxis(sample.end_displacement - sample.start_displacement, -1, 0))
    assert path[sample.mask].min() > 1.5
    assert path[~sample.mask].max() == 0


def test_the_sharp_image_is_the_photo_itself_around_the_object(sample: Sample) -> None:
    import skimage.data

    photos = [skimage.data.coffee(), skimage.data.rocket(), skimage.data.chelsea()]
    differences = [
        np.abs(sample.sharp.astype(int) - photo).max(axis=-1)[~sample.mask].mean()
        for photo in photos
        if photo.shape == sample.sharp.shape
    ]
    assert min(differences) < 0.5


def test_a_sample_is_the_same_each_time(samples: dict[str, Sample]) -> None:
    for ours, theirs in zip(make_sample("cat"), samples["cat"], strict=True):
        assert np.array_equal(ours, theirs)


def test_samples_are_named_once() -> None:
    assert len(set(SAMPLES)) == len(SAMPLES) >= 2
