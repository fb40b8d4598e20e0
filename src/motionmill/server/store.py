"""Jobs and their motions in SQLite and a folder: what was told to a client is on disk first, and survives a kill."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionmill.server.database import transaction
from motionmill.server.schemas import State

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, state TEXT NOT NULL, request TEXT NOT NULL,
    created REAL NOT NULL, started REAL, finished REAL, attempts INTEGER NOT NULL DEFAULT 0, reason TEXT,
    motions TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, number);
"""
_COLUMNS = "number, id, state, request, created, started, finished, attempts, reason, motions"
MAX_ATTEMPTS = 3


class QueueFullError(Exception):
    """No more jobs are taken now."""


@dataclass(frozen=True)
class StoredJob:
    """A row: the request as it was checked, and the motions as they are told to clients."""

    number: int
    id: str
    state: State
    request: dict[str, Any]
    created: float
    started: float | None
    finished: float | None
    attempts: int
    reason: str | None
    motions: list[dict[str, Any]]


class Store:
    """A folder with `jobs.db` and `motions/`; any number of threads, one process."""

    def __init__(self, folder: Path, *, max_queued: int = 64) -> None:
        """Open or begin.

        Raises:
            ValueError: the database is something else, or another server has it.
        """
        self.motions = folder / "motions"
        self.motions.mkdir(parents=True, exist_ok=True)
        self._max_queued = max_queued
        self._lock = threading.Lock()
        path = folder / "jobs.db"
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._owner = _own(folder)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{path}: not a database of jobs ({error}); name another folder"
            ) from None

    def close(self) -> None:
        """Close the database; another server may take the folder."""
        with self._lock:
            self._connection.close()
            self._owner.close()

    def add(self, request: dict[str, Any]) -> StoredJob:
        """A new job at the end of the queue.

        Raises:
            QueueFullError: there are as many as may wait.
        """
        name = secrets.token_hex(12)
        with self._writing() as database:
            if _count(database, "queued") >= self._max_queued:
                raise QueueFullError
            database.execute(
                "INSERT INTO jobs (id, state, request, created) VALUES (?, 'queued', ?, ?)",
                (name, json.dumps(request), time.time()),
            )
        job = self.get(name)
        assert job is not None
        return job

    def get(self, name: str) -> StoredJob | None:
        """A job by its id."""
        found = self._select("WHERE id = ?", name)
        return found[0] if found else None

    def newest(self, count: int) -> list[StoredJob]:
        """The newest jobs, newest first."""
        return self._select("ORDER BY number DESC LIMIT ?", count)

    def position(self, job: StoredJob) -> int:
        """The place of a queued job in the queue, from 1; 0 where it does not wait any more."""
        query = (
            "SELECT COUNT(*) FROM jobs WHERE state = 'queued' AND number <= "
            "(SELECT number FROM jobs WHERE id = ? AND state = 'queued')"
        )
        with self._lock:
            return int(self._connection.execute(query, (job.id,)).fetchone()[0])

    def waiting(self) -> list[str]:
        """The ids of all queued jobs, in their order."""
        query = "SELECT id FROM jobs WHERE state = 'queued' ORDER BY number"
        with self._lock:
            return [row[0] for row in self._connection.execute(query).fetchall()]

    def count(self, state: State) -> int:
        """How many jobs are in a state."""
        with self._lock:
            return _count(self._connection, state)

    def take(self) -> StoredJob | None:
        """The first of the queue, which is running from now on."""
        with self._writing() as database:
            row = database.execute(
                "SELECT id FROM jobs WHERE state = 'queued' ORDER BY number LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            database.execute(
                "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1 WHERE id = ?",
                (time.time(), row[0]),
            )
        return self.get(row[0])

    def finish(self, name: str, motions: Sequence[dict[str, Any]]) -> bool:
        """A running job is done; False where it is not running any more."""
        return self._end(name, "done", None, motions)

    def fail(self, name: str, reason: str) -> bool:
        """A job has failed, for a reason that its owner may read."""
        return self._end(name, "failed", reason[:500], ())

    def cancel(self, name: str) -> bool:
        """A job that waits or runs is cancelled; False where it has ended before."""
        return self._end(name, "cancelled", None, ())

    def put_back(self, name: str) -> None:
        """A running job waits again, in its old place; this does not count as an attempt."""
        with self._writing() as database:
            database.execute(
                "UPDATE jobs SET state = 'queued', attempts = attempts - 1 WHERE id = ? AND state = 'running'",
                (name,),
            )

    def recover(self) -> int:
        """After a kill: what was running waits again, but is given up after some attempts; how many were running."""
        with self._writing() as database:
            lost = _count(database, "running")
            database.execute(
                "UPDATE jobs SET state = 'failed', finished = ?, reason = ? WHERE state = 'running' AND attempts >= ?",
                (
                    time.time(),
                    f"lost: the server ended {MAX_ATTEMPTS} times while it ran",
                    MAX_ATTEMPTS,
                ),
            )
            database.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
        return lost

    def expire(self, *, max_age_seconds: float, max_bytes: int) -> int:
        """Forget ended jobs that are too old, and the oldest while the files are too many; how many went."""
        ended = self._select(
            "WHERE state IN ('done', 'failed', 'cancelled') ORDER BY finished DESC"
        )
        sizes: dict[str, int] = {}
        for path in self._files():
            owner = path.name.partition("-")[0]
            sizes[owner] = sizes.get(owner, 0) + path.stat().st_size
        used, gone = 0, []
        for job in ended:
            used += sizes.get(job.id, 0)
            if used > max_bytes or (job.finished or 0) < time.time() - max_age_seconds:
                gone.append(job.id)
        with self._writing() as database:
            database.executemany("DELETE FROM jobs WHERE id = ?", [(name,) for name in gone])
        known = {job.id for job in self._select("")}
        for path in self._files():
            if path.name.partition("-")[0] not in known:
                path.unlink(missing_ok=True)
        return len(gone)

    def keep(self, motion: str, suffix: str, data: bytes) -> None:
        """A file of a motion beside its raw one, whole or not at all; it goes when the job does."""
        aside = self.motions / f".{motion}.{suffix}"
        aside.write_bytes(data)
        aside.replace(self.motions / f"{motion}.{suffix}")

    def _files(self) -> list[Path]:
        """The files of motions; what is being written has a name that begins with a dot."""
        return [path for path in self.motions.iterdir() if not path.name.startswith(".")]

    def _end(
        self, name: str, state: State, reason: str | None, motions: Sequence[dict[str, Any]]
    ) -> bool:
        with self._writing() as database:
            done = database.execute(
                "UPDATE jobs SET state = ?, finished = ?, reason = ?, motions = ? "
                "WHERE id = ? AND state IN ('queued', 'running')",
                (state, time.time(), reason, json.dumps(list(motions)), name),
            )
        return done.rowcount == 1

    def _select(self, rest: str, *values: object) -> list[StoredJob]:
        with self._lock:
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM jobs {rest}", values)
            return [_stored(row) for row in rows.fetchall()]

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self._connection, self._lock)


def _stored(row: tuple[Any, ...]) -> StoredJob:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["request"] = json.loads(values["request"])
    values["motions"] = json.loads(values["motions"])
    return StoredJob(**values)


def _count(database: sqlite3.Connection, state: State) -> int:
    row = database.execute("SELECT COUNT(*) FROM jobs WHERE state = ?", (state,)).fetchone()
    return int(row[0])


def _own(folder: Path) -> sqlite3.Connection:
    """A lock that lasts as long as the process: two servers on one folder would run each other's jobs."""
    owner = sqlite3.connect(folder / "owner.db", check_same_thread=False, isolation_level=None)
    try:
        owner.execute("PRAGMA busy_timeout = 2000")
        owner.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        owner.close()
        raise ValueError(
            f"{folder}: another server has this folder ({error}); name another"
        ) from None
    return owner
