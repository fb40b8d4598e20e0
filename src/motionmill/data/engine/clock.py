"""Work on a unit -> seconds by stage, and counts: what a step tells of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Clock:
    """Seconds by stage, and counts."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._counts: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What is done inside counts for a stage."""
        start = self._now()
        try:
            yield
        finally:
            passed = self._now() - start
            self._seconds[name] = self._seconds.get(name, 0.0) + passed

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a count."""
        self._counts[name] += amount

    def tally(self) -> dict[str, float]:
        """All of it, as plain numbers."""
        seconds = {f"seconds.{name}": value for name, value in self._seconds.items()}
        return {**seconds, **self._counts}
