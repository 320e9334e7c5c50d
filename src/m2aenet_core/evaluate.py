"""Score models on photos whose sharp version is known: `python -m m2aenet_core.evaluate`, or `m2aenet evaluate`.

The folder `out` gets scores.csv (a row per model, photo and execution), summary.md and summary.json, contact sheets
of the photos that gained most and least, the ROC curves and, with `thresholds`, sweep.csv and the curves of quality
and cost. A call that was stopped goes on when it is given again.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from m2aenet_core.atomic import encode_text, require_writable, write_together
from m2aenet_core.device import resolve_device
from m2aenet_core.evaluation.config import EvaluateConfig, split_at_commas
from m2aenet_core.evaluation.contender import Contender, make_contenders
from m2aenet_core.evaluation.figures import curves_png, roc_png
from m2aenet_core.evaluation.partial import PartialScores, ScoredPhoto
from m2aenet_core.evaluation.report import Measured, encode_json, encode_rows, to_markdown
from m2aenet_core.evaluation.scores import (
    NO_SHARP_PHOTO,
    PhotoScores,
    Score,
    SharpFigures,
    SweepPoint,
    closeness,
    restore_sharp_photo,
    score_photo,
)
from m2aenet_core.evaluation.sheet import column_titles, ranked_sheets, strip_png
from m2aenet_core.evaluation.summary import ModelSummary, pooled_roc, summarize, summarize_sweep
from m2aenet_core.evaluation.truth import Truth, Truths, open_truths
from m2aenet_core.machine import describe_machine, describe_versions
from m2aenet_core.options import parse_options

FILES = (
    "summary.json",
    "summary.md",
    "scores.csv",
    "sweep.csv",
    "contact_sheet_best.png",
    "contact_sheet_worst.png",
    "curves.png",
    "roc.png",
)
"""What a folder of scores may hold."""


def evaluate(config: EvaluateConfig, command: Sequence[str] = ()) -> list[ModelSummary]:
    """Score the models, write the folder, and give a row for each model and execution.

    command: what the report says it was made with. Raises InputError for models, folders and pairs that cannot be
    used; photos that were scored until then are kept for the next call.
    """
    truths = open_truths(config)
    contenders = make_contenders(config)
    require_writable(Path(config.out) / "summary.json")
    partial = PartialScores(Path(config.out), _key(config, truths, contenders))
    _score_all(config, truths, contenders, partial)
    photos = [partial.read(number) for number in range(len(truths))]
    rows = summarize(photos, contenders)
    measured = Measured(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=list(command),
        data=truths.description,
        machine=describe_machine(resolve_device(config.device)),
        versions=describe_versions(),
        settings=dataclasses.asdict(config),
    )
    files = _report(measured, photos, rows, contenders)
    titles = column_titles(contenders, has_masks=truths.has_masks)
    files |= ranked_sheets(titles, photos, partial.strip_path, config.sheet_rows)
    out = Path(config.out)
    write_together({out / name: files[name] for name in FILES if name in files})
    for name in set(FILES) - set(files):
        # of an earlier call, and no part of this one
        (out / name).unlink(missing_ok=True)
    partial.remove()
    return rows


def _key(config: EvaluateConfig, truths: Truths, contenders: Sequence[Contender]) -> dict[str, object]:
    """Give all that decides the scores."""
    return {
        **dataclasses.asdict(dataclasses.replace(config, out="", sheet_rows=1)),
        "weights": [contender.weights_sha256 for contender in contenders],
        "files": truths.fingerprint,
        "versions": describe_versions(),
    }


def _score_all(config: EvaluateConfig, truths: Truths, contenders: Sequence[Contender], partial: PartialScores) -> None:
    """Score the photos that are not scored yet."""
    sharp = SharpPhotos(config)
    with tqdm(total=len(truths), initial=partial.count(), unit="photo", desc=truths.kind) as bar:
        for number, truth in enumerate(truths):
            if partial.has(number):
                continue
            came = closeness(truth.blur, truth)
            results = [
                score_photo(contender, truth, came, sharp.of(contender, truth), config.threshold, config.thresholds)
                for contender in contenders
            ]
            strip = strip_png(truth, results, has_masks=truths.has_masks)
            partial.add(number, _gathered(contenders, results), strip)
            bar.update()


class SharpPhotos:
    """What became of sharp photos as they are; the samples of one photo follow each other, so the last is kept."""

    def __init__(self, config: EvaluateConfig) -> None:
        self._is_wanted, self._threshold = config.sharp_photos, config.threshold
        self._last: dict[str, tuple[str, SharpFigures]] = {}

    def of(self, contender: Contender, truth: Truth) -> SharpFigures:
        """Give the figures of the sharp photo that belongs to a blurred one."""
        if not self._is_wanted:
            return NO_SHARP_PHOTO
        name, figures = self._last.get(contender.label, ("", NO_SHARP_PHOTO))
        if name != truth.name:
            figures = restore_sharp_photo(contender, truth.photo, self._threshold)
            self._last[contender.label] = truth.name, figures
        return figures


def _gathered(contenders: Sequence[Contender], results: Sequence[PhotoScores]) -> ScoredPhoto:
    pairs = zip(contenders, results, strict=True)
    return ScoredPhoto(
        scores=[score for result in results for score in result.scores],
        sweep=[point for result in results for point in result.sweep],
        counts={contender.label: result.counts for contender, result in pairs if result.counts is not None},
    )


def _report(
    measured: Measured, photos: Sequence[ScoredPhoto], rows: Sequence[ModelSummary], contenders: Sequence[Contender]
) -> dict[str, bytes]:
    """Give tables and curves by the names of their files."""
    sweep, curves = summarize_sweep(photos), pooled_roc(photos, contenders)
    files = {
        "summary.json": encode_json(measured, rows, sweep, curves),
        "summary.md": encode_text(to_markdown(measured, rows)),
        "scores.csv": encode_rows(Score._fields, [score for photo in photos for score in photo.scores]),
    }
    if sweep:
        files["sweep.csv"] = encode_rows(SweepPoint._fields, [point for photo in photos for point in photo.sweep])
        files["curves.png"] = curves_png(rows, sweep)
    if curves:
        files["roc.png"] = roc_png(curves, rows)
    return files


def main(argv: Sequence[str] | None = None) -> int:
    """Score as the command line says, and print the tables."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        arguments = list(sys.argv[1:] if argv is None else argv)
        about = "Score models on pairs of blurred and sharp photos, or on blur made from sharp photos."
        config = parse_options(EvaluateConfig, "m2aenet evaluate", about, split_at_commas(arguments))
        try:
            evaluate(config, ["m2aenet", "evaluate", *arguments])
        except KeyboardInterrupt:
            print("\nthe photos that were scored are kept; the same command goes on from here", file=sys.stderr)
            raise
        print((Path(config.out) / "summary.md").read_text("utf-8"))

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
