"""Captions -> those that are the same, exactly or but for case, punctuation, articles and typing errors.

No two words of meaning are ever taken for one another: "left" and "right", "steps" and "stops" stay different texts.
Only a word that is rare in all the texts counts as a typing error, of a frequent word that differs by one letter.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

_ARTICLES: Final = frozenset(("a", "an", "the"))
_SHORTEST: Final = 4  # letters of a word that may be mistyped
_TIMES: Final = (
    20  # a word is mistyped if another one, a letter apart, is so many times as frequent
)


def normal_form(text: str) -> str:
    """A caption without case, accents, punctuation, articles and spaces that say nothing."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    letters = "".join(
        sign if sign.isalnum() else " " for sign in plain if not unicodedata.combining(sign)
    )
    return " ".join(word for word in letters.split() if word not in _ARTICLES)


def different_texts(texts: Iterable[str]) -> list[str]:
    """The texts without those that an earlier one nearly is."""
    given = list(texts)
    seen: set[str] = set()
    result = []
    for text, form in zip(given, _corrected(given), strict=True):
        if form not in seen:
            seen.add(form)
            result.append(text)
    return result


def _corrected(texts: Sequence[str]) -> list[str]:
    """Normal forms with typing errors put right."""
    forms = [normal_form(text) for text in texts]
    counts = Counter(word for form in forms for word in form.split())
    right = _corrections(counts)
    return [" ".join(right.get(word, word) for word in form.split()) for form in forms]


def _corrections(counts: Mapping[str, int]) -> dict[str, str]:
    """Mistyped word -> the frequent word that it stands for; found by the words with one letter left out."""
    frequent: dict[str, list[str]] = defaultdict(list)
    for word, count in counts.items():
        if count >= _TIMES and len(word) >= _SHORTEST:
            for shorter in _without_a_letter(word):
                frequent[shorter].append(word)
    result = {}
    for word, count in counts.items():
        if len(word) < _SHORTEST or not word.isalpha():
            continue
        near = {
            other
            for shorter in _without_a_letter(word)
            for other in frequent.get(shorter, ())
            if counts[other] >= _TIMES * count and _one_letter_apart(word, other)
        }
        if near:
            result[word] = min(near, key=lambda other: (-counts[other], other))
    return result


def _without_a_letter(word: str) -> Iterator[str]:
    yield word
    for place in range(len(word)):
        yield word[:place] + word[place + 1 :]


def _one_letter_apart(word: str, other: str) -> bool:
    """Whether a letter is missing, doubled or exchanged with its neighbour: typing errors, but no other letter.

    Another letter makes another word: "steps" and "stops". So does a last letter: "walk" and "walks" are inflections.
    """
    if word == other or word[0] != other[0]:
        return False
    short, long = sorted((word, other), key=len)
    if len(long) == len(short):
        differing = [place for place in range(len(short)) if short[place] != long[place]]
        return (
            len(differing) == 2
            and differing[1] == differing[0] + 1
            and short[differing[0]] == long[differing[1]]
            and short[differing[1]] == long[differing[0]]
        )
    inner = long[:-1] if short != long[:-1] else ""
    return bool(inner) and any(short == long[:at] + long[at + 1 :] for at in range(1, len(inner)))
