"""Queued jobs -> motions: one thread that moves the inference engine on, step by step, for all running jobs at once."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from motionmill.generator.engine import Engine
from motionmill.generator.release import Release
from motionmill.pipeline import TextToMotion
from motionmill.server.helper import Helper, Thread
from motionmill.server.live import Live
from motionmill.server.metrics import Metrics
from motionmill.server.store import Store, StoredJob
from motionmill.server.work import Work

_log = logging.getLogger(__name__)
_SWEEP_SECONDS = 60.0
_PREVIEW_SECONDS = 0.1  # between two looks at the frames of a sample that grows,
_PREVIEWS_A_SECOND = 20  # and no more of all samples together
_QUEUE_SECONDS = 2.0  # those who wait are told their place so often at most


@dataclass(frozen=True)
class Limits:
    """What one server gives.

    Attributes:
        job_seconds: a job that runs longer has failed.
        max_running: samples that share the engine's batch; the jobs after them wait.
        max_age_seconds, max_bytes: when results are forgotten.
        grace_seconds: how long running jobs may go on after the server is told to stop.
    """

    job_seconds: float = 300.0
    max_running: int = 16
    max_age_seconds: float = 7 * 86400.0
    max_bytes: int = 2 << 30
    grace_seconds: float = 3.0


@dataclass
class Runner:
    """The thread, and what is known of the jobs that run."""

    pipeline: TextToMotion
    store: Store
    limits: Limits = field(default_factory=Limits)
    prepare: Callable[[StoredJob, list[dict[str, object]]], None] = lambda job, motions: None
    helper: Callable[[Release], Helper] = Thread
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.engine = Engine(self.pipeline.release.generator, max_rows=128)
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._live: dict[str, Live] = {}
        self._works: list[Work] = []
        self._cancelled: set[str] = set()
        self._stopping = False
        self._queued = True  # there may be jobs in the store that wait
        self._moved, self._tell_next = False, 0.0
        self._durations: deque[float] = deque([2.0], maxlen=32)
        self._helper = self.helper(self.pipeline.release)
        # As many as jobs, so that known texts do not wait behind one that is read.
        self._texts = ThreadPoolExecutor(self.limits.max_running, thread_name_prefix="texts")
        self._files = ThreadPoolExecutor(2, thread_name_prefix="files")
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def stopping(self) -> bool:
        return self._stopping

    @property
    def _num_samples(self) -> int:
        return sum(len(work.samples) for work in self._works)

    def start(self) -> None:
        """Take up what was left by the last server, and work."""
        self.metrics.recovered += self.store.recover()
        self._sweep()
        self._thread.start()

    def live(self, name: str) -> Live:
        """The events of a job that has not ended."""
        with self._lock:
            return self._live.setdefault(name, Live())

    def forget(self, name: str) -> None:
        """The job has ended: its readers are let go, and find in the store how."""
        with self._lock:
            live = self._live.pop(name, None)
        if live is not None:
            live.end()

    def submitted(self) -> None:
        """A job has been stored."""
        self._queued = True
        self._changed.set()

    def cancel(self, name: str) -> bool:
        """End a job before the engine's next step; False where it has ended already."""
        if not self.store.cancel(name):
            return False
        self.metrics.ended["cancelled"] += 1
        self._cancelled.add(name)
        self._changed.set()
        self.forget(name)
        self._moved = True
        return True

    def retry_after(self) -> int:
        """Seconds after which the queue may have room."""
        return max(1, round(sum(self._durations) / len(self._durations)))

    def announce_stop(self) -> None:
        """Take no more jobs and let readers go; may be called from a signal handler."""
        self._stopping = True
        for live in list(self._live.values()):
            live.end()

    def stop(self) -> None:
        """End the thread: running jobs are finished if that is soon, and else wait for the next server."""
        self.announce_stop()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(self.limits.grace_seconds + 3)
        for work in self._works:
            self.store.put_back(work.job.id)
        self._helper.close()
        for executor in (self._texts, self._files):
            executor.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        swept = time.monotonic()
        until: float | None = None
        while True:
            if self._stopping:
                until = until or time.monotonic() + self.limits.grace_seconds
                if not self._works or time.monotonic() > until:
                    return
            else:
                self._admit()
            if time.monotonic() - swept > _SWEEP_SECONDS:
                self._sweep()
                swept = time.monotonic()
            if any(work.drawing for work in self._works):
                self._step()
            else:
                self._changed.wait(0.1 if self._works else 0.5)
            self._changed.clear()
            self._look()
            self._tell_places()

    def _step(self) -> None:
        start = time.perf_counter()
        self.engine.step()
        self.metrics.engine_seconds += time.perf_counter() - start
        self.metrics.tokens += sum(
            not stream.done
            for work in self._works
            for sample in work.samples
            for stream in sample.streams
        )

    def _admit(self) -> None:
        """Let jobs in while the batch has room for their samples."""
        while self._queued and self._num_samples < self.limits.max_running:
            self._queued = False  # before looking: whoever stores a job meanwhile says so again
            job = self.store.take()
            if job is None:
                return
            self._queued = self._moved = True
            live = self.live(job.id)
            deadline = time.monotonic() + self.limits.job_seconds
            try:
                work = Work(
                    job,
                    self.pipeline,
                    self.engine,
                    self._texts,
                    self._helper,
                    live,
                    self.store.motions,
                    deadline,
                    self._changed.set,
                )
                work.begin()
            except Exception as error:
                self._fail(job, error)
            else:
                self._works.append(work)

    def _look(self) -> None:
        """Between two steps: cancelled, late and finished jobs leave."""
        show_every = max(_PREVIEW_SECONDS, self._num_samples / _PREVIEWS_A_SECOND)
        for work in list(self._works):
            name = work.job.id
            try:
                if name in self._cancelled:
                    self._leave(work)
                    continue
                work.advance(show_every)
                if work.done:
                    self._finish(work)
                elif time.monotonic() > work.deadline:
                    raise TimeoutError(f"took longer than {self.limits.job_seconds:g} seconds")
            except Exception as error:
                self._leave(work)
                self._fail(work.job, error)
        self._cancelled &= {work.job.id for work in self._works}

    def _finish(self, work: Work) -> None:
        motions = work.result()
        self._leave(work)
        self._files.submit(self._told, work, motions)

    def _told(self, work: Work, motions: list[dict[str, object]]) -> None:
        """Files that were asked for, then the word that all is there."""
        try:
            self.prepare(work.job, motions)
        except Exception as error:
            self._fail(work.job, error)
            return
        if not self.store.finish(work.job.id, motions):
            return
        self.metrics.ended["done"] += 1
        self.metrics.motions += len(motions)
        now = time.time()
        self._durations.append(now - (work.job.started or now))
        self.metrics.observe(now - work.job.created)
        self.forget(work.job.id)

    def _fail(self, job: StoredJob, error: BaseException) -> None:
        expected = isinstance(error, ValueError | TimeoutError | ImportError)
        if not expected:
            _log.error("job %s failed", job.id, exc_info=error)
        reason = " ".join(str(error).split()) if expected else "something went wrong in the server"
        if self.store.fail(job.id, reason):
            self.metrics.ended["failed"] += 1
        self.forget(job.id)

    def _leave(self, work: Work) -> None:
        work.cancel()
        self._works.remove(work)

    def _tell_places(self) -> None:
        """Readers of waiting jobs hear where in the queue these are now."""
        if self._moved and time.monotonic() >= self._tell_next:
            self._moved = False
            self._tell_next = time.monotonic() + _QUEUE_SECONDS
            for place, name in enumerate(self.store.waiting(), start=1):
                live = self._live.get(name)
                if live is not None:
                    live.stand(place)

    def _sweep(self) -> None:
        limits = self.limits
        self.metrics.expired += self.store.expire(
            max_age_seconds=limits.max_age_seconds, max_bytes=limits.max_bytes
        )
