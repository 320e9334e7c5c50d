"""What is said of a result that was made again from a record."""

from typing import Any

import numpy as np
import pytest

from m2aenet_core.record import pixels_sha256
from napari_m2aenet.repeating import Repeat

PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)


def record_of(pixels: np.ndarray, **settings: Any) -> dict[str, Any]:
    as_the_window = {
        "threshold": 0.5,
        "execution": "adaptive",
        "precision": "float32",
        "tile_px": None,
        "device": "cpu",
        "linear_light": False,
    }
    return {
        "settings": as_the_window | settings,
        "result": {"pixels_sha256": pixels_sha256(pixels)},
        "versions": {"torch": "2.0.1"},
    }


def test_the_same_pixels_are_called_the_same_however_they_were_made() -> None:
    repeat = Repeat(record_of(PIXELS, linear_light=True, tile_px=512))
    assert repeat.verdict(PIXELS) == "The same pixels came out as in the record."


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"threshold": 0.12345}, "its threshold 0.12345 has more digits than ε here"),
        ({"execution": "exact"}, "it was made with exact execution in float32"),
        ({"precision": "bfloat16"}, "it was made with adaptive execution in bfloat16"),
        ({"linear_light": True}, "its values were taken for light, which the window does not do"),
        ({"tile_px": 512}, "it was made in tiles of 512 px"),
        ({}, "it was made on cpu with torch 2.0.1"),
        (
            {"linear_light": True, "tile_px": 512},
            "its values were taken for light, which the window does not do; it was made in tiles of 512 px",
        ),
    ],
)
def test_other_pixels_are_explained_by_what_the_window_cannot_repeat(settings: dict[str, Any], why: str) -> None:
    said = Repeat(record_of(PIXELS, **settings)).verdict(PIXELS + 1)
    assert said.startswith(f"Not quite the pixels of the record came out: {why}. ")


def test_a_record_of_before_there_was_light_to_choose_says_nothing_of_it() -> None:
    record = record_of(PIXELS)
    del record["settings"]["linear_light"]
    assert "light" not in Repeat(record).verdict(PIXELS + 1)
