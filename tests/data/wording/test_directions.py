"""Planted swaps, drops and additions are found; true rewrites pass."""

from __future__ import annotations

import pytest

from motionmill.data.wording.directions import check_rewrite


@pytest.mark.parametrize(
    ("caption", "rewritten"),
    [
        ("a person waves the left hand", "a person waves the right hand"),
        ("a person waves the left hand", "a person waves"),
        ("a person waves", "a person waves the left hand"),
        ("a person raises both hands", "a person raises the left hand"),
        ("a person raises both hands", "a person raises the hands"),
        ("a person walks forward", "a person walks backward"),
        ("a person walks forward", "a person walks"),
        ("a person walks", "a person walks forward"),
        ("a person walks", "a person walks ahead"),
        ("a person walks back", "a person walks"),
        ("a person steps back", "a person steps forward"),
        ("a person turns clockwise", "a person turns counterclockwise"),
        ("a person turns clockwise", "a person turns"),
        ("a person walks up the stairs", "a person walks down the stairs"),
        ("a person walks up the stairs", "a person walks the stairs"),
        ("a person looks down", "a person looks up"),
        ("a person raises the left hand", "a person lowers the left hand"),
        ("a person turns left, then right", "a person turns right, then left"),
        ("a person walks sideways to the left", "a person walks to the left"),
        ("a person jumps twice", "a person jumps three times"),
        ("a person jumps twice", "a person jumps"),
        ("a person takes 4 steps", "a person takes five steps"),
        (
            "a person turns left by 90 degrees",
            "a person turns left by one hundred and eighty degrees",
        ),
        (
            "a person raises the left hand and kicks with the right leg",
            "a person raises the left leg and kicks with the right hand",
        ),
    ],
)
def test_a_planted_change_is_found(caption: str, rewritten: str) -> None:
    with pytest.raises(ValueError, match="where the caption"):
        check_rewrite(caption, rewritten)


@pytest.mark.parametrize(
    ("caption", "rewritten"),
    [
        ("a person waves the left hand", "somebody is waving with his left hand"),
        ("a person raises both arms", "someone lifts both of their hands"),
        ("a person walks forward", "a man strides ahead"),
        ("a person walks backwards", "a person goes in reverse on foot"),
        ("a person steps back", "a person takes a step backward"),
        ("a person sits down", "a person takes a seat"),
        ("a person stands up from a chair", "a person gets up from a chair"),
        ("a person lowers the left arm", "the left arm goes down"),
        ("a person raises the left arm", "the left arm goes up"),
        ("a person spins anti-clockwise", "a person spins counterclockwise"),
        ("a person jumps twice", "a person does two jumps"),
        ("a person takes 4 steps", "a person takes four steps"),
        ("a person paces back and forth", "a person paces to and fro"),
        ("a person has no energy left", "a person has no energy"),
        ("he stops right there", "he stops there"),
        ("a person turns 90 degrees to the left", "a person makes a left turn of ninety degrees"),
    ],
)
def test_what_says_the_same_passes(caption: str, rewritten: str) -> None:
    check_rewrite(caption, rewritten)
