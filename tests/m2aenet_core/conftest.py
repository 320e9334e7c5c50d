"""A tiny real network whose every parameter matters, for the tests of the core."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from m2aenet_core.analysis import Analysis, DeblurResult
from m2aenet_core.checkpoint import save_model
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.pixels import value_range_of

TINY = M2AENetConfig(width=4, encoder_blocks=(1, 1, 1, 2), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    torch.manual_seed(0)


def _randomise(model: nn.Module) -> None:
    """Draw every parameter: an untrained network is the identity, and would agree with anything."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # by its name, so that the numbers do not depend on the order of the parts
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            inputs = parameter[0].numel() if parameter.dim() > 1 else 4
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / inputs**0.5)


@pytest.fixture
def randomise() -> Callable[[nn.Module], None]:
    """Draw every parameter of a network anew, the same numbers each time."""
    return _randomise


@pytest.fixture
def tiny_config() -> M2AENetConfig:
    """Four scales as the paper's network, as few channels and blocks as can be."""
    return TINY


@pytest.fixture
def tiny_model(photo: np.ndarray) -> M2AENet:
    """A tiny network with random parameters, in evaluation mode; it calls about half of `photo` blurred."""
    model = M2AENet(TINY)
    _randomise(model)
    last = model.mask_predictors["3"].decide[-1]
    assert isinstance(last, nn.Linear)
    image = torch.from_numpy(photo[:288, :448].copy()).permute(2, 0, 1).unsqueeze(0) / 255
    with torch.no_grad():
        blurred, sharp = model.analyze(image).blur_logits.unbind(dim=1)
        # probabilities from sure to unsure
        last.weight.mul_(2 / (blurred - sharp).std())
        blurred, sharp = model.analyze(image).blur_logits.unbind(dim=1)
        last.bias[0] -= (blurred - sharp).median()
        # a residual of a few levels, or clipping would hide differences
        model.ending.weight.mul_(0.02)
        model.ending.bias.mul_(0.02)
    return model.eval()


@pytest.fixture(scope="session")
def changing_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights that change whatever counts as blurred; untrained, a network gives the photo back as it is."""
    torch.manual_seed(0)
    network = M2AENet(M2AENetConfig(width=8, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp("weights") / "changing.safetensors"
    save_model(network, path)
    return path


@pytest.fixture(scope="session")
def deblurrer(changing_weights: Path) -> Deblurrer:
    """A deblurrer whose weights lie in a file, as a record needs it."""
    return Deblurrer(changing_weights, device="cpu")


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A colour photo, (300, 451, 3) uint8."""
    import skimage.data

    return np.asarray(skimage.data.chelsea())


@pytest.fixture
def exposed() -> Callable[..., DeblurResult]:
    """Make a result whose restored photo, mask and motion are known: exposed(sharp, mask, start, end, photo=sharp).

    start, end: displacements (y, x), for all pixels or (H, W, 2) or (1, 2, H, W).
    """

    def field(displacement: object, size: tuple[int, ...]) -> torch.Tensor:
        if isinstance(displacement, torch.Tensor):
            return displacement
        values = np.broadcast_to(np.asarray(displacement, np.float32), (*size, 2))
        return torch.from_numpy(values.transpose(2, 0, 1).copy()).unsqueeze(0)

    def make(
        sharp: np.ndarray, mask: np.ndarray, start: object, end: object, photo: np.ndarray | None = None
    ) -> DeblurResult:
        size = mask.shape
        analysis = Analysis(
            image=sharp if photo is None else photo,
            value_range=value_range_of(sharp),
            seconds=0.0,
            model_name="truth",
            coarse_probability=torch.from_numpy(mask.astype(np.float32))[None, None],
            coarse_motion=Motion.of(field(start, size), field(end, size)),
            tiles=(),
            padded_size=(size[0], size[1]),
        )
        return DeblurResult(sharp, mask, float(mask.mean()), 0, 0.0, 0.5, "exact", analysis)

    return make
