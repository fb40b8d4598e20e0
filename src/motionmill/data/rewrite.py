"""A caption -> other captions that say the same: by a language model, or by our own rules (`data.paraphrase`).

Whoever rewrites, a rewrite that swaps, drops or adds a side or a direction is not taken (`sides.check_rewrite`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from motionmill.chat import Chat, Usage
from motionmill.data.words_config import RewriteConfig


class Rewriter(Protocol):
    """Captions -> rewrites; threads may share one."""

    @property
    def usage(self) -> Usage:
        """Requests, tokens and dollars until now."""

    def rewrite(self, caption: str, *, count: int = 20, seed: int = 0) -> list[str]:
        """At most `count` rewrites, all different from each other and from the caption.

        The same caption, count and seed give the same rewrites. Raises `caption.PendingError` where an endpoint failed.
        """


class RuleRewriter:
    """Our own rules: at least 8 rewrites of any caption, without any model."""

    usage = Usage()

    def rewrite(self, caption: str, *, count: int = 20, seed: int = 0) -> list[str]:
        raise NotImplementedError


class ChatRewriter:
    """Asks a language model; never falls back to the rules."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    @property
    def usage(self) -> Usage:
        return self.chat.usage

    def rewrite(self, caption: str, *, count: int = 20, seed: int = 0) -> list[str]:
        raise NotImplementedError


def make_rewriter(config: RewriteConfig, *, cache: Path | None = None) -> Rewriter:
    """The rewriter of a config; answers of an endpoint are kept in the folder `cache` by the hash of what was asked."""
    raise NotImplementedError
