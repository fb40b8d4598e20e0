"""Jobs on disk: the queue is bounded and in order, what was told stays, what ran at a kill runs again, old ones go."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from motionmill.server.store import MAX_ATTEMPTS, QueueFullError, Store

REQUEST = {"prompt": "a person bows", "seed": 1}


def test_a_queue_in_order_and_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path, max_queued=2)
    first, second = store.add(REQUEST), store.add(REQUEST)
    with pytest.raises(QueueFullError):
        store.add(REQUEST)
    assert (store.position(first), store.position(second)) == (1, 2)
    taken = store.take()
    assert taken is not None
    assert (taken.id, taken.state, taken.request) == (first.id, "running", REQUEST)
    assert store.position(second) == 1
    assert [job.id for job in store.newest(5)] == [second.id, first.id]


def test_a_job_ends_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    job = store.add(REQUEST)
    store.take()
    assert store.cancel(job.id)
    assert not store.finish(job.id, [{"id": "x"}])
    assert not store.fail(job.id, "late")
    found = store.get(job.id)
    assert found is not None
    assert (found.state, found.motions, found.reason) == ("cancelled", [], None)
    assert store.take() is None


def test_after_a_kill(tmp_path: Path) -> None:
    store = Store(tmp_path)
    done, running, waiting = (store.add(REQUEST) for _ in range(3))
    store.take()
    store.finish(done.id, [{"id": f"{done.id}-0"}])
    for attempt in range(MAX_ATTEMPTS):
        taken = store.take()
        assert taken is not None
        assert (taken.id, taken.attempts) == (running.id, attempt + 1)
        store.close()
        store = Store(tmp_path)
        assert store.recover() == 1
    states = {job.id: job.state for job in store.newest(5)}
    assert states == {done.id: "done", running.id: "failed", waiting.id: "queued"}
    lost = store.get(running.id)
    assert lost is not None
    assert "lost" in str(lost.reason)


def test_put_back_is_no_attempt(tmp_path: Path) -> None:
    store = Store(tmp_path)
    job = store.add(REQUEST)
    for _ in range(MAX_ATTEMPTS + 2):
        taken = store.take()
        assert taken is not None
        assert taken.attempts == 1
        store.put_back(job.id)


def test_expiry_by_age_and_size(tmp_path: Path) -> None:
    store = Store(tmp_path)
    jobs = [store.add(REQUEST) for _ in range(4)]
    for job in jobs[:3]:
        store.take()
        (store.motions / f"{job.id}-0.npz").write_bytes(b"x" * 1000)
        store.finish(job.id, [])
    (store.motions / "0123-0.npz").write_bytes(b"of nobody")
    assert store.expire(max_age_seconds=60, max_bytes=2500) == 1
    assert store.get(jobs[0].id) is None
    names = {path.name for path in store.motions.iterdir()}
    assert names == {f"{job.id}-0.npz" for job in jobs[1:3]}
    assert store.expire(max_age_seconds=-1, max_bytes=10**9) == 2
    assert [job.id for job in store.newest(5)] == [jobs[3].id]  # waits, and stays


def test_one_server_a_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match="another server has this folder"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_another_file(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_text("these are not the jobs you are looking for" * 30)
    with pytest.raises((ValueError, sqlite3.DatabaseError), match="not a database of jobs"):
        Store(tmp_path)
