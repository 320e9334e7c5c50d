"""Write a set of made blur to disk: `m2aenet synthesize photos/ -o set/`, or `python -m m2aenet_core.synthesize`.

The folder has the layout of ReLoBlur, so that whatever reads that data set reads this one, and beside it the exact
displacements, a table of what was drawn (SPLIT.csv), the settings that repeat it (SPLIT.yaml) and a picture of some
samples (SPLIT_preview.png). A call that was stopped goes on when it is given again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from m2aenet_core.atomic import write_atomic
from m2aenet_core.device import resolve_device
from m2aenet_core.options import parse_options, to_yaml
from m2aenet_core.synthesis.config import SynthesizeConfig
from m2aenet_core.synthesis.maker import SampleMaker
from m2aenet_core.synthesis.preview import preview_png
from m2aenet_core.synthesis.set_folder import (
    SampleFiles,
    SetFolder,
    StoredSample,
    is_written,
    read_sample,
    write_sample,
)


def synthesize(config: SynthesizeConfig) -> list[SampleFiles]:
    """Write the samples that are not there yet, the table and the picture, and give the files of all samples.

    Raises InputError where photos or cut-outs cannot be used, the folder holds another set, or writing is refused.
    """
    device = resolve_device(config.device)
    folder = SetFolder(Path(config.out), config.split)
    maker = SampleMaker(config, device, show_progress=True)
    for note in maker.notes:
        print(note, file=sys.stderr)
    # noise is drawn on the device, by a generator that each kind of device has of its own
    folder.claim({**config.deciding(), "device": device.type, **maker.fingerprint()}, to_yaml(config))
    samples = [folder.files(*maker.place(number), number) for number in range(maker.count)]
    missing = [number for number, files in enumerate(samples) if not is_written(files)]
    with tqdm(total=len(samples), initial=len(samples) - len(missing), unit="sample", dynamic_ncols=True) as bar:
        for number in missing:
            write_sample(samples[number], *maker.make(number))
            bar.update()
    folder.write_table(samples)
    if config.previews:
        shown = [read_sample(files) for files in _spread(samples, config.previews)]
        picture = preview_png(shown, [_caption(sample) for sample in shown])
        write_atomic(folder.out / f"{config.split}_preview.png", picture)
    return samples


def _spread(samples: Sequence[SampleFiles], most: int) -> list[SampleFiles]:
    count = min(most, len(samples))
    return [samples[index * len(samples) // count] for index in range(count)]


def _caption(sample: StoredSample) -> str:
    record = sample.record
    words = [f"{record['number']}: {record['photo']}", f"{record['blurred_share']:.0%} blurred"]
    words += [f"paths up to {record['longest_path_px']:.0f} px"] if record["longest_path_px"] else []
    words += ["in place"] if record["moves_in_place"] else []
    words += ["camera follows"] if record["camera_follows"] else ["camera moves"] if record["camera_moves"] else []
    words += ["out of focus"] if record["background_defocus_px"] or record["object_defocus_px"] else []
    words += [f"{record['instants']} frames"] if record["is_encoded"] else []
    words += ["highlights"] if record["has_highlights"] else []
    words += ["soft"] if record["softness_px"] else []
    words += ["developed"] if record["is_developed"] else []
    words += [f"JPEG {record['jpeg_quality']}"] if record["jpeg_quality"] else []
    return ", ".join(words)


def parse(argv: Sequence[str] | None = None) -> SynthesizeConfig:
    """Give the config of a command line; its first word may be the folder of photos."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and not words[0].startswith("-"):
        words = ["--photos", *words]
    about = "Make photos with local motion blur whose truth is known: m2aenet synthesize photos/ -o set/"
    return parse_options(SynthesizeConfig, "m2aenet synthesize", about, words)


def main(argv: Sequence[str] | None = None) -> int:
    """Write a set as the command line says."""
    from m2aenet_core.cli import run_command

    def run() -> None:
        config = parse(argv)
        try:
            samples = synthesize(config)
        except KeyboardInterrupt:
            print("\nthe samples that were written are kept; the same command goes on from here", file=sys.stderr)
            raise
        looks = f"; look at {Path(config.out) / config.split}_preview.png" if config.previews else ""
        print(f"{len(samples)} samples in {config.out} ({config.split}){looks}")

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
