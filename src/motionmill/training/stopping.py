"""Ctrl-C, or SIGTERM of a scheduler -> the step is finished and saved before the run ends."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN_SECONDS = 1.0  # a signal that comes so soon after the first is the same one, passed on


class Stop:
    """Whether somebody has asked for an end."""

    def __init__(self) -> None:
        self.asked = False
        self._since = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """A signal: the first is kept in mind, another one ends at once."""
        if self.asked and time.monotonic() - self._since > _AGAIN_SECONDS:
            raise KeyboardInterrupt
        if not self.asked:
            self.asked, self._since = True, time.monotonic()
            print("this step is finished and saved; once more to end at once", file=sys.stderr)


@contextmanager
def stop_on_signals(*, alone: bool) -> Iterator[Stop]:
    """Inside the context SIGINT, and SIGTERM where this process is `alone`, are requests to stop.

    Among several processes SIGTERM means that another one is gone (see `processes`). Outside the main thread signals
    cannot be taken, and none are.
    """
    stop = Stop()
    numbers = [signal.SIGINT, *([signal.SIGTERM] if alone else [])]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
