"""Files of strangers, and files for them -> bytes, in processes of their own with bounds of memory and time.

A process that needs too long or too much is ended and another takes its place; the server goes on.
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

_MAX_OUTPUT_BYTES = 256 << 20
MAX_FRAMES = 30_000
_START_SECONDS = 120.0


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
        return self._run("convert", data, source, suffix, options)

    def export(self, path: Path, suffix: str, **options: Any) -> bytes:
        """A motion of the server -> bytes of a format; see `convert`."""
        return self._run("export", path, "npz", suffix, options)

    def character(self) -> bytes:
        """The mannequin standing, as a GLB file."""
        return self._run("character", b"", "npz", "glb", {})

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

    def _run(
        self, what: str, data: bytes | Path, source: str, suffix: str, options: dict[str, Any]
    ) -> bytes:
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
            kind, answer = worker.ask((what, data, source, suffix, options), self._seconds)
        finally:
            if worker.alive or self._closed:
                self._idle.put(worker)
            else:
                with self._adding:
                    self._all.discard(worker)
                    self._add()
            self._waiting.release()
        if kind == "bytes":
            assert isinstance(answer, bytes)
            return answer
        if kind == "missing":
            raise ImportError(answer)
        raise ValueError(answer)


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, memory: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, memory), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def ask(self, task: tuple[Any, ...], seconds: float) -> tuple[str, bytes | str]:
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
            answer: tuple[str, bytes | str] = self._pipe.recv()
        except TimeoutError:
            self.end()
            return "bad", f"the file took longer than {seconds:g} seconds; send a shorter motion"
        except (EOFError, OSError):
            self.end()
            return "bad", "the file needed more memory than is given; send a shorter motion"
        return answer

    def kill(self) -> None:
        self._process.kill()

    def end(self, wait: float = 5.0) -> None:
        self._process.kill()
        self._process.join(wait)
        self._pipe.close()


def _serve(pipe: Connection, memory: int) -> None:
    """The process: task after task until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    import torch

    from motionmill.motion.body import mannequin

    torch.set_num_threads(1)
    mannequin()
    _bound_memory(memory)
    tasks: dict[str, Callable[..., bytes]] = {
        "convert": _convert,
        "export": _export,
        "character": _character,
    }
    _answers(pipe, tasks)


def _answers(pipe: Connection, tasks: dict[str, Callable[..., bytes]]) -> None:
    """Answer until the other side has gone."""
    with contextlib.suppress(EOFError, BrokenPipeError):
        pipe.send("ready")
        while True:
            what, *arguments = pipe.recv()
            pipe.send(_answer(tasks[what], arguments))


def _answer(task: Callable[..., bytes], arguments: list[Any]) -> tuple[str, bytes | str]:
    """What came of a task, in a form that any process understands."""
    try:
        return "bytes", task(*arguments)
    except ImportError as error:
        return "missing", _one_line(error)
    except MemoryError:
        return "bad", "the file needed more memory than is given; send a shorter motion"
    except RecursionError:
        return "bad", "the file is too deeply nested"
    except (ValueError, OSError) as error:
        return "bad", _one_line(error)
    except Exception as error:  # a reader's bug must not look like a server's
        return "bad", f"cannot be read ({type(error).__name__})"


def _convert(data: bytes, source: str, suffix: str, options: dict[str, Any]) -> bytes:
    from motionmill.formats.files import load

    with tempfile.TemporaryDirectory(prefix="motionmill-") as folder:
        path = Path(folder) / f"upload.{source}"
        path.write_bytes(data)
        motion = load(path)
        if len(motion) > MAX_FRAMES:
            raise ValueError(f"{len(motion)} frames; expected {MAX_FRAMES} at most")
        return _written(motion, suffix, Path(folder), options)


def _export(path: Path, source: str, suffix: str, options: dict[str, Any]) -> bytes:
    from motionmill.formats.files import load

    with tempfile.TemporaryDirectory(prefix="motionmill-") as folder:
        return _written(load(path, format=source), suffix, Path(folder), options)


def _character(data: bytes, source: str, suffix: str, options: dict[str, Any]) -> bytes:
    import torch

    from motionmill.motion.motion import Motion
    from motionmill.motion.skeleton import adult_skeleton

    skeleton = adult_skeleton()
    stand = torch.eye(3).repeat(1, skeleton.num_joints, 1, 1)
    root = torch.tensor([[0.0, skeleton.standing_root_height, 0.0]])
    with tempfile.TemporaryDirectory(prefix="motionmill-") as folder:
        return _written(Motion(stand, root, name="stand"), suffix, Path(folder), options)


def _written(motion: Any, suffix: str, folder: Path, options: dict[str, Any]) -> bytes:
    """A motion, carried over to our skeleton and cleaned where that is asked for, as a file's bytes."""
    from motionmill.formats.files import OPTIONS, save
    from motionmill.motion.cleanup import clean
    from motionmill.motion.retarget import retarget
    from motionmill.motion.skeleton import SMPL_22_NAMES
    from motionmill.server.work import contact_runs, measures

    if motion.skeleton.names != SMPL_22_NAMES:
        motion = retarget(motion)
    if options.get("cleanup"):
        motion = clean(motion, strength=options["cleanup"])
    given = {"names": options.get("names", "smpl")}
    if suffix == "glb":
        given["extras"] = {"physics": measures(motion), "contacts": contact_runs(motion)}
    known = OPTIONS[f".{suffix}"]
    path = folder / f"motion.{suffix}"
    save(
        motion,
        path,
        licence=options.get("licence", ""),
        **{name: value for name, value in given.items() if name in known},
    )
    if path.stat().st_size > _MAX_OUTPUT_BYTES:
        raise ValueError(f"the {suffix} file is too large; ask for another format")
    return path.read_bytes()


def _bound_memory(more: int) -> None:
    """No more address space than what the process has now and so much; where the system can do that."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ImportError, OSError, ValueError):
        return


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).replace("upload.", "the file, a .").split())[:400]
