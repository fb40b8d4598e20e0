"""torchrun's processes -> who this one is, and what they do together; one process needs none of it."""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

_TIMEOUT = timedelta(seconds=50)  # a process that does not answer for so long is lost
_WHILE_PREPARING = timedelta(hours=24)


class ProcessLostError(RuntimeError):
    """Another process of the job is gone, so that this one cannot go on."""


@dataclass(frozen=True)
class Processes:
    """This process among those of a job.

    Attributes:
        index, count: 0 .. count - 1, over all machines.
        device: what this process computes on.
    """

    index: int
    count: int
    device: torch.device

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.index == 0

    @property
    def together(self) -> bool:
        """Whether there is a process group, even of one."""
        return dist.is_initialized()

    def sums(self, numbers: list[float]) -> list[float]:
        """Each number added up over all processes."""
        if self.count == 1:
            return numbers
        total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def gathered(self, names: list[str]) -> list[str]:
        """The lists of all processes, one after the other."""
        if self.count == 1:
            return names
        parts: list[Any] = [None] * self.count
        dist.all_gather_object(parts, names)
        return [name for part in parts for name in part]

    def agreed(self, decision: bool) -> bool:
        """The main process's decision, for all."""
        if self.count == 1:
            return decision
        return bool(self.sums([float(decision and self.main)])[0])

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()


def main_process() -> bool:
    """Whether this process is the one that writes; true where there is only one."""
    return int(os.environ.get("RANK", "0")) == 0


def process_count() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def processes(device: torch.device | None = None) -> Iterator[Processes]:
    """Join the processes that torchrun has started (RANK, WORLD_SIZE, LOCAL_RANK), or be alone.

    Args:
        device: kind of device; among several GPUs each process takes the one of its local rank.

    Raises:
        ProcessLostError: from inside the context, where another process stops answering.
    """
    device = device or torch.device("cpu")
    if process_count() == 1:
        yield Processes(0, 1, device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=_TIMEOUT)
        atexit.register(_leave)
    mine = Processes(dist.get_rank(), dist.get_world_size(), device)
    with _ended_from_outside(), _lost(mine):
        yield mine


@contextmanager
def main_first(device: torch.device | None = None) -> Iterator[None]:
    """The main process runs the context before the others do: it makes files that they then find."""
    with processes(device) as mine:
        if mine.count == 1:
            yield
            return
        patient = dist.new_group(timeout=_WHILE_PREPARING, backend="gloo")
        if not mine.main:
            dist.barrier(patient)
        yield
        if mine.main:
            dist.barrier(patient)


def wait_for(done: Callable[[], bool], *, every_seconds: float = 0.5) -> None:
    """Poll until something is done by another process, for example a file is there."""
    while not done():
        time.sleep(every_seconds)


@contextmanager
def _lost(mine: Processes) -> Iterator[None]:
    """Errors of a broken connection in one line."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or not _about_connection(error):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # time to say so, before torchrun ends us
        atexit.unregister(_leave)  # it would wait for the others
        raise ProcessLostError(
            f"process {mine.index} of {mine.count}: another process of the job is gone or stuck "
            f"({str(error).splitlines()[0][:120]}); the same command goes on from the newest checkpoint"
        ) from error


def _about_connection(error: RuntimeError) -> bool:
    if isinstance(error, dist.DistError):
        return True
    words = ("connection closed", "connection reset", "timed out", "broken pipe", "gloo")
    return any(word in str(error).lower() for word in words)


@contextmanager
def _ended_from_outside() -> Iterator[None]:
    """torchrun ends what is left of a job by SIGTERM: say so instead of vanishing."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        atexit.unregister(_leave)
        raise ProcessLostError(
            "ended from outside, as torchrun does when another process of the job is gone; "
            "the same command goes on from the newest checkpoint"
        )

    try:
        before: Any = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread
        yield
        return
    yield
    signal.signal(signal.SIGTERM, before)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
