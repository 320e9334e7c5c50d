"""A run small enough to be made for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from m2aenet_core.data.synthetic import MadeBlurConfig
from m2aenet_core.models.m2aenet import M2AENetConfig
from m2aenet_core.models.nafnet import NAFNetConfig
from m2aenet_core.training.config import TrainConfig

ONE_BLOCK = M2AENetConfig(width=4, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two sharp photos, 120 x 100."""
    import skimage.data

    folder = tmp_path_factory.mktemp("photos")
    for name in ("chelsea", "astronaut"):
        Image.fromarray(getattr(skimage.data, name)()[50:150, 100:220]).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def config(photos: Path, tmp_path: Path) -> TrainConfig:
    """Four steps of a tiny network."""
    return TrainConfig(
        data=str(photos),
        out=str(tmp_path / "run"),
        model=ONE_BLOCK,
        nafnet=NAFNetConfig(4, (1, 1, 1, 1), 1, (1, 1, 1, 1)),
        blur=MadeBlurConfig(crop_px=32, object_px=(12, 24), path_px=(4, 8), still_share=0),
        steps=4,
        batch_size=2,
        workers=0,
        accelerator="cpu",
        validate_every=2,
        save_every=2,
        validation_samples=2,
    )
