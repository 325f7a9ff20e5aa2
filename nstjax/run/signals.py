"""Ctrl-C and SIGTERM as a request to stop at the next good moment."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether a signal has asked to stop, and which."""

    number = 0  # none has

    @property
    def requested(self) -> bool:
        return self.number > 0


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """A request that the first SIGINT or SIGTERM makes; the second of them acts as it would have without this context.

    Python handles signals in its main thread only: elsewhere nothing is ever requested.
    """
    requested = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield requested
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def give_back() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    def request(number: int, frame: FrameType | None) -> None:
        requested.number = number
        give_back()

    for number in usual:
        signal.signal(number, request)
    try:
        yield requested
    finally:
        give_back()
