"""Words for sides: those of a caption, and the caption of the mirrored motion with them exchanged.

Words that look like a side but are none ("right away", "no energy left") stay.
"""

from __future__ import annotations

import re
from typing import Final

_SIDES: Final = re.compile(
    r"\b(?:left|right)(?=$|[^a-z]|wards?\b|most\b)|\b(?:(?:counter|anti)[- ]?)?clockwise\b",
    re.IGNORECASE,
)
_SWAP: Final = {"left": "right", "right": "left", "clockwise": "counterclockwise"}

# "right" in front of these words is no side: always; unless a verb or an article before it makes it one; only if it
# stands alone before them.
_RIGHT_AWAY: Final = re.compile(r" (?:away|angles?)\b", re.IGNORECASE)
_RIGHT_NOW: Final = re.compile(r" (?:now|there|here)\b", re.IGNORECASE)
_TO_A_SIDE: Final = re.compile(
    r"\b(?:the|his|her|their|your|my|a|to|off|turn\w*|veer\w*|fac\w*|go\w*|look\w*|step\w*|wav\w*) $",
    re.IGNORECASE,
)
_RIGHT_BEHIND: Final = re.compile(
    r" (?:behind|before|after|in front|next to|on time)\b", re.IGNORECASE
)
_ALONE: Final = re.compile(
    r"(?:^|[,.;] |\b(?:is|are|be|stands?|stops?|sits?|waits?|standing|stopping|sitting) )$",
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


def sides(text: str) -> list[str]:
    """Every "left", "right", "clockwise" and "counterclockwise" that is meant as one, in the order of the text."""
    found = []
    for match in _SIDES.finditer(text):
        word = match[0].lower()
        if not _no_side(word, text[: match.start()], text[match.end() :]):
            found.append(word if word in _SWAP else "counterclockwise")
    return found


def _no_side(word: str, before: str, after: str) -> bool:
    """Whether a "left" or "right" is another word than the side."""
    if word not in _SWAP or _AFTER_SIDE.match(after):
        return False
    if word == "right":
        return bool(
            re.search(r"\b(?:all|that's|is quite) $", before, re.IGNORECASE)
            or _RIGHT_AWAY.match(after)
            or (_RIGHT_NOW.match(after) and not _TO_A_SIDE.search(before))
            or (_RIGHT_BEHIND.match(after) and _ALONE.search(before))
        )
    if word == "left":
        return bool(_BEFORE_REST.search(before) or _AFTER_LEFT.match(after))
    return False
