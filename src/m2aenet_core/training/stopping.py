"""Ctrl-C, the end of a machine's loan and the end of the time: reasons to stop between two steps."""

from __future__ import annotations

import math
import signal
import threading
import time
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Notes requests to stop while it is entered, so that no step is torn apart; a second one is obeyed at once."""

    def __init__(self, max_time_s: float = math.inf) -> None:
        """Begin to count the time."""
        self.is_interrupted = False
        self._deadline = time.monotonic() + max_time_s
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    @property
    def is_wanted(self) -> bool:
        """Whether somebody asked to stop, or the time is up."""
        return self.is_interrupted or time.monotonic() > self._deadline

    def __enter__(self) -> Stopping:
        # elsewhere the system allows no handlers, and signals reach the main thread anyway
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in _SIGNALS}
            for number, handler in self._before.items():
                # what is started in the background ignores Ctrl-C, and is to go on doing so
                if handler is not signal.SIG_IGN:
                    signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.is_interrupted:
            raise KeyboardInterrupt
        self.is_interrupted = True
