"""Steps on processes of this machine; a worker that is killed is replaced and its unit done again."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import sys
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import (
    connection,
    get_context,
    parent_process,
)
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Final

from motionmill.data.engine.executor import Failed, Outcome, Step, attempt, failure
from motionmill.formats.workers import can_fork_of_a_server

logger = logging.getLogger(__name__)

_MAX_DEATHS: Final = 5  # workers that one unit may take with it
_PRELOADED: Final = (
    "motionmill.data.engine.captioning",
    "motionmill.data.engine.extracted",
    "motionmill.data.engine.measure",
    "motionmill.data.engine.pack",
    "pyarrow.parquet",
)  # what steps need, read in once for all workers


class ProcessPool:
    """An executor on `workers` processes, which go on from step to step; one alone works in this process.

    On Linux a fork server starts with the pool and imports while the driver does: make the pool before all else.
    """

    def __init__(self, workers: int = 1) -> None:
        if workers < 1:
            raise ValueError(f"{workers} workers; expected 1 or more")
        self.workers = workers
        self._idle: list[_Worker] = []
        weakref.finalize(self, _stop_all, self._idle)
        if workers > 1:
            _start_server()

    def run(self, step: Step, units: Iterable[str]) -> Iterator[Outcome]:
        waiting = deque(units)
        if not waiting:
            return
        if self.workers == 1:
            yield from _here(step, waiting)
            return
        deaths: Counter[str] = Counter()
        workers = [self._hire(step) for _ in range(min(self.workers, len(waiting)))]
        try:
            for worker in workers:
                _hand_out(worker, waiting)
            while busy := [worker for worker in workers if worker.unit is not None]:
                for worker in _ready(busy):
                    outcome = worker.outcome()
                    if outcome is None:
                        workers.remove(worker)
                        yield from _after_death(worker, waiting, deaths)
                        workers.append(worker := self._hire(step))
                    else:
                        worker.unit = None
                        yield outcome
                    _hand_out(worker, waiting)
        finally:
            for worker in workers:
                if worker.unit is None and not step.needs.model:
                    self._idle.append(worker)
                else:
                    worker.stop()  # in the middle of a unit, or with a model in its memory

    def _hire(self, step: Step) -> _Worker:
        worker = self._idle.pop() if self._idle else _start()
        worker.send(step)
        return worker


def usable_cores() -> int:
    """How many cores this process may use, which a job scheduler may have made fewer than the machine has."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    unit: str | None = None

    def send(self, message: Step | str) -> None:
        """Tell it what to do; that it is dead shows when its outcome is asked for."""
        try:
            self.connection.send(message)
        except OSError:
            logger.debug("a worker died before it heard of %s", message)

    def outcome(self) -> Outcome | None:
        """What it has to tell; None where it died without a word."""
        try:
            if self.connection.poll():
                return self.connection.recv()  # from our own process: no foreign pickle
        except (EOFError, OSError):
            pass
        return None

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()
        self.process.close()


def _stop_all(workers: list[_Worker]) -> None:
    while workers:
        workers.pop().stop()


def _here(step: Step, units: Iterable[str]) -> Iterator[Outcome]:
    try:
        do = step.start()
    except Exception as error:
        yield failure("", error, fatal=True)
        return
    for unit in units:
        yield attempt(do, unit)


def _context() -> SpawnContext | ForkServerContext:
    """A fork server has no threads to inherit locks from, and its children start at once."""
    if not can_fork_of_a_server():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    return context


def _start_server() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # more threads only get in each other's way
    if _context().get_start_method() != "forkserver":
        return
    from multiprocessing import forkserver  # not on every system

    with _interrupts_ignored():
        forkserver.ensure_running()


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes that are started meanwhile leave Ctrl-C to the driver, also while they still import."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say so
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start() -> _Worker:
    context = _context()
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that its end is felt here
    return _Worker(process, ours)


def _hand_out(worker: _Worker, waiting: deque[str]) -> None:
    if waiting:
        worker.unit = waiting.popleft()
        worker.send(worker.unit)


def _ready(busy: list[_Worker]) -> list[_Worker]:
    """Workers that have something to say, or are dead."""
    handles = [handle for worker in busy for handle in (worker.connection, worker.process.sentinel)]
    ready = set(connection.wait(handles))
    return [worker for worker in busy if {worker.connection, worker.process.sentinel} & ready]


def _after_death(worker: _Worker, waiting: deque[str], deaths: Counter[str]) -> Iterator[Outcome]:
    """Puts the unit of a dead worker first in the line, or gives it up."""
    unit = worker.unit
    worker.process.join()
    code = worker.process.exitcode
    worker.stop()
    assert unit is not None
    deaths[unit] += 1
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    if deaths[unit] < _MAX_DEATHS:
        logger.warning("%s: its worker died (%s); another one takes over", unit, how)
        waiting.appendleft(unit)
    else:
        reason = f"its worker died {_MAX_DEATHS} times ({how}); too large for the memory?"
        yield Failed(unit, reason)


def _work(pipe: Connection) -> None:
    """The life of a worker: a step and its units in, outcomes out, until the driver hangs up or dies."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    threading.Thread(target=_die_with_driver, daemon=True).start()
    torch.set_num_threads(1)
    try:
        do = _made_ready(pipe.recv())
        while True:
            message = pipe.recv()
            if isinstance(message, Step):
                do = _made_ready(message)
            else:
                pipe.send(do(message))
    except (EOFError, OSError):
        return


def _made_ready(step: Step) -> Callable[[str], Outcome]:
    """What does the units of a step, or says of each that the worker cannot."""
    try:
        return functools.partial(attempt, step.start())
    except Exception as error:
        failed = failure("", error, fatal=True)
        return lambda unit: failed


def _die_with_driver() -> None:
    driver = parent_process()
    if driver is not None:
        connection.wait([driver.sentinel])
        os._exit(1)
