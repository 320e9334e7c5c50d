"""What a reader wants to know of a run: report.md and curves.png in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import torch
import yaml
from lightning_fabric import Fabric

from m2aenet_core import __version__
from m2aenet_core.atomic import encode_text, write_atomic
from m2aenet_core.machine import describe_machine, describe_versions
from m2aenet_core.options import to_yaml
from m2aenet_core.training.config import TrainConfig
from m2aenet_core.training.curves import columns_of, curves_png
from m2aenet_core.training.launch import chosen_precision
from m2aenet_core.training.log import LOSSES, METRICS, Row, read_rows
from m2aenet_core.training.run_folder import BEST, FINAL, LAST, PICTURES, kept_pictures
from m2aenet_core.training.state import TrainState

_ROWS = 20  # of the table of validations
_HEADINGS = {
    "step": "step",
    "loss": "loss",
    "psnr_db": "PSNR, dB",
    "gain_db": "gain in the blur, dB",
    "outside_psnr_db": "outside to the input, dB",
    "mask_iou": "mask IoU",
    "displacement_error_px": "displacement error, px",
    "images_per_s": "images/s",
    "waiting_share": "waiting for samples",
}


def write_report(fabric: Fabric, config: TrainConfig, state: TrainState, sources: Sequence[str]) -> None:
    """Write curves.png and report.md, each whole or not at all.

    sources: a line on each source of samples.
    """
    folder = Path(config.out)
    losses, validations = columns_of(read_rows(folder / LOSSES)), read_rows(folder / METRICS)
    if losses:
        write_atomic(folder / "curves.png", curves_png(losses, columns_of(validations)))
    sections = [
        _summary(config, state),
        _section("Learned from", "\n".join(f"- {line}" for line in sources)),
        _section("Machine", "\n".join(f"- {line}" for line in _machine(fabric, config))),
        _section("Validation", _table(validations)),
        _section("Curves", "![loss and validation over the steps](curves.png)" if losses else ""),
        _section("Pictures", _pictures(folder)),
        _section("Go on, and use the weights", _how_to(config, state)),
        _section("Settings", f"```yaml\n{_settings(config)}```"),
    ]
    write_atomic(folder / "report.md", encode_text("\n".join(part for part in sections if part)))


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}\n" if body else ""


def _summary(config: TrainConfig, state: TrainState) -> str:
    parameters = sum(parameter.numel() for parameter in state.ema.parameters())
    reached = "to the end" if state.step >= config.steps else f"so far, of {config.steps}"
    seconds = timedelta(seconds=round(state.seconds))
    lines = [
        f"# {Path(config.out).name}",
        "",
        f"{type(state.ema).__name__}, {parameters:,} parameters, after {state.step} steps {reached}: "
        f"{state.step * config.batch_size:,} samples of {config.blur.crop_px} x {config.blur.crop_px} pixels, "
        f"{config.batch_size} to a step, in {seconds} (hours:minutes:seconds).",
        "",
        f"Written {datetime.now(UTC).isoformat(timespec='minutes')} by napari-m2aenet {__version__}.",
        "",
    ]
    return "\n".join(lines)


def _machine(fabric: Fabric, config: TrainConfig) -> list[str]:
    machine = describe_machine(fabric.device)
    versions = ", ".join(f"{name} {version}" for name, version in describe_versions().items())
    memory_gb = psutil.virtual_memory().total / 2**30
    lines = [
        f"{fabric.world_size} x {machine['device']}; {machine['processor']}, each process on {machine['threads']}; "
        f"{memory_gb:.0f} GB of memory",
        f"precision {chosen_precision(config)}; {versions}",
    ]
    if fabric.device.type == "cuda":
        lines.append(f"peak of GPU memory: {torch.cuda.max_memory_allocated(fabric.device) / 2**30:.1f} GB")
    return lines


def _table(validations: Sequence[Row]) -> str:
    if not validations:
        return "None so far."
    rows = _spread(validations, _ROWS)
    columns = [name for name in _HEADINGS if any(row.get(name, "nan") not in ("nan", "") for row in rows)]
    lines = [" | ".join(_HEADINGS[name] for name in columns), " | ".join("---:" for _ in columns)]
    lines += [" | ".join(_cell(name, row.get(name, "nan")) for name in columns) for row in rows]
    best = max(validations, key=lambda row: float(row["psnr_db"]))
    text = "\n".join(f"| {line} |" for line in lines)
    return f"{text}\n\nBest: {float(best['psnr_db']):.2f} dB at step {best['step']} (`{BEST}`)."


def _cell(name: str, value: str) -> str:
    if name == "step":
        return value
    if value in ("nan", ""):
        return ""
    number = float(value)
    if name == "waiting_share":
        return f"{number:.1%}"
    return f"{number:.4f}" if name in ("loss", "mask_iou") else f"{number:.2f}"


def _spread(rows: Sequence[Row], count: int) -> list[Row]:
    """Give at most `count` rows, evenly spread, the last among them."""
    if len(rows) <= count:
        return list(rows)
    return [rows[round((index + 1) * len(rows) / count) - 1] for index in range(count)]


def _pictures(folder: Path) -> str:
    kept = kept_pictures(folder)
    if not kept:
        return ""
    first_and_last = [kept[0], kept[-1]] if len(kept) > 1 else kept
    parts = [f"Step {int(path.stem)}:\n\n![validation samples]({PICTURES}/{path.name})" for path in first_and_last[:-1]]
    # the last validation may be later than the last picture that was kept
    parts.append("Last validation:\n\n![validation samples](preview.png)")
    legend = "Curves run from cyan, the start of the exposure, to magenta; a photo does not tell which is which."
    return "\n\n".join([legend, *parts])


def _how_to(config: TrainConfig, state: TrainState) -> str:
    folder = Path(config.out)
    is_over = state.step >= config.steps
    weights = BEST if (folder / BEST).is_file() else FINAL if is_over else LAST
    more = f" --steps {2 * config.steps}" if is_over else ""
    lines = [
        "```bash",
        f"m2aenet train --config {folder}/config.yaml{more}   # goes on",
        f"m2aenet deblur photo.jpg -o restored/ --model {folder}/{weights}",
        f"m2aenet evaluate --model {folder}/{weights} --data photos/ --out scores/",
        "```",
    ]
    return "\n".join(lines)


def _settings(config: TrainConfig) -> str:
    """Give the settings as YAML, without those of the networks that were not trained."""
    names = {"m2aenet": "model", "nafnet": "nafnet", "lmdvit": "lmdvit"}
    unused = set(names.values()) - {names[config.network]}
    values = yaml.safe_load(to_yaml(config))
    return yaml.safe_dump({name: value for name, value in values.items() if name not in unused}, sort_keys=False)
