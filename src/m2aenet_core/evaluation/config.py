"""The settings of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from m2aenet_core.data.whole_photos import WholePhotosConfig
from m2aenet_core.deblurrer import check_threshold
from m2aenet_core.errors import InputError

# flags whose values may be parted by commas
_LISTS = ("--execution", "--thresholds")


@dataclass(frozen=True)
class EvaluateConfig(WholePhotosConfig):
    """Which models are scored, on what, and how."""

    data: str
    """Folder of pairs (ReLoBlur, GOPRO_Large, any folder of blurred and sharp photos), or of sharp photos."""
    out: str = "scores"
    """Folder for the scores."""
    model: tuple[str, ...] = ("default",)
    """Embedded weights by name, a .safetensors file, or `input`, the photo as it came; may be given several times."""
    execution: tuple[str, ...] = ("auto",)
    """exact, adaptive or dense; several, separated by commas, are compared."""
    threshold: float = 0.5
    """Probability above which a pixel counts as blurred."""
    thresholds: tuple[float, ...] = ()
    """Further thresholds, separated by commas, for curves of quality and cost."""
    device: str = "auto"
    """Where the network runs."""
    precision: str = "auto"
    """float32, bfloat16 or float16."""
    ensemble: int | None = None
    """Of how many turned copies of a photo the mean is taken: 1, 2, 4 or 8; by default as many as the weights say."""
    linear_light: bool = False
    """Whether the photos' values add up as light does, as in means of a video's frames; if not, they are sRGB."""
    pairs: bool | None = None
    """Whether `data` holds pairs; otherwise blur is made on its photos. By default what it holds decides."""
    split: Literal["train", "test", "val"] = "test"
    """Which split of the pairs, where there are such folders."""
    blur: Literal["blur", "blur_gamma"] = "blur"
    """Which of GOPRO_Large's blurred photos."""
    masks: str | None = None
    """Folder of the pairs' masks, where there are several or it is not found."""
    limit: int | None = None
    """Score the first so many photos only."""
    sharp_photos: bool = True
    """Restore each sharp photo as it is too, where nothing should be found and nothing changed."""
    sheet_rows: int = 12
    """Most rows of a contact sheet."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for threshold in (self.threshold, *self.thresholds):
            check_threshold(threshold)
        if not self.model or not self.execution:
            raise InputError("no model or no execution is given; name at least one of each")
        if (self.limit is not None and self.limit < 1) or self.sheet_rows < 1:
            raise InputError("limit and sheet_rows count photos; give at least 1")


def split_at_commas(arguments: Sequence[str]) -> list[str]:
    """Give arguments in which each flag of `_LISTS` stands once, with all of its values as a JSON list."""
    rest: list[str] = []
    values: dict[str, list[str]] = {}
    flag = ""
    for word in arguments:
        text = word
        if word.startswith("-"):
            flag, _, text = word.partition("=")
        if flag in _LISTS:
            values.setdefault(flag, []).extend(each.strip("[]'\" ") for each in text.split(",") if each)
        else:
            rest.append(word)
    for name, given in values.items():
        rest += [name, json.dumps([_number_or_text(value) for value in given])]
    return rest


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
