"""Restore photos from files and folders: `m2aenet deblur photo.jpg street/ -o out/`.

Every photo gets a JSON record beside it with all that is needed to make it again. A photo that cannot be restored is
named, and the others are done all the same.
"""

import argparse
import io
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from m2aenet_core.atomic import write_together
from m2aenet_core.cli import EXIT_FAILED, run_command
from m2aenet_core.deblur_plan import PlannedPhoto, check_plan, make_plan
from m2aenet_core.errors import InputError
from m2aenet_core.image_io import Photo, check_storable, encode_image, read_image
from m2aenet_core.record import encode_record, make_record, mean_displacement_px

if TYPE_CHECKING:
    from m2aenet_core.analysis import DeblurResult
    from m2aenet_core.deblurrer import Deblurrer

_SAVED_BY_OPTION = {
    "save_mask": ("mask",),
    "save_probability": ("blur_probability",),
    "save_trajectories": ("displacements",),
    "save_figure": ("trajectory_figure", "side_by_side_figure"),
}
_NEEDING_MOTION = ("save_trajectories",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `m2aenet deblur` with these arguments; 0 if every photo was restored, 1 if one was not, 2 for wrong usage."""
    return run_command(lambda: _deblur(list(sys.argv[1:] if argv is None else argv)))


def read_mask(path: str | Path) -> np.ndarray:
    """A mask image as (H, W) bool: blurred wherever it is not black. Raises InputError as `read_image` does."""
    pixels = read_image(path).pixels
    colours = pixels[..., None] if pixels.ndim == 2 else pixels[..., :3]
    mask: np.ndarray = np.asarray((colours > 0).any(axis=2))
    return mask


def _deblur(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    products = [product for option, saved in _SAVED_BY_OPTION.items() if getattr(options, option) for product in saved]
    plan = make_plan(
        options.inputs, options.out, products=products, recursive=options.recursive, file_format=options.format
    )
    check_plan(plan, overwrite=options.overwrite, also_read=[options.mask] if options.mask else [])
    mask = read_mask(options.mask) if options.mask else None
    failures = list(plan.problems)
    for problem in plan.problems:
        print(f"error: {problem}", file=sys.stderr)
    if plan.photos:
        command = ["m2aenet", "deblur", *arguments]
        failures += _restore_all(plan.photos, options, mask, command)
    return _summarize(len(plan.photos) + len(plan.problems), failures, options.out)


def _restore_all(
    photos: list[PlannedPhoto], options: argparse.Namespace, mask: np.ndarray | None, command: list[str]
) -> list[str]:
    """Restore every photo; a sentence for each that failed."""
    from m2aenet_core.deblurrer import Deblurrer  # torch is loaded only when there is work

    deblurrer = Deblurrer(
        options.model,
        device=options.device,
        precision=options.precision,
        execution=options.execution,
        tile_px=options.tile_px,
    )
    without_motion = [option for option in _NEEDING_MOTION if getattr(options, option)]
    if without_motion and not deblurrer.model.has_motion:
        flags = " and ".join(f"--{option.replace('_', '-')}" for option in without_motion)
        raise InputError(f"{options.model} finds no motion; leave {flags} out, or choose another model")
    failures: list[str] = []
    with tqdm(total=len(photos), unit="photo", disable=None, dynamic_ncols=True) as bar:
        for planned in photos:
            bar.set_description_str(planned.source.name)
            try:
                line = _restore(deblurrer, planned, options, mask, command, _show_tiles(bar))
            except Exception as error:  # one bad photo must not cost the others
                failures.append(explain_failure(planned.source, error))
                bar.write(f"error: {failures[-1]}", file=sys.stderr)
            else:
                bar.write(line, file=sys.stdout)
            bar.update()
    return failures


def _restore(
    deblurrer: "Deblurrer",
    planned: PlannedPhoto,
    options: argparse.Namespace,
    mask: np.ndarray | None,
    command: list[str],
    progress: Callable[[int, int], None],
) -> str:
    """Restore one photo and write its files, all or none; a line that tells what was found."""
    from m2aenet_core.deblurrer import check_mask

    photo = read_image(planned.source)
    # said before the work, not after it
    check_storable(planned.outputs["restored"], photo.pixels, photo)
    if mask is not None:
        check_mask(mask, photo.pixels.shape[:2])
    value_range = tuple(options.value_range) if options.value_range else None
    analysis = deblurrer.analyze(photo.pixels, value_range=value_range, progress=progress)
    result = deblurrer.restore(analysis, options.threshold, mask=mask, progress=progress)
    record = make_record(deblurrer, result, planned.source, mask=options.mask, command=command)
    record["outputs"] = {product: path.name for product, path in planned.outputs.items()}
    contents = {path: _encode(product, path, result, photo, record) for product, path in planned.outputs.items()}
    write_together(contents)
    return f"{planned.outputs['restored']}: {_findings(result)}"


def _encode(product: str, path: Path, result: "DeblurResult", photo: Photo, record: dict[str, object]) -> bytes:
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


def _findings(result: "DeblurResult") -> str:
    moved = mean_displacement_px(result.analysis, result.mask)
    movement = "" if moved is None else f", mean displacement {moved:.1f} px"
    return f"{result.density:.1%} blurred{movement}, {result.analysis.seconds + result.seconds:.1f} s"


def explain_failure(source: Path, error: Exception) -> str:
    """A sentence about `error` that names the photo. What is not the user's to mend also gets its traceback."""
    if isinstance(error, MemoryError):
        return f"{source} does not fit into the memory; close other programs, or cut it into smaller photos"
    if not isinstance(error, InputError):
        traceback.print_exception(error)
        return f"{source} failed for a reason that was not foreseen ({type(error).__name__}: {error}); please report it"
    return str(error) if str(source) in str(error) else f"{source}: {error}"


def _show_tiles(bar: "tqdm[Any]") -> Callable[[int, int], None]:
    return lambda done, total: bar.set_postfix_str(f"{done}/{total}")


def _summarize(count: int, failures: list[str], out: Path) -> int:
    if not failures:
        print(f"{count} of {count} photos restored into {out}")
        return 0
    print(f"{count - len(failures)} of {count} photos restored into {out}; {len(failures)} failed:", file=sys.stderr)
    for failure in failures:
        print(f"  {failure}", file=sys.stderr)
    return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="m2aenet deblur",
        description="Restore photos with local motion blur. Bit depth, alpha, colour profile and EXIF are kept.",
        epilog="A restored photo keeps its name. Beside it lies NAME.json, with all that is needed to make it again.",
    )
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="INPUT", help="photo, or folder of photos")
    add("-o", "--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    add("-r", "--recursive", action="store_true", help="also photos in sub-folders, which are made below FOLDER")
    add("--overwrite", action="store_true", help="replace files that exist; inputs are never replaced")
    add("--format", choices=("keep", "png", "tif"), default="keep", help="of the restored photos (default: keep)")
    what = parser.add_argument_group("what is blurred").add_mutually_exclusive_group()
    what.add_argument(
        "--threshold",
        type=_threshold,
        default=0.5,
        metavar="NUMBER",
        help="blur probability above which (default: 0.5)",
    )
    what.add_argument("--mask", type=Path, help="instead: an image of the photos' size, blurred where it is not black")
    how = parser.add_argument_group("how").add_argument
    how("--model", default="default", help="name of embedded weights or a .safetensors file (default: default)")
    how("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    how("--execution", default="auto", help="auto, exact, adaptive or dense (default: auto)")
    how("--precision", default="auto", help="auto, float32, bfloat16 or float16 (default: auto)")
    how("--tile-px", type=_tile_side, metavar="SIDE", help="largest side of a tile (default: as memory allows)")
    how(
        "--value-range",
        type=float,
        nargs=2,
        metavar=("BLACK", "WHITE"),
        help="values of black and white, where they cannot be told from the photo (such as a dark frame of 12 bits)",
    )
    save = parser.add_argument_group("what to write beside each photo").add_argument
    save("--save-mask", action="store_true", help="STEM_mask.png: 255 where blurred, 0 elsewhere")
    save(
        "--save-probability", action="store_true", help="STEM_blur_probability.png: 16 bits, 65535 = certainly blurred"
    )
    save(
        "--save-trajectories",
        action="store_true",
        help="STEM_trajectories.npz: start_displacement and end_displacement, (H, W, 2) float32, (y, x) in pixels "
        "from mid-exposure",
    )
    save("--save-figure", action="store_true", help="STEM_trajectories.png and STEM_side_by_side.png")
    return parser


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; give one between 0 and 1") from None
    if not 0 <= value <= 1:  # NaN too
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1; the usual threshold is 0.5")
    return value


def _tile_side(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of pixels; give one such as 1024")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
