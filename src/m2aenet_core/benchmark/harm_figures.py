"""What was done to pictures without motion blur, in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from m2aenet_core.analysis import DeblurResult
from m2aenet_core.benchmark.unblurred import Picture
from m2aenet_core.evaluation.scores import PSNR_CEILING_DB
from m2aenet_core.metrics import psnr
from m2aenet_core.trust import Trust, measure_trust
from m2aenet_core.trust_words import verdict

MOVING = "motion blur"
"""Pictures with made motion blur, for comparison: there the blur is to be found, and the result to be trusted."""
ALL = "all without motion"
"""A row over all pictures but those."""
MARKED = 0.01
"""A picture with a larger share of its pixels called blurred counts as marked."""

Answer = Literal["not asked", "nothing to check", "doubtful", "trusted"]


@dataclass(frozen=True)
class Harm:
    """What became of a picture at a threshold."""

    kind: str
    image: str
    threshold: float
    called_blurred: float
    """Share of its pixels above the threshold."""
    to_input: float
    """PSNR of the result to the picture, dB; 80 for an exact copy."""
    check: Answer
    """What `measure_trust` said; nothing to check where nothing, or hardly anything, was changed."""
    explained: float | None
    """Its number: the share of the change that the motion explains."""


@dataclass(frozen=True)
class KindHarm:
    """What became of all pictures of a kind at a threshold. Shares are of 1; NaN where nothing was asked."""

    kind: str
    threshold: float
    images: int
    called_blurred: float
    called_blurred_worst: float
    marked: float
    """Share of the pictures with more than 1 % of their pixels called blurred."""
    to_input: float
    to_input_worst: float
    doubtful: float
    """Share of the pictures whose result the check calls doubtful."""
    trusted: float
    """Share of the pictures that were changed without an objection of the check."""


def measure_harms(picture: Picture, results: Sequence[DeblurResult], *, check: bool) -> list[Harm]:
    """Give what each result, of one threshold each, did to a picture. Only the first is checked, which takes long."""
    return [_harm(picture, result, is_checked=check and number == 0) for number, result in enumerate(results)]


def _harm(picture: Picture, result: DeblurResult, *, is_checked: bool) -> Harm:
    is_checked = is_checked and result.analysis.has_motion
    trust = measure_trust(result) if is_checked and result.density else None
    decibels = psnr(result.restored, result.analysis.image)
    return Harm(
        kind=picture.kind,
        image=picture.name,
        threshold=math.nan if result.threshold is None else result.threshold,
        called_blurred=result.density,
        to_input=min(decibels, PSNR_CEILING_DB),
        check=_answer(trust) if is_checked else "not asked",
        explained=None if trust is None else trust.explanation.explained,
    )


def _answer(trust: Trust | None) -> Answer:
    if trust is None or trust.explanation.explained is None:
        return "nothing to check"
    return "doubtful" if verdict(trust).is_doubtful else "trusted"


def summarize(harms: Sequence[Harm]) -> list[KindHarm]:
    """Give a row for each threshold and kind, in the order they come, and one over all kinds without motion."""
    rows = []
    for threshold in dict.fromkeys(harm.threshold for harm in harms):
        there = [harm for harm in harms if harm.threshold == threshold]
        for kind in dict.fromkeys(harm.kind for harm in there):
            rows.append(_row(kind, [harm for harm in there if harm.kind == kind]))
        rows.append(_row(ALL, [harm for harm in there if harm.kind != MOVING]))
    return [row for row in rows if row.images]


def _row(kind: str, harms: Sequence[Harm]) -> KindHarm:
    is_asked = any(harm.check != "not asked" for harm in harms)
    return KindHarm(
        kind=kind,
        threshold=harms[0].threshold if harms else math.nan,
        images=len(harms),
        called_blurred=_mean([harm.called_blurred for harm in harms]),
        called_blurred_worst=max((harm.called_blurred for harm in harms), default=math.nan),
        marked=_mean([harm.called_blurred > MARKED for harm in harms]),
        to_input=_mean([harm.to_input for harm in harms]),
        to_input_worst=min((harm.to_input for harm in harms), default=math.nan),
        doubtful=_mean([harm.check == "doubtful" for harm in harms]) if is_asked else math.nan,
        trusted=_mean([harm.check == "trusted" for harm in harms]) if is_asked else math.nan,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
