"""Restore photos from files and folders: `m2aenet deblur photo.jpg street/ -o out/`.

Every photo gets a JSON record beside it with all that is needed to make it again. A photo that cannot be restored is
named, and the others are done all the same.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from m2aenet_core.cli import EXIT_FAILED, run_command
from m2aenet_core.deblur_files import DeblurSettings, open_for, restore_files
from m2aenet_core.deblur_plan import SAVED_BY_OPTION, PlannedPhoto, check_plan, make_plan

if TYPE_CHECKING:
    from m2aenet_core.working_scale import Scale


def main(argv: Sequence[str] | None = None) -> int:
    """Run `m2aenet deblur` with these arguments; 0 if every photo was restored, 1 if one was not, 2 for wrong usage."""
    return run_command(lambda: _deblur(list(sys.argv[1:] if argv is None else argv)))


def _deblur(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    products = [product for option, saved in SAVED_BY_OPTION.items() if getattr(options, option) for product in saved]
    plan = make_plan(
        options.inputs, options.out, products=products, recursive=options.recursive, file_format=options.format
    )
    check_plan(plan, overwrite=options.overwrite, also_read=[options.mask] if options.mask else [])
    failures = list(plan.problems)
    for problem in plan.problems:
        print(f"error: {problem}", file=sys.stderr)
    if plan.photos:
        failures += _restore_all(plan.photos, _settings(options), ["m2aenet", "deblur", *arguments])
    return _summarize(len(plan.photos) + len(plan.problems), failures, options.out)


def _settings(options: argparse.Namespace) -> DeblurSettings:
    return DeblurSettings(
        model=options.model,
        device=options.device,
        threshold=options.threshold,
        mask=options.mask,
        execution=options.execution,
        precision=options.precision,
        tile_px=options.tile_px,
        ensemble=options.ensemble,
        value_range=tuple(options.value_range) if options.value_range else None,
        scale=options.scale,
        linear_light=options.linear_light,
        check=options.check,
    )


def _restore_all(photos: list[PlannedPhoto], settings: DeblurSettings, command: list[str]) -> list[str]:
    """Restore every photo; a sentence for each that failed."""
    deblurrer = open_for(settings)
    failures: list[str] = []
    with tqdm(total=len(photos), unit="photo", disable=None, dynamic_ncols=True) as bar:

        def show_steps(planned: PlannedPhoto, done: int, total: int) -> None:
            bar.set_description_str(planned.source.name)
            bar.set_postfix_str(f"{done}/{total}")

        for done in restore_files(deblurrer, photos, settings, command=command, progress=show_steps):
            if done.failure is not None:
                failures.append(done.failure)
                bar.write(f"error: {done.failure}", file=sys.stderr)
            else:
                bar.write(f"{done.planned.outputs['restored']}: {done.findings}", file=sys.stdout)
            bar.update()
    return failures


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
    add("inputs", nargs="+", type=_path, metavar="INPUT", help="photo, or folder of photos")
    add("-o", "--out", type=_path, required=True, metavar="FOLDER", help="where to write")
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
    what.add_argument("--mask", type=_path, help="instead: an image of the photos' size, blurred where it is not black")
    how = parser.add_argument_group("how").add_argument
    how("--model", default="default", help="name of embedded weights or a .safetensors file (default: default)")
    how("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    how("--execution", default="auto", help="auto, exact, adaptive or dense (default: auto)")
    how("--precision", default="auto", help="auto, float32, bfloat16 or float16 (default: auto)")
    how(
        "--ensemble",
        type=int,
        choices=(1, 2, 4, 8),
        help="of how many turned copies of a photo the mean is taken: the more the better, for as many times the work "
        "(default: as the weights say, 2 for small)",
    )
    how("--tile-px", type=_tile_side, metavar="SIDE", help="largest side of a tile (default: as memory allows)")
    how(
        "--value-range",
        type=float,
        nargs=2,
        metavar=("BLACK", "WHITE"),
        help="values of black and white, where they cannot be told from the photo (such as a dark frame of 12 bits)",
    )
    how(
        "--scale",
        type=_scale,
        default=1.0,
        metavar="SCALE",
        help="share of the photo's sides that is worked at: 0.5 or 0.25 for blur of 40 pixels and more; or auto, "
        "chosen from what is found (default: 1)",
    )
    how(
        "--linear-light",
        action="store_true",
        help="values add up as light does, as in micrographs and in means of a video's frames (default: they are sRGB)",
    )
    how(
        "--check",
        action="store_true",
        help="blur each result again along its trajectories, and say whether that gives the photo; if not, do not "
        "trust the result",
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


def _path(text: str) -> Path:
    if not text:  # a variable of a script that was not set; it would mean the current folder
        raise argparse.ArgumentTypeError("an empty text names no file or folder; write . for the current folder")
    return Path(text)


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; give one between 0 and 1") from None
    if not 0 <= value <= 1:  # NaN too
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1; the usual threshold is 0.5")
    return value


def _scale(text: str) -> "Scale":
    if text == "auto":
        return "auto"
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto; give one such as 0.5") from None
    if not 0 < value <= 1:  # NaN too
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to 1; give one such as 0.5")
    return value


def _tile_side(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of pixels; give one such as 1024")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
