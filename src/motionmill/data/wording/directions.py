"""What a text says of sides, directions and numbers, and whether another text says the same.

Two checks: `check_directions` for a user's prompt, where a rewrite may add a side to a prompt that names none;
`check_rewrite` for captions of recorded motion, where nothing may be swapped, dropped or added.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Final

from motionmill.data.wording.sides import sides

# Words that mean the same direction, by axis: what a prompt says on an axis, a rewrite must say.
_AXES: Final = (
    {"forward": "forward", "forwards": "forward", "backward": "backward", "backwards": "backward"},
    {
        "upward": "up",
        "upwards": "up",
        "upstairs": "up",
        "downward": "down",
        "downwards": "down",
        "downstairs": "down",
    },
    {"sideways": "sideways", "sideward": "sideways", "sidewards": "sideways"},
)
_LIMBS: Final = r"(?:hands?|arms?|fists?|legs?|feet|foot|knees?|elbows?|shoulders?|sides?)"
_BOTH: Final = re.compile(
    rf"\bboth(?: of)?(?: (?:his|her|their|its|the|my|your))? {_LIMBS}\b", re.I
)

# The stricter check reads more ways to say a direction. "Sit down", "stand up" and the like name no direction of their
# own: they may be said without the particle.
_PARTICLE: Final = re.compile(
    r"\b(sit|sits|sat|sitting|lie|lies|lay|lying|lays|laying|crouch\w*|squat\w*|kneel\w*|knelt|stand|stands|stood|standing"
    r"|get|gets|got|getting|wake\w*|warm\w*|speed\w*|slow\w*|calm\w*|pick\w*|put|puts|putting|bend|bends|bent|bending"
    r"|fall|falls|fell|falling|stoop\w*|duck\w*|straighten\w*|end|ends|hold|holds|holding|rais\w+|lift\w*|lower\w*)"
    r" (?:up|down)\b"
)
_RAISES: Final = re.compile(r"\b(?:rais(?:e|es|ed|ing)|lift(?:s|ed|ing)?|elevat\w+)\b")
_LOWERS: Final = re.compile(r"\blower(?:s|ed|ing)\b|\blower (?=the|his|her|its|their|both)")
_BACK: Final = re.compile(
    r"\b(step|walk|mov|go|goe|jump|leap|hop|run|jog|lean|bend|kick|swing|stretch|hold)(s|es|ed|ing|ping)?"
    r"((?: [a-z]+){0,3}?) back\b(?! (?:and|to|up|from|into|again|of)\b)"
)
_AHEAD: Final = re.compile(r"\b(?:ahead|onwards?|to the front|frontwards?)\b")
_REVERSE: Final = re.compile(r"\b(?:in reverse|rearwards?|to the rear)\b")
_UP: Final = re.compile(r"\b(?:up|overhead|upstairs|upwards?)\b")
_DOWN: Final = re.compile(r"\b(?:down|downstairs|downwards?)\b")
_NUMBERS: Final = {
    "two": 2, "twice": 2, "couple": 2, "three": 3, "thrice": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10,
}  # fmt: skip
_ANGLES: Final = {
    "one hundred and eighty": "180", "one hundred eighty": "180", "two hundred and seventy": "270",
    "three hundred and sixty": "360", "forty-five": "45", "ninety": "90",
}  # fmt: skip
_ARM: Final = r"(?:hand|arm|fist|elbow|wrist|shoulder|forearm)"
_LEG: Final = r"(?:foot|feet|leg|knee|ankle|heel|toe|hip)"


def check_directions(prompt: str, rewritten: str) -> None:
    """Raises ValueError where a rewrite loses, swaps or adds to what a prompt says of a side or a direction.

    Where a prompt says nothing of an axis (sides; forward and backward; up and down; sideways), a rewrite may.
    """
    for asked, made in zip(_directions(prompt), _directions(rewritten), strict=True):
        if asked and asked != made:
            raise ValueError(_differs(rewritten, made, "the prompt", asked))


def check_rewrite(caption: str, rewritten: str) -> None:
    """Raises ValueError where a rewrite swaps, drops or adds a side, a direction or a number of a caption.

    Sides (left, right, both, clockwise), forward and backward, up and down, sideways and numbers to ten are each
    compared in their order; a side must stay with arms or with legs, and degrees that both texts name must be the same.
    """
    for asked, made in zip(_said(caption), _said(rewritten), strict=True):
        if asked != made:
            raise ValueError(_differs(rewritten, made, "the caption", asked))
    angles, told = _degrees(caption), _degrees(rewritten)
    if angles and told and angles != told:
        raise ValueError(_differs(rewritten, told, "the caption", angles))
    before, after = _limbs(caption), _limbs(rewritten)
    for side in sorted(before.keys() & after.keys()):
        if before[side] != after[side]:
            raise ValueError(
                f"the rewrite {rewritten[:80]!r} has {side} {' and '.join(sorted(after[side]))} "
                f"where the caption has {side} {' and '.join(sorted(before[side]))}"
            )


def _differs(rewritten: str, made: list[str], original: str, asked: list[str]) -> str:
    return (
        f"the rewrite {rewritten[:80]!r} says {', '.join(made) or 'no side or direction'} "
        f"where {original} says {', '.join(asked) or 'none'}"
    )


def _sides(text: str) -> list[str]:
    """Left, right, both and turning directions, in order."""
    said: list[str] = []
    for number, part in enumerate(_BOTH.split(text)):
        said += ["both", *sides(part)] if number else sides(part)
    return said


def _directions(text: str) -> list[list[str]]:
    """What a text says on each axis, in order; the same thing said twice in a row counts once."""
    words = re.findall(r"[a-z]+", text.lower())
    spoken = [[axis[word] for word in words if word in axis] for axis in _AXES]
    return [[word for word, _ in groupby(said)] for said in (_sides(text), *spoken)]


def _said(text: str) -> list[list[str]]:
    """What a caption says on each axis, with all ways to say it; the same thing said twice in a row counts once."""
    plain = " ".join(text.lower().split())
    plain = _BACK.sub(r"\1\2\3 backward", plain)
    plain = _AHEAD.sub("forward", _REVERSE.sub("backward", plain))
    ahead, _, sideways = _AXES
    words = re.findall(r"[a-z]+", plain)
    spoken = [[axis[word] for word in words if word in axis] for axis in (ahead, sideways)]
    return [
        [word for word, _ in groupby(said)]
        for said in (_sides(text), *spoken, _heights(plain), _counts(plain))
    ]


def _heights(plain: str) -> list[str]:
    """Up and down, the particles of sitting and standing left out; raising is up, lowering is down."""
    plain = _LOWERS.sub("down ", _RAISES.sub("up", _PARTICLE.sub(r"\1", plain)))
    found = [(match.start(), "up") for match in _UP.finditer(plain)]
    found += [(match.start(), "down") for match in _DOWN.finditer(plain)]
    return [word for _, word in sorted(found)]


def _counts(plain: str) -> list[str]:
    """Numbers from two to ten, as words or digits."""
    values = (
        _NUMBERS.get(word, int(word) if word.isdigit() else 0)
        for word in re.findall(r"[a-z]+|\d+", re.sub(r"\b\d+[.,]\d+\b", "", plain))
    )
    return [str(value) for value in values if 2 <= value <= 10]


def _degrees(text: str) -> list[str]:
    """Angles in degrees, as digits."""
    plain = text.lower()
    for words, digits in _ANGLES.items():
        plain = plain.replace(words, digits)
    return re.findall(r"\b(\d+)[ -]degrees?\b", plain)


def _limbs(text: str) -> dict[str, set[str]]:
    """For each side that stands right before a limb: whether it is an arm, a leg, or either at different places."""
    found: dict[str, set[str]] = {}
    for side, limb in re.findall(rf"\b(left|right|both)[ -]({_ARM}|{_LEG})", text.lower()):
        found.setdefault(side, set()).add("arm" if re.fullmatch(_ARM, limb) else "leg")
    return found
