"""What a file holds before it becomes a photo: the common language of `tiff_io`, `pillow_io` and `image_io`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Pillow's own limit: a file of some kilobytes can claim to be larger and fill the memory
MAX_PIXELS = 178_956_970


@dataclass(frozen=True, eq=False)
class StoredImage:
    """Samples as they lie in a file, not yet upright, and what was stored beside them."""

    samples: np.ndarray
    """(H, W), or (H, W, C) with C = 2 (grey and alpha), 3 (RGB) or 4 (RGBA); native byte order."""
    orientation: int = 1
    """EXIF's: 1 is upright, 2 to 8 say how to turn and mirror the samples."""
    icc_profile: bytes | None = None
    exif: bytes | None = None
    """Starts with the byte order; no `Exif` prefix."""
    dpi: tuple[float, float] | None = None
    encoding: Mapping[str, Any] = field(default_factory=dict)
    """How the samples were compressed, for the writer of the same format."""
