"""The mean over turned copies: it does not depend on how the photo lies, and is what the copies give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import InputError
from m2aenet_core.models.ensemble import SelfEnsemble, as_ensemble
from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.mask_predictor import blur_probability
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import Network
from m2aenet_core.models.path import path_of_ends
from m2aenet_core.ops.turn import Turn

SIDEWAYS = Turn(1, is_mirrored=False)
FORMS = {
    "the paper's": M2AENetConfig(4, (1, 1, 1, 2), 1, (1, 1, 1, 1)),
    "deconvolution": M2AENetConfig(
        4, (1, 1, 1, 2), 1, (1, 1, 1, 1), motion_surroundings=1, motion_encoder=1, motion_output="path", deconvolution=2
    ),
    "decisions' own encoder": M2AENetConfig(4, (1, 1, 1, 2), 1, (1, 1, 1, 1), decision_encoder=True),
    "every scale": M2AENetConfig(4, (1, 1), 1, (1, 1), scales="every"),
    "no mask": M2AENetConfig(4, (1, 1, 1, 2), 1, (1, 1, 1, 1), use_mask=False),
    "no motion": M2AENetConfig(4, (1, 1, 1, 2), 1, (1, 1, 1, 1), use_motion=False),
}


@pytest.fixture
def build(randomise: Callable[[nn.Module], None]) -> Callable[[str], Network]:
    """Give a network of a form, with random weights that change an image by a few levels."""

    def build(form: str) -> Network:
        network: Network
        if form == "nafnet":
            network = NAFNet(4, (1, 1), 1, (1, 1))
        elif form == "lmdvit":
            network = LMDViT(LMDViTConfig(width=4, window=4, depths=(1,) * 9, heads=(1,) * 9))
        else:
            network = M2AENet(FORMS[form])
        randomise(network)
        if form != "lmdvit":
            network.ending.weight.data.mul_(0.02)
            network.ending.bias.data.mul_(0.02)
        return network.eval()

    return build


@pytest.fixture
def image(photo: np.ndarray) -> Tensor:
    return torch.from_numpy(photo[60:124, 80:176].copy()).permute(2, 0, 1).unsqueeze(0) / 255


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("turn", [Turn(1, is_mirrored=False), Turn(3, is_mirrored=True)])
def test_all_copies_together_see_a_photo_alike_however_it_lies(
    build: Callable[[str], Network], image: Tensor, form: str, turn: Turn
) -> None:
    ensemble = as_ensemble(build(form), 8)
    with torch.no_grad():
        upright, turned = ensemble.analyze(image), ensemble.analyze(turn.of(image))
        if upright.blur_logits is not None:
            assert turned.blur_logits is not None
            torch.testing.assert_close(turned.blur_logits, turn.of(upright.blur_logits), atol=1e-4, rtol=1e-4)
        if upright.motion is not None:
            assert turned.motion is not None
            # of a path, whose direction of time is another once it is turned
            expected = turn.of_vectors(upright.motion.field)
            fields = [turned.motion.field, expected]
            if not upright.motion.tells_time:
                fields = [path_of_ends(field[:, :2], field[:, 2:]) for field in fields]
            torch.testing.assert_close(*fields, atol=1e-3, rtol=1e-3)
        restored, of_turned = ensemble.restore(upright, 0.5).image, ensemble.restore(turned, 0.5).image
    assert (restored - image).abs().max() > 0.004
    torch.testing.assert_close(of_turned, turn.of(restored), atol=1e-4, rtol=1e-4)


def test_one_copy_sees_a_turned_photo_as_another(build: Callable[[str], Network], image: Tensor) -> None:
    network = build("deconvolution")
    assert as_ensemble(network) is as_ensemble(network, 1) is network
    with torch.no_grad():
        upright, turned = network.analyze(image).blur_logits, network.analyze(SIDEWAYS.of(image)).blur_logits
    assert upright is not None
    assert turned is not None
    assert (turned - SIDEWAYS.of(upright)).abs().max() > 0.01


def test_without_motion_it_is_the_mean_of_what_the_copies_give(build: Callable[[str], Network], image: Tensor) -> None:
    network = build("no motion")
    with torch.no_grad():
        encoded = as_ensemble(network, 2).analyze(image)
        logits = encoded.blur_logits
        assert logits is not None
        probability = blur_probability(logits)
        mask = (probability > probability.median()).float()
        first, second = network.analyze(image), network.analyze(SIDEWAYS.of(image))
        assert first.blur_logits is not None
        assert second.blur_logits is not None
        torch.testing.assert_close(logits, (first.blur_logits + SIDEWAYS.back(second.blur_logits)) / 2)
        sideways = SIDEWAYS.back(network.restore(second, SIDEWAYS.of(mask)).image)
        expected = (network.restore(first, mask).image + sideways) / 2
        torch.testing.assert_close(as_ensemble(network, 2).restore(encoded, mask).image, expected)


def test_all_copies_are_restored_along_the_motion_that_is_given(build: Callable[[str], Network], image: Tensor) -> None:
    ensemble = as_ensemble(build("deconvolution"), 4)
    with torch.no_grad():
        encoded = ensemble.analyze(image)
        assert encoded.motion is not None
        longer = encoded.motion.map(lambda field: 2 * field)
        before, after = (ensemble.restore(encoded._replace(motion=motion), 0.0) for motion in (encoded.motion, longer))
        standing = encoded._replace(motion=encoded.motion.map(torch.zeros_like))
        one = ensemble.network.restore(ensemble.network.analyze(image)._replace(motion=standing.motion), 0.0).image
        still = ensemble.restore(standing, 0.0).image
    assert (before.image - after.image).abs().max() > 0.001
    assert (still - one).abs().max() < (before.image - one).abs().max()


@pytest.mark.parametrize("form", [*FORMS, "nafnet", "lmdvit"])
def test_every_network_can_be_asked_for_copies(build: Callable[[str], Network], photo: np.ndarray, form: str) -> None:
    network, pixels = build(form), photo[60:211, 80:250].copy()
    one, two = (Deblurrer(network, device="cpu", ensemble=copies) for copies in (1, 2))
    assert (one.ensemble, two.ensemble) == (1, 2)
    first, second = one.analyze(pixels), two.analyze(pixels)
    assert second.macs == pytest.approx(2 * first.macs, rel=0.2)
    assert second.blur_probability.shape == second.image.shape[:2]
    mask = np.ones(pixels.shape[:2], bool)
    whole, both = (made.restore(found, mask=mask) for made, found in ((one, first), (two, second)))
    assert both.macs == 2 * whole.macs
    assert both.restored.shape == pixels.shape
    assert not np.array_equal(both.restored, pixels)
    assert not np.array_equal(both.restored, whole.restored)


@pytest.mark.parametrize("execution", ["exact", "adaptive"])
def test_regions_and_tiles_are_cut_out_of_all_copies_alike(
    build: Callable[[str], Network], photo: np.ndarray, execution: str
) -> None:
    network, pixels = build("deconvolution"), photo[40:255, 60:364].copy()
    # what looks at the whole photo would tell a part from it
    network = replace_attention(network)
    mask = np.zeros(pixels.shape[:2], bool)
    mask[90:120, 100:160] = True
    whole = Deblurrer(network, device="cpu", ensemble=4)
    expected = whole.restore(whole.analyze(pixels), mask=mask, execution="exact").restored
    tiled = Deblurrer(network, device="cpu", ensemble=4, tile_px=192)
    found = tiled.restore(tiled.analyze(pixels), mask=mask, execution=execution).restored
    assert not np.array_equal(expected[mask], pixels[mask])
    assert np.abs(found.astype(int) - expected)[mask].max() <= 1


def replace_attention(network: Network) -> Network:
    """Give a network whose attention looks at the surroundings alone, with the same weights."""
    local = M2AENet(replace(network.config, attention="local"))
    local.load_state_dict(network.state_dict())
    return local.eval()


def test_the_mask_of_a_threshold_is_that_of_the_mean(build: Callable[[str], Network], photo: np.ndarray) -> None:
    network, pixels = build("the paper's"), photo[60:204, 80:240].copy()
    result = Deblurrer(network, device="cpu", ensemble=2)(pixels, 0.5)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0) / 255
    with torch.no_grad():
        logits = SelfEnsemble(network, 2).analyze(tensor).blur_logits
    assert logits is not None
    torch.testing.assert_close(result.analysis.coarse_probability, blur_probability(logits), atol=1e-5, rtol=1e-5)


def test_the_weights_say_how_many_copies_there_are(build: Callable[[str], Network]) -> None:
    network = build("the paper's")
    network.config = replace(network.config, ensemble=4)
    assert Deblurrer(network, device="cpu").ensemble == 4
    assert Deblurrer(network, device="cpu", ensemble=1).ensemble == 1


def test_features_of_all_copies_count_as_memory(build: Callable[[str], Network], image: Tensor) -> None:
    network = build("the paper's")
    ensemble = as_ensemble(network, 4)
    with torch.no_grad():
        one, all_of_them = network.analyze(image), ensemble.analyze(image)
    beside = one.nbytes - one.image.nbytes
    assert all_of_them.nbytes == one.image.nbytes + 4 * beside
    values = beside / 4 / (image.shape[-1] * image.shape[-2])
    assert 3 * values <= ensemble.live_values - network.live_values <= 4 * values


@pytest.mark.parametrize("copies", [0, 3, 16, -1])
def test_other_numbers_of_copies_are_refused(build: Callable[[str], Network], copies: int) -> None:
    sentence = f"an ensemble of {copies} is not known; give one of 1, 2, 4, 8"
    with pytest.raises(InputError, match=sentence):
        Deblurrer(build("nafnet"), device="cpu", ensemble=copies)
    with pytest.raises(InputError, match=sentence):
        M2AENetConfig(ensemble=copies)
