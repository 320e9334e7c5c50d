"""Undo and redo."""

from __future__ import annotations

from napari_m2aenet import history
from napari_m2aenet.history import History


def test_undo_goes_back_and_redo_forward() -> None:
    states: History[str] = History()
    states.remember("a")
    states.remember("b")
    assert states.undo("c") == "b"
    assert states.undo("b") == "a"
    assert not states.can_undo
    assert states.redo("a") == "b"
    assert states.redo("b") == "c"
    assert not states.can_redo


def test_something_new_forgets_what_was_undone() -> None:
    states: History[str] = History()
    states.remember("a")
    states.undo("b")
    states.remember("a")
    assert not states.can_redo


def test_the_oldest_states_go_first_when_they_are_many_or_large() -> None:
    many: History[int] = History()
    for number in range(history.MAX_STATES + 5):
        many.remember(number)
    large: History[int] = History(lambda state: history.MAX_BYTES // 2)
    for number in range(9):
        large.remember(number)
    for states, last, count in ((many, history.MAX_STATES + 4, history.MAX_STATES), (large, 8, 2)):
        undone = []
        while states.can_undo:
            undone.append(states.undo(-1))
        assert undone == list(range(last, last - count, -1))
