"""A film of an exposure as a file: GIF and MP4 to look at, TIFF with every value."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from m2aenet_core.atomic import atomic_path, require_free
from m2aenet_core.errors import InputError
from m2aenet_core.figures import displayable
from m2aenet_core.pixels import Image, ValueRange, value_range_of

FILM_SUFFIXES = (".gif", ".mp4", ".tif", ".tiff")
FRAMES_PER_SECOND = 10
_LONGEST_PX = {".gif": 960, ".mp4": 1920}
# shorter than this a player shows its buttons rather than the film
_VIDEO_S = 4.0


def write_film(
    path: str | Path,
    film: Image,
    *,
    value_range: ValueRange | None = None,
    frames_per_second: float = FRAMES_PER_SECOND,
    longest_px: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write a film (N, H, W) or (N, H, W, C) as .gif, .mp4, .tif or .tiff, whole or not at all.

    TIFF holds the instants as they are, a page each. GIF and MP4 are for the eye: 8 bits, played to the end and back
    so that they can go round, and no larger than `longest_px` (by default 960 for GIF and 1920 for MP4). value_range:
    the values shown as black and white (by default `value_range_of`).

    Raises InputError for another suffix, a speed that is none, a file that exists unless `overwrite`, one that cannot
    be written, and for MP4 where ffmpeg is not installed.
    """
    path = Path(path)
    check_film_path(path)
    if not 0 < frames_per_second < math.inf:  # NaN too
        raise InputError(f"frames_per_second is {frames_per_second}; give a number above 0, such as 10")
    require_free(path, overwrite=overwrite)
    with atomic_path(path) as temporary:
        if path.suffix.lower() in (".tif", ".tiff"):
            _write_tiff(temporary, film)
            return
        value_range = value_range_of(film.reshape(-1, *film.shape[2:])) if value_range is None else value_range
        limit = longest_px or _LONGEST_PX[path.suffix.lower()]
        frames = [_shown(frame, value_range, limit) for frame in film]
        there_and_back = [*frames, *frames[-2:0:-1]]
        if path.suffix.lower() == ".gif":
            _write_gif(temporary, there_and_back, frames_per_second)
        else:
            _write_mp4(temporary, there_and_back, frames_per_second)


def check_film_path(path: str | Path) -> None:
    """Raise InputError where a film cannot be written to a file of this name: its suffix, or ffmpeg is missing."""
    suffix = Path(path).suffix.lower()
    if suffix not in FILM_SUFFIXES:
        raise InputError(f"{path} does not end like a film; use one of {', '.join(FILM_SUFFIXES)}")
    if suffix == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise InputError("MP4 needs ffmpeg, which is not installed; run `pip install imageio[ffmpeg]`, or write a GIF")


def _write_tiff(path: Path, film: Image) -> None:
    import tifffile

    has_colour = film.ndim == 4 and film.shape[-1] > 1
    pages = film if has_colour or film.ndim == 3 else film[..., 0]
    tifffile.imwrite(
        path,
        np.ascontiguousarray(pages),
        photometric="rgb" if has_colour else "minisblack",
        extrasamples=["unassalpha"] if pages.shape[-1] == 4 and has_colour else None,
        metadata={"axes": "TYXS" if has_colour else "TYX"},
        compression="adobe_deflate",
        predictor=pages.dtype.itemsize <= 2,
    )


def _write_gif(path: Path, frames: list[np.ndarray], frames_per_second: float) -> None:
    import imageio.v3

    imageio.v3.imwrite(path, frames, extension=".gif", duration=1000 / frames_per_second, loop=0)


def _write_mp4(path: Path, frames: list[np.ndarray], frames_per_second: float) -> None:
    import imageio.v3

    rounds = max(1, round(_VIDEO_S * frames_per_second / len(frames)))
    try:
        imageio.v3.imwrite(
            path, frames * rounds, plugin="FFMPEG", extension=".mp4", fps=frames_per_second, macro_block_size=2
        )
    except RuntimeError as error:  # ffmpeg is there and cannot be run
        raise InputError(f"ffmpeg could not write the MP4 ({error}); write a GIF or a TIFF") from error


def _shown(frame: Image, value_range: ValueRange, longest_px: int) -> np.ndarray:
    """A frame for the eye, with even sides, as films in colour need them."""
    picture = PillowImage.fromarray(displayable(frame, value_range))
    shrink = min(1.0, longest_px / max(picture.size))
    width, height = (max(2, round(side * shrink / 2) * 2) for side in picture.size)
    if (width, height) != picture.size:
        picture = picture.resize((width, height), PillowImage.Resampling.LANCZOS)
    return np.asarray(picture)
