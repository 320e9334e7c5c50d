"""Tell what better masks and better motion would bring: `m2aenet benchmark oracle --data photos/`.

On made blur the true mask and the true displacement are known. In turn they take the place of what the network found:
where the truth hardly gains, it is the restoration that has to learn, not the decision.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from m2aenet_core.atomic import write_atomic
from m2aenet_core.benchmark.options import parse_benchmark
from m2aenet_core.benchmark.report import encode_measurements, markdown_table
from m2aenet_core.checkpoint import load_model
from m2aenet_core.data.folder import list_images
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.whole_photos import WholePhotosConfig, blurred_photos
from m2aenet_core.deblurrer import check_threshold
from m2aenet_core.device import resolve_device
from m2aenet_core.errors import InputError
from m2aenet_core.metrics import psnr
from m2aenet_core.models.ensemble import as_ensemble
from m2aenet_core.models.network import Decision, Encoded, Network
from m2aenet_core.models.trajectory import Motion, quadratic_trajectory
from m2aenet_core.ops.padding import corner_padding
from m2aenet_core.ops.resize import resize_displacement, resize_image, shrink_mask
from m2aenet_core.pixels import to_uint8

_HEADINGS = ("mask", "motion", "gain inside dB", "beside the first dB")


@dataclass(frozen=True)
class OracleConfig(WholePhotosConfig):
    """Which network, on which made blur."""

    data: str
    """Folder of sharp photos."""
    model: str = "default"
    """Embedded weights by name, or a .safetensors file."""
    samples: int = 1
    """Samples made of each photo."""
    limit: int | None = None
    """Take the first so many samples only."""
    threshold: float = 0.5
    """Probability above which a pixel counts as blurred, where the mask is the one that was found."""
    device: str = "auto"
    """Where the network runs."""
    out: str = ""
    """A JSON file for the figures of each sample, with machine and versions; none when empty."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_threshold(self.threshold)
        if self.limit is not None and self.limit < 1:
            raise InputError("limit counts samples; give at least 1")


@dataclass(frozen=True)
class OracleFigures:
    """PSNR inside the blur above the input's, in dB.

    mask: found, true or everywhere; motion: found, found with the true length, angle or bend, true, true but straight,
    reversed in time, or none.
    """

    photo: str
    mask: str
    motion: str
    gain_w: float


def benchmark_oracle(config: OracleConfig) -> Iterator[list[OracleFigures]]:
    """Give the figures of one sample after the other.

    Raises InputError for networks that decide nothing before they restore, and where there are no photos.
    """
    device = resolve_device(config.device)
    network = as_ensemble(load_model(config.model)).to(device).eval()
    if not network.has_mask or network.decides_along or network.decides_windows:
        raise InputError(f"{config.model} takes no mask from others; choose an M2AENet with one, at the fourth stage")
    for number, made in enumerate(blurred_photos(config)):
        if number == config.limit:
            return
        yield _figures(network, made.path.name, Batch(*(each.to(device) for each in made.sample)), config.threshold)


@torch.no_grad()
def _figures(network: Network, name: str, sample: Batch, threshold: float) -> list[OracleFigures]:
    padding = corner_padding(sample.blur.shape[-2], sample.blur.shape[-1], network.size_multiple)
    encoded = network.analyze(padding.add(sample.blur).to(memory_format=torch.channels_last))
    true_mask = shrink_mask(padding.add(sample.mask), network.cell_px)
    inside = sample.mask[0, 0].cpu().numpy() > 0.5
    sharp = to_uint8(sample.sharp[0])
    before = psnr(to_uint8(sample.blur[0]), sharp, inside)

    def gain(decision: Decision, motion: Motion | None) -> float:
        image = padding.remove(network.restore(encoded._replace(motion=motion), decision).image)
        return psnr(to_uint8(image[0]), sharp, inside) - before

    found = encoded.motion
    figures = [
        OracleFigures(name, "found", "found", gain(threshold, found)),
        OracleFigures(name, "true", "found", gain(true_mask, found)),
        OracleFigures(name, "everywhere", "found", gain(torch.ones_like(true_mask), found)),
    ]
    if found is not None:
        motions = _true_motions(encoded, padding.add(sample.mask), padding.add(sample.start), padding.add(sample.end))
        for which, motion in motions.items():
            figures.append(OracleFigures(name, "true", which, gain(true_mask, motion)))
    return figures


def _true_motions(encoded: Encoded, mask: Tensor, start: Tensor, end: Tensor) -> dict[str, Motion]:
    """Give the true motion of the cells by what of it is true: parts in place of the found ones, all, or nothing.

    Nobody can tell the direction of time in a photo: forwards is as most of what was found runs.
    """
    found = encoded.motion
    assert found is not None
    size = (found.field.shape[-2], found.field.shape[-1])
    # the mean over the blurred pixels of a cell: those that stand still beside them would shorten it
    share = resize_image(mask, size).clamp_min(1e-6)
    first, last = (resize_displacement(each * mask, size) / share for each in (start, end))
    instants = found.field.shape[1] // 2

    def motion(half: Tensor, bend: Tensor) -> Motion:
        field = quadratic_trajectory(bend - half, bend + half, instants).transpose(0, 1).flatten(1, 2)
        return Motion(field, found.form, found.tells_time)

    half, bend = (last - first) / 2, (last + first) / 2
    ways = [motion(half, bend), motion(-half, bend)]
    ways.sort(key=lambda motion: float((motion.field - found.field).abs().mul(share > 1e-6).sum()))
    found_half, found_bend = (found.end - found.start) / 2, (found.end + found.start) / 2
    along = half * (half * found_half).sum(dim=1, keepdim=True).sign()
    length, found_length = (_length(each) for each in (half, found_half))
    return {
        "with true length": motion(found_half / found_length * length, found_bend),
        "with true angle": motion(along / length * found_length, found_bend),
        "with true bend": motion(found_half, bend),
        "true": ways[0],
        "true but straight": motion((ways[0].end - ways[0].start) / 2, torch.zeros_like(bend)),
        "reversed": ways[1],
        "none": found.map(torch.zeros_like),
    }


def _length(vectors: Tensor) -> Tensor:
    return vectors.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-6)


def to_table(measured: Sequence[OracleFigures]) -> str:
    """Give means over the samples in Markdown."""
    kinds = dict.fromkeys((each.mask, each.motion) for each in measured)
    gains = {kind: [each.gain_w for each in measured if (each.mask, each.motion) == kind] for kind in kinds}
    means = {kind: sum(values) / len(values) for kind, values in gains.items()}
    first = next(iter(means.values()))
    rows = [(*kind, f"{mean:+.3f}", f"{mean - first:+.3f}") for kind, mean in means.items()]
    return markdown_table(_HEADINGS, rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as the command line says, and print the table."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Tell what better masks and better motion would bring."
        config = parse_benchmark(OracleConfig, "oracle", about, argv)
        count = len(list_images(config.data, config.manifest)) * config.samples
        total = min(count, config.limit or count)
        measured = [each for some in tqdm(benchmark_oracle(config), total=total, unit="photo") for each in some]
        print(to_table(measured))
        if config.out:
            write_atomic(Path(config.out), encode_measurements(config, measured, resolve_device(config.device)))

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
