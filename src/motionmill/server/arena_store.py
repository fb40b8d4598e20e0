"""Raters, open tasks and answers in SQLite: an answer is on disk before the rater is told so, and is there once."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from motionmill.evaluation.ratings import CRITERIA, SCORES, Score, Vote
from motionmill.evaluation.report import Ratings
from motionmill.evaluation.suite import Suite
from motionmill.server.arena_tasks import SCRAMBLED, Task
from motionmill.server.database import transaction

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS raters (rater TEXT PRIMARY KEY, link TEXT UNIQUE NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (
    task TEXT PRIMARY KEY, rater TEXT NOT NULL REFERENCES raters, number INTEGER NOT NULL, kind TEXT NOT NULL,
    prompt TEXT NOT NULL, seed INTEGER NOT NULL, shown TEXT NOT NULL, asked REAL NOT NULL,
    answers TEXT, answered REAL, UNIQUE (rater, number)
);
"""
_MAX_RATERS = 10_000


@dataclass(frozen=True)
class OpenTask:
    """A task that a rater has been given: its unguessable name, which is all that the page knows, and its number."""

    name: str
    number: int
    task: Task


class ArenaStore:
    """One database file; any number of threads."""

    def __init__(self, path: Path) -> None:
        """Open or begin.

        Raises:
            ValueError: the file is something else.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{path}: not a database of votes ({error}); name another file"
            ) from None

    def close(self) -> None:
        self._connection.close()

    def claim(self, name: str, value: str) -> str:
        """The stored value of a fact; `value` becomes it where there is none."""
        with self._writing() as database:
            database.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, value))
            row = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def fact(self, name: str) -> str | None:
        with self._reading() as database:
            row = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def add_raters(self, count: int) -> None:
        """Make it at least `count` raters.

        Raises:
            ValueError: more than can be.
        """
        if not 1 <= count <= _MAX_RATERS:
            raise ValueError(f"{count} raters; expected 1 to {_MAX_RATERS}")
        with self._writing() as database:
            known = database.execute("SELECT COUNT(*) FROM raters").fetchone()[0]
            for number in range(known, count):
                row = (f"rater-{number + 1}", secrets.token_urlsafe(12), time.time())
                database.execute("INSERT INTO raters VALUES (?, ?, ?)", row)

    def links(self) -> dict[str, str]:
        """Rater -> the secret end of the rater's address."""
        with self._reading() as database:
            rows = database.execute("SELECT rater, link FROM raters ORDER BY rowid").fetchall()
        return dict(rows)

    def rater_of(self, link: str) -> str | None:
        with self._reading() as database:
            row = database.execute("SELECT rater FROM raters WHERE link = ?", (link,)).fetchone()
        return None if row is None else str(row[0])

    def open_task(self, rater: str) -> OpenTask | None:
        """The task that a rater has not answered yet."""
        query = "SELECT task, number, kind, prompt, seed, shown FROM tasks WHERE rater = ? AND answers IS NULL"
        with self._reading() as database:
            row = database.execute(query, (rater,)).fetchone()
        return None if row is None else OpenTask(row[0], row[1], _task(row[2:]))

    def task(self, name: str) -> tuple[str, Task] | None:
        """Rater and task of a task's name."""
        query = "SELECT rater, kind, prompt, seed, shown FROM tasks WHERE task = ?"
        with self._reading() as database:
            row = database.execute(query, (name,)).fetchone()
        return None if row is None else (row[0], _task(row[1:]))

    def given(self) -> dict[str, list[Task]]:
        """By rater, the tasks answered or open."""
        query = "SELECT rater, kind, prompt, seed, shown FROM tasks ORDER BY rater, number"
        with self._reading() as database:
            rows = database.execute(query).fetchall()
        tasks: dict[str, list[Task]] = defaultdict(list)
        for rater, *row in rows:
            tasks[rater].append(_task(row))
        return dict(tasks)

    def give(self, rater: str, task: Task) -> OpenTask:
        """Write down that a rater has a task now."""
        name = secrets.token_urlsafe(16)
        with self._writing() as database:
            number = database.execute(
                "SELECT COUNT(*) FROM tasks WHERE rater = ?", (rater,)
            ).fetchone()[0]
            database.execute(
                "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                (
                    name,
                    rater,
                    number,
                    task.kind,
                    task.prompt,
                    task.seed,
                    json.dumps(task.shown),
                    time.time(),
                ),
            )
        return OpenTask(name, number, task)

    def answer(self, rater: str, name: str, answers: Mapping[str, int]) -> bool:
        """Keep an answer; False where it was there already (the first one stays).

        Raises:
            KeyError: no such task of this rater.
        """
        with self._writing() as database:
            found = database.execute(
                "SELECT answers FROM tasks WHERE task = ? AND rater = ?", (name, rater)
            ).fetchone()
            if found is None:
                raise KeyError(name)
            if found[0] is not None:
                return False
            database.execute(
                "UPDATE tasks SET answers = ?, answered = ? WHERE task = ?",
                (json.dumps(dict(answers)), time.time(), name),
            )
        return True

    def num_answered(self, rater: str) -> int:
        query = "SELECT COUNT(*) FROM tasks WHERE rater = ? AND answers IS NOT NULL"
        with self._reading() as database:
            return int(database.execute(query, (rater,)).fetchone()[0])

    def votes(self) -> list[Vote]:
        """Of pairs; checks are not among them."""
        return [
            Vote(
                rater,
                f"{task.prompt}/{task.seed}",
                criterion,
                task.shown[0],
                task.shown[1],
                {-1: task.shown[0], 0: None, 1: task.shown[1]}[value],
            )
            for rater, task, answers in self._answered("pair")
            for criterion, value in answers.items()
        ]

    def scores(self) -> list[Score]:
        """Of single motions."""
        return [
            Score(rater, f"{task.prompt}/{task.seed}", criterion, task.shown[0], value)
            for rater, task, answers in self._answered("single")
            for criterion, value in answers.items()
        ]

    def checks(self) -> dict[str, tuple[int, int]]:
        """By rater, planted checks passed and seen: one is passed if the scrambled motion moves less smoothly."""
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for rater, task, answers in self._answered("check"):
            scrambled = -1 if task.shown[0] == SCRAMBLED else 1
            counts[rater][0] += answers[CRITERIA[1]] == -scrambled
            counts[rater][1] += 1
        return {rater: (passed, seen) for rater, (passed, seen) in sorted(counts.items())}

    def _answered(self, kind: str) -> list[tuple[str, Task, dict[str, int]]]:
        query = (
            "SELECT rater, answers, kind, prompt, seed, shown FROM tasks "
            "WHERE kind = ? AND answers IS NOT NULL ORDER BY answered, task"
        )
        with self._reading() as database:
            rows = database.execute(query, (kind,)).fetchall()
        return [(rater, _task(row), json.loads(answers)) for rater, answers, *row in rows]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self._connection, self._lock)


def read_ratings(database: Path | None, suite: Suite, judged: Sequence[Score]) -> Ratings:
    """What is in a database of votes, with the scores of a model judge, for a report.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not votes, or on another suite.
    """
    if database is None:
        return Ratings(judged=judged, categories=_categories(suite, judged))
    if not database.is_file():
        raise FileNotFoundError(f"{database}: no such file; `motionmill benchmark rate` writes it")
    store = ArenaStore(database)
    try:
        known = json.loads(store.fact("what") or "{}").get("suite")
        if known != suite.version:
            raise ValueError(f"{database}: votes on another suite; name it with --suite")
        votes, scores = store.votes(), store.scores()
        categories = _categories(suite, (*votes, *scores, *judged))
        return Ratings(votes, scores, judged, categories, store.checks())
    finally:
        store.close()


def _categories(suite: Suite, given: Iterable[Vote | Score]) -> dict[str, str]:
    """PROMPT/SEED -> the prompt's category."""
    kinds = {prompt.id: prompt.category for prompt in suite.prompts}
    names = {each.prompt for each in given}
    return {name: kinds.get(name.rpartition("/")[0], "unknown") for name in names}


def check_answers(task: Task, answers: Mapping[str, int]) -> None:
    """Raises ValueError where answers are not one allowed value for each criterion."""
    allowed = SCORES if task.kind == "single" else (-1, 0, 1)
    wrong = {name: value for name, value in answers.items() if value not in allowed}
    if set(answers) != set(CRITERIA) or wrong:
        raise ValueError(
            f"answers {dict(answers)}; expected {', '.join(CRITERIA)}, each one of {allowed}"
        )


def _task(row: Sequence[object]) -> Task:
    kind, prompt, seed, shown = row
    return Task(kind, prompt, seed, tuple(json.loads(str(shown))))  # type: ignore[arg-type]
