"""Tasks for the bench -> their answers, from a thread of this process or from a process beside it.

A step of a small model is many small operations on the CPU, and between any two of them another thread may hold
Python's lock; a process of its own has a lock of its own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from motionmill.generator.release import Release
from motionmill.server.finishing import Bench


class Helper(Protocol):
    """Who does what a bench can, one task after another."""

    def submit(self, what: str, *arguments: Any) -> Future[Any]:
        """Call a method of the bench."""

    def close(self) -> None:
        """Do no more."""


class Thread:
    """In this process; for models on a GPU, whose steps leave Python's lock alone."""

    def __init__(self, release: Release) -> None:
        self._bench = Bench(release.codec, release.ranker)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="bench")

    def submit(self, what: str, *arguments: Any) -> Future[Any]:
        return self._executor.submit(getattr(self._bench, what), *arguments)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


class Process:
    """A process with copies of tokenizer and ranker; where it ends, its task fails and another process follows."""

    def __init__(self, release: Release) -> None:
        # As bytes: multiprocessing would put the weights into shared memory, of which containers have little.
        self._tools = pickle.dumps((release.codec, release.ranker))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bench")
        self._closed = False
        self._start()

    def submit(self, what: str, *arguments: Any) -> Future[Any]:
        return self._thread.submit(self._ask, what, arguments)

    def close(self) -> None:
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.process.kill()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self._tools), daemon=True)
        self.process.start()
        theirs.close()

    def _ask(self, what: str, arguments: tuple[Any, ...]) -> Any:
        try:
            self._pipe.send((what, _plain(arguments)))
            answer = _tensors(self._pipe.recv())
        except (EOFError, OSError):
            if not self._closed:
                self._start()
            raise RuntimeError(f"the process that was asked to {what} has ended") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(pipe: Connection, tools: bytes) -> None:
    """The process: task after task until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    codec, ranker = pickle.loads(tools)
    codec.tokenizer.keep_in_order()
    bench = Bench(codec, ranker)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            what, arguments = pipe.recv()
            try:
                answer = getattr(bench, what)(*_tensors(arguments))
            except Exception as error:
                answer = error
            pipe.send(_plain(answer))


def _plain(value: Any) -> Any:
    """Tensors as arrays, whose bytes travel: a tensor's memory would be shared instead."""
    if isinstance(value, Tensor):
        return value.numpy(force=True)
    return _each(_plain, value)


def _tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return _each(_tensors, value)


def _each(change: Any, value: Any) -> Any:
    """Lists and tuples, named ones too, with changed entries; anything else as it is."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(change, value))
    if isinstance(value, list | tuple):
        return type(value)(map(change, value))
    return value
