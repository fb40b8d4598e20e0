"""Steps on a Ray cluster: tasks for plain steps, actors for those that hold a model; what dies is done again elsewhere.

The data set's folder has to be at the same path on every node (a shared file system), and MotionMill installed there.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

from motionmill.data.engine.executor import Failed, Outcome, Step, attempt, failure
from motionmill.extras import require

logger = logging.getLogger(__name__)

_MAX_DEATHS: Final = 5  # workers, or nodes, that one unit may lose
_AHEAD: Final = 2  # tasks a slot that wait at Ray, so that no slot is idle
_LOOK_AGAIN_SECONDS: Final = 5.0  # nodes come and go


class RayExecutor:
    """An executor on a Ray cluster.

    Args:
        address: of a running cluster, "auto" for the one of this machine; "" starts one here.
    """

    def __init__(self, address: str = "") -> None:
        self._ray: Any = require("ray", extra="ray")
        if not self._ray.is_initialized():
            self._ray.init(
                address=address or None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else {"include_dashboard": False}),
            )

    def run(self, step: Step, units: Iterable[str]) -> Iterator[Outcome]:
        waiting = deque(units)
        if not waiting:
            return
        crew = _Actors(self._ray, step) if step.needs.model else _Tasks(self._ray, step)
        deaths: Counter[str] = Counter()
        running: dict[Any, str] = {}
        try:
            while waiting or running:
                room = crew.room(len(running) + len(waiting))
                while waiting and len(running) < room:
                    unit = waiting.popleft()
                    running[crew.submit(unit)] = unit
                ready, _ = self._ray.wait(list(running), timeout=_LOOK_AGAIN_SECONDS)
                for reference in ready:
                    unit = running.pop(reference)
                    outcome = self._outcome(reference, unit)
                    crew.done(reference, lost=outcome is None)
                    if outcome is not None:
                        yield outcome
                    else:
                        yield from _after_death(unit, waiting, deaths)
        finally:
            crew.stop(list(running))

    def _outcome(self, reference: Any, unit: str) -> Outcome | None:
        """What a unit gave; None where its worker or node died."""
        errors = self._ray.exceptions
        try:
            result: Outcome = self._ray.get(reference)
            return result
        except errors.RayTaskError as error:
            return failure(unit, error, fatal=True)
        except errors.RayError as error:
            logger.warning("%s: %s; it is done again elsewhere", unit, type(error).__name__)
            return None


def _after_death(unit: str, waiting: deque[str], deaths: Counter[str]) -> Iterator[Outcome]:
    deaths[unit] += 1
    if deaths[unit] < _MAX_DEATHS:
        waiting.appendleft(unit)
    else:
        yield Failed(unit, f"its worker died {_MAX_DEATHS} times; too large for the memory?")


class _Tasks:
    """Plain steps: a task a unit; a worker process keeps what the step has made ready."""

    def __init__(self, ray: Any, step: Step) -> None:
        self._ray, self._step = ray, step
        options = ray.remote(num_cpus=step.needs.cpus, num_gpus=step.needs.gpus, max_retries=0)
        self._task = options(_do_unit)

    def room(self, wanted: int) -> int:
        return min(wanted, _AHEAD * _slots(self._ray, self._step))

    def submit(self, unit: str) -> Any:
        return self._task.remote(self._step, unit)

    def done(self, reference: Any, *, lost: bool) -> None:
        pass

    def stop(self, running: list[Any]) -> None:
        for reference in running:
            self._ray.cancel(reference, force=True)


class _Actors:
    """Steps that hold a model: as many actors as the cluster has room for, a unit at a time each."""

    def __init__(self, ray: Any, step: Step) -> None:
        self._ray, self._step = ray, step
        self._kind = ray.remote(num_cpus=step.needs.cpus, num_gpus=step.needs.gpus)(_Actor)
        self._idle: list[Any] = []
        self._busy: dict[Any, Any] = {}

    def room(self, wanted: int) -> int:
        return min(wanted, _slots(self._ray, self._step))

    def submit(self, unit: str) -> Any:
        actor = self._idle.pop() if self._idle else self._kind.remote(self._step)
        reference = actor.do.remote(unit)
        self._busy[reference] = actor
        return reference

    def done(self, reference: Any, *, lost: bool) -> None:
        actor = self._busy.pop(reference)
        if not lost:
            self._idle.append(actor)

    def stop(self, running: list[Any]) -> None:
        for actor in [*self._idle, *self._busy.values()]:
            self._ray.kill(actor)


class _Actor:
    """A model on a node of the cluster."""

    def __init__(self, step: Step) -> None:
        _one_thread()
        self._failed: Failed | None = None
        try:
            self._do = step.start()
        except Exception as error:
            self._failed = failure("", error, fatal=True)

    def do(self, unit: str) -> Outcome:
        return self._failed or attempt(self._do, unit)


_ready: dict[str, Any] = {}


def _do_unit(step: Step, unit: str) -> Outcome:
    import pickle

    key = repr(pickle.dumps(step))
    if key not in _ready:
        _one_thread()
        try:
            started = step.start()
        except Exception as error:
            return failure("", error, fatal=True)
        _ready.clear()
        _ready[key] = started
    return attempt(_ready[key], unit)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _slots(ray: Any, step: Step) -> int:
    """How many workers of a step the cluster has room for; at least one, which waits for a node."""
    have = ray.cluster_resources()
    counts = [
        have.get(name, 0.0) / amount
        for name, amount in (("CPU", step.needs.cpus), ("GPU", step.needs.gpus))
        if amount > 0
    ]
    return max(1, int(min(counts, default=1.0)))
