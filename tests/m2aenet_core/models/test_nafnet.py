"""The backbone."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from m2aenet_core.models.nafnet import NAFBlock, NAFNet


def test_the_default_network_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = NAFNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 17_111_907


def test_the_default_network_has_thirty_six_blocks() -> None:
    with torch.device("meta"):
        network = NAFNet()
    assert sum(isinstance(module, NAFBlock) for module in network.modules()) == 36


def test_a_block_begins_as_the_identity() -> None:
    features = torch.randn(1, 8, 5, 6)
    assert torch.equal(NAFBlock(8)(features), features)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (17, 5), (32, 48)])
def test_any_size_comes_back_as_it_went_in(size: tuple[int, int], randomise: Callable[[nn.Module], None]) -> None:
    network = NAFNet(width=4, encoder_blocks=(1, 1, 1, 1))
    randomise(network)
    blur = torch.rand(2, 3, *size)
    restored = network(blur)
    assert restored.shape == blur.shape
    assert not torch.equal(restored, blur)


def test_odd_sizes_are_padded_with_zeros_at_the_bottom_and_the_right(randomise: Callable[[nn.Module], None]) -> None:
    network = NAFNet(width=4, encoder_blocks=(1, 1, 1, 1))
    randomise(network)
    blur = torch.rand(1, 3, 17, 30)
    framed = torch.zeros(1, 3, 32, 32)
    framed[..., :17, :30] = blur
    torch.testing.assert_close(network(blur), network(framed)[..., :17, :30])


def test_images_of_a_batch_do_not_mix(randomise: Callable[[nn.Module], None]) -> None:
    network = NAFNet(width=4, encoder_blocks=(1, 1), decoder_blocks=(1, 1))
    randomise(network)
    blur = torch.rand(2, 3, 16, 16)
    alone = torch.cat([network(image.unsqueeze(0)) for image in blur])
    torch.testing.assert_close(network(blur), alone, atol=1e-5, rtol=1e-5)


def test_unequal_numbers_of_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="one number for each scale"):
        NAFNet(encoder_blocks=(1, 1), decoder_blocks=(1,))
