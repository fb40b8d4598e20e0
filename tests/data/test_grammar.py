"""Conjugation, choices and articles."""

from __future__ import annotations

import random

import pytest

from motionmill.data.grammar import (
    Subject,
    choose,
    conjugate,
    entries,
    tidy,
    verb_phrase,
    with_article,
)


@pytest.mark.parametrize(
    ("verb", "singular", "gerund"),
    [
        ("walk", "walks", "walking"),
        ("run", "runs", "running"),
        ("wave", "waves", "waving"),
        ("carry", "carries", "carrying"),
        ("lie", "lies", "lying"),
        ("punch", "punches", "punching"),
        ("do", "does", "doing"),
        ("be", "is", "being"),
        ("have", "has", "having"),
        ("tiptoe", "tiptoes", "tiptoeing"),
        ("throw", "throws", "throwing"),
        ("squat", "squats", "squatting"),
        ("play", "plays", "playing"),
        ("power-walk", "power-walks", "power-walking"),
        ("raise", "raises", "raising"),
        ("lean", "leans", "leaning"),
    ],
)
def test_conjugation(verb: str, singular: str, gerund: str) -> None:
    assert conjugate(verb, "singular") == singular
    assert conjugate(verb, "gerund") == gerund
    assert conjugate(verb, "base") == verb


def test_later_verbs_follow_the_phrase_and_pronouns_the_subject() -> None:
    woman = Subject("a woman", "she")
    phrase = "raise {his} left hand and ^wave as well as {he} ~can"
    assert (
        verb_phrase(phrase, "gerund", woman)
        == "raising her left hand and waving as well as she can"
    )
    assert verb_phrase("stand where {he} ~be", "singular", Subject("someone", "they")) == (
        "stands where they are"
    )


def test_choices_may_be_nested_and_lists_split_only_outside() -> None:
    words = {choose("walk (ahead|(far|near) away)", random.Random(seed)) for seed in range(40)}
    assert words == {"walk ahead", "walk far away", "walk near away"}
    assert entries("walk (a|b) / run") == ("walk (a|b)", "run")


def test_articles() -> None:
    assert tidy("a  old man ,tired , makes a u-turn like an giant") == (
        "an old man,tired, makes a u-turn like a giant"
    )
    assert with_article("wave of the hands") == "a wave of the hands"
    assert with_article("push-ups") == "push-ups"
    assert with_article("boxing") == "boxing"
