"""One SQLite connection of many threads -> transactions, one at a time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def transaction(
    connection: sqlite3.Connection, lock: threading.Lock
) -> Iterator[sqlite3.Connection]:
    """All that is written inside is on disk at the end, or nothing of it."""
    with lock:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
