"""Meaning -> captions, drawn from a grammar in which every action meets every style in the same words.

So combinations that nobody recorded are understood too. The words lie in `phrases/`, and no caption is drawn twice.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

from motionmill.data.describing.describe import Facts, contradicts
from motionmill.data.grammar import (
    Subject,
    choose,
    entries,
    finish,
    load_phrases,
    pick,
    tidy,
    verb_phrase,
    with_article,
)

_PHRASE_FILES: Final = ("locomotion", "gestures", "everyday", "sports", "fighting")
_KINDS: Final = ("finite", "command", "gerund", "noun")
_KIND_WEIGHTS: Final = (42, 24, 20, 14)
_STYLE_OMITTED: Final = 0.12  # captions of a styled clip that do not say the style
_NORMAL_NAMED: Final = 0.15  # captions of a normal style that say so
_HUMAN: Final = 0.15  # captions that reword one written by a person, where there is one
_FIRST: Final = 0.25  # phrases that are the first, plainest of their list
_SUBJECT_ONLY: Final = 0.10  # captions that say the style only by who moves: "an old man waves"
_ASIDE: Final = 0.08  # captions with a place or an occasion
_GAIT: Final = 0.3  # phrases with "walk" that say it with a verb of the style
_FACT_ADDED: Final = (
    0.5  # captions that say a measured direction or side that the label leaves open
)
_DRAWS_PER_CAPTION: Final = 12


@dataclass(frozen=True)
class Meaning:
    """What a clip shows.

    Attributes:
        actions: keys of the phrase files, in the order of time; empty where only sentences are known.
        slots: values of the slots of each action: {"side": "left"}.
        style: key of `phrases/styles.yaml`; None where the source says nothing of the manner.
        sentences: captions written by people, used beside ours.
    """

    actions: tuple[str, ...]
    slots: tuple[Mapping[str, str], ...] = ()
    style: str | None = None
    sentences: tuple[str, ...] = ()

    def then(self, other: Meaning) -> Meaning:
        """One after the other: "walks, then sits down". A style stays if both have it."""
        style = self.style if self.style == other.style else None
        return Meaning(self.actions + other.actions, self.slots + other.slots, style)


def captions_of(
    meaning: Meaning, facts: Facts | None, *, count: int, rng: random.Random
) -> Iterator[str]:
    """Draw captions of a meaning until there are `count` different ones, or nothing new comes."""
    meaning = _with_motion_sides(meaning, facts)
    seen: set[str] = set()
    draws = count * _DRAWS_PER_CAPTION
    for caption in chain(meaning.sentences, (_draw(meaning, facts, rng) for _ in range(draws))):
        plain = caption.lower().rstrip(".!")
        if plain in seen or (facts is not None and contradicts(caption, facts) is not None):
            continue
        seen.add(plain)
        yield caption
        if len(seen) >= count:
            return


_SUBJECT: Final = re.compile(
    r"^(?:(?:a|the|one|this) (?:person|man|woman|human|figure|character|guy|lady|individual)|someone|somebody)\b(?!')",
    re.IGNORECASE,
)


@functools.cache
def _actions() -> dict[str, dict[str, str]]:
    """All actions of the phrase files by name."""
    return {key: action for name in _PHRASE_FILES for key, action in load_phrases(name).items()}


def _with_motion_sides(meaning: Meaning, facts: Facts | None) -> Meaning:
    """`side: motion` filled in; without facts, or without a clear side, the action is a plain walk."""
    if not any(slots.get("side") == "motion" for slots in meaning.slots):
        return meaning
    if facts is None or abs(facts.left) < 0.5:
        return replace(meaning, actions=("walk",), slots=({},))
    side = "left" if facts.left > 0 else "right"
    return replace(meaning, slots=tuple({**slots, "side": side} for slots in meaning.slots))


def _draw(meaning: Meaning, facts: Facts | None, rng: random.Random) -> str:
    """One caption."""
    if meaning.sentences and (not meaning.actions or rng.random() < _HUMAN):
        return _reworded(rng.choice(meaning.sentences), rng)
    style = _style(meaning)
    chance = {None: 0.0, "normal": _NORMAL_NAMED}.get(meaning.style, 1 - _STYLE_OMITTED)
    named = rng.random() < chance
    subject_only = named and "instead" in style and rng.random() < _SUBJECT_ONLY
    kinds = _KINDS if len(meaning.actions) == 1 else _KINDS[:-1]
    kind = rng.choices(kinds, _KIND_WEIGHTS[: len(kinds)])[0]
    patterns = load_phrases("sentences")["styled" if named and not subject_only else "plain"][kind]
    pattern = choose(rng.choice(patterns), rng)
    if subject_only:
        if "{subject}" not in pattern and "{object}" not in pattern:
            pattern = "{subject} {does}"
        subject = _natural_subject(style, rng)
    else:
        subject = _subject(style, pattern, rng)
    return _fill(pattern, meaning, facts, subject, rng)


def _style(meaning: Meaning) -> Mapping[str, Any]:
    style: Mapping[str, Any] = load_phrases("styles")[meaning.style or "normal"]
    return style


def _reworded(sentence: str, rng: random.Random) -> str:
    """A sentence with another subject: "A man walks." -> "someone walks."."""
    pronoun = (
        "he"
        if re.search(r"\bhis\b", sentence)
        else "she"
        if re.search(r"\bher\b", sentence)
        else "they"
    )
    subject = pick(load_phrases("sentences")["subjects"][pronoun], rng)
    if subject == "they":
        return sentence
    return _SUBJECT.sub(subject, sentence, count=1)


def _fill(
    pattern: str, meaning: Meaning, facts: Facts | None, subject: Subject, rng: random.Random
) -> str:
    """The slots of a sentence pattern."""
    style = _style(meaning)
    adjective = pick(style["adjectives"], rng)
    action = _action_phrase(meaning, facts, subject, rng)
    styled = _styled_subject(style, subject, adjective, rng)
    pronoun = Subject(_PRONOUN_SUBJECT[subject.pronoun], subject.pronoun)
    text = pattern.replace("a {noun}", "{a_noun}")
    noun = _noun_phrase(meaning, facts, rng) if "noun}" in text else ""
    fills: dict[str, Callable[[], str]] = {
        "clause": lambda: _of_style(style, "clause", adjective, rng),
        "manner": lambda: _of_style(style, "manner", adjective, rng),
        "adverb": lambda: pick(style["adverbs"], rng),
        "adjective": lambda: adjective,
        "styled": lambda: styled,
        "he_does": lambda: f"{pronoun.text} {verb_phrase(action, pronoun.form, subject)}",
        "does": lambda: verb_phrase(action, subject.form, subject),
        "doing": lambda: verb_phrase(action, "gerund", subject),
        "do": lambda: verb_phrase(action, "base", subject),
        "a_noun": lambda: with_article(noun),
        "noun": lambda: noun,
        "object": lambda: subject.as_object,
        "subject": lambda: subject.text,
    }
    for _ in range(2):  # manner may hold {styled} or {adjective} again
        for slot, fill in fills.items():
            if f"{{{slot}}}" in text:
                text = text.replace(f"{{{slot}}}", fill())
    text = tidy(finish(text, subject.form, subject))
    return f"{text}." if rng.random() < 0.25 else text


_PRONOUN_SUBJECT: Final = {"they": "they", "he": "he", "she": "she", "you": "you"}


def _subject(style: Mapping[str, Any], pattern: str, rng: random.Random) -> Subject:
    """Who moves, as the pattern and the style ask."""
    if (
        pattern.startswith(("{do}", "please {do}", "{adverb} {do}", "{adjective} {do}"))
        and "{styled}" not in pattern
    ):
        return Subject("you", "you") if rng.random() < 0.6 else Subject("a person", "they")
    pronoun = _pronoun(style, rng)
    return Subject(pick(load_phrases("sentences")["subjects"][pronoun], rng), pronoun)


def _pronoun(style: Mapping[str, Any], rng: random.Random) -> str:
    """They, he or she; a style such as masculine has only those that fit."""
    others = (style["who"],) if "who" in style else ("he", "she")
    return rng.choices(("they", *others), (50, *(50 / len(others) for _ in others)))[0]


def _natural_subject(style: Mapping[str, Any], rng: random.Random) -> Subject:
    """Someone who moves like that by nature: "an old man"."""
    pronoun = rng.choice(sorted(style["subjects"]))
    return Subject(pick(style["subjects"][pronoun], rng), pronoun)


def _styled_subject(
    style: Mapping[str, Any], subject: Subject, adjective: str, rng: random.Random
) -> str:
    """A person with the style's adjective, or of the style's own kind, of the subject's gender."""
    pronoun = subject.pronoun if subject.pronoun != "you" else _pronoun(style, rng)
    natural = style.get("subjects", {}).get(pronoun)
    if natural and rng.random() < 0.4:
        return pick(natural, rng)
    people = pick(load_phrases("sentences")["people"][pronoun], rng)
    article = "the" if rng.random() < 0.15 else "a"
    return f"{article} {adjective} {people}"


def _of_style(style: Mapping[str, Any], part: str, adjective: str, rng: random.Random) -> str:
    """A manner or a clause: the style's own, or made from its adjective."""
    own = style["manner" if part == "manner" else "clauses"]
    made = load_phrases("sentences")["from_adjective"][part]
    return pick(own if rng.random() < 0.65 else made, rng).replace("{adjective}", adjective)


def _action_phrase(
    meaning: Meaning, facts: Facts | None, subject: Subject, rng: random.Random
) -> str:
    """The verb phrase of all actions with slots filled; `^` marks the later verbs."""
    phrases = []
    for action, slots in zip(meaning.actions, meaning.slots, strict=True):
        words = _actions()[action]["does"]
        plainest = rng.random() < _FIRST
        phrase = choose(entries(words)[0], rng) if plainest else pick(words, rng)
        phrase = _with_slots(phrase, slots)
        phrase = _with_gait(phrase, meaning, rng)
        phrase = phrase.replace("{his}", "the") if rng.random() < 0.15 else phrase
        if len(meaning.actions) == 1:
            phrase = " ".join([phrase, *_true_clauses(action, phrase, facts, rng)])
            if rng.random() < _ASIDE:
                phrase = f"{phrase} {pick(load_phrases('sentences')['asides'], rng)}"
        phrases.append(phrase.removeprefix("^"))
    joints = rng.choice((", then ^", " and then ^", " and ^", ", ^"))
    return joints.join(phrases)


def _with_gait(phrase: str, meaning: Meaning, rng: random.Random) -> str:
    """ "walk" said with a verb of the style: "trudge and turn left"."""
    gaits = _style(meaning).get("gaits")
    if gaits is None or (not phrase.startswith(("walk ", "walk,")) and phrase != "walk"):
        return phrase
    if rng.random() >= _GAIT:
        return phrase
    return pick(gaits, rng) + phrase.removeprefix("walk")


def _noun_phrase(meaning: Meaning, facts: Facts | None, rng: random.Random) -> str:
    action, slots = meaning.actions[0], meaning.slots[0]
    noun = _with_slots(pick(_actions()[action]["nouns"], rng), slots)
    clauses = [clause for clause in _true_clauses(action, noun, facts, rng) if "^" not in clause]
    return " ".join([noun, *clauses])


def _with_slots(text: str, slots: Mapping[str, str]) -> str:
    for slot, value in slots.items():
        text = text.replace(f"{{{slot}}}", value)
    return text


def _true_clauses(action: str, phrase: str, facts: Facts | None, rng: random.Random) -> list[str]:
    """Clauses that say a measured direction, side or speed, where the action leaves it open."""
    if facts is None:
        return []
    table = load_phrases("sentences")["facts"]
    found = []
    for kind in _actions()[action].get("facts", "").split():
        value = facts.clause(kind)
        if value is None or rng.random() >= (_FACT_ADDED if kind != "speed" else 0.2):
            continue
        if not re.search(r"\b(left|right|forwards?|ahead|backwards?|both|straight)\b", phrase):
            found.append(pick(table[kind][value], rng))
    return found[:2]
