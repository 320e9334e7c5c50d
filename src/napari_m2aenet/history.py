"""Undo and redo for anything that is immutable: states that were left, and states that were come back from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

State = TypeVar("State")

MAX_STATES = 200
MAX_BYTES = 64 * 2**20


class History(Generic[State]):
    """What was before the present state, and what was undone since.

    size: bytes that a state takes. The oldest states are forgotten beyond MAX_STATES or MAX_BYTES.
    """

    def __init__(self, size: Callable[[State], int] = lambda state: 0) -> None:
        self._size = size
        self._before: list[State] = []
        self._after: list[State] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a state to go back to."""
        return bool(self._before)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone state to go forward to."""
        return bool(self._after)

    def remember(self, left: State) -> None:
        """Keep a state that is being left for a new one; what was undone is forgotten."""
        self._before.append(left)
        self._after.clear()
        del self._before[: -MAX_STATES or None]
        while len(self._before) > 1 and sum(map(self._size, self._before)) > MAX_BYTES:
            del self._before[0]

    def undo(self, present: State) -> State:
        """Return the state before, and keep the present one for `redo`. IndexError where there is none."""
        state = self._before.pop()
        self._after.append(present)
        return state

    def redo(self, present: State) -> State:
        """Return what was undone last, and keep the present state for `undo`. IndexError where there is none."""
        state = self._after.pop()
        self._before.append(present)
        return state
