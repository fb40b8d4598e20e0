"""Batches -> the same batches, prepared ahead by a thread, and how long the training waited for them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Prefetched(Generic[T]):
    """An iterator whose next items are made while the current one is used.

    Attributes:
        waited_seconds: time spent in `next` so far.
    """

    def __init__(self, items: Iterator[T], ahead: int) -> None:
        """Args: ahead: how many items are kept ready; 0 makes them when they are asked for, without a thread."""
        self.waited_seconds = 0.0
        self._items = items
        self._ready: queue.Queue[Any] = queue.Queue(max(1, ahead))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True) if ahead else None
        if self._thread is not None:
            self._thread.start()

    def __iter__(self) -> Prefetched[T]:
        return self

    def __next__(self) -> T:
        started = time.perf_counter()
        try:
            if self._thread is None:
                return next(self._items)
            item = self._ready.get()
            if isinstance(item, _Failure):
                raise item.error
            result: T = item
            return result
        finally:
            self.waited_seconds += time.perf_counter() - started

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _fill(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
            self._put(_Failure(StopIteration()))
        except Exception as error:
            self._put(_Failure(error))

    def _put(self, item: object) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


class _Failure:
    """An error of the thread, on its way to who waits."""

    def __init__(self, error: Exception) -> None:
        self.error = error
