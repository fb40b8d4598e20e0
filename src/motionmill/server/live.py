"""What happens to a running job -> the same list of events for any number of readers, each at its own pace.

A reader that does not read holds no place in a queue: events are kept once, and each reader has only its position.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

HEARTBEAT_SECONDS = 15.0


class Live:
    """Events of one job. Written by the engine's thread, read in the event loop."""

    def __init__(self) -> None:
        self.position = 0  # in the queue, from 1; 0 where it is not known
        self._events: list[str] = []
        self._ended = False
        self._lock = threading.Lock()
        self._readers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def watched(self) -> bool:
        """Whether anybody reads; frames for nobody are not decoded."""
        return bool(self._readers)

    @property
    def begun(self) -> bool:
        """Whether anything has happened."""
        return bool(self._events)

    def stand(self, position: int) -> None:
        """The job waits, and is so far from its turn."""
        if position != self.position:
            self.position = position
            self.wake()

    def say(self, kind: str, **facts: Any) -> None:
        """One more event."""
        with self._lock:
            self._events.append(event(kind, **facts))
        self.wake()

    def end(self) -> None:
        """No more events; readers are let go after those that are there."""
        self._ended = True
        self.wake()

    def wake(self) -> None:
        """Let readers look again."""
        for loop, changed in list(self._readers):
            try:
                loop.call_soon_threadsafe(changed.set)
            except RuntimeError:  # its loop has ended, and so has the reader
                self._readers.discard((loop, changed))

    async def read(self) -> AsyncIterator[str | None]:
        """The events from the first on, until the end; None when there was none for a while or one should look."""
        changed = asyncio.Event()
        reader = (asyncio.get_running_loop(), changed)
        self._readers.add(reader)
        try:
            place = 0
            yield None
            while True:
                changed.clear()
                ended = self._ended
                while place < len(self._events):
                    place += 1
                    yield self._events[place - 1]
                if ended:
                    return
                try:
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                else:
                    yield None
        finally:
            self._readers.discard(reader)


def event(kind: str, **facts: Any) -> str:
    """A server-sent event (WHATWG HTML, section 9.2); JSON has no line breaks."""
    return f"event: {kind}\ndata: {json.dumps(facts, separators=(',', ':'))}\n\n"
