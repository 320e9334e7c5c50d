"""The rules of a run, with real small networks and without any window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image

from m2aenet_core.errors import InputError
from napari_m2aenet.jobs import Analyzed, Restored
from napari_m2aenet.models import OpenDeblurrer
from napari_m2aenet.session import Phase, Session, sentence
from napari_m2aenet.source import Source, source_of_layer


@pytest.fixture
def source(photo: np.ndarray) -> Source:
    return source_of_layer(Image(photo, rgb=True, name="street"))


@pytest.fixture
def session(open_tiny: OpenDeblurrer) -> Session:
    return Session(open_tiny)


def work_off(session: Session) -> list[Analyzed | Restored | None]:
    """Run every job there is, as the window would, but in this thread; return what was to be shown."""
    shown = []
    while (job := session.next_job()) is not None:
        job()
        shown.append(session.finish(job))
    return shown


def run(session: Session, source: Source) -> Restored:
    session.request_run(source)
    work_off(session)
    assert session.restored is not None, session.status.text
    return session.restored


def middle_threshold(session: Session) -> float:
    """A threshold that calls about half of the photo blurred."""
    assert session.analyzed is not None
    return round(float(np.median(session.analyzed.analysis.blur_probability)), 3)


def test_a_run_analyzes_once_and_restores_once(session: Session, source: Source) -> None:
    assert session.request_run(source)
    analyzed, restored = work_off(session)
    assert isinstance(analyzed, Analyzed)
    assert isinstance(restored, Restored)
    assert (session.analyses_done, session.restorations_done, session.phase) == (1, 1, Phase.IDLE)
    assert not session.is_busy


def test_the_restored_photo_has_the_shape_and_type_of_the_input(
    session: Session, source: Source, photo: np.ndarray
) -> None:
    restored = run(session, source).result.restored
    assert (restored.shape, restored.dtype) == (photo.shape, photo.dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [0, 3, 4])
def test_every_kind_of_picture_can_be_run(session: Session, photo: np.ndarray, dtype: type, channels: int) -> None:
    scale = {np.uint8: 1, np.uint16: 257}.get(dtype, 1 / 255)
    opaque = np.full((*photo.shape[:2], 1), 255, np.uint8)
    pixels = photo[..., 0] if channels == 0 else np.concatenate([photo, opaque], axis=2)[..., :channels]
    pixels = (pixels * np.float64(scale)).astype(dtype)
    restored = run(session, source_of_layer(Image(pixels, rgb=channels > 0)))
    assert restored.result.restored.shape == pixels.shape
    assert restored.result.restored.dtype == dtype


def test_another_threshold_restores_again_without_another_analysis(session: Session, source: Source) -> None:
    session.request_threshold(0.0)
    everything = run(session, source).result.mask
    threshold = middle_threshold(session)
    expected = session.mask_at(threshold)
    session.request_threshold(threshold)
    work_off(session)
    assert (session.analyses_done, session.restorations_done) == (1, 2)
    assert session.restored is not None
    np.testing.assert_array_equal(session.restored.result.mask, expected)
    assert everything.sum() > session.restored.result.mask.sum() > 0


def test_only_the_newest_threshold_is_worked_off(session: Session, source: Source) -> None:
    run(session, source)
    session.request_threshold(0.1)
    first = session.next_job()
    assert first is not None
    session.request_threshold(0.2)
    session.request_threshold(0.3)
    assert first.is_cancelled
    assert session.next_job() is None  # one job at a time
    first()
    assert session.finish(first) is None
    work_off(session)
    assert session.restored is not None
    assert session.restored.result.threshold == 0.3
    assert (session.restorations_done, session.dropped) == (2, 1)


def test_a_result_that_comes_too_late_is_dropped(session: Session, source: Source) -> None:
    run(session, source)
    session.request_threshold(0.1)
    late = session.next_job()
    assert late is not None
    late()
    session.request_threshold(0.2)
    assert session.finish(late) is None
    assert session.restored is not None
    assert session.restored.result.threshold == 0.5


def test_the_threshold_that_is_shown_is_not_restored_again(session: Session, source: Source) -> None:
    run(session, source)
    session.request_threshold(0.5)
    assert session.next_job() is None
    session.request_threshold(0.1)
    job = session.next_job()
    session.request_threshold(0.5)
    assert job is not None
    assert job.is_cancelled
    session.finish(job)
    assert session.next_job() is None
    assert "street" in session.status.text


def test_a_threshold_moved_during_the_analysis_is_the_one_restored_with(session: Session, source: Source) -> None:
    session.request_run(source)
    analysis = session.next_job()
    assert analysis is not None
    session.request_threshold(0.25)
    assert not analysis.is_cancelled
    analysis()
    session.finish(analysis)
    work_off(session)
    assert session.restored is not None
    assert session.restored.result.threshold == 0.25


def test_the_same_run_asked_for_twice_is_one_run(session: Session, source: Source) -> None:
    assert session.request_run(source)
    assert not session.request_run(source)
    job = session.next_job()
    assert not session.request_run(source)
    assert job is not None
    assert not job.is_cancelled


def test_a_run_on_another_photo_takes_the_place_of_the_first(
    session: Session, source: Source, photo: np.ndarray
) -> None:
    session.request_run(source)
    first = session.next_job()
    other = source_of_layer(Image(photo[:, ::-1], rgb=True, name="other"))
    assert session.request_run(other)
    assert first is not None
    assert first.is_cancelled
    first()
    session.finish(first)
    work_off(session)
    assert session.restored is not None
    assert session.restored.analyzed.source.name == "other"
    assert session.analyses_done == 1


def test_cancel_ends_a_run_and_leaves_what_is_shown(session: Session, source: Source) -> None:
    before = run(session, source)
    session.request_run(source)
    job = session.next_job()
    session.cancel()
    assert not session.is_busy
    assert job is not None
    job()
    assert session.finish(job) is None
    assert session.next_job() is None
    assert session.restored is before
    assert session.status.text.startswith("Stopped")


def test_after_a_cancelled_run_the_threshold_still_works(session: Session, source: Source) -> None:
    run(session, source)
    session.request_run(source)
    job = session.next_job()
    assert job is not None
    session.cancel()
    session.request_threshold(0.1)
    job()
    session.finish(job)
    work_off(session)
    assert session.restored is not None
    assert session.restored.result.threshold == 0.1


def test_a_threshold_moved_during_a_run_that_is_cancelled_is_restored_with(session: Session, source: Source) -> None:
    run(session, source)
    session.request_run(source)
    job = session.next_job()
    assert job is not None
    session.request_threshold(0.9)
    session.cancel()
    job()
    session.finish(job)
    work_off(session)
    assert session.restored is not None
    assert session.restored.result.threshold == session.choice.threshold == 0.9
    assert session.analyses_done == 1


def test_a_threshold_moved_during_a_run_that_fails_is_restored_with(session: Session, source: Source) -> None:
    run(session, source)
    session.request_run(source_of_layer(Image(np.full((20, 20), np.nan), contrast_limits=(0, 1))))
    job = session.next_job()
    assert job is not None
    session.request_threshold(0.9)
    job()
    session.finish(job)
    assert session.status.error is not None  # told until the restoration has ended
    work_off(session)
    assert session.restored is not None
    assert session.restored.result.threshold == session.choice.threshold == 0.9


def test_nothing_waits_for_a_layer_that_was_removed(session: Session, source: Source) -> None:
    run(session, source)
    session.request_threshold(0.1)
    job = session.next_job()
    session.request_threshold(0.2)  # waits until the job has stopped
    session.forget(source.key)
    assert job is not None
    session.finish(job)
    assert not session.is_busy


def test_another_frame_is_another_photo(session: Session, photo: np.ndarray) -> None:
    stack = Image(np.stack([photo[..., 0]] * 3), name="stack")
    first, last = source_of_layer(stack, (0, 0, 0)), source_of_layer(stack, (2, 0, 0))
    session.request_run(first)
    assert (session.is_run(first), session.is_run(last)) == (True, False)
    work_off(session)
    assert (session.is_run(first), session.is_run(last)) == (True, False)


def test_a_removed_layer_stops_its_run_and_no_other(session: Session, source: Source) -> None:
    session.request_run(source)
    job = session.next_job()
    assert job is not None
    session.forget("another layer")
    assert not job.is_cancelled
    session.forget(source.key)
    assert job.is_cancelled
    assert session.status.text == "The layer was removed, so its run was stopped."


def test_nothing_is_kept_of_a_removed_layer(session: Session, source: Source) -> None:
    run(session, source)
    session.forget(source.key)
    assert (session.analyzed, session.restored, session.mask_at(0.5)) == (None, None, None)
    assert session.status.text == "The photo was removed. Choose a photo and press Run."
    session.request_threshold(0.1)
    assert session.next_job() is None


def test_the_model_stays_open_between_runs_and_is_opened_anew_for_another_device(
    open_tiny: OpenDeblurrer, source: Source
) -> None:
    opened = []

    def opener(model: str, device: str, ensemble: int | None) -> object:
        opened.append((model, device, ensemble))
        return open_tiny(model, device, ensemble)

    session = Session(opener)  # type: ignore[arg-type]
    run(session, source)
    run(session, source)
    assert opened == [("default", "auto", None)]
    session.choose(device="cpu")
    run(session, source)
    assert opened[1:] == [("default", "cpu", None)]
    session.choose(ensemble=2)
    run(session, source)
    assert opened[2:] == [("default", "cpu", 2)]


def test_closing_gives_everything_back_once_the_work_has_ended(session: Session, source: Source) -> None:
    run(session, source)
    session.request_threshold(0.1)
    job = session.next_job()
    session.close()
    assert session.analyzed is not None  # the worker still uses it
    assert job is not None
    job()
    assert session.finish(job) is None
    assert session.analyzed is None


def test_a_fault_is_told_with_its_type_and_message(open_failing: OpenDeblurrer, source: Source) -> None:
    session = Session(open_failing)
    session.request_run(source)
    assert work_off(session) == [None]
    assert "RuntimeError: the weights melted" in session.status.text
    assert isinstance(session.status.error, RuntimeError)
    assert not session.is_busy


@pytest.mark.parametrize(
    ("model", "device", "expected"),
    [("default", "cuda:97", "There is no device 'cuda:97' here"), ("no-such-weights", "cpu", "no-such-weights")],
)
def test_an_unknown_model_or_device_is_a_sentence(source: Source, model: str, device: str, expected: str) -> None:
    session = Session()
    session.choose(model=model, device=device)
    session.request_run(source)
    work_off(session)
    assert isinstance(session.status.error, InputError)
    assert expected in session.status.text


def test_a_pickle_as_weights_is_refused_in_a_sentence(source: Source, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"\x80\x04\x95 not unpickled")
    session = Session()
    session.choose(model=str(weights))
    session.request_run(source)
    work_off(session)
    assert "is a pickle" in session.status.text


def test_a_photo_with_nan_is_refused_in_a_sentence(session: Session) -> None:
    pixels = np.zeros((20, 20), np.float32)
    pixels[3, 4] = np.nan
    session.request_run(source_of_layer(Image(pixels, contrast_limits=(0, 1))))
    work_off(session)
    assert "NaN" in session.status.text
    assert session.status.error is not None


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_its_range_is_refused(session: Session, threshold: float) -> None:
    with pytest.raises(ValueError, match="choose a number from 0 to 1"):
        session.request_threshold(threshold)


def test_messages_of_the_core_become_sentences() -> None:
    assert sentence(InputError("the image is empty; give another")) == "The image is empty; give another."
    assert sentence(InputError("x.png is damaged; copy it again.")) == "x.png is damaged; copy it again."


def test_too_little_memory_says_what_to_do() -> None:
    assert "choose another device" in sentence(MemoryError())


def test_the_status_line_tells_share_displacement_time_and_device(session: Session, source: Source) -> None:
    session.request_threshold(0.0)
    restored = run(session, source)
    assert restored.mean_displacement_px is not None
    for part in (
        "street",
        "100.0%",
        f"{restored.mean_displacement_px:.1f} px",
        " s to analyze",
        " s to restore",
        "cpu",
    ):
        assert part in session.status.text


def test_the_status_line_says_what_to_do_where_nothing_is_blurred(session: Session, source: Source) -> None:
    session.request_threshold(1.0)
    restored = run(session, source)
    assert restored.mean_displacement_px is None
    assert "no pixel is blurred at ε = 1; lower ε" in session.status.text
    np.testing.assert_array_equal(restored.result.restored, source.read())


def test_the_record_says_which_layer_and_what_it_was_made_with(session: Session, source: Source) -> None:
    record = run(session, source).record
    assert record["layer"] == {"name": "street", "frame": [], "file": None}
    assert record["settings"]["threshold"] == 0.5  # type: ignore[index]
