"""Captions -> those that are the same, exactly or but for case, punctuation, articles and typing errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def normal_form(text: str) -> str:
    """A caption without case, punctuation, articles and spaces that say nothing."""
    raise NotImplementedError


def same_texts(texts: Sequence[str]) -> list[list[int]]:
    """Places of texts that are the same or nearly: groups of two or more, in the order of their first place."""
    raise NotImplementedError


def different_texts(texts: Iterable[str]) -> list[str]:
    """The texts without those that an earlier one nearly is."""
    raise NotImplementedError
