"""Jobs -> results on processes of their own; a job that kills its process is told, and no process is left behind.

What `concurrent.futures` does not give, and `convert` needs: which job a dead process was at (the others go on), an end
within seconds of Ctrl-C or SIGTERM whatever is being worked on, and processes that end with the one that started them,
even where that one was killed. A process gets its next job while it is at one, so that it never waits for jobs.

On Linux the modules that the work needs are imported once, by a process without threads of which the others are forked:
torch takes a second of a core. Elsewhere each process imports them for itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

Job = TypeVar("Job")
Result = TypeVar("Result")

_AHEAD = 2  # jobs that a process has: the one it is at, and the next
_LONGEST_SOCKET = 108  # bytes of a path, with the zero at its end: unix(7)
_SECONDS_TO_END = 10.0  # for a process that was told to end; then it is killed
_ENDS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # what tells a process to end


def on_processes(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    processes: int,
    *,
    modules: Sequence[str] = (),
) -> Generator[tuple[Job, Result | None], None, None]:
    """Does the jobs and gives each with its result as it is done, in any order; close it to stop early.

    A job whose process dies is tried once more at the end, alone: memory may have been short because of the others.

    Args:
        work: a function of a module, or a partial of one; each process gets a copy. Whatever it raises is raised here.
        jobs: what can be pickled, in a few kB each.
        processes: how many, at least one; not more are started than there are jobs.
        modules: names of modules to import before the first job.

    Yields:
        Each job with its result; None where its process died at it twice.

    Raises:
        ValueError: less than one process.
        RuntimeError: no process can be started.
    """
    if processes < 1:
        raise ValueError(f"{processes} processes; expected 1 or more")
    context = _context(modules)
    lost = []
    with contextlib.closing(_once(context, work, jobs, processes)) as answers:
        for job, results in answers:
            if results:
                yield job, results[0]
            else:
                lost.append(job)
    for alone in lost:
        with contextlib.closing(_once(context, work, [alone], 1)) as answers:
            for job, results in answers:
                yield job, results[0] if results else None


@contextlib.contextmanager
def tidy_end() -> Iterator[None]:
    """Where the process is told to end (SIGTERM, SIGHUP), what is under way in it is cleaned up, as at Ctrl-C.

    The exit code is 128 and the number of the signal, as shells have it. For programs, on their main thread; elsewhere,
    and for signals that are handled or ignored already, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in _ENDS if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def num_cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def can_fork_of_a_server() -> bool:
    """Whether processes can be forked of one without threads: on Linux, if its socket's path is not too long there.

    Elsewhere a child that is forked after torch was imported is not safe (macOS), or not to be had.
    """
    path = Path(tempfile.gettempdir(), "pymp-12345678", "listener-12345678")
    return sys.platform == "linux" and len(os.fsencode(path)) < _LONGEST_SOCKET


def _context(modules: Sequence[str]) -> ForkServerContext | SpawnContext:
    """How processes are started; forked of one that has imported the modules, where that is possible."""
    if not can_fork_of_a_server():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, *modules])
    return context


class _Worker(Generic[Job, Result]):
    """A process that does one job after the other.

    Attributes:
        pipe: jobs go in, answers come out: None once it has started, then a result in a tuple, or an exception.
        jobs: those that it has and has not answered; it is at the first.
    """

    def __init__(
        self, context: ForkServerContext | SpawnContext, work: Callable[[Job], Result]
    ) -> None:
        self.pipe, theirs = context.Pipe()
        self.jobs: deque[Job] = deque()
        self._started = False
        self._process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        with _deaf_to_interrupts():  # it inherits that, until it says itself what it does then
            self._process.start()
        theirs.close()

    def take(self, waiting: deque[Job]) -> None:
        """Takes as many of the jobs that wait as it should have."""
        while waiting and len(self.jobs) < _AHEAD:
            self.jobs.append(waiting.popleft())
            with contextlib.suppress(OSError):  # it is dead, which its answer will show
                self.pipe.send(self.jobs[-1])

    def answer(self) -> tuple[Result, ...] | None:
        """What it says; None where that is no result yet. Raises EOFError if it died."""
        try:
            said = self.pipe.recv()
        except (EOFError, OSError):
            if self._started:
                raise EOFError from None
            self._process.join()
            raise RuntimeError(
                f"a process ended at its start (exit code {self._process.exitcode}); a script that starts processes "
                "needs `if __name__ == '__main__':` around its work"
            ) from None
        self._started = True
        if isinstance(said, Exception):
            raise said
        return said

    def dismiss(self) -> None:
        """Tells it to end, at once if it is at a job."""
        self.pipe.close()
        if self.jobs:
            self._process.terminate()

    def end(self) -> None:
        """Waits until it has ended, for some seconds; then it is killed."""
        self._process.join(_SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _once(
    context: ForkServerContext | SpawnContext,
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    processes: int,
) -> Generator[tuple[Job, tuple[Result, ...]], None, None]:
    """Each job with its result in a tuple, which is empty where its process died at it."""
    waiting = deque(jobs)
    workers: list[_Worker[Job, Result]] = []
    try:
        for _ in range(min(processes, len(jobs))):
            workers.append(_Worker(context, work))
        while waiting or any(worker.jobs for worker in workers):
            for worker in workers:
                worker.take(waiting)
            ready = wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                try:
                    results = worker.answer()
                except EOFError:
                    results = ()
                    worker.end()
                    workers.remove(worker)
                    waiting.extendleft(list(worker.jobs)[:0:-1])  # all but the first
                    if waiting:
                        workers.append(_Worker(context, work))
                if results is not None and worker.jobs:
                    yield worker.jobs.popleft(), results
    finally:
        for worker in workers:
            worker.dismiss()
        for worker in workers:
            worker.end()


def _serve(pipe: Any, work: Callable[[Job], Result]) -> None:
    """What a process does: jobs, until nobody gives it any."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started it decides
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with tidy_end(), contextlib.suppress(EOFError, OSError):
        pipe.send(None)
        while True:
            job = pipe.recv()
            try:
                answer: object = (work(job),)
            except Exception as error:
                answer = error
            pipe.send(answer)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SECONDS_TO_END)
    os._exit(1)


def _leave(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once: what is being cleaned up shall not be interrupted
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ctrl-C waits until it is over."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
