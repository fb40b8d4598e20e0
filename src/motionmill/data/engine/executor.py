"""Steps over units of work -> outcomes: what a step needs, what became of a unit, and who can run steps.

A unit is some recordings or one video; a step writes what it makes of a unit into one file of the data set and hands
back only a tally, so that little travels between processes or machines.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from motionmill.data.folder import DamagedFileError

Tally = Mapping[str, float]
"""What a step tells of a unit: seconds by stage (`seconds.pose`) and counts (`clips`, `requests`)."""

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@dataclass(frozen=True)
class Needs:
    """What a step takes while it runs.

    Attributes:
        cpus, gpus: of one worker; parts of one are allowed.
        model: whether a worker holds something in memory that is slow to load: on Ray it becomes an actor.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    model: bool = False


@dataclass(frozen=True)
class Step:
    """A step of the engine.

    Attributes:
        name: what it does: "measure".
        start: makes a worker ready (loads a model, opens a cache) and gives the function that does one unit; it can be
            pickled.
        needs: what one worker takes.
    """

    name: str
    start: Callable[[], Callable[[str], Tally]]
    needs: Needs = field(default_factory=Needs)


@dataclass(frozen=True)
class Done:
    """A unit whose file is written."""

    unit: str
    tally: Tally


@dataclass(frozen=True)
class Failed:
    """A unit that could not be done.

    Attributes:
        unit: its name; "" where a worker could not even start.
        reason: one line.
        fatal: whether no other unit will fare better: no room on the disk, or a worker cannot start.
        damaged: the file of the data set that is not whole, if that is why.
        details: the traceback.
    """

    unit: str
    reason: str
    fatal: bool = False
    damaged: str = ""
    details: str = ""


Outcome = Done | Failed


class Executor(Protocol):
    """Runs steps: on processes of this machine (`data.pool`) or on a Ray cluster (`data.ray_executor`)."""

    def run(self, step: Step, units: Iterable[str]) -> Iterator[Outcome]:
        """Does the units in any order and tells of each when it is done; closing the iterator stops the work."""


def attempt(do: Callable[[str], Tally], unit: str) -> Outcome:
    """One unit; whatever goes wrong becomes a `Failed`."""
    try:
        return Done(unit, do(unit))
    except Exception as error:
        return failure(unit, error)


def failure(unit: str, error: Exception, *, fatal: bool = False) -> Failed:
    """An error as an outcome."""
    full = isinstance(error, OSError) and error.errno in _NO_ROOM
    name = "" if isinstance(error, ValueError | OSError | ImportError) else type(error).__name__
    text = " ".join(str(error).split())
    return Failed(
        unit,
        f"{name}: {text}".removeprefix(": ") if text else type(error).__name__,
        fatal=fatal or full,
        damaged=error.path if isinstance(error, DamagedFileError) else "",
        details=traceback.format_exc(),
    )
