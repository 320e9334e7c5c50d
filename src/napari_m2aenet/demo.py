"""The main job on a bundled sample: `python -m napari_m2aenet.demo [-o demo/] [--no-window]`.

Deblurs the sample, writes pictures and a record, says in numbers what was found, and shows it in napari. Without a
display it starts itself in a virtual one and writes a picture of the window.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from m2aenet_core.errors import InputError

if TYPE_CHECKING:
    from m2aenet_core.analysis import DeblurResult
    from m2aenet_core.deblurrer import Deblurrer

SAMPLE = "coffee"
VIRTUAL_SCREEN = "-screen 0 1400x900x24"


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 0 where all went well, else 1 after a sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        if options.screenshot is not None:
            write_screenshot(options.screenshot)
        else:
            deblur_sample(options.output)
            if not options.no_window:
                show(options.output)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def deblur_sample(folder: Path) -> None:
    """Deblur the sample, write everything about it into the folder, and print the numbers."""
    from m2aenet_core.data.samples import make_sample
    from m2aenet_core.deblurrer import Deblurrer

    _make_folder(folder)
    deblurrer = Deblurrer()
    result = deblurrer(make_sample(SAMPLE).blur)
    write_results(folder, deblurrer, result)
    print_numbers(result)
    print(f"written to {folder}/: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def write_results(folder: Path, deblurrer: Deblurrer, result: DeblurResult) -> None:
    """Write the photo, the probability, the mask, two figures and the record; files of an earlier demo are replaced."""
    import numpy as np

    from m2aenet_core.figures import save_figure, side_by_side_figure, trajectory_figure
    from m2aenet_core.image_io import write_image
    from m2aenet_core.record import make_record, write_record

    analysis = result.analysis
    pictures = {
        "restored.png": result.restored,
        "blur_probability.png": np.rint(analysis.blur_probability * 255).astype(np.uint8),
        "mask.png": result.mask.astype(np.uint8) * 255,
    }
    for name, pixels in pictures.items():
        write_image(folder / name, pixels, overwrite=True)
    save_figure(trajectory_figure(analysis.image, analysis, result.mask), folder / "trajectories.png")
    save_figure(side_by_side_figure(analysis.image, result), folder / "side_by_side.png")
    write_record(folder / "record.json", {**make_record(deblurrer, result), "sample": SAMPLE})


def print_numbers(result: DeblurResult) -> None:
    """Print the share of blurred pixels, the mean displacement and the time."""
    from m2aenet_core.record import mean_displacement_px

    analysis = result.analysis
    moved = mean_displacement_px(analysis, result.mask)
    movement = "nothing moved" if moved is None else f"{moved:.1f} px during the exposure, over the blurred pixels"
    print(f"blurred pixels:    {result.density:.1%} of the photo, at a threshold of {result.threshold:g}")
    print(f"mean displacement: {movement}")
    print(f"time:              {analysis.seconds:.1f} s to analyze, {result.seconds:.1f} s to restore")


def show(folder: Path) -> None:
    """Open napari; without a display, write a picture of its window into the folder instead."""
    if has_display():
        from napari_m2aenet.widgets.showcase import show_window

        show_window(SAMPLE)
    else:
        _screenshot_in_virtual_display(folder / "window.png")
        print(f"written to {folder / 'window.png'}: a picture of the napari window, as there is no display")


def has_display() -> bool:
    """Whether a window can be shown."""
    on_linux = sys.platform.startswith("linux")
    return not on_linux or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def write_screenshot(path: Path) -> None:
    """Open the window on the sample, press Run, and write what it then looks like."""
    from m2aenet_core.image_io import write_image
    from napari_m2aenet.widgets.showcase import take_picture

    write_image(path, take_picture(SAMPLE)[..., :3], overwrite=True)


def _screenshot_in_virtual_display(path: Path) -> None:
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise InputError(
            "there is no display, and no xvfb-run to make a virtual one; run `apt-get install xvfb xauth`, "
            "or add --no-window"
        )
    again = [sys.executable, "-m", "napari_m2aenet.demo", "--screenshot", str(path)]
    done = subprocess.run(
        [xvfb, "-a", "-s", VIRTUAL_SCREEN, *again],
        env={**os.environ, "QT_QPA_PLATFORM": "xcb"},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise InputError(f"the picture of the window could not be taken ({lines[-1]}); add --no-window to do without")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error.strerror}); choose another folder with -o") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m napari_m2aenet.demo", description=__doc__.split("\n\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("demo"), help="folder to write to (default: demo)")
    parser.add_argument("--no-window", action="store_true", help="do not open napari")
    parser.add_argument("--screenshot", type=Path, metavar="PATH", help="only write a picture of the window")
    return parser


if __name__ == "__main__":
    sys.exit(main())
