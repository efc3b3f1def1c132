"""SIGINT and SIGTERM: long work is asked to stop where it can go on later."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from lcrp.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody asked to stop.

    Attributes:
        signal: the first signal that came, if any.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def arrive(self, number: int, frame: FrameType | None = None) -> None:  # noqa: ARG002
        """Called with a signal; the second one stops at once."""
        if self.signal is not None:
            raise Interrupted("stopped at once", signal=number)
        self.signal = signal.Signals(number)


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Turns signals into a request within the block, and leaves their handlers as they were.

    In a thread that gets no signals only `StopRequest.arrive` asks to stop; a handler that another library set
    outside Python cannot be put back, and stays.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: handler for number in _SIGNALS if (handler := signal.getsignal(number)) is not None}
    for number in before:
        signal.signal(number, request.arrive)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
