from __future__ import annotations

import os
from pathlib import Path

from m2aenet_core import Deblurrer, M2AENet
from napari_m2aenet.models import ModelShelf


def test_weights_that_a_run_has_written_anew_are_read_again_and_others_are_not(model: M2AENet, tmp_path: Path) -> None:
    opened: list[str] = []

    def opener(name: str, device: str, ensemble: int | None) -> Deblurrer:
        opened.append(name)
        return Deblurrer(model, device=device, ensemble=ensemble)

    weights = tmp_path / "best.safetensors"
    weights.touch()
    shelf = ModelShelf(opener)
    first = shelf.deblurrer(str(weights), "cpu", None)
    assert shelf.deblurrer(str(weights), "cpu", None) is first
    os.utime(weights, ns=(1, 1))
    assert shelf.deblurrer(str(weights), "cpu", None) is not first
    shelf.deblurrer("small", "cpu", None)
    shelf.deblurrer("small", "cpu", None)
    assert opened == [str(weights), str(weights), "small"]
