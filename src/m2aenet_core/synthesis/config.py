"""The settings of a set of made blur."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from m2aenet_core.data.blur_config import MadeBlurConfig
from m2aenet_core.errors import InputError


@dataclass(frozen=True)
class SynthesizeConfig:
    """What a set of made blur is made from, and where it goes."""

    photos: str
    """Folder of sharp photos, sub-folders included; it may be the first word of the command."""
    out: str
    """Folder of the set; made if it is missing, completed if it holds a part of the same set."""
    cutouts: str | None = None
    """Folder of cut-out objects: RGBA images, or image/ beside alpha/ or mask/; without it, shapes of photo move."""
    manifest: str | None = None
    """CSV file with the columns file and clear_licence; only rows marked yes are used."""
    skip_bad: bool = False
    """Whether to go on without photos and cut-outs that cannot be used."""
    samples: int | None = None
    """Samples in all; without it, one for each photo."""
    split: Literal["train", "test", "val"] = "train"
    """Split of the set; each has samples of its own, also from the same photos and seed."""
    seed: int = 0
    """Decides the samples."""
    crops: bool = False
    """Whether to make crops of blur.crop_px, as training does, rather than whole photos."""
    longest_px: int = 1600
    """Photos are shrunk to this longer side, since lengths of blur are in pixels; 0 leaves them."""
    blur: MadeBlurConfig = field(default_factory=MadeBlurConfig.like_photos)
    """What the blur looks like; by default as in real photos."""
    previews: int = 12
    """Samples in the picture of the set; 0 for none."""
    device: str = "auto"
    """Where the samples are rendered: auto, cpu, cuda, cuda:1 or mps."""

    def __post_init__(self) -> None:
        """Raise InputError for numbers that cannot be."""
        if self.samples is not None and self.samples < 1:
            raise InputError(f"samples is {self.samples}; give at least 1, or leave it out for one of each photo")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; give 0 or more")
        if self.longest_px < 0 or self.previews < 0:
            raise InputError("longest_px and previews cannot be negative; 0 turns them off")

    def deciding(self) -> dict[str, Any]:
        """Give the settings that decide what a sample looks like, those of the blur as `blur.NAME`."""
        values = dataclasses.asdict(self)
        blur = values.pop("blur")
        for name in ("photos", "out", "cutouts", "manifest", "skip_bad", "samples", "previews", "device"):
            values.pop(name)
        return values | {f"blur.{name}": value for name, value in blur.items()}
