"""Prompt suites of the benchmark: the project's own, the paper's file, or anybody's JSON lines."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

CATEGORIES: Final = (
    "daily life",
    "work",
    "arts and dance",
    "combat",
    "sports",
    "communication",
    "non-human",
)
KINDS: Final = ("in-domain", "out-of-domain", "compositional", "unknown")
SUITES: Final = {"zero-shot": "zero_shot"}
_MAX_PROMPTS = 100_000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Attributes:
        id: letters, digits, `_`, `-` and `.`: it names the motion's file.
        text: what is to be done.
        category: one of `CATEGORIES`, or "unknown".
        kind: one of `KINDS`: seen in training data of the field, not seen, or put together of several actions.
        actions: what a rater should see, in order.
    """

    id: str
    text: str
    category: str = "unknown"
    kind: str = "unknown"
    actions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """Prompts, each once.

    Attributes:
        name: of the suite.
        prompts: in their order.
        duplicates: texts that came twice, with the ids that they would have had; the first is kept.
    """

    name: str
    prompts: tuple[Prompt, ...]
    duplicates: tuple[tuple[str, str], ...] = ()

    @property
    def version(self) -> str:
        """Hash of ids and texts: motions and votes of different versions do not mix."""
        digest = hashlib.sha256()
        for prompt in self.prompts:
            digest.update(f"{prompt.id}\0{prompt.text}\n".encode())
        return digest.hexdigest()[:16]


def load_suite(name: str | Path) -> Suite:
    """A shipped suite by name, or a file.

    A `.jsonl` has `id`, `prompt` and optionally `category`, `kind`, `actions`; any other file has a prompt a line, such
    as the paper's, whose categories are known.

    Raises:
        FileNotFoundError: neither a suite's name nor a file.
        ValueError: a line that is no such prompt.
    """
    if str(name) in SUITES:
        folder = resources.files("motionmill.evaluation") / "prompts"
        text = (folder / f"{SUITES[str(name)]}.jsonl").read_text(encoding="utf-8")
        return _suite(str(name), _json_lines(text, str(name)))
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(
            f"{name}: no such suite or file; suites are {', '.join(SUITES)}, files .jsonl or .txt"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected text in UTF-8") from None
    read = _json_lines if path.suffix == ".jsonl" else _plain_lines
    return _suite(path.stem, read(text, str(path)))


def _suite(name: str, prompts: list[Prompt]) -> Suite:
    if not 0 < len(prompts) <= _MAX_PROMPTS:
        raise ValueError(f"{name}: {len(prompts)} prompts; expected 1 to {_MAX_PROMPTS}")
    counts = Counter(prompt.id for prompt in prompts)
    twice = [prompt_id for prompt_id, count in counts.items() if count > 1]
    if twice:
        raise ValueError(
            f"{name}: id {twice[0]!r} is given {counts[twice[0]]} times; expected once"
        )
    first: dict[str, Prompt] = {}
    duplicates = []
    for prompt in prompts:
        if first.setdefault(_plain(prompt.text), prompt) is not prompt:
            duplicates.append((prompt.text, prompt.id))
    return Suite(name, tuple(first.values()), tuple(duplicates))


def _json_lines(text: str, where: str) -> list[Prompt]:
    prompts = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                prompts.append(_prompt(json.loads(line)))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{where}, line {number}: {error}") from None
    return prompts


def _prompt(row: Any) -> Prompt:
    if not isinstance(row, dict):
        raise ValueError('expected an object such as {"id": "wave-1", "prompt": "a person waves"}')
    unknown = set(row) - {"id", "prompt", "category", "kind", "actions"}
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}")
    name, text, actions = row.get("id"), row.get("prompt"), row.get("actions", [])
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise ValueError(f"id {name!r}; expected letters, digits, _, - and .")
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"prompt {text!r}; expected text")
    if not isinstance(actions, list) or not all(isinstance(action, str) for action in actions):
        raise ValueError(f"actions {actions!r}; expected a list of texts")
    category, kind = row.get("category", "unknown"), row.get("kind", "unknown")
    for what, value, known in (
        ("category", category, (*CATEGORIES, "unknown")),
        ("kind", kind, KINDS),
    ):
        if value not in known:
            raise ValueError(f"{what} {value!r}; expected one of {', '.join(known)}")
    return Prompt(name, text.strip(), category, kind, tuple(actions))


def _plain_lines(text: str, where: str) -> list[Prompt]:
    table = resources.files("motionmill.evaluation") / "prompts" / "official_categories.txt"
    known = dict(
        line.split(" ", 1) for line in table.read_text(encoding="utf-8").splitlines() if line
    )
    return [
        Prompt(f"line-{number:04d}", line.strip(), known.get(_digest(line), "unknown"))
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]


def _digest(line: str) -> str:
    return hashlib.sha256(_plain(line).encode()).hexdigest()[:12]


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
