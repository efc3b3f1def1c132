"""Somebody asks to stop: by a signal, twice, in a thread, or beside a library's own handler."""

import os
import signal
import threading

import pytest

from lcrp.errors import Interrupted
from lcrp.runs import interruption
from lcrp.runs.interruption import stop_request


def test_first_signal_asks_and_the_second_stops_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_request() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
        with pytest.raises(Interrupted, match="stopped at once") as caught:
            os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thread_gets_no_signals_and_works_all_the_same() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stop_request() as stop:
            seen.append(bool(stop))
            stop.arrive(signal.SIGINT)
            seen.append(bool(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False, True]


def test_a_handler_from_outside_python_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """signal.getsignal answers None for it, which signal.signal refuses to put back."""
    ours = signal.getsignal(signal.SIGTERM)
    known = signal.getsignal
    monkeypatch.setattr(
        interruption.signal, "getsignal", lambda number: None if number == signal.SIGTERM else known(number)
    )
    with stop_request():
        assert known(signal.SIGTERM) is ours
        assert known(signal.SIGINT) is not signal.default_int_handler
