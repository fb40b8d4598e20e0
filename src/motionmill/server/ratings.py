"""Motions of a server, or folders of motions -> blind ratings on its pages, each in a folder with its votes.

A rating has copies of its motions, so that it outlives the jobs that they were made by. A folder looks like one of
`motionmill benchmark generate` for each system, with `prompts.jsonl` and `votes.db`, which `motionmill report` reads.
"""

from __future__ import annotations

import json
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionmill.evaluation.suite import load_suite
from motionmill.server.arena import Arena

MAX_RATINGS = 32
_FACTS = "rating.json"


class FullError(Exception):
    """There are as many ratings as may be."""


@dataclass(frozen=True)
class Entry:
    """A motion to rate: what it should show, and what makes its NPZ file."""

    prompt: str
    make: Callable[[], bytes]


@dataclass(frozen=True)
class Rating:
    """One blind rating.

    Attributes:
        id: 24 hexadecimal digits.
        created: seconds since 1970.
        systems: what is compared, by the names that it was given.
        arena: its tasks and votes.
    """

    id: str
    created: float
    systems: tuple[str, ...]
    arena: Arena


class Ratings:
    """All ratings of a server; any number of threads."""

    def __init__(self, folder: Path) -> None:
        """Take up what is in the folder.

        Raises:
            ValueError, FileNotFoundError: a rating there that is damaged; the message names its folder.
        """
        self._folder = folder
        self._lock, self._adding = threading.Lock(), threading.Lock()
        self._known: dict[str, Rating] = {}
        self._lent: list[Arena] = []
        for facts in sorted(folder.glob(f"*/{_FACTS}")):
            rating = _opened(facts.parent)
            self._known[rating.id] = rating

    def lend(self, arena: Arena) -> None:
        """Show the pages of an arena that is nobody's of these."""
        self._lent.append(arena)

    def add(self, systems: Mapping[str, Sequence[Entry]], *, num_raters: int) -> Rating:
        """Copy the motions and begin; the k-th motion of a prompt of one system is compared with the k-th of another.

        Raises:
            FullError: too many ratings.
            ValueError: as `Arena`.
        """
        with self._adding:
            if len(self._known) >= MAX_RATINGS:
                raise FullError
            name = secrets.token_hex(12)
            folder = self._folder / name
            try:
                _write(folder, systems)
                rating = _opened(folder)
                rating.arena.store.add_raters(num_raters)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            with self._lock:
                self._known[name] = rating
        return rating

    def get(self, name: str) -> Rating | None:
        """A rating by its id."""
        return self._known.get(name)

    def newest(self) -> list[Rating]:
        """All, newest first."""
        with self._lock:
            known = list(self._known.values())
        return sorted(known, key=lambda rating: -rating.created)

    def remove(self, name: str) -> bool:
        """Forget a rating with its votes; False where there is none."""
        with self._lock:
            rating = self._known.pop(name, None)
            if rating is None:
                return False
            rating.arena.store.close()
            shutil.rmtree(self._folder / rating.id, ignore_errors=True)
        return True

    def find_rater(self, link: str) -> tuple[Arena, str] | None:
        """Whose a link is."""
        with self._lock:
            arenas = [*self._lent, *(rating.arena for rating in self._known.values())]
            for arena in arenas:
                rater = arena.store.rater_of(link)
                if rater is not None:
                    return arena, rater
        return None

    def close(self) -> None:
        """Close all votes."""
        with self._lock:
            for arena in (*self._lent, *(rating.arena for rating in self._known.values())):
                arena.store.close()


def results(rating: Rating) -> dict[str, dict[str, dict[str, float]]]:
    """By system and criterion: `won`, `lost` and `tied` comparisons, and the mean `score` (1 to 4) if there is any."""
    counts: dict[tuple[str, str], Counter[str]] = {}

    def count(system: str, criterion: str) -> Counter[str]:
        return counts.setdefault((system, criterion), Counter())

    for vote in rating.arena.store.votes():
        for system in (vote.first, vote.second):
            how = "tied" if vote.winner is None else "won" if vote.winner == system else "lost"
            count(system, vote.criterion)[how] += 1
    for score in rating.arena.store.scores():
        count(score.system, score.criterion).update(sum=score.value, scores=1)
    found: dict[str, dict[str, dict[str, float]]] = {system: {} for system in rating.systems}
    for (system, criterion), numbers in sorted(counts.items()):
        row: dict[str, float] = {how: numbers[how] for how in ("won", "lost", "tied")}
        if numbers["scores"]:
            row["score"] = round(numbers["sum"] / numbers["scores"], 3)
        found[rating.systems[_number(system)]][criterion] = row
    return found


def _write(folder: Path, systems: Mapping[str, Sequence[Entry]]) -> None:
    """Files under names of our own making: `system-0/0/p0.npz` and so on."""
    prompts = list(dict.fromkeys(each.prompt for entries in systems.values() for each in entries))
    folder.mkdir(parents=True)
    lines = (json.dumps({"id": f"p{k}", "prompt": text}) for k, text in enumerate(prompts))
    (folder / "prompts.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for number, entries in enumerate(systems.values()):
        seeds: Counter[str] = Counter()
        for entry in entries:
            place = folder / _directory(number) / str(seeds[entry.prompt])
            seeds[entry.prompt] += 1
            place.mkdir(parents=True, exist_ok=True)
            (place / f"p{prompts.index(entry.prompt)}.npz").write_bytes(entry.make())
    facts = {"created": time.time(), "systems": list(systems)}
    (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _opened(folder: Path) -> Rating:
    path = folder / _FACTS
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        created, systems = float(facts["created"]), tuple(str(name) for name in facts["systems"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete {folder} to go on") from None
    suite = load_suite(folder / "prompts.jsonl")
    folders = [folder / _directory(number) for number in range(len(systems))]
    return Rating(folder.name, created, systems, Arena(suite, folders, folder / "votes.db"))


def _directory(number: int) -> str:
    return f"system-{number}"


def _number(directory: str) -> int:
    return int(directory.rpartition("-")[2])
