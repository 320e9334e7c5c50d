"""All frames of a layer, without a window: each as if it were run alone, in the layer's own shape and place."""

from __future__ import annotations

import tempfile
from collections import namedtuple
from typing import Any

import dask.array as da
import numpy as np
import pytest
import torch
import zarr
from napari.layers import Image, Labels

from m2aenet_core import Deblurrer, M2AENet
from m2aenet_core.errors import InputError
from napari_m2aenet.frames import FrameResults, FramesJob, blank_array, frame_count, stack_of_layer
from napari_m2aenet.models import ModelShelf, OpenDeblurrer
from napari_m2aenet.settings import Settings


def run(layer: Image, opener: OpenDeblurrer, **settings: Any) -> tuple[FramesJob, FrameResults]:
    stack = stack_of_layer(layer)
    job, results = FramesJob(stack, Settings(**settings), ModelShelf(opener)), FrameResults(stack)
    job()
    assert job.error is None
    for done in job.arrived:
        results.put(done)
    return job, results


def grey_stack(photo: np.ndarray) -> np.ndarray:
    return np.stack([photo[..., 0], photo[::-1, :, 1], photo[:, ::-1, 2]])


KINDS = {
    "time": lambda photo: grey_stack(photo),
    "time and channel": lambda photo: np.stack([grey_stack(photo), grey_stack(photo)[::-1]])[:, :2],
    "16 bits": lambda photo: grey_stack(photo).astype(np.uint16) * 9 + 100,
    "float": lambda photo: (grey_stack(photo) / 200).astype(np.float32),
    "colour": lambda photo: np.stack([photo, photo[::-1]]),
    "dask": lambda photo: da.from_array(grey_stack(photo), chunks=(1, 32, 32)),
    "zarr": lambda photo: zarr.array(grey_stack(photo), chunks=(1, 48, 64)),
}
RANGES = {"16 bits": (90.0, 2000.0), "float": (-0.1, 1.2)}


@pytest.mark.parametrize("kind", KINDS)
def test_each_frame_is_restored_as_if_it_were_run_alone(
    photo: np.ndarray, open_tiny: OpenDeblurrer, model: M2AENet, kind: str
) -> None:
    data = KINDS[kind](photo)
    value_range = RANGES.get(kind)
    layer = Image(data, rgb=kind == "colour", name="film", contrast_limits=value_range)
    job, results = run(layer, open_tiny, threshold=0.4)
    assert job.value == len(results) == len(job.stack)
    assert (results.restored.shape, results.restored.dtype) == (data.shape, data.dtype)
    deblurrer = Deblurrer(model, device="cpu")
    changed = False
    for frame in np.ndindex(*frame_count(layer)):
        alone = deblurrer(np.array(data[frame]), 0.4, value_range=value_range)
        np.testing.assert_array_equal(results.restored[frame], alone.restored)
        np.testing.assert_array_equal(results.mask[frame].astype(bool), alone.mask)
        changed = changed or bool((alone.restored != np.array(data[frame])).any())
    assert changed


def test_the_frame_that_is_seen_comes_first_and_the_record_is_in_order(
    photo: np.ndarray, open_tiny: OpenDeblurrer
) -> None:
    stack = stack_of_layer(Image(grey_stack(photo), name="film"))
    job, results = FramesJob(stack, Settings(), ModelShelf(open_tiny), first=(1,)), FrameResults(stack)
    job()
    assert [done.frame for done in job.arrived] == [(1,), (2,), (0,)]
    for done in job.arrived:
        results.put(done)
    assert [frame["frame"] for frame in results.record()["frames"]] == [[0], [1], [2]]


def test_a_frame_that_fails_is_named_and_costs_the_others_nothing(photo: np.ndarray, open_tiny: OpenDeblurrer) -> None:
    data = (grey_stack(photo) / 255).astype(np.float32)
    data[1] = np.nan
    _, results = run(Image(data, name="film", contrast_limits=(0, 1)), open_tiny)
    assert len(results) == 2
    assert not results.restored[1].any()
    (failure,) = results.failures
    assert failure.startswith("⚠ Frame 1: The image holds NaN or infinity; ")
    assert "2 of 3 frames are restored. 1 failed; they are listed." in results.summary(is_complete=True)


def test_stopped_in_the_middle_what_arrived_is_kept(photo: np.ndarray, open_tiny: OpenDeblurrer) -> None:
    stack = stack_of_layer(Image(grey_stack(photo), name="film"))
    job, results = FramesJob(stack, Settings(), ModelShelf(open_tiny)), FrameResults(stack)
    read = stack.read

    def read_two(frame: tuple[int, ...]) -> np.ndarray:
        if frame == (2,):
            job.cancel()
        return read(frame)

    object.__setattr__(stack, "read", read_two)
    job()
    for done in job.arrived:
        results.put(done)
    assert (job.value, job.error, len(results)) == (None, None, 2)
    assert results.mask[:2].any(axis=(1, 2)).all()
    assert not results.restored[2].any()
    assert results.summary(is_complete=False).startswith("Stopped. 2 of 3 frames of “film” are restored; they stay.")


def test_the_record_tells_what_the_frames_share_and_what_is_of_each(
    photo: np.ndarray, open_tiny: OpenDeblurrer
) -> None:
    layer = Image(grey_stack(photo), name="film", metadata={"m2aenet_file": "film.tif"})
    record = run(layer, open_tiny, threshold=0.4)[1].record()
    assert record["settings"]["threshold"] == 0.4
    assert record["layer"] == {"name": "film", "frames": [3], "file": "film.tif"}
    assert [frame["frame"] for frame in record["frames"]] == [[0], [1], [2]]
    assert len({frame["image"]["pixels_sha256"] for frame in record["frames"]}) == 3


def test_frames_are_restored_at_the_scale_of_the_settings(photo: np.ndarray, open_tiny: OpenDeblurrer) -> None:
    stack = stack_of_layer(Image(grey_stack(photo), name="film"))
    job, results = FramesJob(stack, Settings(scale=0.5), ModelShelf(open_tiny)), FrameResults(stack)
    job()
    for done in job.arrived:
        results.put(done)
    record = results.record()
    assert record["settings"]["scale"] == 0.5
    assert [frame["scale"] for frame in record["frames"]] == [0.5] * 3
    deblurrer, frame = open_tiny("", "", None), stack.read((1,))
    alone = deblurrer(frame, 0.5, value_range=stack.value_range, scale=0.5)
    np.testing.assert_array_equal(results.restored[1], alone.restored)


def test_a_result_larger_than_the_memory_lies_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = namedtuple("memory", "available")
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory(4 * 50))
    assert not isinstance(blank_array((5, 10), np.dtype(np.uint8)), np.memmap)
    array = blank_array((6, 10), np.dtype(np.uint16))
    assert isinstance(array, np.memmap)
    assert not array.any()
    array[3] = 7
    assert array.sum() == 70
    with pytest.raises(InputError, match=f"more than is free in memory and in {tempfile.gettempdir()}; crop the layer"):
        blank_array((2**30, 2**20), np.dtype(np.uint16))


def test_what_is_no_stack_is_refused_in_a_sentence(photo: np.ndarray) -> None:
    with pytest.raises(InputError, match="“street” is one picture and no stack; press Run for it"):
        stack_of_layer(Image(photo, rgb=True, name="street"))
    with pytest.raises(InputError, match="“cells” is not an image layer"):
        stack_of_layer(Labels(np.zeros((2, 4, 4), np.uint8), name="cells"))


def test_short_memory_is_told_of_the_frame_and_in_the_status_line(
    photo: np.ndarray, model: M2AENet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a network runs out of memory on large boxes, smaller ones are taken, and a person reads it."""
    from m2aenet_core import runner
    from napari_m2aenet.session import Session
    from napari_m2aenet.source import source_of_layer

    monkeypatch.setattr(runner, "_SMALLEST_PX", 16)
    analyze = model.analyze

    def analyze_small(image: torch.Tensor) -> Any:
        if image.shape[-1] > 250:
            raise torch.OutOfMemoryError("made up")
        return analyze(image)

    monkeypatch.setattr(model, "analyze", analyze_small)
    wide = np.concatenate([photo[..., 0]] * 3, axis=1)
    layer = Image(np.stack([wide, wide]), name="film")
    job, _ = run(layer, lambda name, device, ensemble: Deblurrer(model, device="cpu", ensemble=ensemble))
    assert "smaller ones were taken" in job.arrived[0].line()
    session = Session(lambda name, device, ensemble: Deblurrer(model, device="cpu", ensemble=ensemble))
    session.request_run(source_of_layer(layer, (0, 0, 0)))
    while (next_job := session.next_job()) is not None:
        next_job()
        session.finish(next_job)
    assert "The memory of this computer was too small for the tiles; smaller ones were taken." in session.status.text
