"""A caption -> other captions that say the same: by a language model, or by our own rules (`data.paraphrase`).

Whoever rewrites, a rewrite that swaps, drops or adds a side, a direction or a number is not taken
(`directions.check_rewrite`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from motionmill.chat import Chat, ChatError, Usage
from motionmill.data.wording.caption import PendingError, make_chat, prompt
from motionmill.data.wording.directions import check_rewrite
from motionmill.data.wording.paraphrase import paraphrases
from motionmill.data.words_config import RewriteConfig

MAX_REWRITES: Final = 20
_ENOUGH: Final = (
    0.5  # share of the rewrites asked for that must be good, before a model is asked again
)
_TEMPERATURE: Final = 0.7  # wordings are to differ; an answer is kept by its seed
_MAX_WORDS: Final = 80
_COMMENT: Final = re.compile(
    r"https?:|www\.|[<>{}\[\]`\\]|\b(?:rewrite|rephras\w+|caption|as an ai)\b", re.I
)


class Rewriter(Protocol):
    """Captions -> rewrites; threads may share one."""

    @property
    def usage(self) -> Usage:
        """Requests, tokens and dollars until now."""

    def rewrite(self, caption: str, *, count: int = MAX_REWRITES, seed: int = 0) -> list[str]:
        """At most `count` rewrites, all different from each other and from the caption.

        The same caption, count and seed give the same rewrites. Raises `caption.PendingError` where an endpoint failed.
        """


class RuleRewriter:
    """Our own rules: at least 8 rewrites of any caption, without any model."""

    @property
    def usage(self) -> Usage:
        return Usage()

    def rewrite(self, caption: str, *, count: int = MAX_REWRITES, seed: int = 0) -> list[str]:
        """Rewrites by rules. Raises ValueError for a caption without words."""
        return paraphrases(caption, count=min(count, MAX_REWRITES), seed=seed)


class Rewrites(BaseModel):
    """What a language model answers of a caption."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rewrites: list[
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=600)]
    ] = Field(min_length=1, max_length=60)


class ChatRewriter:
    """Asks a language model; never falls back to the rules."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    @property
    def usage(self) -> Usage:
        return self.chat.usage

    def rewrite(self, caption: str, *, count: int = MAX_REWRITES, seed: int = 0) -> list[str]:
        """Rewrites by the model; bad ones are left out. Where less than half are good it is asked again and told why.

        Raises:
            PendingError: no usable answer in all attempts; `permanent` where the endpoint refuses for good.
        """
        count = min(count, MAX_REWRITES)
        if count < 1:
            return []
        need = math.ceil(_ENOUGH * count)

        def check(answer: Rewrites) -> None:
            good, problems = sort_rewrites(caption, answer.rewrites)
            if len(good) < need:
                told = "; ".join(problems[:3])
                raise ValueError(f"only {len(good)} of {count} rewrites are usable: {told}"[:290])

        question = f"{count} rewrites of {json.dumps(caption)}"
        try:
            answer = self.chat.ask(
                Rewrites,
                question,
                system=prompt("rewrite"),
                check=check,
                seed=seed,
                temperature=_TEMPERATURE,
                max_tokens=2048,
            )
        except ChatError as error:
            raise PendingError(str(error), permanent=error.permanent) from None
        return sort_rewrites(caption, answer.rewrites)[0][:count]


def make_rewriter(config: RewriteConfig, *, cache: Path | None = None) -> Rewriter:
    """The rewriter of a config; answers of an endpoint are kept in the folder `cache` by the hash of what was asked.

    Raises:
        ValueError: an address without a model, or one that is no address.
    """
    return ChatRewriter(make_chat(config, cache=cache)) if config.url else RuleRewriter()


def sort_rewrites(caption: str, rewrites: Sequence[str]) -> tuple[list[str], list[str]]:
    """The rewrites that may be used, in one line each, and why the others may not."""
    good: list[str] = []
    problems: list[str] = []
    seen = {_key(caption)}
    for text in rewrites:
        line = " ".join(text.split()).strip(" \"'").rstrip(".")
        try:
            _check_wording(line)
            check_rewrite(caption, line)
        except ValueError as error:
            problems.append(str(error))
            continue
        if _key(line) in seen:
            problems.append(f"{line[:60]!r} is said twice")
            continue
        seen.add(_key(line))
        good.append(line)
    return good, problems


def _check_wording(line: str) -> None:
    if found := _COMMENT.search(line):
        raise ValueError(
            f"the rewrite {line[:60]!r} has {found[0]!r}, which is no part of a caption"
        )
    if not 1 <= len(line.split()) <= _MAX_WORDS or not re.search(r"[A-Za-z]{2}", line):
        raise ValueError(f"the rewrite {line[:60]!r} is no sentence of 1 to {_MAX_WORDS} words")


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9 ]", "", text.lower())
