"""Workers: they go on from step to step, are replaced when they die, and start in either way that systems have."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context

import pytest

from motionmill.data.engine import pool as pool_module
from motionmill.data.engine.executor import Done, Failed, Needs, Step, Tally
from motionmill.data.engine.pool import ProcessPool, usable_cores

UNITS = ["a", "b", "c", "d", "e", "f"]


def start() -> Callable[[str], Tally]:
    return tell


def tell(unit: str) -> Tally:
    """Which process did it; a unit of this name takes its worker with it."""
    if unit == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"process": float(os.getpid())}


def cannot_start() -> Callable[[str], Tally]:
    raise FileNotFoundError("model.bin: no such file")


def processes(pool: ProcessPool, step: Step, units: list[str] = UNITS) -> set[int]:
    """Who did the units, all of which have to be done."""
    outcomes = list(pool.run(step, units))
    assert sorted(outcome.unit for outcome in outcomes) == units
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    return {int(one.tally["process"]) for one in outcomes if isinstance(one, Done)}


PLAIN = Step("tell", start)


@pytest.fixture(params=["forkserver", pytest.param("spawn", marks=pytest.mark.slow)])
def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ProcessPool:
    """Two workers, started as on Linux, or as on macOS and Windows."""
    if request.param == "spawn":
        monkeypatch.setattr(pool_module, "_context", lambda: get_context("spawn"))
    elif pool_module._context().get_start_method() != "forkserver":
        pytest.skip("this system has no safe fork server")
    return ProcessPool(2)


@pytest.mark.dist
def test_workers_go_on_from_step_to_step(pool: ProcessPool) -> None:
    hired = processes(pool, PLAIN)
    assert os.getpid() not in hired
    assert processes(pool, PLAIN) <= hired
    held = processes(pool, Step("model", start, Needs(model=True)))
    assert held <= hired
    after = processes(pool, PLAIN)
    assert not after & held  # what holds a model in its memory ends with its step


@pytest.mark.dist
def test_dead_workers_are_replaced() -> None:
    pool = ProcessPool(2)
    for victim in processes(pool, PLAIN):
        os.kill(victim, signal.SIGKILL)  # between two steps
    assert processes(pool, PLAIN)
    outcomes = {outcome.unit: outcome for outcome in pool.run(PLAIN, ["deadly", "a"])}
    assert isinstance(outcomes["a"], Done)
    assert isinstance(outcomes["deadly"], Failed)
    assert "died 5 times (signal 9)" in outcomes["deadly"].reason


@pytest.mark.dist
def test_a_step_that_cannot_start_fails_and_the_next_one_does_not() -> None:
    pool = ProcessPool(2)
    first, *_ = pool.run(Step("broken", cannot_start), UNITS)
    assert isinstance(first, Failed)
    assert first.fatal
    assert first.reason == "model.bin: no such file"
    assert processes(pool, PLAIN)


def test_cores_and_workers() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    with pytest.raises(ValueError, match="expected 1 or more"):
        ProcessPool(0)
