"""What the benchmarks are tried on."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage.data

from m2aenet_core.image_io import write_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two small sharp photos, whose size is a multiple of nothing."""
    for name in ("chelsea", "coffee"):
        write_image(tmp_path / "photos" / f"{name}.png", getattr(skimage.data, name)()[100:197, 100:230])
    return tmp_path / "photos"
