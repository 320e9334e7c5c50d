"""Requests to stop are noted, and a second one is obeyed."""

import os
import signal
import threading

import pytest

from m2aenet_core.training.stopping import Stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_request_is_noted_and_the_second_obeyed(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Stopping() as stopping:
        assert not stopping.is_wanted
        os.kill(os.getpid(), number)
        assert stopping.is_wanted
        assert stopping.is_interrupted
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_the_end_of_the_time_is_a_reason_to_stop_but_no_interruption() -> None:
    stopping = Stopping(max_time_s=0)
    assert stopping.is_wanted
    assert not stopping.is_interrupted
    assert not Stopping(max_time_s=1000).is_wanted


def test_what_ignores_ctrl_c_goes_on_doing_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stopping() as stopping:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stopping.is_wanted
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_can_be_entered_in_any_thread() -> None:
    entered = []

    def enter() -> None:
        with Stopping() as stopping:
            entered.append(stopping.is_wanted)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [False]
