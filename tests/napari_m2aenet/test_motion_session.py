"""Probes, pins, films and checks without a window."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.layers import Image

from m2aenet_core import NAFNet
from m2aenet_core.deblurrer import Deblurrer
from napari_m2aenet.jobs import Job, Restored
from napari_m2aenet.models import OpenDeblurrer
from napari_m2aenet.motion_session import NO_MOTION, NO_PHOTO, OUTDATED, MotionSession
from napari_m2aenet.probes import CSV_COLUMNS
from napari_m2aenet.session import Session
from napari_m2aenet.source import source_of_layer


def restored(opener: OpenDeblurrer, photo: np.ndarray, **placement: Any) -> Restored:
    session = Session(opener)
    session.request_run(source_of_layer(Image(photo, rgb=True, name="street", **placement)))
    while (job := session.next_job()) is not None:
        job()
        session.finish(job)
    assert session.restored is not None, session.status.text
    return session.restored


def done(job: Job[Any] | None) -> Any:
    assert job is not None
    job()
    if job.error is not None:
        raise job.error
    return job.value


@pytest.fixture
def motion(open_moving: OpenDeblurrer, photo: np.ndarray) -> MotionSession:
    session = MotionSession()
    found = restored(open_moving, photo, scale=(0.5, 0.5), units=("um", "um"))
    session.take_analysis(found.analyzed)
    session.take_restored(found)
    return session


def test_a_probe_tells_length_direction_and_units(motion: MotionSession) -> None:
    right, up, still = (motion.put_probe(*place) for place in ((40, 30), (40, 96), (90, 64)))
    assert right is not None
    assert (right.length_px, right.length_world, right.unit) == (pytest.approx(12), pytest.approx(6), "µm")
    assert (right.direction_deg, right.direction) == (0, "→ right, 0°")
    assert right.acceleration == pytest.approx(0, abs=1e-4)
    assert right.blur_probability == pytest.approx(1)
    np.testing.assert_allclose(right.positions, [(40, 30 + 1.5 * step) for step in range(-4, 5)], atol=1e-4)
    assert up is not None
    assert (up.length, up.direction) == ("8.0 px = 4 µm", "↑ up, 90°")
    assert still is not None
    assert (still.direction_deg, still.direction) == (None, "none: it stands still")
    assert motion.put_probe(96, 0) is None
    assert motion.probe is still


def test_a_bent_way_is_as_long_as_it_is_and_accelerates(motion: MotionSession, monkeypatch: pytest.MonkeyPatch) -> None:
    s = np.linspace(-1, 1, 9)
    there_and_back = np.stack([np.zeros(9), 5 * s**2], axis=1)[None].astype(np.float32)
    monkeypatch.setattr(type(motion.analyzed.analysis), "trajectory_at", lambda *_: there_and_back)
    probe = motion.put_probe(40, 30)
    assert probe is not None
    assert probe.length_px == pytest.approx(10)
    # x = 5 s² with s = 2 t - 1 and t in exposures: its second derivative
    assert probe.acceleration == pytest.approx(40)
    assert probe.direction == "none: it ends where it began"


def test_a_position_in_the_world_finds_its_pixel(motion: MotionSession) -> None:
    probe = motion.move_probe((20.1, 14.9))  # micrometres, half a one for each pixel
    assert probe is not None
    assert (probe.y, probe.x) == (40, 30)
    assert motion.move_probe((3.0, 20.1, 14.9)) is not None  # while a film has a slider of its own
    assert motion.move_probe((-1.0, 10.0)) is None


def test_pins_become_a_table(motion: MotionSession) -> None:
    for place in ((40, 30), (40, 96), (90, 64)):
        probe = motion.put_probe(*place)
        assert probe is not None
        motion.pins.add(probe)
    motion.pins.remove([2])
    probe = motion.put_probe(30, 100)
    assert probe is not None
    assert motion.pins.add(probe).number == 4
    rows = list(csv.DictReader(io.StringIO(motion.pins.to_csv().decode())))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["number"] for row in rows] == ["1", "3", "4"]
    assert {key: rows[0][key] for key in ("photo", "y_px", "length_px", "length_layer", "layer_unit")} == {
        "photo": "street",
        "y_px": "40",
        "length_px": "12.000",
        "length_layer": "6",
        "layer_unit": "µm",
    }
    assert (float(rows[0]["x1_px"]), float(rows[0]["x9_px"])) == (24, 36)
    assert rows[1]["direction_deg"] == ""


def test_a_new_analysis_measures_its_pins_again(
    motion: MotionSession, open_tiny: OpenDeblurrer, photo: np.ndarray
) -> None:
    probe = motion.put_probe(40, 30)
    assert probe is not None
    motion.pins.add(probe)
    other = restored(open_tiny, photo).analyzed  # another layer: its own pins only
    motion.take_analysis(other)
    assert motion.pins.all[0].probe is probe
    same_place = replace(other, source=replace(other.source, key=probe.key))
    motion.take_analysis(same_place)
    assert motion.pins.all[0].number == 1
    assert motion.pins.all[0].probe.length_px != probe.length_px


def test_film_and_check_are_made_of_what_was_restored(motion: MotionSession) -> None:
    motion.film = done(motion.film_job(5))
    assert motion.film.frames.shape == (5, 96, 128, 3)
    np.testing.assert_array_equal(motion.film.frames[2], motion.restored.result.restored)
    assert "the middle one is the restored photo" in motion.film_text
    assert motion.film.record["film"] == {"instants": 5}
    motion.checked = done(motion.trust_job())
    assert motion.checked.trust.difference.shape == (96, 128)
    assert OUTDATED not in motion.film_text + motion.verdict.text


def test_what_belongs_to_an_older_restoration_says_so(
    motion: MotionSession, open_moving: OpenDeblurrer, photo: np.ndarray
) -> None:
    motion.film, motion.checked = done(motion.film_job(3)), done(motion.trust_job())
    motion.take_restored(restored(open_moving, photo))
    assert motion.film_text.endswith(OUTDATED)
    assert motion.verdict.text.endswith(OUTDATED)


def test_film_and_check_of_another_photo_are_dropped(
    motion: MotionSession, open_moving: OpenDeblurrer, photo: np.ndarray
) -> None:
    before = motion.restored
    assert before is not None
    motion.take_film(done(motion.film_job(3)))
    motion.take_checked(done(motion.trust_job()))
    motion.take_analysis(before.analyzed)  # run again: they stay, and say that they are older
    assert motion.film is not None
    assert motion.checked is not None
    film, checked = motion.film, motion.checked
    motion.take_analysis(restored(open_moving, photo).analyzed)
    assert motion.film is motion.checked is None
    motion.take_film(film)  # as when the work ends only now
    motion.take_checked(checked)
    assert motion.film is motion.checked is None


def test_what_is_missing_is_said(photo: np.ndarray) -> None:
    motion = MotionSession()
    assert (motion.film_text, motion.verdict.text, motion.film_job(9)) == (NO_PHOTO, NO_PHOTO, None)
    blind = NAFNet(width=4, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1))
    found = restored(lambda name, device, ensemble: Deblurrer(blind, device="cpu", ensemble=ensemble), photo)
    motion.take_analysis(found.analyzed)
    motion.take_restored(found)
    assert motion.film_text == motion.verdict.text == NO_MOTION
    assert motion.put_probe(3, 3) is motion.overview_job() is motion.trust_job() is None


def test_a_removed_photo_leaves_the_table(motion: MotionSession) -> None:
    probe = motion.put_probe(40, 30)
    assert probe is not None
    motion.pins.add(probe)
    motion.forget("another layer")
    assert motion.analyzed is not None
    motion.forget(probe.key)
    assert motion.analyzed is motion.restored is motion.probe is None
    assert len(motion.pins.all) == 1
