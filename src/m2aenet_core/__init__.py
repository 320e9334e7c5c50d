"""Local motion deblurring: networks, training, evaluation and inference, without a window.

The public names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m2aenet_core.analysis import Analysis, DeblurResult
    from m2aenet_core.checkpoint import load_model, save_model
    from m2aenet_core.deblurrer import Deblurrer
    from m2aenet_core.errors import Cancelled, InputError
    from m2aenet_core.film import exposure_film
    from m2aenet_core.film_file import write_film
    from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
    from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
    from m2aenet_core.models.macs import count_macs
    from m2aenet_core.models.nafnet import NAFNet, NAFNetConfig
    from m2aenet_core.published import load_published, read_published
    from m2aenet_core.trust import measure_trust

__version__ = "0.1.0"

_HOME = {
    "Analysis": "analysis",
    "Deblurrer": "deblurrer",
    "DeblurResult": "analysis",
    "Cancelled": "errors",
    "InputError": "errors",
    "LMDViT": "models.lmdvit",
    "LMDViTConfig": "models.lmdvit",
    "M2AENet": "models.m2aenet",
    "M2AENetConfig": "models.m2aenet",
    "NAFNet": "models.nafnet",
    "NAFNetConfig": "models.nafnet",
    "count_macs": "models.macs",
    "exposure_film": "film",
    "load_model": "checkpoint",
    "load_published": "published",
    "measure_trust": "trust",
    "read_published": "published",
    "save_model": "checkpoint",
    "write_film": "film_file",
}

__all__ = [
    "Analysis",
    "Cancelled",
    "DeblurResult",
    "Deblurrer",
    "InputError",
    "LMDViT",
    "LMDViTConfig",
    "M2AENet",
    "M2AENetConfig",
    "NAFNet",
    "NAFNetConfig",
    "__version__",
    "count_macs",
    "exposure_film",
    "load_model",
    "load_published",
    "measure_trust",
    "read_published",
    "save_model",
    "write_film",
]


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
