"""Resampling by matrices against Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from m2aenet_core.ops.resample import Kernel, axis_weights, resample, resample_levels


def weights(source: int, target: int, kernel: Kernel) -> Tensor:
    return axis_weights(torch.tensor([source]), torch.tensor([target]), torch.tensor([0]), target, source, kernel)


# without (40, 30): there pixels lie on the edges of boxes, and Pillow's rounding decides whether they count
SIZES = [(39, 31), (64, 96), (61, 47), (100, 120), (7, 5)]


@pytest.mark.parametrize("size", SIZES)
def test_levels_come_out_as_from_pillow(photo: np.ndarray, size: tuple[int, int]) -> None:
    pixels = photo[100:161, 200:247]
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0).float()
    rows, columns = weights(61, size[0], Kernel.LANCZOS), weights(47, size[1], Kernel.LANCZOS)
    ours = resample_levels(image, rows, columns)[0].permute(1, 2, 0)
    theirs = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.LANCZOS)).astype(np.float32)
    difference = np.abs(np.asarray(ours) - theirs)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("kernel", list(Kernel))
@pytest.mark.parametrize("size", SIZES)
def test_planes_come_out_as_from_pillow(rng: np.random.Generator, kernel: Kernel, size: tuple[int, int]) -> None:
    plane = rng.random((61, 47), np.float32)
    ours = resample(
        torch.from_numpy(plane).view(1, 1, 61, 47), weights(61, size[0], kernel), weights(47, size[1], kernel)
    )
    theirs = plane
    # one direction after the other: each has its own filter
    for shape in ((size[1], 61), (size[1], size[0])):
        is_larger = shape[0] > theirs.shape[1] or shape[1] > theirs.shape[0]
        area = Image.Resampling.BILINEAR if is_larger else Image.Resampling.BOX
        resampling = Image.Resampling.LANCZOS if kernel is Kernel.LANCZOS else area
        theirs = np.asarray(Image.fromarray(theirs).resize(shape, resampling))
    torch.testing.assert_close(ours[0, 0], torch.from_numpy(theirs.copy()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kernel", list(Kernel))
def test_every_row_of_weights_sums_to_one(kernel: Kernel) -> None:
    for source, target in ((50, 20), (20, 50), (33, 33)):
        torch.testing.assert_close(weights(source, target, kernel).sum(dim=2), torch.ones(1, target))


def test_the_same_size_changes_nothing(rng: np.random.Generator) -> None:
    image = torch.from_numpy(rng.integers(0, 256, (1, 3, 20, 30))).float()
    same = resample_levels(image, weights(20, 20, Kernel.LANCZOS), weights(30, 30, Kernel.LANCZOS))
    assert torch.equal(same, image)


def test_pictures_of_different_sizes_stand_in_one_batch(rng: np.random.Generator) -> None:
    sources, targets, offsets = [24, 17], [10, 13], [3, 1]
    padded = torch.zeros(2, 1, 24, 24)
    alone = []
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        padded[index, :, :source, :source] = torch.from_numpy(rng.random((source, source)))
        one = weights(source, target, Kernel.LANCZOS)
        alone.append(resample(padded[index : index + 1, :, :source, :source], one, one))
    tensors = (torch.tensor(values) for values in (sources, targets, offsets))
    matrices = axis_weights(*tensors, rows=16, columns=24, kernel=Kernel.LANCZOS)
    together = resample(padded, matrices, matrices)
    for index, (target, offset) in enumerate(zip(targets, offsets, strict=True)):
        inside = together[index : index + 1, :, offset : offset + target, offset : offset + target]
        torch.testing.assert_close(inside, alone[index], atol=1e-5, rtol=0)
        assert together[index].abs().sum() == pytest.approx(inside.abs().sum().item(), rel=1e-5)
