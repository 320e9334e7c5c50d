"""Contact sheets show each photo at its blur, in order and with its name."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m2aenet_core.evaluation.contender import AsItCame, Contender
from m2aenet_core.evaluation.partial import ScoredPhoto
from m2aenet_core.evaluation.scores import NO_SHARP_PHOTO, closeness, score_photo
from m2aenet_core.evaluation.sheet import CELL_PX, SheetRow, column_titles, ranked_sheets, sheet_png, strip_png
from m2aenet_core.evaluation.truth import Truth

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (30, 30, 220)


def picture(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((300, 400, 3), colour, np.uint8)


def decoded(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def cells(strip: np.ndarray) -> list[np.ndarray]:
    wide = CELL_PX[0] + 4
    return [strip[:, left : left + CELL_PX[0]] for left in range(0, strip.shape[1], wide)]


@pytest.fixture
def truth() -> Truth:
    mask = np.zeros((300, 400), bool)
    mask[200:260, 300:380] = True
    return Truth("a.png", 1, picture(RED), picture(BLUE), mask, None, picture(BLUE))


@pytest.fixture
def contenders(painter: Callable[..., Contender]) -> list[Contender]:
    finder = painter(picture(GREEN), np.ones((300, 400), np.float32), None, "finder", ("exact", "adaptive"))
    return [AsItCame(), finder, painter(picture((0, 0, 0)), None, None, "blind")]


def strip_of(contenders: list[Contender], truth: Truth, *, has_masks: bool = True) -> bytes:
    came = closeness(truth.blur, truth)
    results = [score_photo(contender, truth, came, NO_SHARP_PHOTO, 0.5, ()) for contender in contenders]
    return strip_png(truth, results, has_masks=has_masks)


def test_pictures_are_what_the_titles_say(contenders: list[Contender], truth: Truth) -> None:
    titles = column_titles(contenders, has_masks=True)
    assert titles == ["blur", "restored, finder", "restored, blind", "sharp", "probability, finder", "true mask"]
    shown = cells(decoded(strip_of(contenders, truth)))
    assert len(shown) == len(titles)
    middles = [tuple(cell[CELL_PX[1] // 2, CELL_PX[0] // 2]) for cell in shown]
    assert middles[:4] == [RED, GREEN, (0, 0, 0), BLUE]
    # the brightest of the scale, and white for the blur that is there
    assert min(middles[4]) > 180
    assert middles[5] == (255, 255, 255)


def test_the_blur_fills_the_picture_in_its_proportions(contenders: list[Contender], truth: Truth) -> None:
    mask = cells(decoded(strip_of(contenders, truth)))[-1][..., 0] > 128
    rows, columns = np.nonzero(mask)
    share = mask.mean()
    assert 0.2 < share < 0.9
    # 60 by 80 pixels stay that, whatever the cell is
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(80 / 60, rel=0.05)


@pytest.mark.parametrize("mask", [None, np.zeros((300, 400), bool)])
def test_without_known_blur_the_whole_photo_is_shown(
    contenders: list[Contender], truth: Truth, mask: np.ndarray | None
) -> None:
    quartered = picture(RED)
    quartered[:, 200:] = BLUE
    shown = cells(decoded(strip_of(contenders, truth._replace(blur=quartered, mask=mask), has_masks=False)))
    assert len(shown) == 5
    assert tuple(shown[0][100, 10]) == RED
    assert tuple(shown[0][100, -10]) == BLUE


def test_a_tall_photo_is_not_stretched(painter: Callable[..., Contender]) -> None:
    tall = np.full((400, 100, 3), RED, np.uint8)
    truth = Truth("a.png", 1, tall, tall, None, None, tall)
    first = cells(decoded(strip_of([painter(tall, None)], truth, has_masks=False)))[0]
    red = (first == RED).all(axis=2)
    rows, columns = np.nonzero(red)
    assert (np.ptp(rows) + 1) / (np.ptp(columns) + 1) == pytest.approx(4, rel=0.05)


def test_a_flat_photo_leaves_no_bands_of_paper(painter: Callable[..., Contender]) -> None:
    flat = np.full((100, 400, 3), RED, np.uint8)
    truth = Truth("a.png", 1, flat, flat, None, None, flat)
    strip = decoded(strip_of([painter(flat, None)], truth, has_masks=False))
    assert strip.shape[0] == CELL_PX[0] / 4
    assert all((cell == RED).all() for cell in cells(strip))


def test_a_sheet_has_captions_between_its_strips(contenders: list[Contender], truth: Truth) -> None:
    strip = strip_of(contenders, truth)
    sheet = decoded(sheet_png(["blur"], [SheetRow(strip, "one"), SheetRow(strip, "two")]))
    height, width = decoded(strip).shape[:2]
    line = (sheet.shape[0] - 2 * height) // 3
    assert sheet.shape[1] == width
    assert np.array_equal(sheet[2 * line : 2 * line + height], decoded(strip))
    assert np.array_equal(sheet[-height:], decoded(strip))
    for top in (0, line, 2 * line + height):
        assert (sheet[top : top + line] < 100).any(), "there is no writing"


def test_best_and_worst_are_ranked_by_the_first_network(
    contenders: list[Contender], truth: Truth, tmp_path: Path
) -> None:
    came = closeness(truth.blur, truth)
    rows = [score_photo(each, truth, came, NO_SHARP_PHOTO, 0.5, ()).scores for each in contenders]
    scores = [score for each in rows for score in each]
    gains, photos = (1.0, -2.0, 3.0), []
    for number, gain in enumerate(gains):
        changed = [score._replace(gain_w=gain if score.model == "finder" else -gain) for score in scores]
        photos.append(ScoredPhoto(changed, [], {}))
        shade = np.full((CELL_PX[1], CELL_PX[0], 3), 50 * (number + 1), np.uint8)
        Image.fromarray(shade).save(tmp_path / f"{number}.png")
    sheets = ranked_sheets(["blur"], photos, lambda number: tmp_path / f"{number}.png", 2)

    def shades(name: str) -> list[int]:
        sheet = decoded(sheets[name])
        line = (sheet.shape[0] - 2 * CELL_PX[1]) // 3
        return [int(sheet[2 * line + 10, 10, 0]), int(sheet[-10, 10, 0])]

    assert shades("contact_sheet_best.png") == [150, 50]
    assert shades("contact_sheet_worst.png") == [100, 50]


def test_the_photo_as_it_came_alone_needs_no_sheet(truth: Truth, tmp_path: Path) -> None:
    result = score_photo(AsItCame(), truth, closeness(truth.blur, truth), NO_SHARP_PHOTO, 0.5, ())
    assert ranked_sheets(["blur"], [ScoredPhoto(result.scores, [], {})], lambda _: tmp_path, 3) == {}
