from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from m2aenet_core import DeblurResult, InputError, NAFNet
from m2aenet_core.data.samples import Sample, make_sample
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.trust import measure_trust

Exposed = Callable[..., DeblurResult]


@pytest.fixture(scope="module")
def cat() -> Sample:
    return make_sample("cat")


def truth(exposed: Exposed, sample: Sample, factor: float = 1.0, *, turned: bool = False) -> DeblurResult:
    """The sharp photo with the motion that blurred it, made longer or shorter, or turned by a quarter."""
    fields = [factor * field for field in (sample.start_displacement, sample.end_displacement)]
    start, end = ((field[..., ::-1] * (1, -1) if turned else field) for field in fields)
    return exposed(sample.sharp, sample.mask, start=start, end=end, photo=sample.blur)


def explained(result: DeblurResult) -> float:
    share = measure_trust(result).explanation.explained
    assert share is not None
    return share


def test_the_true_motion_of_the_true_photo_explains_nearly_everything(exposed: Exposed, cat: Sample) -> None:
    trust = measure_trust(truth(exposed, cat))
    assert trust.explanation.explained is not None
    assert trust.explanation.explained > 0.95
    assert trust.explanation.psnr_reblurred > 38 > 26 > trust.explanation.psnr_restored
    assert trust.reblurred.dtype == cat.blur.dtype


def test_wrong_motion_explains_less(exposed: Exposed, cat: Sample) -> None:
    right = explained(truth(exposed, cat))
    assert explained(truth(exposed, cat, 0.5)) < right - 0.1
    assert explained(truth(exposed, cat, 2.0)) < right - 0.1
    assert explained(truth(exposed, cat, turned=True)) < right - 0.3


def test_motion_without_length_explains_nothing(exposed: Exposed, cat: Sample) -> None:
    trust = measure_trust(truth(exposed, cat, 0.0))
    assert trust.explanation.explained == pytest.approx(0)
    np.testing.assert_array_equal(trust.reblurred, cat.sharp)


def test_a_restored_photo_that_is_still_blurred_is_not_explained(exposed: Exposed, cat: Sample) -> None:
    hardly_sharper = (cat.sharp * 0.1 + cat.blur * 0.9).astype(np.uint8)
    assert explained(replace(truth(exposed, cat), restored=hardly_sharper)) < 0


def test_where_nothing_was_changed_there_is_nothing_to_explain(exposed: Exposed, cat: Sample) -> None:
    assert measure_trust(replace(truth(exposed, cat), restored=cat.blur)).explanation.explained is None


def test_without_blurred_pixels_the_number_is_not_defined(exposed: Exposed, cat: Sample) -> None:
    trust = measure_trust(replace(truth(exposed, cat), mask=np.zeros_like(cat.mask)))
    assert math.isnan(trust.explanation.psnr_reblurred)
    assert trust.explanation.explained is None
    assert trust.regions == ()


def test_each_region_has_its_own_number(exposed: Exposed) -> None:
    """Two things move to the right; of the second one the motion that was found points down."""
    stripes = np.random.default_rng(0).integers(0, 65536, 200).astype(np.uint16)
    sharp = np.repeat(stripes[None], 120, axis=0)
    mask = np.zeros(sharp.shape, bool)
    mask[20:60, 20:80] = True
    mask[70:110, 100:180] = True
    end = np.zeros((*sharp.shape, 2))
    end[..., 1] = 4
    right = measure_trust(exposed(sharp, mask, start=-end, end=end), linear_light=True)
    found = end.copy()
    found[60:] = (4, 0)
    trust = measure_trust(exposed(sharp, mask, start=-found, end=found, photo=right.reblurred))
    assert [region.area_px for region in trust.regions] == [3200, 2400]
    assert tuple(trust.regions[0].box) == (70, 100, 40, 80)
    wrong, good = (region.explanation.explained for region in trust.regions)
    assert good == pytest.approx(1)
    assert wrong is not None
    assert wrong < 0.1
    assert trust.difference[75:105, 110:170].mean() > 0.05 > trust.difference[25:55, 30:70].max()


def test_light_adds_up_as_light_where_the_photo_is_srgb(exposed: Exposed) -> None:
    stripes = np.zeros((32, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    end = np.zeros((32, 64, 2))
    end[..., 1] = 1
    result = exposed(stripes, np.ones((32, 64), bool), start=-end, end=end)
    assert measure_trust(result, instants=65).reblurred[16, 32, 0] == pytest.approx(188, abs=2)
    linear = measure_trust(result, instants=65, linear_light=True)
    assert linear.reblurred[16, 32, 0] == pytest.approx(128, abs=2)


def test_a_network_without_motion_is_a_sentence() -> None:
    tiny = NAFNet(width=4, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))
    result = Deblurrer(tiny, device="cpu")(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(InputError, match="does not look how pixels moved"):
        measure_trust(result)
