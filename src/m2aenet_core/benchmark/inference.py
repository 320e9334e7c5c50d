"""Measure how the cost of deblurring follows the blur: `m2aenet benchmark inference`.

M2AENet goes through `Deblurrer`, from a photo to a photo; NAFNet gets its tensor ready made. Weights do not matter to
the time, so they are random; masks are round regions that cover a set share of the photo.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from m2aenet_core.analysis import Analysis
from m2aenet_core.atomic import write_atomic
from m2aenet_core.benchmark.eager_nafnet import as_released
from m2aenet_core.benchmark.options import parse_benchmark
from m2aenet_core.benchmark.report import encode_measurements, markdown_table, megabytes, percent
from m2aenet_core.benchmark.rivals import rivals
from m2aenet_core.benchmark.shares import time_shares
from m2aenet_core.benchmark.timing import compare_times, peak_bytes
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.device import resolve_device
from m2aenet_core.errors import InputError
from m2aenet_core.machine import describe_machine, describe_versions
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.ops.padding import round_up

EAGER = "NAFNet, eager"
FORMS = ("adaptive", "exact", "again")
_HEADINGS = ("", "seconds", "to NAFNet, eager", "peak MB", "to NAFNet, eager", "multiply-adds, G", "regions cover")
# hills to a side from which the blurred regions are cut: three to eight objects in a photo
_HILLS = 6


@dataclass(frozen=True)
class InferenceBenchmarkConfig:
    """What to measure, and how long."""

    height: int = 1436
    """Height of the photo, pixels."""
    width: int = 2152
    """Width of the photo, pixels."""
    densities: tuple[float, ...] = (0.05, 0.2, 1.0)
    """Shares of the photo that are blurred."""
    forms: tuple[str, ...] = FORMS
    """adaptive, exact: analyze and restore; again: restore with another mask what was analyzed, adaptive."""
    against: tuple[str, ...] = ()
    """Other runtimes to run NAFNet on, beside torch: onnxruntime, openvino; one or both, with a comma between."""
    channels: int = 32
    """Channels at full resolution, of both networks."""
    encoder_blocks: tuple[int, ...] = (1, 1, 1, 28)
    """Blocks of each encoder stage, of both networks."""
    rounds: int = 5
    """How often each is run; medians are shown."""
    areas: tuple[float, ...] = ()
    """Shares of the photo's area to measure adaptive execution at too, at the first density."""
    compile: bool = False
    """NAFNet under torch.compile too."""
    threads: int = 0
    """Threads of a CPU; 0 for as many as torch takes."""
    device: str = "auto"
    """Where to measure."""
    precision: str = "auto"
    """Numbers to compute with, of both networks: float32, bfloat16 or float16."""
    limits: str = ""
    """Ratios that must not be exceeded, as "adaptive 5%=0.25,exact 100%=1.25": exit code 1 if one is."""
    out: str = ""
    """A JSON file for the measurements, with machine and versions; none when empty."""
    figure: str = ""
    """A PNG file: time against density, time against area, share of each part; none when empty."""


@dataclass(frozen=True)
class InferenceMeasurement:
    """Median seconds and peak bytes of one way to deblur a photo; ratios are to NAFNet, eager, in the same run."""

    way: str
    form: str
    density: float
    height: int
    width: int
    seconds: float
    ratio: float
    peak_bytes: float
    peak_ratio: float
    macs: int
    covered: float
    """Share of the photo that the restored rectangles cover; NaN for NAFNet."""


@dataclass(frozen=True)
class Measured:
    """All that was measured: the table, the same for other areas, the share of each part by form and density."""

    table: list[InferenceMeasurement]
    areas: list[InferenceMeasurement]
    shares: Mapping[str, Mapping[str, float]]


def region_mask(height: int, width: int, density: float, seed: int = 0) -> NDArray[np.bool_]:
    """Give a mask (H, W) of some round regions that cover a share of the photo."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 1, _HILLS, round(_HILLS * width / height) + 1, generator=generator)
    # at the scale of the network's cells: finer borders are not decided
    cells = round_up(height, 16) // 8, round_up(width, 16) // 8
    hills = F.interpolate(coarse, size=cells, mode="bicubic")[0, 0].flatten()
    kept = torch.zeros(hills.numel(), dtype=torch.bool)
    kept[hills.argsort(descending=True)[: round(density * hills.numel())]] = True
    return kept.view(cells).numpy().repeat(8, 0).repeat(8, 1)[:height, :width]


def benchmark_inference(config: InferenceBenchmarkConfig) -> Measured:
    """Give all measurements. Raises InputError for forms, runtimes and densities that do not exist."""
    unknown = [form for form in config.forms if form not in FORMS]
    if unknown:
        raise InputError(f"there is no form {unknown[0]!r}; choose some of {', '.join(FORMS)}")
    if not all(0 <= density <= 1 for density in config.densities):
        raise InputError(f"{list(config.densities)} are not all densities; give shares of the photo, from 0 to 1")
    if config.rounds < 1:
        raise InputError(f"{config.rounds} rounds measure nothing; give 1 or more")
    bench = _Bench(config)
    against = tuple(name for names in config.against for name in names.split(","))
    table = bench.measure(config.height, config.width, config.densities, config.forms, against)
    areas: list[InferenceMeasurement] = []
    for share in config.areas:
        height, width = (round(side * math.sqrt(share)) for side in (config.height, config.width))
        areas += bench.measure(height, width, config.densities[:1], ("adaptive",), ())
    shares = {EAGER: bench.eager_shares(config.height, config.width)} | {
        _way(form, density): bench.shares(config.height, config.width, form, density)
        for form in config.forms
        for density in config.densities
    }
    return Measured(table, areas, shares)


class _Bench:
    """Both networks, ready on the device."""

    def __init__(self, config: InferenceBenchmarkConfig) -> None:
        torch.manual_seed(0)
        self._config = config
        self._device = resolve_device(config.device)
        blocks = config.encoder_blocks
        plain = (1,) * len(blocks)
        self._nafnet = NAFNet(config.channels, blocks, 1, plain).eval().to(self._device)
        network = M2AENet(M2AENetConfig(config.channels, blocks, 1, plain))
        self._deblurrer = Deblurrer(network, device=config.device, precision=config.precision)

    def measure(
        self, height: int, width: int, densities: Sequence[float], forms: Sequence[str], against: tuple[str, ...]
    ) -> list[InferenceMeasurement]:
        """Give NAFNet's measurements first, then those of each form and density."""
        photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        analysis = self._deblurrer.analyze(photo)
        works: dict[str, Callable[[], object]] = self._nafnets(height, width, against)
        count = len(works)
        about: dict[str, tuple[str, float]] = {}
        for form in forms:
            for density in densities:
                name = _way(form, density)
                about[name] = form, density
                works[name] = self._work(photo, analysis, form, region_mask(height, width, density))
        seconds = compare_times(works, self._config.rounds, self._device)
        # other runtimes keep what they took in the first round, so that there is nothing to see
        own = [name for name in works if name not in map(_title, against)]
        peaks = {name: peak_bytes(works[name], self._device) if name in own else math.nan for name in works}
        rows = []
        for index, name in enumerate(works):
            form, density = about.get(name, ("", math.nan))
            macs, covered = self._cost(analysis, form, density)
            if index < count:
                macs = self._nafnet.restore_macs(*analysis.padded_size)
            ratios = seconds[name] / seconds[EAGER], peaks[name] / peaks[EAGER]
            rows.append(
                InferenceMeasurement(
                    name, form, density, height, width, seconds[name], ratios[0], peaks[name], ratios[1], macs, covered
                )
            )
        return rows

    def shares(self, height: int, width: int, form: str, density: float) -> dict[str, float]:
        """Give the share of each part in the time of a form."""
        photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        work = self._work(photo, self._deblurrer.analyze(photo), form, region_mask(height, width, density))
        work()
        return time_shares(self._deblurrer.model, work)

    def eager_shares(self, height: int, width: int) -> dict[str, float]:
        """Give the share of each part in NAFNet's time."""
        eager = as_released(self._nafnet)
        image = torch.rand(1, 3, height, width, device=self._device)
        return time_shares(eager, self._computing(lambda: eager(image)))

    def _nafnets(self, height: int, width: int, against: tuple[str, ...]) -> dict[str, Callable[[], object]]:
        size = round_up(height, self._nafnet.size_multiple), round_up(width, self._nafnet.size_multiple)
        image = torch.rand(1, 3, *size, device=self._device)
        eager = as_released(self._nafnet)
        works = {EAGER: self._computing(lambda: eager(image))}
        last = image.contiguous(memory_format=torch.channels_last)
        laid_out = as_released(self._nafnet).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        works["NAFNet, eager, channels_last"] = self._computing(lambda: laid_out(last))
        if self._config.compile:
            compiled: Callable[[torch.Tensor], object] = torch.compile(laid_out)
            works["NAFNet, torch.compile"] = self._computing(lambda: compiled(last))
        works["NAFNet, ours"] = self._computing(lambda: self._nafnet(last))
        for name, run in rivals(against, eager, image).items():
            pixels = image.cpu().numpy()
            works[_title(name)] = lambda run=run, pixels=pixels: run(pixels)  # type: ignore[misc]
        return works

    def _computing(self, work: Callable[[], object]) -> Callable[[], object]:
        """Compute as the deblurrer does: without gradients, in its precision."""

        def run() -> object:
            dtype = getattr(torch, self._deblurrer.precision)
            mixed = dtype != torch.float32
            with torch.inference_mode(), torch.autocast(self._device.type, dtype if mixed else None, enabled=mixed):
                return work()

        return run

    def _work(
        self, photo: NDArray[np.uint8], analysis: Analysis, form: str, mask: NDArray[np.bool_]
    ) -> Callable[[], object]:
        deblurrer = self._deblurrer
        if form == "again":
            return lambda: deblurrer.restore(analysis, mask=mask, execution="adaptive")
        return lambda: deblurrer(photo, mask=mask, execution=form)

    def _cost(self, analysis: Analysis, form: str, density: float) -> tuple[int, float]:
        """Give the multiply-adds of a form, and the share of the photo that is restored."""
        if not form:
            return 0, math.nan
        height, width = analysis.image.shape[:2]
        mask = region_mask(height, width, density)
        result = self._deblurrer.restore(analysis, mask=mask, execution="adaptive" if form == "again" else form)
        covered = sum(piece.box.area for piece in result.pieces) / math.prod(analysis.padded_size)
        return result.macs + (0 if form == "again" else analysis.macs), covered


def _way(form: str, density: float) -> str:
    return f"{form} {percent(density)}"


def _title(runtime: str) -> str:
    return f"NAFNet, {runtime}"


def to_table(rows: Sequence[InferenceMeasurement]) -> str:
    """Give the measurements as a table in Markdown."""
    return markdown_table(
        _HEADINGS,
        [
            (
                row.way,
                f"{row.seconds:.2f}",
                f"{row.ratio:.2f}",
                megabytes(row.peak_bytes, 0),
                "" if math.isnan(row.peak_ratio) else f"{row.peak_ratio:.2f}",
                f"{row.macs / 1e9:.0f}",
                "" if math.isnan(row.covered) else f"{row.covered:.0%}",
            )
            for row in rows
        ],
    )


def exceeded(rows: Sequence[InferenceMeasurement], limits: str) -> list[str]:
    """Give a sentence for each ratio above its limit. Raises InputError for limits of what was not measured."""
    found, ratios = [], {row.way: row.ratio for row in rows}
    for limit in filter(None, (each.strip() for each in limits.split(","))):
        name, _, value = limit.rpartition("=")
        if name not in ratios:
            raise InputError(f"{name!r} was not measured; limits are for {', '.join(ratios)}")
        try:
            highest = float(value)
        except ValueError:
            raise InputError(f"{value!r} is not a number; write limits as 'adaptive 5%=0.25'") from None
        if ratios[name] > highest:
            found.append(f"{name} takes {ratios[name]:.2f} of NAFNet's time, more than {highest:g}")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as the command line says, and print the tables."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Measure how the cost of deblurring follows the blur, beside NAFNet."
        config = parse_benchmark(InferenceBenchmarkConfig, "inference", about, argv, files=("out", "figure"))
        if config.threads:
            torch.set_num_threads(config.threads)
        device = resolve_device(config.device)
        described = describe_machine(device) | describe_versions()
        print(", ".join(f"{name} {text}" for name, text in described.items()), end="\n\n")
        measured = benchmark_inference(config)
        print(f"{config.width} x {config.height} pixels", to_table(measured.table), sep="\n\n", end="\n\n")
        if measured.areas:
            sizes = [f"{row.width} x {row.height}, {row.way}" for row in measured.areas]
            lines = [
                (size, f"{row.seconds:.2f}", f"{row.ratio:.2f}")
                for size, row in zip(sizes, measured.areas, strict=True)
            ]
            print(markdown_table(("", "seconds", "to NAFNet, eager"), lines), end="\n\n")
        print(_shares_table(measured.shares))
        if config.out:
            rows = [*measured.table, *measured.areas]
            write_atomic(config.out, encode_measurements(config, rows, device, shares=measured.shares))
        if config.figure:
            from m2aenet_core.benchmark.inference_figure import draw

            write_atomic(config.figure, draw(measured))
        too_slow = exceeded(measured.table, config.limits)
        if too_slow:
            raise InputError("; ".join(too_slow))

    return run_command(run)


def _shares_table(shares: Mapping[str, Mapping[str, float]]) -> str:
    parts = sorted({part for each in shares.values() for part in each})
    return markdown_table(
        ("share of the time", *shares),
        [(part, *(f"{each.get(part, 0):.0%}" for each in shares.values())) for part in parts],
    )


if __name__ == "__main__":
    sys.exit(main())
