"""Score weights on blur made from sharp photos: `python -m m2aenet_core.evaluate`, or `m2aenet evaluate`.

Every photo is scored with known blur on it, and as it is, where nothing should be found. The folder `out` gets
scores.csv (a row per photo), summary.json, summary.md and contact_sheet.png.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from m2aenet_core.analysis import DeblurResult
from m2aenet_core.atomic import write_together
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.whole_photos import WholePhotosConfig, blurred_photos, count_blurred_photos
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.metrics import displacement_error, mask_iou, psnr
from m2aenet_core.options import parse_options
from m2aenet_core.pixels import to_uint8

# an exact copy outside the blur counts as this many dB, so that means stay finite
PSNR_CEILING_DB = 80.0


@dataclass(frozen=True)
class EvaluateConfig(WholePhotosConfig):
    """What is scored, and on what."""

    out: str = "scores"
    """Folder for the scores."""
    model: str = "default"
    """Embedded weights by name, or a .safetensors file."""
    threshold: float = 0.5
    """Probability above which a pixel counts as blurred."""
    execution: str = "auto"
    """exact, adaptive or dense."""
    device: str = "auto"
    """Where the network runs."""


class Score(NamedTuple):
    """One sample. All in dB but the shares and displacement_error_px."""

    name: str
    blurred_share: float
    input_psnr: float
    restored_psnr: float
    input_psnr_inside: float
    restored_psnr_inside: float
    outside_to_input: float
    mask_iou: float
    displacement_error_px: float
    sharp_photo_called_blurred: float

    @property
    def gain_inside(self) -> float:
        """PSNR gained inside the blur."""
        return self.restored_psnr_inside - self.input_psnr_inside


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Score a model, write the folder, and give the means."""
    deblurrer = Deblurrer(config.model, device=config.device, execution=config.execution)
    scores, thumbnails = [], []
    for path, photo, sample in tqdm(blurred_photos(config), total=count_blurred_photos(config), unit="sample"):
        result = deblurrer(to_uint8(sample.blur[0]), config.threshold)
        untouched = deblurrer.analyze(photo).blur_probability > config.threshold
        scores.append(score(path.name, sample, result, float(untouched.mean())))
        thumbnails.append(_thumbnail(sample, result))
    summary = summarize(scores)
    settings = dataclasses.asdict(config) | {"weights_sha256": deblurrer.weights_sha256}
    _write(Path(config.out), scores, summary, settings, thumbnails)
    return summary


def score(name: str, truth: Batch, result: DeblurResult, sharp_photo_called_blurred: float) -> Score:
    """Score one restored sample against its truth."""
    blur, sharp = to_uint8(truth.blur[0]), to_uint8(truth.sharp[0])
    mask = truth.mask[0, 0].numpy() > 0.5
    start, end = (np.moveaxis(field[0].numpy(), 0, -1) for field in (truth.start, truth.end))
    analysis = result.analysis
    return Score(
        name=name,
        blurred_share=float(mask.mean()),
        input_psnr=psnr(blur, sharp),
        restored_psnr=psnr(result.restored, sharp),
        input_psnr_inside=psnr(blur, sharp, mask),
        restored_psnr_inside=psnr(result.restored, sharp, mask),
        outside_to_input=min(PSNR_CEILING_DB, psnr(result.restored, blur, ~mask)),
        mask_iou=mask_iou(result.mask, mask),
        displacement_error_px=displacement_error(
            analysis.start_displacement, analysis.end_displacement, start, end, mask
        ),
        sharp_photo_called_blurred=sharp_photo_called_blurred,
    )


def summarize(scores: Sequence[Score]) -> dict[str, float]:
    """Give the mean of each figure, the gain inside the blur, and the share of photos made worse as a whole."""
    columns = [name for name in Score._fields if name != "name"]
    summary = {column: float(np.mean([getattr(each, column) for each in scores])) for column in columns}
    summary["gain_inside"] = float(np.mean([each.gain_inside for each in scores]))
    summary["share_made_worse"] = float(np.mean([each.restored_psnr < each.input_psnr for each in scores]))
    return summary


def _write(
    out: Path,
    scores: Sequence[Score],
    summary: dict[str, float],
    settings: dict[str, object],
    thumbnails: Sequence[NDArray[np.uint8]],
) -> None:
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(Score._fields)
    rows.writerows(scores)
    sheet = io.BytesIO()
    Image.fromarray(_contact_sheet(thumbnails)).save(sheet, "PNG")
    lines = ["| figure | mean |", "|---|---|", *(f"| {name} | {value:.4g} |" for name, value in summary.items())]
    write_together(
        {
            out / "scores.csv": table.getvalue().encode(),
            out / "summary.json": json.dumps({"settings": settings, "summary": summary}, indent=2).encode(),
            out / "summary.md": "\n".join([*lines, ""]).encode(),
            out / "contact_sheet.png": sheet.getvalue(),
        }
    )


def _thumbnail(sample: Batch, result: DeblurResult, width: int = 240) -> NDArray[np.uint8]:
    """Give blur, restored, sharp and the two masks in a row, around the blur."""
    mask = sample.mask[0, 0].numpy() > 0.5
    # a sample in which nothing is blurred is shown whole
    rows, columns = np.nonzero(mask if mask.any() else ~mask)
    top, bottom = max(0, rows.min() - 20), rows.max() + 20
    left, right = max(0, columns.min() - 20), columns.max() + 20
    truth = np.repeat(np.uint8(255) * mask[..., None], 3, axis=2)
    found = np.round(255 * np.repeat(result.analysis.blur_probability[..., None], 3, axis=2)).astype(np.uint8)
    images = [to_uint8(sample.blur[0]), result.restored, to_uint8(sample.sharp[0]), found, truth]
    cropped = [Image.fromarray(image[top:bottom, left:right]) for image in images]
    height = max(1, round(width * cropped[0].height / cropped[0].width))
    return np.concatenate([np.asarray(image.resize((width, height))) for image in cropped], axis=1)


def _contact_sheet(thumbnails: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate(list(thumbnails))


def main(argv: Sequence[str] | None = None) -> int:
    """Score as the command line says, and print the means."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        about = "Score weights on blur made from sharp photos."
        config = parse_options(EvaluateConfig, "m2aenet evaluate", about, argv)
        for name, value in evaluate(config).items():
            print(f"{name:28s} {value:8.3f}")

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
