"""Same texts: case, punctuation, articles and typing errors do not count; words of meaning always do."""

from __future__ import annotations

import pytest

from motionmill.data.wording.text_duplicates import different_texts, normal_form


def test_exactly_and_nearly_the_same() -> None:
    texts = [
        "A person walks forward.",
        "a person walks  forward",
        "The person walks forward!",
        "a person walks backward",
        "Café dance",
        "cafe dance",
    ]
    assert different_texts(texts) == [texts[0], texts[3], texts[4]]
    assert normal_form("  The QUICK, brown-fox! ") == "quick brown fox"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("walks to the left", "walks to the right"),
        ("steps", "stops"),
        ("a man walks", "a man walk"),
        ("raises one hand", "raises two hands"),
        ("turns 90 degrees", "turns 180 degrees"),
        ("walks, then runs", "runs, then walks"),
    ],
)
def test_meaning_is_kept(first: str, second: str) -> None:
    assert different_texts([first, second]) == [first, second]
    crowd = [first] * 60 + [second]
    assert len(different_texts(crowd)) == 2


def test_typing_errors_of_frequent_words_are_put_right() -> None:
    texts = [f"a person number {index} walks forward" for index in range(30)]
    for wrong in ("a person number 3 wlaks forward", "a persson number 3 walks forwrad"):
        assert len(different_texts([*texts, wrong])) == 30
    assert len(different_texts([*texts, "a person number 3 talks forward"])) == 31
