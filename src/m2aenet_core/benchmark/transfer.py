"""Tell what becomes of blur that is made otherwise than that of training: `m2aenet benchmark transfer --data photos/`.

Weights that had learned one maker's habits instead of what blur looks like would find less of another's. Writes
transfer.md, transfer.json and transfer.png, the best and the worst photo of each kind.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from m2aenet_core.analysis import DeblurResult
from m2aenet_core.atomic import encode_text, require_writable, write_together
from m2aenet_core.benchmark.made_otherwise import KINDS, MadeOtherwise, make
from m2aenet_core.benchmark.report import encode_measurements, markdown_table, mean_of
from m2aenet_core.data.folder import list_images, read_rgb
from m2aenet_core.deblurrer import Deblurrer, check_threshold
from m2aenet_core.device import resolve_device
from m2aenet_core.errors import InputError
from m2aenet_core.evaluation.scores import PSNR_CEILING_DB
from m2aenet_core.evaluation.sheet import SheetRow, around, heat, mask_picture, sheet_png, side_by_side_png
from m2aenet_core.metrics import mask_scores, psnr
from m2aenet_core.options import parse_options

_HEADINGS = (
    "kind",
    "photos",
    "before dB",
    "gain inside dB",
    "worst",
    "gain dB",
    "worse",
    "outside dB",
    "mask IoU",
)
# of a photo: a larger object leaves nothing sharp beside it
_LARGEST = 0.5
_TITLES = ("blur", "restored", "sharp", "probability", "true mask")


@dataclass(frozen=True)
class TransferConfig:
    """Which network looks at what."""

    data: str
    """Folder of sharp photos."""
    out: str = "transfer"
    """Folder for the table and the picture."""
    model: str = "default"
    """Embedded weights by name, or a .safetensors file."""
    kinds: tuple[str, ...] = tuple(KINDS)
    """Ways in which blur is made, all by default."""
    path_px: tuple[float, float] = (8, 34)
    """Shortest and longest path, pixels."""
    area: tuple[float, float] = (0.03, 0.15)
    """Smallest and largest share of a photo that the object takes."""
    limit: int | None = None
    """Take the first so many photos only."""
    threshold: float = 0.5
    """Probability above which a pixel counts as blurred."""
    seed: int = 0
    """Decides the blur."""
    device: str = "auto"
    """Where the network runs."""

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if not self.kinds:
            raise InputError(f"no kind of blur is given; choose some of {', '.join(KINDS)}")
        if unknown:
            raise InputError(f"there is no kind of blur called {unknown[0]!r}; choose some of {', '.join(KINDS)}")
        if not 0 < self.path_px[0] <= self.path_px[1] < math.inf:
            raise InputError(f"path_px is {self.path_px[0]:g} to {self.path_px[1]:g}; give two lengths, shortest first")
        if not 0 < self.area[0] <= self.area[1] <= _LARGEST:
            raise InputError(
                f"area is {self.area[0]:g} to {self.area[1]:g}; give two shares of 1, smallest first, up to {_LARGEST}"
            )
        if self.limit is not None and self.limit < 1:
            raise InputError("limit counts photos; give at least 1")


@dataclass(frozen=True)
class TransferFigures:
    """What became of a photo; figures as those of `m2aenet evaluate`, NaN where no pixel is blurred."""

    kind: str
    photo: str
    path_px: float
    psnr: float
    """Of the blurred photo, dB."""
    gain_w: float
    gain: float
    outside: float
    mask_iou: float


@dataclass(frozen=True)
class Transferred:
    """The figures of a photo, and its line in the picture."""

    figures: TransferFigures
    row: SheetRow


def benchmark_transfer(config: TransferConfig) -> Iterator[Transferred]:
    """Give one blurred photo after the other, kind by kind.

    Raises InputError for folders and models that cannot be used.
    """
    deblurrer = Deblurrer(config.model, device=config.device)
    if not deblurrer.model.has_mask:
        raise InputError(f"{config.model} does not look where the blur is; choose a model that finds it")
    paths = list_images(config.data, without=config.out)[: config.limit]
    for kind in config.kinds:
        for index, path in enumerate(paths):
            rng = np.random.default_rng((config.seed, index, list(KINDS).index(kind)))
            length_px, area = rng.uniform(*config.path_px), rng.uniform(*config.area)
            other = read_rgb(paths[(index + 1) % len(paths)])
            made = make(kind, read_rgb(path), other, length_px, area, rng)
            result = deblurrer(made.blur, config.threshold)
            figures = _figures(kind, path.relative_to(Path(config.data)).as_posix(), length_px, made, result)
            yield Transferred(figures, _row(figures, made, result))


def _figures(kind: str, photo: str, length_px: float, made: MadeOtherwise, result: DeblurResult) -> TransferFigures:
    return TransferFigures(
        kind=kind,
        photo=photo,
        path_px=length_px,
        psnr=psnr(made.blur, made.sharp),
        gain_w=psnr(result.restored, made.sharp, made.mask) - psnr(made.blur, made.sharp, made.mask),
        gain=psnr(result.restored, made.sharp) - psnr(made.blur, made.sharp),
        outside=min(psnr(result.restored, made.blur, ~made.mask), PSNR_CEILING_DB),
        mask_iou=mask_scores(result.mask, made.mask).iou,
    )


def _row(figures: TransferFigures, made: MadeOtherwise, result: DeblurResult) -> SheetRow:
    top, bottom, left, right = around(made.mask, made.blur.shape[:2])
    pictures = (made.blur, result.restored, made.sharp, heat(result.analysis.blur_probability), mask_picture(made.mask))
    gained = "nothing is blurred" if math.isnan(figures.gain_w) else f"{figures.gain_w:+.2f} dB in the blur"
    caption = (
        f"{figures.kind}: {figures.photo}    path {figures.path_px:.0f} px, {gained}, mask IoU {figures.mask_iou:.2f}"
    )
    return SheetRow(side_by_side_png([picture[top:bottom, left:right] for picture in pictures]), caption)


def to_table(measured: Sequence[TransferFigures]) -> str:
    """Give a row for each kind and one over all in Markdown: means over photos, and the least gain inside the blur."""
    kinds = list(dict.fromkeys(each.kind for each in measured))
    groups = [(kind, [each for each in measured if each.kind == kind]) for kind in kinds]
    if len(groups) > 1:
        groups.append(("all", list(measured)))
    rows = []
    for kind, some in groups:
        rows.append(
            (
                kind,
                str(len(some)),
                f"{mean_of(some, 'psnr'):.2f}",
                f"{mean_of(some, 'gain_w'):+.2f}",
                f"{_least(some):+.2f}",
                f"{mean_of(some, 'gain'):+.2f}",
                f"{np.mean([each.gain < 0 for each in some]):.0%}",
                f"{mean_of(some, 'outside'):.1f}",
                f"{mean_of(some, 'mask_iou'):.3f}",
            )
        )
    return markdown_table(_HEADINGS, rows)


def _least(figures: Sequence[TransferFigures]) -> float:
    """Give the smallest gain inside the blur; NaN where nothing is blurred."""
    return min((each.gain_w for each in figures if not math.isnan(each.gain_w)), default=math.nan)


def _best_and_worst(measured: Sequence[Transferred]) -> list[SheetRow]:
    """Give the rows of the photo of each kind that gained most inside its blur, and of the one that gained least."""
    rows: list[SheetRow] = []
    for kind in dict.fromkeys(each.figures.kind for each in measured):
        same = [each for each in measured if each.figures.kind == kind]
        # where nothing is blurred, nothing is gained
        ranked = sorted(same, key=lambda each: 0.0 if math.isnan(each.figures.gain_w) else each.figures.gain_w)
        rows += [each.row for each in (*ranked[-1:], *ranked[:1])][: len(ranked)]
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as the command line says, and print the table."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Tell what becomes of blur that is made otherwise than that of training."
        config = parse_options(TransferConfig, "m2aenet benchmark transfer", about, argv)
        out = Path(config.out)
        require_writable(out / "transfer.json")
        count = len(config.kinds) * len(list_images(config.data, without=config.out)[: config.limit])
        measured = list(tqdm(benchmark_transfer(config), total=count, unit="photo"))
        figures = [each.figures for each in measured]
        table = to_table(figures)
        write_together(
            {
                out / "transfer.json": encode_measurements(config, figures, resolve_device(config.device)),
                out / "transfer.md": encode_text(table + "\n"),
                out / "transfer.png": sheet_png(_TITLES, _best_and_worst(measured)),
            }
        )
        print(table)

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
