"""Masks from the threshold, by hand and from layers, their history, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from m2aenet_core.errors import InputError
from napari_m2aenet.jobs import Restored, RestoreJob
from napari_m2aenet.mask_choice import MaskChoice, MaskSource, PackedMask, packed_bytes
from napari_m2aenet.mask_meaning import Meaning
from napari_m2aenet.models import OpenDeblurrer
from napari_m2aenet.restoration_cost import cost_curve
from napari_m2aenet.session import Session
from napari_m2aenet.source import Source, source_of_layer

H, W = 96, 128


@pytest.fixture
def source(photo: np.ndarray) -> Source:
    return source_of_layer(Image(photo, rgb=True, name="street"))


@pytest.fixture
def session(open_tiny: OpenDeblurrer, source: Source) -> Session:
    session = Session(open_tiny)
    session.request_run(source)
    work_off(session)
    assert session.restored is not None, session.status.text
    return session


def work_off(session: Session) -> Restored | None:
    while (job := session.next_job()) is not None:
        job()
        session.finish(job)
    return session.restored


def square(top: int = 20, left: int = 30, side: int = 24) -> np.ndarray:
    mask = np.zeros((H, W), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_packed_mask_is_the_mask_again_and_small() -> None:
    mask = np.zeros((3001, 4003), bool)
    mask[100:2000, 333:3000] = True
    packed = PackedMask.of(mask)
    np.testing.assert_array_equal(packed.unpack(), mask)
    assert packed == PackedMask.of(mask.copy())
    assert packed_bytes(MaskChoice(given=packed, painted=packed)) < mask.size / 500


def test_a_painted_mask_is_what_is_restored_and_said_in_the_record(session: Session) -> None:
    session.request_mask(square())
    restored = work_off(session)
    assert restored is not None
    np.testing.assert_array_equal(restored.result.mask, square())
    assert restored.record["mask"] == {"source": "painted", "is_given": True, "layer": None, "selected_pixels": None}
    assert restored.record["settings"]["threshold"] is None  # type: ignore[index]
    assert "are blurred" in session.status.text


def test_the_threshold_alone_is_left_to_the_network_as_on_the_command_line(session: Session) -> None:
    assert session.restored is not None
    assert session.restored.result.threshold == 0.5
    assert session.restored.record["mask"] == {
        "source": "threshold",
        "is_given": False,
        "layer": None,
        "selected_pixels": None,
    }


def test_moving_the_threshold_keeps_the_strokes_for_undo_and_for_their_source(session: Session) -> None:
    session.request_mask(square())
    work_off(session)
    session.request_threshold(0.2)
    restored = work_off(session)
    assert session.choice.source is MaskSource.THRESHOLD
    assert restored is not None
    assert restored.result.threshold == 0.2
    session.request_source(MaskSource.PAINTED)
    np.testing.assert_array_equal(session.mask(), square())
    assert session.undo()
    assert session.choice.source is MaskSource.THRESHOLD
    assert session.undo()
    assert session.choice.source is MaskSource.PAINTED
    np.testing.assert_array_equal(session.mask(), square())


def test_the_same_threshold_again_leaves_a_painted_mask_alone(session: Session) -> None:
    session.request_mask(square())
    session.request_threshold(0.5)
    assert session.choice.source is MaskSource.PAINTED


def test_undo_and_redo_give_thresholds_strokes_and_photos_back(session: Session) -> None:
    assert session.restored is not None
    photos = [session.restored.result.restored]
    session.request_threshold(0.2)
    photos.append(work_off(session).result.restored)  # type: ignore[union-attr]
    session.request_mask(square())
    photos.append(work_off(session).result.restored)  # type: ignore[union-attr]
    for step, expected in [(session.undo, 1), (session.undo, 0), (session.redo, 1), (session.redo, 2)]:
        assert step()
        np.testing.assert_array_equal(work_off(session).result.restored, photos[expected])  # type: ignore[union-attr]
    assert not session.redo()
    assert session.settings.threshold == 0.2


def test_a_selection_limits_every_source(session: Session) -> None:
    selection = square(0, 0, 60)
    everything = session.mask_at(0.1)
    session.request_threshold(0.1)
    session.request_selection(selection)
    restored = work_off(session)
    assert restored is not None
    assert everything is not None
    np.testing.assert_array_equal(restored.result.mask, everything & selection)
    assert restored.record["mask"]["selected_pixels"] == 3600  # type: ignore[index]
    session.request_mask(square(50, 50, 30), ("key", "drawn elsewhere"))
    np.testing.assert_array_equal(session.mask(), square(50, 50, 30) & selection)
    assert session.choice.description()["layer"] == "drawn elsewhere"
    session.request_selection(None)
    np.testing.assert_array_equal(session.mask(), square(50, 50, 30))


def test_painting_starts_from_the_mask_that_is_shown(session: Session) -> None:
    before = session.mask()
    session.request_source(MaskSource.PAINTED)
    np.testing.assert_array_equal(session.mask(), before)
    assert session.choice.source is MaskSource.PAINTED


def test_a_mask_of_another_size_is_refused_in_a_sentence(session: Session) -> None:
    with pytest.raises(InputError, match="The mask is 96 × 127 but the photo is 96 × 128; choose one of its size"):
        session.request_mask(np.zeros((96, 127), bool), ("key", "other"))


def test_an_empty_painted_mask_gives_the_photo_and_says_so(session: Session, photo: np.ndarray) -> None:
    session.request_mask(np.zeros((H, W), bool))
    restored = work_off(session)
    assert restored is not None
    np.testing.assert_array_equal(restored.result.restored, photo)
    assert "the mask is empty" in session.status.text


def test_each_photo_has_its_own_strokes_which_come_back_with_it(
    session: Session, source: Source, photo: np.ndarray
) -> None:
    session.request_mask(square())
    other = source_of_layer(Image(photo[:, ::-1], rgb=True, name="other"))
    session.request_run(other)
    work_off(session)
    assert session.choice.source is MaskSource.THRESHOLD
    assert not session.undo()
    session.request_run(source)
    restored = work_off(session)
    assert restored is not None
    np.testing.assert_array_equal(restored.result.mask, square())
    session.forget(source.key)
    assert session.choice == MaskChoice()


def test_strokes_that_come_back_have_the_threshold_of_now(session: Session, source: Source, photo: np.ndarray) -> None:
    session.request_mask(square())
    session.request_run(source_of_layer(Image(photo[:, ::-1], rgb=True, name="other")))
    work_off(session)
    session.request_threshold(0.8)
    session.request_run(source)
    work_off(session)
    assert (session.choice.source, session.choice.threshold) == (MaskSource.PAINTED, 0.8)
    np.testing.assert_array_equal(session.mask(), square())
    assert session.undo()
    assert (session.choice.source, session.settings.threshold) == (MaskSource.THRESHOLD, 0.5)


def test_a_threshold_moved_while_a_painted_photo_is_run_again_takes_the_place_of_the_strokes(
    session: Session, source: Source
) -> None:
    session.request_mask(square())
    work_off(session)
    session.request_run(source)
    analysis = session.next_job()
    assert analysis is not None
    session.request_threshold(0.8)
    analysis()
    session.finish(analysis)
    restored = work_off(session)
    assert restored is not None
    assert restored.result.threshold == session.choice.threshold == 0.8
    assert session.undo()
    np.testing.assert_array_equal(session.mask(), square())


def test_a_stroke_computes_what_it_touches_and_leaves_the_rest_bit_for_bit(open_tiny: OpenDeblurrer) -> None:
    wide = np.random.default_rng(3).integers(0, 256, (96, 640, 3)).astype(np.uint8)
    session = Session(open_tiny)
    session.request_run(source_of_layer(Image(wide, rgb=True, name="wide")))
    work_off(session)
    first = np.zeros(wide.shape[:2], bool)
    first[30:60, 20:60] = first[30:60, 500:560] = True
    session.request_mask(first)
    before = work_off(session)
    second = first.copy()
    second[40:50, 60:70] = True  # at the edge of the left region
    session.request_mask(second)
    after = work_off(session)
    assert before is not None
    assert after is not None
    assert 0 < after.new_macs < before.new_macs
    changed = (before.result.restored != after.result.restored).any(axis=(0, 2))
    assert changed[60:70].any()
    assert not changed[200:].any()
    session.undo()
    undone = work_off(session)
    assert undone is not None
    np.testing.assert_array_equal(undone.result.restored, before.result.restored)


NEW = np.s_[60:80, 500:520]
"""A stroke at the border of a large region."""


@pytest.fixture
def wide() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (160, 640, 3)).astype(np.uint8)


def stroke_at_a_large_region(wide: np.ndarray, opener: OpenDeblurrer) -> tuple[Session, Restored, RestoreJob]:
    """A session with the large region restored, that result, and the job of the stroke."""
    session = Session(opener)
    session.request_run(source_of_layer(Image(wide, rgb=True, name="wide")))
    work_off(session)
    mask = np.zeros(wide.shape[:2], bool)
    mask[20:140, 20:500] = True
    session.request_mask(mask.copy())
    before = work_off(session)
    assert before is not None
    mask[NEW] = True
    session.request_mask(mask)
    job = session.next_job()
    assert isinstance(job, RestoreJob)
    return session, before, job


def test_a_stroke_at_a_large_region_is_seen_before_the_region_is_restored(
    wide: np.ndarray, open_tiny: OpenDeblurrer
) -> None:
    session, before, job = stroke_at_a_large_region(wide, open_tiny)
    job()
    part = job.preview
    assert part is not None
    assert part.pixels.size < wide.size / 8
    early = part.pasted(before.result.restored)
    restored = session.finish(job)
    assert isinstance(restored, Restored)
    difference = np.abs(early[NEW].astype(int) - restored.result.restored[NEW]).mean()
    assert difference < 0.2 * np.abs(wide[NEW].astype(int) - restored.result.restored[NEW]).mean()
    rest = np.ones(wide.shape[:2], bool)
    rest[44:96, 484:536] = False
    np.testing.assert_array_equal(early[rest], before.result.restored[rest])


def test_what_only_a_preview_has_shown_is_made_anew_when_it_is_undone(
    wide: np.ndarray, open_tiny: OpenDeblurrer
) -> None:
    session, before, job = stroke_at_a_large_region(wide, open_tiny)
    job()
    session.undo()  # the job has shown its preview, and is stopped
    assert session.finish(job) is None
    again = work_off(session)
    assert again is not None
    assert again is not before
    assert again.new_macs == 0
    np.testing.assert_array_equal(again.result.restored, before.result.restored)


def test_taking_the_brush_makes_the_mask_a_painted_one_without_another_step_to_undo(session: Session) -> None:
    session.request_threshold(0.3)
    work_off(session)
    shown = session.mask()
    session.take_brush()
    assert session.choice.source is MaskSource.PAINTED
    np.testing.assert_array_equal(session.mask(), shown)
    assert session.undo()
    assert session.choice == MaskChoice(threshold=0.5)


def test_only_the_newest_stroke_is_worked_off(session: Session) -> None:
    session.request_mask(square(0))
    first = session.next_job()
    session.request_mask(square(10))
    session.request_mask(square(20))
    assert first is not None
    assert first.is_cancelled
    first()
    session.finish(first)
    restored = work_off(session)
    assert restored is not None
    np.testing.assert_array_equal(restored.result.mask, square(20))
    assert (session.restorations_done, session.dropped) == (2, 1)


def test_the_cost_curve_counts_what_a_restoration_then_takes(session: Session) -> None:
    assert session.analyzed is not None
    curve = cost_curve(session.analyzed, session.choice)
    assert curve is not None
    assert np.all(np.diff(curve.macs) <= 0)
    assert curve.at(1.0) == 0
    for threshold in (0.2, 0.5, 0.8):
        session.request_threshold(threshold)
        restored = work_off(session)
        assert restored is not None
        assert restored.result.macs == curve.at(threshold)


def test_the_cost_of_a_given_mask_is_its_own_at_every_threshold(session: Session) -> None:
    assert session.analyzed is not None
    session.request_mask(square(30, 40, 16))
    restored = work_off(session)
    curve = cost_curve(session.analyzed, session.choice)
    assert restored is not None
    assert curve is not None
    assert curve.at(0.1) == curve.at(0.9) == restored.result.macs
    session.request_mask(np.ones((H, W), bool))
    everywhere = cost_curve(session.analyzed, session.choice)
    session.request_selection(square(30, 40, 16))
    selected = cost_curve(session.analyzed, session.choice)
    assert everywhere is not None
    assert selected is not None
    assert selected.at(0.5) == curve.at(0.5) < everywhere.at(0.5)


def test_what_a_mask_means_is_said_in_plain_words() -> None:
    meaning = Meaning(pixels=250_000, total=2_000_000, macs=40 * 10**9, whole=400 * 10**9, seconds=1.0)
    assert meaning.lines() == (
        "12.5 % of the photo is blurred: 250,000 pixels.",
        "About 40 of 400 G multiply-adds (10 %).",
        "Takes about 1.0 s to restore; the whole frame about 10 s, so about 9.0 s are saved.",
    )
    measured = Meaning(pixels=0, total=100, macs=None, whole=None, seconds=None, measured_s=0.25)
    assert measured.lines() == ("0.0 % of the photo is blurred: 0 pixels.", "", "Restored in 0.25 s.")


def test_seconds_are_told_from_what_was_measured(session: Session) -> None:
    assert session.restored is not None
    result = session.restored.result
    assert session.pace.seconds(2 * result.macs) == pytest.approx(2 * result.seconds)
    session.request_threshold(0.2)
    second = work_off(session)
    assert second is not None
    assert second.new_macs > 0
    assert session.pace.seconds(second.new_macs) == pytest.approx(second.result.seconds)  # the first one warms up
