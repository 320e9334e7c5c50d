"""Tell at which working scale blur of which length is best restored: `m2aenet benchmark scales --data photos/`.

Blur of each length is made on photos; each is restored at each scale, and at the one that is chosen from what is found.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tqdm import tqdm

from m2aenet_core.atomic import write_atomic
from m2aenet_core.benchmark.options import parse_benchmark
from m2aenet_core.benchmark.report import encode_measurements, markdown_table
from m2aenet_core.data.folder import Pixels, list_images, read_cutouts, read_rgb
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.whole_photos import WholePhotosConfig, blurred_sample
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.device import resolve_device
from m2aenet_core.errors import InputError
from m2aenet_core.metrics import mask_scores, psnr
from m2aenet_core.pixels import to_uint8
from m2aenet_core.working_scale import AUTO, Scale

_HEADINGS = ("path px", "scale", "gain inside dB", "gain dB", "mask IoU", "found px", "chosen", "work")


@dataclass(frozen=True)
class ScalesConfig:
    """Which network, on what, at which scales."""

    data: str
    """Folder of sharp photos."""
    cutouts: str | None = None
    """Folder of cut-out objects; without it, random shapes of photo move."""
    model: str = "default"
    """Embedded weights by name, or a .safetensors file."""
    paths_px: tuple[float, ...] = (8, 16, 24, 32, 48, 64, 96)
    """Lengths of the path from start to end of the exposure, pixels."""
    scales: tuple[float, ...] = (1, 0.5, 0.25)
    """Working scales by hand; `auto` comes beside them."""
    area: tuple[float, float] = (0.05, 0.2)
    """Smallest and largest blurred share of a photo."""
    enlarge: float = 1
    """Make the photos so many times larger first: a photo of many megapixels is soft when it is seen pixel by pixel."""
    limit: int = 8
    """Take the first so many photos."""
    threshold: float = 0.5
    """Probability above which a pixel counts as blurred."""
    seed: int = 0
    """Decides the blur."""
    device: str = "auto"
    """Where the network runs."""
    out: str = ""
    """A JSON file for the figures of each photo, with machine and versions; none when empty."""

    def __post_init__(self) -> None:
        for name in ("paths_px", "scales"):
            if not getattr(self, name) or min(getattr(self, name)) <= 0:
                raise InputError(f"{name} is {getattr(self, name)}; give numbers above 0")
        if self.limit < 1 or self.enlarge <= 0:
            raise InputError("limit and enlarge must be above 0")


@dataclass(frozen=True)
class ScaleFigures:
    """What became of a photo at a scale; figures as those of `m2aenet evaluate`.

    asked: the scale, or auto; used: that at which it was worked; true_px, found_px: mean length from start to end
    inside the true mask; macs: of analysis and restoration.
    """

    path_px: float
    photo: str
    asked: str
    used: float
    gain_w: float
    gain: float
    mask_iou: float
    true_px: float
    found_px: float
    macs: int


def benchmark_scales(config: ScalesConfig) -> Iterator[list[ScaleFigures]]:
    """Give the figures of one photo after the other, at all scales. Raises InputError where there are no photos."""
    deblurrer = Deblurrer(config.model, device=config.device)
    if not deblurrer.model.has_motion:
        raise InputError(f"{config.model} finds no motion; choose an M2AENet")
    scales: tuple[Scale, ...] = (*config.scales, AUTO)
    for path_px in config.paths_px:
        for name, sample in _samples(config, path_px):
            yield [_figures(config, deblurrer, path_px, name, sample, scale) for scale in scales]


def _samples(config: ScalesConfig, path_px: float) -> Iterator[tuple[str, Batch]]:
    made = WholePhotosConfig(data=config.data, path_px=(path_px, path_px), area=config.area)
    paths = list_images(config.data)
    cutouts = read_cutouts(config.cutouts) if config.cutouts else []
    photos = [_enlarged(read_rgb(path), config.enlarge) for path in paths[: config.limit]]
    for index, photo in enumerate(photos):
        others = [other for other in photos if other is not photo] or [photo]
        rng = np.random.default_rng((config.seed, index, 0))
        yield paths[index].relative_to(Path(config.data)).as_posix(), blurred_sample(made, photo, others, cutouts, rng)


def _enlarged(photo: Pixels, factor: float) -> Pixels:
    if factor == 1:
        return photo
    tensor = torch.from_numpy(photo).permute(2, 0, 1).unsqueeze(0) / 255
    return to_uint8(F.interpolate(tensor, scale_factor=factor, mode="bicubic", antialias=True)[0])


def _figures(
    config: ScalesConfig, deblurrer: Deblurrer, path_px: float, name: str, sample: Batch, scale: Scale
) -> ScaleFigures:
    blur, sharp = to_uint8(sample.blur[0]), to_uint8(sample.sharp[0])
    mask = sample.mask[0, 0].numpy() > 0.5
    result = deblurrer(blur, config.threshold, scale=scale)
    analysis = result.analysis
    moved = sample.end[0] - sample.start[0]
    return ScaleFigures(
        path_px=path_px,
        photo=name,
        asked=str(scale),
        used=analysis.scale,
        gain_w=psnr(result.restored, sharp, mask) - psnr(blur, sharp, mask),
        gain=psnr(result.restored, sharp) - psnr(blur, sharp),
        mask_iou=mask_scores(result.mask, mask).iou,
        true_px=_length(np.moveaxis(moved.numpy(), 0, -1), mask),
        found_px=_length(analysis.end_displacement - analysis.start_displacement, mask),
        macs=analysis.macs + result.macs,
    )


def _length(moved: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    return float(np.linalg.norm(moved[mask], axis=-1).mean())


def to_table(config: ScalesConfig, measured: Sequence[ScaleFigures]) -> str:
    """Give means over photos in Markdown, a row for each length and scale; work is against that of the first scale."""
    rows = []
    for path_px in config.paths_px:
        at_one = [each.macs for each in measured if each.path_px == path_px and each.asked == str(config.scales[0])]
        for asked in (*map(str, config.scales), AUTO):
            here = [each for each in measured if each.path_px == path_px and each.asked == asked]
            if not here:
                continue
            mean = {
                field.name: float(np.mean([getattr(each, field.name) for each in here]))
                for field in fields(ScaleFigures)
                if field.type in ("float", "int")
            }
            used = Counter(each.used for each in here)
            chosen = ", ".join(f"{used[scale]} at {scale:g}" for scale in sorted(used, reverse=True))
            rows.append(
                (
                    f"{mean['true_px']:.0f}",
                    asked,
                    *(f"{mean[name]:+.2f}" for name in ("gain_w", "gain")),
                    f"{mean['mask_iou']:.2f}",
                    f"{mean['found_px']:.0f}",
                    chosen if asked == AUTO else "",
                    f"{mean['macs'] / np.mean(at_one):.2f}",
                )
            )
    return markdown_table(_HEADINGS, rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as the command line says, and print the table."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Tell at which working scale blur of which length is best restored."
        config = parse_benchmark(ScalesConfig, "scales", about, argv)
        count = len(config.paths_px) * min(config.limit, len(list_images(config.data)))
        measured = [each for some in tqdm(benchmark_scales(config), total=count, unit="photo") for each in some]
        print(to_table(config, measured))
        if config.out:
            write_atomic(config.out, encode_measurements(config, measured, resolve_device(config.device)))

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
