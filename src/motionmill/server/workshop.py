"""Files of strangers, and files for them -> bytes, in processes of their own with bounds of memory and time.

A process that needs too long or too much is ended and another takes its place; the server goes on. What it had written
goes with it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_START_SECONDS = 120.0
_MAX_WRITTEN_BYTES = 512 << 20
_NO_MEMORY = "the file needed more memory than is given; send a shorter motion"


class BusyError(Exception):
    """All processes are at work and enough callers wait."""


class Workshop:
    """Some processes that convert and export; any number of threads may ask."""

    def __init__(
        self,
        num_workers: int = 2,
        *,
        seconds: float = 60.0,
        memory_bytes: int = 2 << 30,
        max_waiting: int = 16,
    ) -> None:
        """Args: seconds, memory_bytes: bounds of one task; memory is counted beside what a process has at its start."""
        self._seconds, self._memory = seconds, memory_bytes
        self._waiting = threading.Semaphore(num_workers + max_waiting)
        self._idle: queue.Queue[_Worker] = queue.Queue()
        self._all: set[_Worker] = set()
        self._closed = False
        self._most = num_workers
        self._adding = threading.Lock()

    def warm(self) -> None:
        """Start the first process now; the others start when they are needed."""
        with self._adding:
            if not self._all:
                self._add()

    def convert(self, data: bytes, source: str, suffix: str, **options: Any) -> bytes:
        """A motion file -> another format, on our skeleton.

        Args:
            data: the file.
            source, suffix: formats without the dot, from fixed lists.
            options: cleanup (0 to 1, or None), names, licence.

        Raises:
            ValueError: not such a file, or one that needs too much time or memory.
            BusyError: try again later.
        """
        answer: bytes = self._run("convert", data, source, suffix, options)
        return answer

    def export(self, path: Path, suffix: str, **options: Any) -> bytes:
        """A motion of the server -> bytes of a format; see `convert`."""
        answer: bytes = self._run("export", path, suffix, options)
        return answer

    def extract(self, data: bytes, suffix: str, person: int, **options: Any) -> tuple[bytes, int]:
        """A video -> the motion of one person in it as bytes of a format, and how many people there are.

        Args:
            person: from 1, those longest in sight first.

        Raises:
            ValueError: no video, nobody in it, or as `convert`.
            ImportError: the extra for video is not installed.
            BusyError: try again later.
        """
        answer: tuple[bytes, int] = self._run("extract", data, suffix, person, options)
        return answer

    def character(self) -> bytes:
        """The mannequin standing, as a GLB file."""
        answer: bytes = self._run("character")
        return answer

    def close(self) -> None:
        """End all processes."""
        self._closed = True
        for worker in list(self._all):
            worker.kill()
        for worker in list(self._all):
            worker.end(wait=0.2)

    def _add(self) -> None:
        worker = _Worker(self._memory)
        self._all.add(worker)
        self._idle.put(worker)

    def _run(self, what: str, *arguments: Any) -> Any:
        if not self._waiting.acquire(blocking=False):
            raise BusyError
        with self._adding:
            if self._idle.empty() and len(self._all) < self._most and not self._closed:
                self._add()
        try:
            worker = self._idle.get(timeout=2 * self._seconds)
        except queue.Empty:
            self._waiting.release()
            raise BusyError from None
        try:
            kind, answer = worker.ask((what, *arguments), self._seconds)
        finally:
            if worker.alive or self._closed:
                self._idle.put(worker)
            else:
                with self._adding:
                    self._all.discard(worker)
                    self._add()
            self._waiting.release()
        if kind == "made":
            return answer
        if kind == "missing":
            raise ImportError(answer)
        raise ValueError(answer)


class _Worker:
    """One process, the pipe to it and the folder that it may write in."""

    def __init__(self, memory: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._folder = tempfile.TemporaryDirectory(prefix="motionmill-", ignore_cleanup_errors=True)
        arguments = (theirs, memory, self._folder.name)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def ask(self, task: tuple[Any, ...], seconds: float) -> tuple[str, Any]:
        """The answer, or why there is none; the process has ended where it went wrong."""
        try:
            if not self._ready:
                if not self._pipe.poll(_START_SECONDS):
                    raise TimeoutError
                self._pipe.recv()
                self._ready = True
            self._pipe.send(task)
            if not self._pipe.poll(seconds):
                raise TimeoutError
            answer: tuple[str, Any] = self._pipe.recv()
        except TimeoutError:
            self.end()
            return "bad", f"the file took longer than {seconds:g} seconds; send a shorter motion"
        except (EOFError, OSError):
            self.end()
            return "bad", _NO_MEMORY
        return answer

    def kill(self) -> None:
        self._process.kill()

    def end(self, wait: float = 5.0) -> None:
        self._process.kill()
        self._process.join(wait)
        self._pipe.close()
        self._folder.cleanup()


def _serve(pipe: Connection, memory: int, folder: str) -> None:
    """The process: task after task until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    import torch

    from motionmill.motion.body import mannequin
    from motionmill.server.tasks import TASKS

    torch.set_num_threads(1)
    mannequin()
    _bound(memory)
    _answers(pipe, TASKS, Path(folder))


def _answers(pipe: Connection, tasks: dict[str, Callable[..., Any]], place: Path) -> None:
    """Answer until the other side has gone; each task has an empty folder, which goes after it."""
    with contextlib.suppress(EOFError, BrokenPipeError):
        pipe.send("ready")
        while True:
            what, *arguments = pipe.recv()
            with tempfile.TemporaryDirectory(dir=place) as folder:
                answer = _answer(tasks[what], Path(folder), arguments)
            pipe.send(answer)


def _answer(task: Callable[..., Any], folder: Path, arguments: list[Any]) -> tuple[str, Any]:
    """What came of a task, in a form that any process understands."""
    try:
        return "made", task(folder, *arguments)
    except ImportError as error:
        return "missing", _one_line(error)
    except MemoryError:
        return "bad", _NO_MEMORY
    except RecursionError:
        return "bad", "the file is too deeply nested"
    except (ValueError, OSError) as error:
        return "bad", _one_line(error)
    except Exception as error:  # a reader's bug must not look like a server's
        return "bad", f"cannot be read ({type(error).__name__})"


def _bound(more: int) -> None:
    """No more address space than what the process has now and so much, no huge file; where the system can do that."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_WRITTEN_BYTES, _MAX_WRITTEN_BYTES))
    except (ImportError, OSError, ValueError):
        return


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).replace("upload.", "the file, a .").split())[:400]
