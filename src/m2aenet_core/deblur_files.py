"""Restoring photos from files, one way for the command, the window and scripts.

A photo's files appear together or not at all, and a photo that cannot be restored costs the others nothing.
"""

from __future__ import annotations

import io
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from m2aenet_core.atomic import write_together
from m2aenet_core.deblur_plan import PlannedPhoto
from m2aenet_core.errors import Cancelled, InputError
from m2aenet_core.image_io import Photo, check_storable, encode_image, read_image
from m2aenet_core.record import encode_record, make_record, notes_of
from m2aenet_core.trust_words import check_record, verdict

if TYPE_CHECKING:
    from m2aenet_core.analysis import DeblurResult
    from m2aenet_core.deblurrer import Deblurrer
    from m2aenet_core.working_scale import Scale

_NEEDING_MOTION = ("displacements",)

PhotoProgress = Callable[[PlannedPhoto, int, int], None]
"""Told the photo, and how many of its steps are done of how many; may raise Cancelled."""


@dataclass(frozen=True)
class DeblurSettings:
    """How photos are restored, whoever asks. The defaults are those of the command."""

    model: str = "default"
    device: str = "auto"
    threshold: float = 0.5
    mask: Path | None = None
    """A mask image instead of the threshold; of the photos' size."""
    execution: str = "auto"
    precision: str = "auto"
    tile_px: int | None = None
    value_range: tuple[float, float] | None = None
    ensemble: int | None = None
    """Of how many turned copies of a photo the mean is taken; None for as many as the weights say."""
    scale: Scale = 1.0
    """The share of the photos' sides that is worked at, or "auto"."""
    linear_light: bool = False
    """Whether the photos' values add up as light does; if not, they are sRGB."""
    check: bool = False
    """Blur each result again along its trajectories, and say whether that gives the photo."""


@dataclass(frozen=True, eq=False)
class PhotoDone:
    """What became of one photo: `findings` in words, or `failure`, a sentence that names it."""

    planned: PlannedPhoto
    findings: str = ""
    failure: str | None = None


def open_for(settings: DeblurSettings) -> Deblurrer:
    """The deblurrer of these settings. Raises InputError for names that are none."""
    from m2aenet_core.deblurrer import Deblurrer  # torch is loaded only when there is work

    return Deblurrer(
        settings.model,
        device=settings.device,
        precision=settings.precision,
        execution=settings.execution,
        tile_px=settings.tile_px,
        ensemble=settings.ensemble,
    )


def restore_files(
    deblurrer: Deblurrer,
    photos: Sequence[PlannedPhoto],
    settings: DeblurSettings,
    *,
    command: Sequence[str] | None = None,
    progress: PhotoProgress | None = None,
) -> Iterator[PhotoDone]:
    """Restore planned photos and write their files; what became of each, as soon as it is known.

    Args:
        deblurrer: of `settings`.
        photos: of `make_plan`, after `check_plan`.
        settings: threshold, mask, value range, scale and the kind of values are taken from here.
        command: the command line that does the same; it goes into the records.
        progress: called between the steps of a photo.

    Raises:
        InputError: what is asked for cannot be had of any photo: the mask's file, trajectories or a check of a
            network without motion.
        Cancelled: by `progress`. What was finished is whole.
    """
    wants_motion = any(product in photo.outputs for photo in photos for product in _NEEDING_MOTION)
    if wants_motion and not deblurrer.model.has_motion:
        raise InputError(f"{settings.model} finds no motion; leave --save-trajectories out, or choose another model")
    if settings.check and not deblurrer.model.has_motion:
        raise InputError(f"{settings.model} finds no motion; leave --check out, or choose another model")
    mask = read_mask(settings.mask) if settings.mask is not None else None
    for planned in photos:
        steps = None if progress is None else _steps_of(planned, progress)
        try:
            done = _restore(deblurrer, planned, settings, mask, command, steps)
        except Cancelled:
            raise
        except Exception as error:  # one bad photo must not cost the others
            done = PhotoDone(planned, failure=explain_failure(planned.source, error))
        yield done


def read_mask(path: str | Path) -> np.ndarray:
    """A mask image as (H, W) bool: blurred wherever it is not black. Raises InputError as `read_image` does."""
    pixels = read_image(path).pixels
    colours = pixels[..., None] if pixels.ndim == 2 else pixels[..., :3]
    mask: np.ndarray = np.asarray((colours > 0).any(axis=2))
    return mask


def explain_failure(source: Path, error: Exception) -> str:
    """A sentence about `error` that names the photo. What is not the user's to mend also gets its traceback."""
    from m2aenet_core.device import is_out_of_memory

    if is_out_of_memory(error):
        return f"{source} does not fit into the memory; close other programs, or cut it into smaller photos"
    if not isinstance(error, InputError):
        traceback.print_exception(error)
        return f"{source} failed for a reason that was not foreseen ({type(error).__name__}: {error}); please report it"
    return str(error) if str(source) in str(error) else f"{source}: {error}"


def _steps_of(planned: PlannedPhoto, progress: PhotoProgress) -> Callable[[int, int], None]:
    return lambda done, total: progress(planned, done, total)


def _restore(
    deblurrer: Deblurrer,
    planned: PlannedPhoto,
    settings: DeblurSettings,
    mask: np.ndarray | None,
    command: Sequence[str] | None,
    progress: Callable[[int, int], None] | None,
) -> PhotoDone:
    """Restore one photo and write its files, all or none."""
    from m2aenet_core.deblurrer import check_mask
    from m2aenet_core.trust import measure_trust

    photo = read_image(planned.source)
    # said before the work, not after it
    check_storable(planned.outputs["restored"], photo.pixels, photo)
    if mask is not None:
        check_mask(mask, photo.pixels.shape[:2])
    analysis = deblurrer.analyze(
        photo.pixels,
        value_range=settings.value_range,
        scale=settings.scale,
        linear_light=settings.linear_light,
        progress=progress,
    )
    result = deblurrer.restore(analysis, settings.threshold, mask=mask, progress=progress)
    record: dict[str, Any] = make_record(deblurrer, result, planned.source, mask=settings.mask, command=command)
    findings = _findings(result, record["result"]["mean_displacement_px"])
    if settings.check:
        trust = measure_trust(result, progress=progress)
        record["check"] = check_record(trust)
        findings += f". {verdict(trust).text}"
    record["outputs"] = {product: path.name for product, path in planned.outputs.items()}
    contents = {path: _encode(product, path, result, photo, record) for product, path in planned.outputs.items()}
    write_together(contents)
    return PhotoDone(planned, findings)


def _encode(product: str, path: Path, result: DeblurResult, photo: Photo, record: dict[str, object]) -> bytes:
    from m2aenet_core.figures import encode_figure, side_by_side_figure, trajectory_figure

    analysis = result.analysis
    match product:
        case "restored":
            return encode_image(path, result.restored, like=photo)
        case "record":
            return encode_record(record)
        case "mask":
            return encode_image(path, result.mask)
        case "blur_probability":
            return encode_image(path, np.rint(analysis.blur_probability * 65535).astype(np.uint16))
        case "displacements":
            return _npz(start_displacement=analysis.start_displacement, end_displacement=analysis.end_displacement)
        case "trajectory_figure":
            return encode_figure(trajectory_figure(photo.pixels, analysis, result.mask))
        case "side_by_side_figure":
            return encode_figure(side_by_side_figure(photo.pixels, result))
    raise ValueError(product)


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _findings(result: DeblurResult, moved: float | None) -> str:
    movement = "" if moved is None else f", mean displacement {moved:.1f} px"
    notes = "".join(f". {note.removesuffix('.')}" for note in notes_of(result))
    scale = "" if result.analysis.scale == 1 else f", at scale {result.analysis.scale:g}"
    return f"{result.density:.1%} blurred{movement}{scale}, {result.analysis.seconds + result.seconds:.1f} s{notes}"
