"""Tell what becomes of pictures without motion blur: `m2aenet benchmark harm --data photos/ --out harm/`.

Of each kind of picture: how much of it is called blurred, how far the result is from the picture, and whether the
check of the result objects. Writes harm.md, harm.json and harm_worst.png, the worst picture of each kind.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from m2aenet_core.analysis import DeblurResult
from m2aenet_core.atomic import encode_text, require_writable, write_together
from m2aenet_core.benchmark.harm_figures import MOVING, Harm, KindHarm, measure_harms, summarize
from m2aenet_core.benchmark.harm_report import to_markdown, worst_png, worst_strip
from m2aenet_core.benchmark.report import encode_measurements
from m2aenet_core.benchmark.unblurred import KINDS, Picture, pictures
from m2aenet_core.data.folder import list_images
from m2aenet_core.data.whole_photos import WholePhotosConfig, blurred_photos
from m2aenet_core.deblurrer import Deblurrer, check_threshold
from m2aenet_core.errors import InputError
from m2aenet_core.evaluation.sheet import SheetRow
from m2aenet_core.options import parse_options
from m2aenet_core.pixels import to_uint8


@dataclass(frozen=True)
class HarmConfig:
    """Which network looks at which pictures."""

    data: str
    """Folder of sharp photos."""
    out: str = "harm"
    """Folder for the tables and the picture."""
    model: str = "default"
    """Embedded weights by name, or a .safetensors file."""
    thresholds: tuple[float, ...] = (0.5,)
    """Probabilities above which a pixel counts as blurred; check and worst pictures are of the first."""
    kinds: tuple[str, ...] = (*KINDS, MOVING)
    """Which kinds of picture, all by default."""
    limit: int | None = None
    """Take the first so many photos only."""
    check: bool = True
    """Ask whether the results explain their pictures, which takes longer than making them."""
    seed: int = 0
    """Decides noise and made blur."""
    device: str = "auto"
    """Where the network runs."""
    precision: str = "auto"
    """float32, bfloat16 or float16."""

    def __post_init__(self) -> None:
        for threshold in self.thresholds:
            check_threshold(threshold)
        if not self.thresholds or not self.kinds:
            raise InputError("no threshold or no kind of picture is given; name at least one of each")
        if self.limit is not None and self.limit < 1:
            raise InputError("limit counts photos; give at least 1")


def benchmark_harm(config: HarmConfig) -> list[KindHarm]:
    """Look at every picture, write the folder, and give a row for each threshold and kind.

    Raises InputError for folders, models and kinds that cannot be used.
    """
    deblurrer = Deblurrer(config.model, device=config.device, precision=config.precision)
    if not deblurrer.model.has_mask:
        raise InputError(f"{config.model} does not look where the blur is; choose a model that finds it")
    out = Path(config.out)
    require_writable(out / "harm.json")
    harms: list[Harm] = []
    worst: dict[str, tuple[Harm, SheetRow]] = {}
    for picture in _with_progress(config):
        results = list(_restored(deblurrer, picture, config.thresholds))
        found = measure_harms(picture, results, check=config.check)
        harms += found
        if picture.kind not in worst or _is_worse(found[0], worst[picture.kind][0]):
            worst[picture.kind] = found[0], worst_strip(found[0], results[0])
    rows = summarize(harms)
    images = [dataclasses.asdict(harm) for harm in harms]
    write_together(
        {
            out / "harm.json": encode_measurements(
                config, rows, deblurrer.device, weights_sha256=deblurrer.weights_sha256, images=images
            ),
            out / "harm.md": encode_text(to_markdown(rows) + "\n"),
            out / "harm_worst.png": worst_png([row for _, row in worst.values()]),
        }
    )
    return rows


def _is_worse(harm: Harm, other: Harm) -> bool:
    """Tell by the change and, where that is alike, by what was called blurred."""
    return (-harm.to_input, harm.called_blurred) > (-other.to_input, other.called_blurred)


def _with_progress(config: HarmConfig) -> Iterator[Picture]:
    photos = list_images(config.data, without=config.out)[: config.limit]
    kinds = [kind for kind in config.kinds if kind != MOVING]
    with tqdm(unit="picture", disable=None) as bar:
        for picture in pictures(photos, kinds, config.seed):
            bar.set_description_str(picture.kind)
            yield picture
            bar.update()
        if MOVING not in config.kinds:
            return
        bar.set_description_str(MOVING)
        blurred = blurred_photos(WholePhotosConfig(config.data, samples=1, seed=config.seed), without=config.out)
        for made in islice(blurred, len(photos)):
            yield Picture(MOVING, made.path.name, to_uint8(made.sample.blur[0]))
            bar.update()


def _restored(deblurrer: Deblurrer, picture: Picture, thresholds: Sequence[float]) -> Iterator[DeblurResult]:
    """Analyze once, restore for each threshold; regions that stay the same are taken over."""
    analysis = deblurrer.analyze(picture.pixels)
    previous: DeblurResult | None = None
    for threshold in thresholds:
        previous = deblurrer.restore(analysis, threshold, previous=previous)
        yield previous


def main(argv: Sequence[str] | None = None) -> int:
    """Look as the command line says, and print the tables."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Tell what becomes of pictures without motion blur: sharp, noisy, out of focus, drawn, dark, empty."
        config = parse_options(HarmConfig, "m2aenet benchmark harm", about, argv)
        print(to_markdown(benchmark_harm(config)))

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
