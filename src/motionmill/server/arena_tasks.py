"""Systems and prompts -> what a rater is asked next: blind, balanced, with planted checks.

Kinds: `pair` (which of two motions is better), `single` (scores of one motion) and `check` (a motion against itself
with its frames out of order: whoever looks sees which is better). What is asked next depends on the votes that are in
and on the rater alone, so that a server that starts again goes on as if it had not stopped.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["pair", "single", "check"]
SCRAMBLED: Final = "scrambled"
_CHECK_EVERY = 10
_SINGLE_EVERY = 3
_AGAIN_EVERY = (
    3  # so often a rater gets what another has rated, or nobody could tell how far they agree
)


@dataclass(frozen=True)
class Task:
    """One question to one rater.

    Attributes:
        kind: see above.
        prompt: id.
        seed: which of the motions.
        shown: systems in the order in which the rater sees them, left first.
    """

    kind: Kind
    prompt: str
    seed: int
    shown: tuple[str, ...]

    @property
    def question(self) -> tuple[str, str, int, tuple[str, ...]]:
        """What is asked, whichever side is left."""
        return self.kind, self.prompt, self.seed, tuple(sorted(self.shown))


class Assignment:
    """Which task comes next, so that every system and every prompt is seen equally often."""

    def __init__(
        self,
        present: Mapping[str, Sequence[tuple[str, int]]],
        *,
        kinds: Sequence[Kind] = ("pair", "single", "check"),
        order: str = "",
    ) -> None:
        """Args: present: the (prompt, seed) that each system has a motion of; order: seeds all draws."""
        self._order, self._kinds = order, tuple(kinds)
        have = {system: set(motions) for system, motions in present.items()}
        self._pairs = [
            Task("pair", prompt, seed, (first, second))
            for first, second in itertools.combinations(sorted(have), 2)
            for prompt, seed in sorted(have[first] & have[second])
        ]
        self._singles = [
            Task("single", prompt, seed, (system,))
            for system in sorted(have)
            for prompt, seed in sorted(have[system])
        ]
        self._checks = [
            Task("check", task.prompt, task.seed, (task.shown[0], SCRAMBLED))
            for task in self._singles
        ]

    def __len__(self) -> int:
        """How many questions one rater can be asked."""
        return sum(len(self._of(kind)) for kind in self._kinds)

    def next(self, rater: str, given: Mapping[str, Sequence[Task]]) -> Task | None:
        """The next task of a rater; None when there is nothing left.

        Args:
            given: by rater, the tasks answered or open.
        """
        own = given.get(rater, ())
        done = {task.question for task in own}
        counts = Counter(task.question for tasks in given.values() for task in tasks)
        prompts = Counter(task.prompt for tasks in given.values() for task in tasks)
        systems = Counter(
            tuple(sorted(task.shown))
            for tasks in given.values()
            for task in tasks
            if task.kind != "check"
        )
        for kind in self._wanted(len(own)):
            left = [task for task in self._of(kind) if task.question not in done]
            again = sum(task.kind == kind for task in own) % _AGAIN_EVERY == _AGAIN_EVERY - 1
            if left:
                best = min(
                    left,
                    key=lambda task: (
                        0 if kind == "check" else systems[tuple(sorted(task.shown))],
                        counts[task.question] != 1 if again else counts[task.question],
                        prompts[task.prompt],
                        self._draw(rater, task),
                    ),
                )
                return self._turned(rater, best)
        return None

    def _wanted(self, number: int) -> list[Kind]:
        """Kinds in the order in which they are tried for a rater's task of this number."""
        first: Kind = "pair"
        if number % _CHECK_EVERY == _CHECK_EVERY // 2:
            first = "check"
        elif number % _SINGLE_EVERY == _SINGLE_EVERY - 1:
            first = "single"
        rest: tuple[Kind, ...] = ("pair", "single", "check")
        return [kind for kind in dict.fromkeys((first, *rest)) if kind in self._kinds]

    def _of(self, kind: Kind) -> list[Task]:
        return {"pair": self._pairs, "single": self._singles, "check": self._checks}[kind]

    def _turned(self, rater: str, task: Task) -> Task:
        """The same task with sides drawn for this rater."""
        if len(task.shown) == 1 or self._draw(rater, task)[0] % 2 == 0:
            return task
        return Task(task.kind, task.prompt, task.seed, task.shown[::-1])

    def _draw(self, rater: str, task: Task) -> bytes:
        text = f"{self._order}/{rater}/{task.kind}/{task.prompt}/{task.seed}/{sorted(task.shown)}"
        return hashlib.sha256(text.encode()).digest()
