"""Settings, and flags that take several values."""

from __future__ import annotations

import pytest

from m2aenet_core.errors import InputError
from m2aenet_core.evaluation.config import EvaluateConfig, split_at_commas


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--execution", "exact,adaptive"], ["--execution", '["exact", "adaptive"]']),
        (["--execution=exact", "--out", "o", "--execution=dense"], ["--out", "o", "--execution", '["exact", "dense"]']),
        (["--thresholds", "0.1,0.5", "0.9"], ["--thresholds", "[0.1, 0.5, 0.9]"]),
        (["--thresholds", "0.1, 0.5", "--data", "d"], ["--data", "d", "--thresholds", "[0.1, 0.5]"]),
        (["--thresholds", "[0.1, 0.5]", "--data", "d"], ["--data", "d", "--thresholds", "[0.1, 0.5]"]),
        (["--execution", '["exact"]', "-o", "d"], ["-o", "d", "--execution", '["exact"]']),
        (["--model", "a,b", "--model", "c", "-o", "d"], ["--model", "a,b", "--model", "c", "-o", "d"]),
    ],
)
def test_several_values_become_a_list(given: list[str], expected: list[str]) -> None:
    assert split_at_commas(given) == expected


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"threshold": 1.5}, "the threshold is 1.5"),
        ({"thresholds": (0.1, -1.0)}, "the threshold is -1.0"),
        ({"model": ()}, "no model or no execution"),
        ({"limit": 0}, "give at least 1"),
        ({"sheet_rows": 0}, "give at least 1"),
    ],
)
def test_settings_that_cannot_be_get_a_sentence(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        EvaluateConfig(data="", **changes)
