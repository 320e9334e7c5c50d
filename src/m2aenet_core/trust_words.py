"""What a person is told about how well a result explains its photo, in the window and on the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the window imports this, and does not wait for torch
    from m2aenet_core.trust import Trust, TrustRegion

WELL = 0.75
"""From here on the motion explains the blur."""

HARDLY = 0.5
"""Below this any other blur of about that length would do as well."""

_NAMED_REGIONS = 3
# a smaller share of the blurred area changes no opinion of the whole
_CRUMB = 0.02


@dataclass(frozen=True)
class Verdict:
    """A sentence on a result, and whether a person should look closer before trusting it."""

    text: str
    is_doubtful: bool


def verdict(trust: Trust) -> Verdict:
    """Return what the number of a checked result means."""
    share = trust.explanation.explained
    if math.isnan(trust.explanation.psnr_restored):
        return Verdict("No pixel is blurred, so there is nothing to check.", False)
    if share is None:
        return Verdict("Hardly anything was changed, so there is nothing to explain.", False)
    is_doubtful = share < WELL or bool(doubtful_regions(trust))
    return Verdict(f"{_sentence(share)} {_numbers(trust)}{_where(trust)}", is_doubtful)


def check_record(trust: Trust) -> dict[str, object]:
    """Return a checked result as a dictionary that JSON can hold; what is not defined is None.

    explained: see `Explanation`. psnr_reblurred, psnr_restored: dB, None for equal pixels too. doubtful_regions:
    the middles (y, x) of the regions of which less than half is explained.
    """
    number, said = trust.explanation, verdict(trust)
    return {
        "is_doubtful": said.is_doubtful,
        "verdict": said.text,
        "explained": number.explained,
        "psnr_reblurred": _finite(number.psnr_reblurred),
        "psnr_restored": _finite(number.psnr_restored),
        "regions": len(trust.regions),
        "doubtful_regions": [list(_middle(region)) for region in doubtful_regions(trust)],
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _sentence(share: float) -> str:
    if share >= WELL:
        return f"Explained: {share:.0%}. Blurred again along its trajectories, the result gives the photo."
    if share >= HARDLY:
        return f"Explained: {share:.0%}. Motion and restored photo explain the blur in part."
    if share >= 0:
        return f"Explained: {share:.0%}. This is little: another motion of that length would do about as well."
    return (
        "Not explained: blurred again, the result is further from the photo than before. It is still blurred, or the "
        "motion is wrong."
    )


def _numbers(trust: Trust) -> str:
    number = trust.explanation
    return (
        f"Likeness to the photo: {number.psnr_reblurred:.1f} dB blurred again, {number.psnr_restored:.1f} dB restored."
    )


def _where(trust: Trust) -> str:
    """The regions to look at, the largest first; nothing where there is one region only, or all are well."""
    doubtful = doubtful_regions(trust)
    if len(trust.regions) < 2 or not doubtful:
        return ""
    places = "; ".join(f"y {y}, x {x}" for y, x in map(_middle, doubtful[:_NAMED_REGIONS]))
    more = " and others" if len(doubtful) > _NAMED_REGIONS else ""
    return f" Doubtful: {len(doubtful)} of {len(trust.regions)} regions, around {places}{more}."


def _middle(region: TrustRegion) -> tuple[int, int]:
    box = region.box
    return (box.top + box.bottom) // 2, (box.left + box.right) // 2


def doubtful_regions(trust: Trust) -> list[TrustRegion]:
    """Return the regions of which less than half is explained, the largest first; crumbs are left out."""
    whole = sum(region.area_px for region in trust.regions)
    return [
        region
        for region in trust.regions
        if region.area_px >= _CRUMB * whole
        and region.explanation.explained is not None
        and region.explanation.explained < HARDLY
    ]
