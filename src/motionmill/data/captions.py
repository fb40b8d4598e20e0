"""What a source says of a clip -> many differently worded captions.

A label becomes a `Meaning`: one or several actions and a style. Captions are drawn from a grammar in which every
action meets every style in the same words, so that combinations nobody recorded are understood too. The words lie in
`phrases/`.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from motionmill.data.describe import Facts, contradicts
from motionmill.data.grammar import (
    Subject,
    choose,
    finish,
    load_phrases,
    pick,
    tidy,
    verb_phrase,
    with_article,
)
from motionmill.data.sides import mirror_caption as mirror_caption

CONTENT_CLASSES: Final[Mapping[str, str]] = {
    "bow": "bow",
    "bye": "wave-right-hand",
    "byebye": "wave-both-hands",
    "call": "call",
    "dance-short": "dance-short",
    "dash": "run",
    "guide": "guide",
    "kick": "kick",
    "punch": "punch",
    "raise-up-both-hands": "raise-up-both-hands",
    "raise-up-left-hand": "raise-up-left-hand",
    "raise-up-right-hand": "raise-up-right-hand",
    "respond": "raise-up-left-hand",
    "run": "run",
    "slash": "slash",
    "walk": "walk",
    "walk-back": "walk-back",
    "walk-left": "walk-left",
    "walk-right": "walk-right",
    "walk-turn-left": "walk-turn-left",
    "walk-turn-right": "walk-turn-right",
    "wave-both-hands": "wave-both-hands",
    "wave-left-hand": "wave-left-hand",
    "wave-right-hand": "wave-right-hand",
}
STYLE_CLASSES: Final[Mapping[str, str]] = {
    "active": "active",
    "angry": "angry",
    "childish": "childish",
    "chimpira": "chimpira",
    "elderly": "elderly",
    "exhausted": "exhausted",
    "feminine": "feminine",
    "giant": "giant",
    "happy": "happy",
    "masculine": "masculine",
    "masculinity": "masculine",
    "musical": "musical",
    "normal": "normal",
    "not-confident": "not-confident",
    "old": "elderly",
    "proud": "proud",
    "sad": "sad",
    "tired": "exhausted",
    "youthful": "youthful",
}
MERGE_REASONS: Final[Mapping[str, str]] = {
    "bye": "in all 15 clips the right hand waves, the left hangs",
    "byebye": "in all 15 clips both hands wave",
    "dash": "a run at 2.5-4.3 m/s in all 15 clips",
    "respond": "its one clip raises and holds the left hand",
    "masculinity": "another word for masculine",
    "old": "another word for elderly",
    "tired": "another word for exhausted",
}

_PHRASE_FILES: Final = ("locomotion", "gestures", "everyday", "sports", "fighting")
_KINDS: Final = ("finite", "command", "gerund", "noun")
_KIND_WEIGHTS: Final = (42, 24, 20, 14)
_STYLE_OMITTED: Final = 0.12  # captions of a styled clip that do not say the style
_STYLE_NAMED: Final = 0.15  # captions of a clip without a particular style that say so
_SUBJECT_ONLY: Final = 0.10  # captions that say the style only by who moves: "an old man waves"
_FACT_ADDED: Final = (
    0.5  # captions that say a measured direction or side that the label leaves open
)
_DRAWS_PER_CAPTION: Final = 12


@dataclass(frozen=True)
class Meaning:
    """What a clip shows.

    Attributes:
        actions: keys of the phrase files, in the order of time.
        slots: values of the slots of each action: {"side": "left"}.
        style: key of `phrases/styles.yaml`; "normal" for none in particular.
        sentences: captions written by people, used beside ours.
    """

    actions: tuple[str, ...]
    slots: tuple[Mapping[str, str], ...] = ()
    style: str = "normal"
    sentences: tuple[str, ...] = field(default=())


def judge_classes(content: str | None, style: str | None) -> tuple[str | None, str | None]:
    """The classes that a content label and a style label are judged by; unknown labels stay as they are."""
    return (
        None if content is None else CONTENT_CLASSES.get(content, content),
        None if style is None else STYLE_CLASSES.get(style, style),
    )


def true_labels(labels: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """The labels with sides exchanged where the motion shows the other one: some takes are filed wrongly."""
    fixed = dict(labels)
    for key in ("content", "label"):
        if isinstance(text := labels.get(key), str):
            fixed[key] = _truer(text.replace("-", " "), facts, keep=text)
    if captions := labels.get("captions"):
        fixed["captions"] = [_truer(caption, facts, keep=caption) for caption in captions]
    return fixed


def _truer(words: str, facts: Facts, *, keep: str) -> str:
    other = mirror_caption(words)
    wrong = contradicts(words, facts) is not None and contradicts(other, facts) is None
    return mirror_caption(keep) if wrong else keep


def meaning(labels: Mapping[str, Any]) -> Meaning:
    """The meaning of a source's labels: `content` and `style`, `segments`, or else `captions`.

    A caption that no phrase file knows is kept as a sentence, beside generic ones.
    """
    table = load_phrases("labels")
    if (content := labels.get("content")) in table["bandai"]:
        style = labels.get("style", "normal")
        return _from_rows([table["bandai"][content]], style=STYLE_CLASSES.get(style, "normal"))
    human = tuple(
        str(row["text"]) for row in labels.get("kitml_captions", ()) if labels.get("whole", True)
    )
    if types := [str(segment["type"]) for segment in labels.get("segments", ())]:
        return _of_segments(types)
    captions = [_normalize(caption) for caption in labels.get("captions", ())] or [""]
    rows = [table["captions"][caption] for caption in captions if caption in table["captions"]]
    unknown = tuple(caption for caption in captions if caption not in table["captions"])
    return _from_rows(rows[:1] or [{"action": "anything"}], sentences=human + unknown)


def write_captions(
    labels: Mapping[str, Any],
    facts: Facts | None,
    *,
    source: str = "",
    count: int = 32,
    rng: random.Random,
) -> list[str]:
    """Captions of one clip, all different, none against the facts.

    Args:
        labels: what the source says of the clip: a row of its manifest.
        facts: what was measured on the motion; adds true directions and sides, and drops captions that are not true.
        source: name of the source; not needed by the labels known today.
        count: how many; fewer where the phrases do not give so many.
        rng: decides the wording; the same state gives the same captions.
    """
    meant = meaning(labels if facts is None else true_labels(labels, facts))
    return list(captions_of(meant, facts, count=count, rng=rng))


def segment_captions(types: Sequence[str], *, count: int = 32, rng: random.Random) -> list[str]:
    """Captions of a window of a basketball take that shows these annotated segments, in the order of time."""
    return list(captions_of(_of_segments(types), None, count=count, rng=rng))


def captions_of(
    meaning: Meaning, facts: Facts | None, *, count: int, rng: random.Random
) -> Iterator[str]:
    """Draw captions of a meaning until there are `count` different ones, or nothing new comes."""
    meaning = _with_motion_sides(meaning, facts)
    seen: set[str] = set()
    for sentence in meaning.sentences:
        if facts is None or contradicts(sentence, facts) is None:
            seen.add(sentence)
            yield sentence
    for _ in range(count * _DRAWS_PER_CAPTION):
        if len(seen) >= count:
            return
        caption = _draw(meaning, facts, rng)
        plain = caption.lower().rstrip(".!")
        if plain in seen or (facts is not None and contradicts(caption, facts) is not None):
            continue
        seen.add(plain)
        yield caption


@functools.cache
def _actions() -> dict[str, dict[str, str]]:
    """All actions of the phrase files by name."""
    return {key: action for name in _PHRASE_FILES for key, action in load_phrases(name).items()}


def _normalize(caption: str) -> str:
    return (
        " ".join(caption.lower().split()).rstrip(".")
        if not caption.endswith("...")
        else caption.lower()
    )


def _of_segments(types: Sequence[str]) -> Meaning:
    table = load_phrases("labels")["segments"]
    known = [kind for kind in types if kind in table]
    merged = [kind for place, kind in enumerate(known) if place == 0 or known[place - 1] != kind]
    if not 1 <= len(merged) <= 3:
        return Meaning(("basketball",), ({},))
    return _from_rows([table[kind] for kind in merged])


def _from_rows(
    rows: Sequence[Mapping[str, Any]], *, style: str | None = None, sentences: tuple[str, ...] = ()
) -> Meaning:
    slots = tuple(
        {key: str(value) for key, value in row.items() if key not in ("action", "style")}
        for row in rows
    )
    styles = {str(row.get("style", "normal")) for row in rows}
    return Meaning(
        tuple(str(row["action"]) for row in rows),
        slots,
        style or (styles.pop() if len(styles) == 1 else "normal"),
        sentences,
    )


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
    style = load_phrases("styles")[meaning.style]
    named = rng.random() < (_STYLE_NAMED if meaning.style == "normal" else 1 - _STYLE_OMITTED)
    subject_only = named and "instead" in style and rng.random() < _SUBJECT_ONLY
    kinds = _KINDS if _nouns(meaning) else _KINDS[:-1]
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


def _fill(
    pattern: str, meaning: Meaning, facts: Facts | None, subject: Subject, rng: random.Random
) -> str:
    """The slots of a sentence pattern."""
    style = load_phrases("styles")[meaning.style]
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
        phrase = _with_slots(pick(_actions()[action]["does"], rng), slots)
        phrase = phrase.replace("{his}", "the") if rng.random() < 0.15 else phrase
        if len(meaning.actions) == 1:
            phrase = " ".join([phrase, *_true_clauses(action, phrase, facts, rng)])
        phrases.append(phrase.removeprefix("^"))
    joints = rng.choice((", then ^", " and then ^", " and ^", ", ^"))
    return joints.join(phrases)


def _noun_phrase(meaning: Meaning, facts: Facts | None, rng: random.Random) -> str:
    action, slots = meaning.actions[0], meaning.slots[0]
    noun = _with_slots(pick(_actions()[action]["nouns"], rng), slots)
    clauses = [clause for clause in _true_clauses(action, noun, facts, rng) if "^" not in clause]
    return " ".join([noun, *clauses])


def _nouns(meaning: Meaning) -> bool:
    return len(meaning.actions) == 1


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
