"""Look at what a model makes of many photos at once: `m2aenet sheet --data photos/ --out sheets/`.

No sharp version is needed: a line shows the photo, where blur was found, and the strongest of it before and after. With
sharp versions `m2aenet evaluate` draws sheets that are ranked by what was gained.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from tqdm import tqdm

from m2aenet_core.analysis import Analysis, DeblurResult
from m2aenet_core.atomic import exists, require_writable, write_atomic
from m2aenet_core.cli import EXIT_FAILED, run_command
from m2aenet_core.data.folder import Pixels, list_images
from m2aenet_core.deblur_files import explain_failure
from m2aenet_core.deblurrer import Deblurrer, check_threshold
from m2aenet_core.errors import Cancelled, InputError
from m2aenet_core.evaluation.sheet import SheetRow, heat, largest_sheet_px, sheet_png, side_by_side_png
from m2aenet_core.image_io import read_image
from m2aenet_core.options import parse_options
from m2aenet_core.record import mean_displacement_px

ZOOM = 3
"""The parts before and after are so much larger than the photo beside them."""
_JPEG_PX = 65_500
_TITLES = ("photo", "blur probability", f"photo, {ZOOM} times", f"restored, {ZOOM} times")


@dataclass(frozen=True)
class SheetConfig:
    """Which photos, and how they are shown."""

    data: str
    """Folder of photos, sub-folders included; the sheets in it are left out."""
    out: str = "sheets"
    """Folder for sheet_01.jpg and so on."""
    model: str = "default"
    """Embedded weights by name, or a .safetensors file."""
    threshold: float = 0.5
    """Probability of blur above which a pixel is restored."""
    execution: str = "auto"
    """How: auto, adaptive, exact or dense."""
    device: str = "auto"
    """Where the network runs."""
    rows: int = 12
    """Photos of a sheet."""
    width: int = 0
    """Width of a sheet in pixels; 0 for its natural one, about 1,100."""
    quality: int = 85
    """JPEG quality."""
    overwrite: bool = False
    """Replace files that exist; photos are never replaced."""


class Drawn(NamedTuple):
    """The files of the sheets, and a sentence for each photo that is on none."""

    files: list[Path]
    failures: list[str]


def draw_sheets(config: SheetConfig) -> Drawn:
    """Write the sheets; a photo that cannot be shown costs the others nothing.

    Raises InputError where there are no photos, a file would be replaced, or settings make no sheet.
    """
    if config.rows < 1 or not 0 <= config.width <= 10_000 or not 1 <= config.quality <= 100:
        raise InputError("rows must be at least 1, width from 0 to 10000, quality from 1 to 100")
    check_threshold(config.threshold)
    paths = _photos(config)
    _check_height(config, len(paths))
    files = _files(config, paths)
    deblurrer = Deblurrer(config.model, device=config.device, execution=config.execution)
    drawn = Drawn([], [])
    rows: list[SheetRow] = []
    for number, path in enumerate(tqdm(paths, unit="photo", dynamic_ncols=True), start=1):
        try:
            result = deblurrer(read_image(path).pixels, config.threshold)
            rows.append(SheetRow(_strip(result), _caption(path.relative_to(config.data), result)))
        except Cancelled:
            raise
        except Exception as error:  # one bad photo must not cost the others
            drawn.failures.append(explain_failure(path, error))
        if len(rows) == config.rows or (rows and number == len(paths)):
            file = files[len(drawn.files)]
            write_atomic(file, _jpeg(sheet_png(_TITLES, rows), config.width, config.quality))
            drawn.files.append(file)
            rows = []
    return drawn


def _check_height(config: SheetConfig, photos: int) -> None:
    """Raise InputError where a sheet may become higher than a JPEG can be: better now than after all the work."""
    width, height = largest_sheet_px(len(_TITLES), min(config.rows, photos))
    if height * (config.width or width) / width > _JPEG_PX:
        raise InputError(
            f"{config.rows} rows may make a sheet higher than a JPEG can be ({_JPEG_PX:,} pixels); give fewer rows"
        )


def _photos(config: SheetConfig) -> list[Path]:
    """The photos below the folder, without what lies where the sheets go."""
    # where the photos themselves lie there, `_files` sees to it that they stay
    return list_images(config.data, without=config.out)


def _files(config: SheetConfig, photos: Sequence[Path]) -> list[Path]:
    """The files of as many sheets as the photos fill. Raises InputError where one of them may not be written."""
    count = -(-len(photos) // config.rows)
    files = [Path(config.out) / f"sheet_{number:02d}.jpg" for number in range(1, count + 1)]
    inputs = {photo.resolve() for photo in photos}
    for file in files:
        if file.resolve() in inputs:
            raise InputError(f"{file} would replace a photo; choose another folder with --out")
        if exists(file) and not config.overwrite:
            raise InputError(f"{file} exists; choose another folder with --out, or add --overwrite")
    require_writable(files[0])
    return files


def _strip(result: DeblurResult) -> bytes:
    analysis = result.analysis
    photo, restored = (_colours(image, analysis) for image in (analysis.image, result.restored))
    part = strongest(result.mask, analysis.blur_probability)
    return side_by_side_png([photo, heat(analysis.blur_probability), photo[part], restored[part]])


def strongest(mask: NDArray[np.bool_], probability: NDArray[np.float32]) -> tuple[slice, slice]:
    """Give the part of a photo, a third of its height and width, that holds most of its strongest blur.

    mask, probability (H, W): where nothing is blurred, where it might be first.
    """
    size = [max(1, side // ZOOM) for side in mask.shape]
    amount = ndimage.uniform_filter(probability * (mask if mask.any() else 1), size, mode="constant")
    centre = np.unravel_index(int(amount.argmax()), mask.shape)
    first = [
        int(np.clip(middle - part // 2, 0, side - part))
        for middle, part, side in zip(centre, size, mask.shape, strict=True)
    ]
    return slice(first[0], first[0] + size[0]), slice(first[1], first[1] + size[1])


def _colours(image: NDArray[np.generic], analysis: Analysis) -> Pixels:
    """Give a photo of any kind as uint8 (H, W, 3)."""
    low, high = analysis.value_range
    scaled = np.clip((np.asarray(image, np.float32) - low) / (high - low), 0, 1)
    planes = scaled.reshape(*scaled.shape[:2], -1)
    planes = np.repeat(planes[..., :1], 3, axis=2) if planes.shape[2] < 3 else planes[..., :3]
    return (planes * 255 + 0.5).astype(np.uint8)


def _caption(name: Path, result: DeblurResult) -> str:
    moved = mean_displacement_px(result.analysis, result.mask)
    found = f"{result.density:.1%} blurred"
    return f"{name}    {found}" + ("" if moved is None else f", moved by {moved:.0f} px")


def _jpeg(png: bytes, width: int, quality: int) -> bytes:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    if width:
        image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """Draw as the command line says; 0 if every photo is on a sheet, 1 if one is not."""

    def run() -> int:
        about = "Show what a model makes of many photos: where it finds blur, and the strongest of it before and after."
        drawn = draw_sheets(parse_options(SheetConfig, "m2aenet sheet", about, argv))
        for file in drawn.files:
            print(file)
        for failure in drawn.failures:
            print(f"error: {failure}", file=sys.stderr)
        return EXIT_FAILED if drawn.failures else 0

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
