"""JPEG's losses against those of real files."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from m2aenet_core.ops.jpeg import compress_as_jpeg


def to_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0).float() / 255


def levels(image: Tensor) -> np.ndarray:
    return np.asarray((image[0] * 255).round().permute(1, 2, 0).int())


def through_a_file(pixels: np.ndarray, quality: int, halve_colour: bool) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=2 if halve_colour else 0)
    return np.asarray(Image.open(buffer)).astype(int)


@pytest.mark.parametrize("halve_colour", [False, True])
@pytest.mark.parametrize("quality", [40, 60, 75, 90, 97, 100])
# sizes that are and are not multiples of the blocks
@pytest.mark.parametrize("size", [(128, 192), (107, 90), (33, 17)])
def test_a_picture_loses_what_a_file_loses(
    photo: np.ndarray, size: tuple[int, int], quality: int, halve_colour: bool
) -> None:
    pixels = photo[100 : 100 + size[0], 120 : 120 + size[1]]
    ours = levels(compress_as_jpeg(to_tensor(pixels), [quality], halve_colour))
    theirs = through_a_file(pixels, quality, halve_colour)
    difference, loss = np.abs(ours - theirs), np.abs(theirs - pixels.astype(int)).mean()
    # a coefficient that lies between two steps may go either way, which shows in all pixels of its block
    assert difference.mean() < 0.1 * loss + 0.05
    assert difference.max() < 25


def test_images_of_a_batch_have_their_own_quality(photo: np.ndarray) -> None:
    images = torch.cat([to_tensor(photo[:64, :64]), to_tensor(photo[64:128, :64])])
    together = compress_as_jpeg(images, [50, 95])
    for index, quality in enumerate((50, 95)):
        alone = compress_as_jpeg(images[index : index + 1], [quality])
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-6, rtol=0)


def test_lower_quality_loses_more(photo: np.ndarray) -> None:
    image = to_tensor(photo[:128, :128])
    losses = [(compress_as_jpeg(image, [quality]) - image).abs().mean().item() for quality in (100, 90, 60, 20)]
    assert losses == sorted(losses)
    assert losses[0] < 1 / 255


def test_halved_colour_keeps_grey_and_softens_colour() -> None:
    edge = torch.zeros(1, 3, 32, 32)
    edge[..., 15:] = 1
    torch.testing.assert_close(compress_as_jpeg(edge, [100], True), edge, atol=2.1 / 255, rtol=0)
    edge[:, 1:] = 0.2
    full, halved = (compress_as_jpeg(edge, [100], halve_colour) for halve_colour in (False, True))
    assert (halved - edge).abs().max() > 5 * (full - edge).abs().max()


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_that_does_not_exist_is_refused(quality: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 100"):
        compress_as_jpeg(torch.rand(1, 3, 16, 16), [quality])
