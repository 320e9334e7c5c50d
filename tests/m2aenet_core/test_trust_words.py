from __future__ import annotations

import math

import numpy as np
import pytest

from m2aenet_core.tiling import Box
from m2aenet_core.trust import Explanation, Trust, TrustRegion
from m2aenet_core.trust_words import verdict


def explanation(share: float) -> Explanation:
    """With a restored photo 25 dB from the photo."""
    return Explanation(25 - 10 * math.log10(1 - share), 25.0)


def trust(share: float, *regions: float) -> Trust:
    found = tuple(
        TrustRegion(Box(10 * index, 20 * index, 9, 9), 1000, explanation(each)) for index, each in enumerate(regions)
    )
    return Trust(np.zeros((4, 4)), np.zeros((4, 4), np.float32), explanation(share), found)


@pytest.mark.parametrize(
    ("share", "words", "is_doubtful"),
    [
        (0.9, "gives the photo", False),
        (0.6, "in part", True),
        (0.2, "This is little", True),
        (-0.5, "Not explained", True),
    ],
)
def test_the_number_is_said_in_words(share: float, words: str, is_doubtful: bool) -> None:
    found = verdict(trust(share))
    assert words in found.text
    assert found.is_doubtful is is_doubtful
    assert share < 0 or f"{share:.0%}" in found.text


def test_the_places_to_look_at_are_named() -> None:
    found = verdict(trust(0.8, 0.9, 0.1, -2, 0.95))
    assert "Doubtful: 2 of 4 regions, around y 14, x 24; y 24, x 44." in found.text
    assert found.is_doubtful
    assert "Doubtful" not in verdict(trust(0.8, 0.9, 0.8)).text


def test_nothing_to_check_is_no_doubt() -> None:
    nothing = Trust(np.zeros((4, 4)), np.zeros((4, 4), np.float32), Explanation(math.nan, math.nan), ())
    assert verdict(nothing).text.startswith("No pixel is blurred")
    unchanged = Trust(np.zeros((4, 4)), np.zeros((4, 4), np.float32), Explanation(40.0, 80.0), ())
    assert verdict(unchanged).text.startswith("Hardly anything was changed")
    assert not verdict(unchanged).is_doubtful
