"""Captions of mirrored motion: the words for sides exchanged.

Words that look like a side but are none ("right away", "no energy left") stay.
"""

from __future__ import annotations

import re
from typing import Final

_SIDES: Final = re.compile(
    r"\b(?:left|right)(?=$|[^a-z]|wards?\b|most\b)|\b(?:counter-?|anti-?)?clockwise\b",
    re.IGNORECASE,
)
_SWAP: Final = {"left": "right", "right": "left", "clockwise": "counterclockwise"}

# "right" in front of these words is no side, unless a word such as "the" or "turns" before it makes it one.
_AFTER_RIGHT: Final = re.compile(
    r" (?:now|there|here|behind|before|after|in front|next to|on time)\b",
    re.IGNORECASE,
)
_BEFORE_SIDE: Final = re.compile(
    r"\b(?:the|his|her|their|your|my|its|a|to|and|or|then|turn\w*|spin\w*|veer\w*|curv\w*|fac\w*|go\w*|walk\w*|run\w*|step\w*"
    r"|mov\w*|dodg\w*|rotat\w*|pivot\w*|swerv\w*|bear\w*|drift\w*|jump\w*|lean\w*|look\w*) $",
    re.IGNORECASE,
)
# "left" behind these words is no side, unless a part of the body or a turn follows.
_BEFORE_REST: Final = re.compile(
    r"\b(?:nothing|energy|strength|power|breath|time|much|little|no|any|none|all|has|have|had) $|^(?:all|that's) $",
    re.IGNORECASE,
)
_AFTER_SIDE: Final = re.compile(
    r"[ -](?:hand|arm|foot|leg|side|knee|elbow|shoulder|fist|wrist|ankle|turn|jab|hook|punch|kick)",
    re.IGNORECASE,
)
_AFTER_LEFT: Final = re.compile(
    r" (?:over|alone|the (?:room|house|building|stage))\b", re.IGNORECASE
)


def mirror_caption(text: str) -> str:
    """The caption of the mirrored motion: left and right, clockwise and counterclockwise exchanged."""

    def swap(match: re.Match[str]) -> str:
        word, before, after = match[0], text[: match.start()], text[match.end() :]
        if _no_side(word.lower(), before, after):
            return word
        other = _SWAP.get(word.lower(), "clockwise")
        return other.capitalize() if word[0].isupper() else other

    return _SIDES.sub(swap, text)


def _no_side(word: str, before: str, after: str) -> bool:
    """Whether a "left" or "right" is another word than the side."""
    if word not in _SWAP or _AFTER_SIDE.match(after):
        return False
    if word == "right":
        all_right = re.search(r"\b(?:all|that's|is quite) $", before, re.IGNORECASE)
        idiom = _AFTER_RIGHT.match(after) and not _BEFORE_SIDE.search(before)
        return bool(all_right or idiom or re.match(r" (?:away|angles?)\b", after))
    if word == "left":
        return bool(_BEFORE_REST.search(before) or _AFTER_LEFT.match(after))
    return False
