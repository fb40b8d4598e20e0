"""Captions of mirrored motion."""

from __future__ import annotations

import pytest

from motionmill.data.wording.sides import mirror_caption, sides


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("a man waves his left hand", "a man waves his right hand"),
        ("Right foot first, then left.", "Left foot first, then right."),
        ("turns right before he stops", "turns left before he stops"),
        (
            "walks to the right after a left-handed wave",
            "walks to the left after a right-handed wave",
        ),
        ("walk leftward, then rightwards", "walk rightward, then leftwards"),
        ("spins clockwise", "spins counterclockwise"),
        ("spins counter-clockwise", "spins clockwise"),
        ("turns counter clockwise", "turns clockwise"),
        ("runs right away with no energy left", "runs right away with no energy left"),
        ("he has left hooks in store", "he has right hooks in store"),
        ("stands upright, all right", "stands upright, all right"),
        ("nothing left to do, he left the room", "nothing left to do, he left the room"),
    ],
)
def test_mirror_caption(text: str, mirrored: str) -> None:
    assert mirror_caption(text) == mirrored


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Right foot first, then the LEFT one", ["right", "left"]),
        ("leftwards, then rightmost", ["left", "right"]),
        ("clockwise, counter-clockwise, anticlockwise", ["clockwise"] + 2 * ["counterclockwise"]),
        ("right away, nothing left to do, upright", []),
    ],
)
def test_sides(text: str, found: list[str]) -> None:
    assert sides(text) == found
