"""A caption -> captions that say the same, by rules, without any model.

Other words for who moves, for verbs and adverbs; other forms of the verb; other places of an adverb or a clause; other
sentences around it. The tables are in `phrases/paraphrase.yaml`, and `directions.check_rewrite` has the last word.
"""

from __future__ import annotations

import functools
import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from motionmill.data.grammar import conjugate, entries, load_phrases, past_tense, tidy
from motionmill.data.wording.clauses import Clause, Sentence, parse, verb_forms
from motionmill.data.wording.directions import check_rewrite

_DRAWS: Final = 40  # for one rewrite, before no more are looked for
_NEUTRAL: Final = re.compile(
    r"(?:an?|one|this|the)? ?(?:person|human|human being|individual)|someone|somebody"
)
_SEQUENCE: Final = re.compile(r"\b(?:then|afterwards|after that)\b")
_THINGS: Final = ("spring", "string", "something", "anything", "everything", "morning", "evening")
_FORMS: Final = ("finite", "finite", "continuous", "past", "shown", "led", "base")


def paraphrases(caption: str, *, count: int = 20, seed: int = 0) -> list[str]:
    """At most `count` rewrites of a caption, all different; at least 8 where 8 are asked for.

    Raises:
        ValueError: an empty caption.
    """
    sentence = parse(caption)
    if not sentence.text:
        raise ValueError("an empty caption; expected words")
    if count < 1:
        return []
    digest = hashlib.sha256(f"{seed}/{caption}".encode()).digest()
    rng = random.Random(int.from_bytes(digest[:8]))
    found: list[str] = []
    seen = {_plain(caption)}
    for candidate in _candidates(sentence, rng, count * _DRAWS):
        if _plain(candidate) in seen or not _same(sentence.text, candidate):
            continue
        seen.add(_plain(candidate))
        found.append(candidate)
        if len(found) == count:
            break
    return found


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9 ]", "", text.lower())


def _same(text: str, candidate: str) -> bool:
    try:
        check_rewrite(text, candidate)
    except ValueError:
        return False
    return True


def _candidates(sentence: Sentence, rng: random.Random, draws: int) -> Iterator[str]:
    """Drawn rewrites; those of the plainest kind come last, so that no caption is left with none."""
    readable = sentence.subject or sentence.clauses or _is_participle(sentence.text)
    for _ in range(draws if readable else 0):
        if sentence.clauses and not sentence.rigid:
            yield tidy(_free(sentence, rng))
        else:
            yield tidy(_whole(sentence, rng))
    patterns = rng.sample(_listed("named"), len(_listed("named")))
    for pattern in patterns:
        yield tidy(pattern.replace("{text}", _lowered(sentence.text)))
    if not sentence.subject and not sentence.clauses:
        for pattern in patterns:
            yield tidy(pattern.replace("{text}", _other_words(_lowered(sentence.text), rng)))


@functools.cache
def _table() -> dict[str, Any]:
    return load_phrases("paraphrase")


@functools.cache
def _listed(name: str) -> tuple[str, ...]:
    return entries(_table()[name])


def _lowered(text: str) -> str:
    """Small letters, as in a sentence; "TV" and "DrunkWalk" stay as they are."""
    words = text.split(" ")
    if all(re.fullmatch(r"[A-Z]?[a-z'-]*,?|[^A-Za-z]+", word) for word in words):
        return text.lower()
    return text if re.search(r"[A-Z]", words[0][1:]) else text[:1].lower() + text[1:]


def _whole(sentence: Sentence, rng: random.Random) -> str:
    """A rewrite that leaves the verbs as they are: another subject, other words, something before it."""
    text = sentence.text
    subject = sentence.subject
    if subject:
        match = re.match(re.escape(subject.removeprefix("a ").removeprefix("an ")), text, re.I)
        after = (
            text[len(subject) :]
            if text.lower().startswith(subject)
            else text[match.end() :]
            if match
            else ""
        )
        text = f"{_who(subject, rng)}{after}" if after else _lowered(text)
    elif _is_participle(text):
        return rng.choice(_listed("doing")).replace("{doing}", _other_words(_lowered(text), rng))
    text = _other_words(_lowered(text), rng)
    finite = (
        sentence.tense in ("finite", "continuous")
        and bool(subject)
        and (sentence.clauses or _has_verb(text))
    )
    if finite and rng.random() < 0.6:
        return rng.choice(_listed("reported")).replace("{s}", text)
    return text


def _is_participle(text: str) -> bool:
    """Whether a text says what is being done, with a verb that is in no list: "fishing"."""
    first = text.split(" ")[0]
    return (
        len(first) > 5
        and first.endswith("ing")
        and " - " not in text
        and first.lower() not in _THINGS
    )


def _has_verb(text: str) -> bool:
    """Whether a text that was not taken apart has a finite verb."""
    known = verb_forms()
    words = text.lower().split()[1:6]
    return any(
        word in ("is", "has", "are") or (word in known and known[word][1] == "finite")
        for word in words
    )


def _free(sentence: Sentence, rng: random.Random) -> str:
    """A rewrite in any form of the verb."""
    subject = _who(sentence.subject, rng) if sentence.subject else rng.choice(_listed("anyone"))
    clauses = [_reworded(clause, rng) for clause in sentence.clauses]
    clauses = [_moved_adverb(clause, rng) for clause in clauses]
    form = rng.choice(_FORMS)
    if form == "base":
        if any(re.search(r"\b(?:his|her|its|their)\b", clause.rest) for clause in clauses):
            form = "finite"
        else:
            return _joined(clauses, "base")
    if form == "led":
        return f"{rng.choice(_listed('lead_ins'))} {subject} {_joined(clauses, 'finite')}"
    if form == "shown":
        doing = _joined(clauses, "gerund")
        pattern = rng.choice(_listed("shown"))
        return pattern.replace("{s}", subject).replace("{doing}", doing)
    if form == "continuous":
        return f"{subject} is {_joined(clauses, 'gerund')}"
    return _ordered(subject, clauses, form, rng)


def _ordered(subject: str, clauses: list[Clause], form: str, rng: random.Random) -> str:
    """A finite sentence, its clauses in another order where that says the same."""
    *first, last = clauses
    if first and _SEQUENCE.search(last.joint) and not last.before and rng.random() < 0.4:
        if len(clauses) == 2 and rng.random() < 0.5:
            done = _joined(first, "gerund")
            return f"after {done}, {subject} {_joined([replace(last, joint='')], form)}"
        return f"{subject} {_joined(first, form)} before {_said(last, 'gerund')}"
    beside = re.fullmatch(r"(?:(.*?),? )?(while \w+ing\b.*)", last.rest)
    if len(clauses) == 1 and beside and rng.random() < 0.4:
        return f"{beside[2]}, {subject} {_joined([replace(last, rest=beside[1] or '')], form)}"
    return f"{subject} {_joined(clauses, form)}"


def _joined(clauses: list[Clause], form: str) -> str:
    return "".join(f"{clause.joint}{_said(clause, form)}" for clause in clauses)


def _said(clause: Clause, form: str) -> str:
    """A clause with its verb in a form; the verb may be a phrase: "take a step"."""
    verb, _, more = clause.verb.partition(" ")
    match form:
        case "gerund":
            said = conjugate(verb, "gerund")
        case "past":
            said = past_tense(verb)
        case "base":
            said = verb
        case _:
            said = conjugate(verb, "singular")
    return " ".join(part for part in (clause.before, said, more, clause.rest) if part)


def _who(subject: str, rng: random.Random) -> str:
    """Another way to say who moves: any person for any person, else another noun of the same kind."""
    lowered = subject.lower()
    if lowered in ("he", "she"):
        return subject
    if _NEUTRAL.fullmatch(lowered):
        return rng.choice(_listed("anyone"))
    head = next(
        (
            (noun, group)
            for group in _table()["people"]
            for noun in sorted(entries(group), key=len, reverse=True)
            if lowered.endswith(f" {noun}")
        ),
        None,
    )
    if head is None:
        return subject
    noun, group = head
    stem = subject[: len(subject) - len(noun)]
    stem = re.sub(r"^(?:a|an|the)\b", rng.choice(("a", "the")), stem, flags=re.IGNORECASE)
    return tidy(f"{stem}{rng.choice(entries(group))}")


def _reworded(clause: Clause, rng: random.Random) -> Clause:
    """Other words for the verb and for what follows it, each at random and where they fit."""
    rest = clause.rest
    verb = clause.verb
    fitting = [
        row["say"]
        for row in _table()["same"].get(verb, ())
        if re.match(row.get("before", ""), rest)
    ]
    if fitting and rng.random() < 0.5:
        verb = rng.choice(fitting)
    marked = _other_words(f"{verb} {rest}".strip(), rng)
    kept = verb.split(" ", 1)[0]
    head, _, rest = marked.partition(" ")
    joint = clause.joint
    if _SEQUENCE.search(joint):
        joint = rng.choice((joint, ", then ", " and then ", ", and then "))
    return Clause(joint, clause.before, head if head == kept else verb, rest)


def _other_words(text: str, rng: random.Random) -> str:
    """Words of the table exchanged, each with an even chance."""
    for pattern, choices in _table()["words"]:
        if rng.random() < 0.5:
            picked = rng.choice(choices.split(" / "))
            text = re.sub(pattern, picked, text)
    return text


def _moved_adverb(clause: Clause, rng: random.Random) -> Clause:
    """An adverb of manner in another place: before the verb, after it, or at the end."""
    words = clause.rest.split(" ") if clause.rest else []
    found = [word for word in words if word in _adverbs()]
    if len(found) != 1 or clause.before or rng.random() < 0.4:
        return clause
    others = [word for word in words if word != found[0]]
    if re.search(r"\b(?:very|quite|more|and|rather|really|extremely|pretty|too|so)\b", clause.rest):
        return clause
    if words[0] == found[0] or words[-1] == found[0]:
        if (
            re.search(r"\b(?:while|as|before|after|when|like|with|if|until)\b", clause.rest)
            or rng.random() < 0.5
        ):
            return replace(clause, before=found[0], rest=" ".join(others))
        ends = words[0] == found[0]
        return replace(clause, rest=" ".join([*others, *found] if ends else [*found, *others]))
    return clause


@functools.cache
def _adverbs() -> frozenset[str]:
    return frozenset(_table()["adverbs"].split())
