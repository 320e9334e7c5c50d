"""A wider network that begins as a narrower one."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import as_output
from m2aenet_core.models.widening import widen

SIZE = {"width": 4, "encoder_blocks": (1, 1, 1, 2), "middle_blocks": 1, "decoder_blocks": (1, 1, 1, 1)}
FORMS = {
    "paper": M2AENetConfig(**SIZE),
    "every scale": M2AENetConfig.every_scale(**SIZE),
    "all that is not the paper's": M2AENetConfig(
        **SIZE,
        attention="local",
        surroundings=1,
        motion_surroundings=1,
        motion_encoder=1,
        decision_encoder=True,
        motion_output="path",
        deconvolution=2,
    ),
}


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_widened_network_computes_the_same(form: str, times: int, randomise: Callable[[nn.Module], None]) -> None:
    narrow = M2AENet(FORMS[form])
    randomise(narrow)
    wide = M2AENet(replace(narrow.config, width=4 * times))
    widen(narrow.eval(), wide.eval())
    image = torch.rand(2, 3, 64, 80)
    with torch.no_grad():
        ours, theirs = narrow(image), wide(image)
    assert not torch.allclose(ours.restored, image, atol=1e-3)
    torch.testing.assert_close(theirs.restored, ours.restored, rtol=1e-4, atol=1e-4)
    for one, other in zip(ours.blur_logits, theirs.blur_logits, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4)
    for one, other in zip(ours.displacements, theirs.displacements, strict=True):
        torch.testing.assert_close(other.field, one.field, rtol=1e-4, atol=1e-4)


def test_channels_that_began_as_one_learn_different_things(randomise: Callable[[nn.Module], None]) -> None:
    narrow = NAFNet(4, (1, 1), 1, (1, 1))
    randomise(narrow)
    wide = NAFNet(8, (1, 1), 1, (1, 1))
    widen(narrow, wide)
    first, second = wide.intro.weight[0::2], wide.intro.weight[1::2]
    assert torch.equal(first, second)
    as_output(wide(torch.rand(2, 3, 32, 32))).restored.square().sum().backward()
    assert wide.intro.weight.grad is not None
    towards, apart = wide.intro.weight.grad[0::2], wide.intro.weight.grad[1::2]
    # not in their length alone, which an optimiser that scales each gradient would take out again
    assert (torch.cosine_similarity(towards.flatten(1), apart.flatten(1)) < 0.99).any()


def test_a_generator_decides_how_weights_are_shared_out() -> None:
    narrow = NAFNet(4, (1,), 1, (1,))
    one, same, other = (NAFNet(8, (1,), 1, (1,)) for _ in range(3))
    for network, seed in ((one, 1), (same, 1), (other, 2)):
        widen(narrow, network, torch.Generator().manual_seed(seed))
    pairs = list(zip(one.parameters(), same.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(first, second) for first, second, _ in pairs)
    assert not all(torch.equal(first, third) for first, _, third in pairs)


@pytest.mark.parametrize(
    ("narrow", "wide", "sentence"),
    [
        (NAFNet(4, (1,), 1, (1,)), NAFNet(6, (1,), 1, (1,)), "give a multiple of the width"),
        (NAFNet(4, (1,), 1, (1,)), NAFNet(8, (2,), 1, (1,)), "lacks encoders.0.1"),
    ],
)
def test_networks_of_another_form_are_refused(narrow: NAFNet, wide: NAFNet, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        widen(narrow, wide)
