"""The record beside a restored photo: all that is needed to make it again."""

import hashlib
import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m2aenet_core import __version__
from m2aenet_core.atomic import encode_text, write_atomic

if TYPE_CHECKING:
    from m2aenet_core.analysis import Analysis, DeblurResult
    from m2aenet_core.deblurrer import Deblurrer


def make_record(
    deblurrer: "Deblurrer",
    result: "DeblurResult",
    source: str | Path | None = None,
    *,
    mask: str | Path | None = None,
    command: Sequence[str] | None = None,
) -> dict[str, object]:
    """What made `result`, as a dictionary that JSON can hold.

    Args:
        deblurrer: it made the result.
        result: of `deblurrer`.
        source: the photo's file; its name, SHA-256 and place are recorded.
        mask: the file of the mask that was used instead of a threshold.
        command: the command line, program first.
    """
    import torch

    from m2aenet_core.checkpoint import lasting_name

    analysis, weights = result.analysis, deblurrer.weights_sha256
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command) if command else None,
        "source": None if source is None else {**_file(source), "path": str(Path(source).absolute())},
        "image": {
            "shape": list(analysis.image.shape),
            "dtype": str(analysis.image.dtype),
            "value_range": [float(limit) for limit in analysis.value_range],
            "pixels_sha256": pixels_sha256(analysis.image),
        },
        "model": {
            "name": deblurrer.model_name if weights is None else lasting_name(deblurrer.model_name),
            "weights_sha256": weights,
        },
        "settings": {
            "threshold": result.threshold,
            "mask": None if mask is None else _file(mask),
            "mask_sha256": mask_sha256(result.mask),
            "execution": result.execution,
            "device": str(deblurrer.device),
            "precision": deblurrer.precision,
            "tile_px": _tile_px(analysis),
            "ensemble": deblurrer.ensemble,
            "scale": float(analysis.scale),
            "linear_light": analysis.linear_light,
        },
        "result": {
            "density": float(result.density),
            "mean_displacement_px": mean_displacement_px(analysis, result.mask),
            "analyze_s": float(analysis.seconds),
            "restore_s": float(result.seconds),
            "analyze_macs": int(analysis.macs),
            "restore_macs": int(result.macs),
            "pixels_sha256": pixels_sha256(result.restored),
        },
        "notes": list(notes_of(result)),
        "versions": {
            "napari-m2aenet": __version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
    }


def write_record(path: str | Path, record: dict[str, object]) -> None:
    """Write `record` as JSON, whole or not at all. Raises InputError where that is refused."""
    write_atomic(path, encode_record(record))


def encode_record(record: dict[str, object]) -> bytes:
    """`record` as the bytes of a JSON file."""
    return encode_text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def mean_displacement_px(analysis: "Analysis", mask: np.ndarray) -> float | None:
    """How far the blurred pixels moved from the start of the exposure to its end, on average.

    None where no pixel is blurred, and for networks that find no motion.

    Args:
        analysis: gives the displacements.
        mask: (H, W) bool.
    """
    if not mask.any() or not analysis.has_motion:
        return None
    moved = analysis.end_displacement[mask] - analysis.start_displacement[mask]
    return float(np.hypot(moved[:, 0], moved[:, 1]).mean(dtype=np.float64))


def notes_of(result: "DeblurResult") -> tuple[str, ...]:
    """What a person should know of how a result was computed, in sentences: that memory was short, for example."""
    return tuple(dict.fromkeys((*result.analysis.notes, *result.notes)))


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pixels_sha256(pixels: np.ndarray) -> str:
    """The SHA-256 of pixels as they lie in memory: the same for a photo, whatever file it is in."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def mask_sha256(mask: np.ndarray) -> str:
    """The SHA-256 of a mask (H, W) bool, eight pixels to a byte."""
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()


def _tile_px(analysis: "Analysis") -> int | None:
    """The side of the tiles; None where the photo was one piece. It follows from free memory, so it is recorded."""
    if len(analysis.tiles) < 2:
        return None
    return max(max(tile.box.height, tile.box.width) for tile in analysis.tiles)


def _file(path: str | Path) -> dict[str, str]:
    return {"name": Path(path).name, "sha256": file_sha256(path)}
