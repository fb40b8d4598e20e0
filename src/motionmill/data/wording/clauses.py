"""A caption in free words -> its subject and clauses, as far as its grammar is plain; what is not plain is left whole.

Only what is certain is taken apart: a verb counts where the grammar asks for one and our list knows it.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final, Literal

from motionmill.data.grammar import conjugate, entries, load_phrases

Tense = Literal["finite", "continuous", "gerund", "base"]

_JOINT: Final = re.compile(
    r"(?:\s*,)?\s+(?:and then|then|and|afterwards|after that)(?:,)?\s+|\s*,\s+(?!and\b|then\b|afterwards\b)"
)
_OTHER_SUBJECT: Final = re.compile(
    r"\b(?:he|she|they|it|who|which|that|is|are|was|were|has|have|it's|b|a's|b's)\b", re.IGNORECASE
)
_PHASES: Final = ("start", "begin", "stop", "continue", "keep")
_UNKNOWN_VERB: Final = re.compile(
    r"(?:,|\band|\bthen|\bafterwards) (?:then )?(?!(?:hands|arms|legs|knees|shoulders|elbows|hips|this|its|his|towards"
    r"|forwards|backwards|sideways|steps|perhaps|always)\b)[a-z]+(?<!s)s\b"
)
_UNKNOWN_PARTICIPLE: Final = re.compile(r"(?:,|\band|\bthen|\bafterwards) (?:then )?[a-z]+ing\b")
_NOUN_BEFORE: Final = re.compile(
    r"\b(?:a|an|the|his|her|its|their|one|two|three|four|five|six|seven|eight|nine|ten|\d+|some|several|few|many|more|of"
    r"|big|small|large|little|tiny|long|short|quick|slow|fast|left|right|high|low|deep|side|both|with|in|for|to|by|wide"
    r"|forward|backward|other|another|first|second|last|couple|normal|back|jumping|hand|arm|leg|wide|front)\s+$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Clause:
    """A verb and what follows it.

    Attributes:
        joint: the words between it and the clause before: ", then ", " and "; "" for the first.
        before: an adverb in front of the verb; may be empty.
        verb: base form.
        rest: what follows the verb.
    """

    joint: str
    before: str
    verb: str
    rest: str


@dataclass(frozen=True)
class Sentence:
    """A caption taken apart.

    Attributes:
        subject: "a person"; "" where none is named.
        tense: how its verbs stand in the caption.
        clauses: in order; empty where nothing is certain.
        rigid: whether its verbs have to stay as they are: another subject, or a word that may be a verb or a noun.
        text: subject and all, without a full stop.
    """

    subject: str
    tense: Tense
    clauses: tuple[Clause, ...]
    rigid: bool
    text: str


def parse(caption: str) -> Sentence:
    """Take a caption apart. What cannot be read has no clauses."""
    text = " ".join(caption.split()).rstrip(" .!;:")
    text = re.sub(r"\b(an?|the) \1\b", r"\1", text)
    plain = Sentence("", "finite", (), True, text)
    match = _subject_pattern().match(text)
    subject, after = (match[0], text[match.end() :].strip()) if match else ("", text)
    if re.search(r"[.;:?]\s|\s-\s|[()/]", text) or not after:
        return plain
    tense, start = _tense(after, bool(subject))
    if tense is None:
        return Sentence(_with_article(subject), "finite", (), True, text) if subject else plain
    clauses = _clauses(after[start:], tense)
    rigid = any(_doubtful(clause, tense) for clause in clauses)
    if tense == "base" and (rigid or (text != text.lower() and not text[1:].islower())):
        return plain
    return Sentence(_with_article(subject), tense, clauses, rigid, text)


@functools.cache
def verb_forms() -> dict[str, tuple[str, Tense]]:
    """Every form of every verb of our list -> its base and what form it is; bases themselves count as such."""
    forms: dict[str, tuple[str, Tense]] = {}
    for verb in sorted(set(load_phrases("paraphrase")["verbs"].split())):
        forms[conjugate(verb, "singular")] = (verb, "finite")
        forms[conjugate(verb, "gerund")] = (verb, "gerund")
    for verb in sorted(set(load_phrases("paraphrase")["verbs"].split())):
        forms.setdefault(verb, (verb, "base"))
    return forms


@functools.cache
def _subject_pattern() -> re.Pattern[str]:
    nouns = [noun for group in load_phrases("paraphrase")["people"] for noun in entries(group)]
    names = "|".join(sorted(nouns, key=len, reverse=True))
    return re.compile(
        rf"(?:(?:an?|the|one|this)\s+(?:[a-z-]+\s+){{0,3}}?(?:{names})|(?:{names})(?=\s)|someone|somebody|he|she)\b(?!'s|-)",
        re.IGNORECASE,
    )


def _with_article(subject: str) -> str:
    """ "Person" -> "a person"; the rest in small letters."""
    lowered = subject[:1].lower() + subject[1:]
    bare = lowered and not re.match(r"(?:an?|the|one|this|someone|somebody|he|she)\b", lowered)
    article = "an" if lowered[:1] in "aeio" else "a"
    return f"{article} {lowered}" if bare else lowered


def _tense(after: str, has_subject: bool) -> tuple[Tense | None, int]:
    """The form of the first verb, and where the verb phrase begins."""
    words = after.split(" ")
    place = 1 if words[0].lower() in _adverbs() and len(words) > 1 else 0
    first = words[place].lower().rstrip(",")
    if has_subject and first == "is":
        coming = words[place + 1 :]
        if coming and coming[0].lower() in _adverbs():
            coming = coming[1:]
        known = bool(coming) and _form(coming[0]) == "gerund"
        return ("continuous", len(" ".join(words[: place + 1])) + 1) if known else (None, 0)
    form = _form(first)
    if form == "finite" and has_subject:
        return "finite", 0
    if form == "gerund":
        return "gerund", 0
    if form == "base" and not has_subject:
        alone = words[place].endswith(",") or len(words) <= place + 1
        following = "" if alone else words[place + 1].lower().rstrip(",")
        return (None, 0) if following in verb_forms() or following.endswith("ed") else ("base", 0)
    return None, 0


def _form(word: str) -> Tense | None:
    known = verb_forms().get(word.lower().rstrip(","))
    return known[1] if known else None


@functools.cache
def _adverbs() -> frozenset[str]:
    return frozenset(load_phrases("paraphrase")["adverbs"].split())


def _clauses(text: str, tense: Tense) -> tuple[Clause, ...]:
    """The clauses of a verb phrase: cut at "and", "then" and commas that a verb of the same form follows."""
    wanted = "gerund" if tense == "continuous" else tense
    cuts = [(0, 0)]
    for match in _JOINT.finditer(text):
        words = text[match.end() :].split(" ")
        place = 1 if words[0].lower() in _adverbs() and len(words) > 1 else 0
        if _form(words[place]) == wanted:
            cuts.append((match.start(), match.end()))
    ends = [start for start, _ in cuts[1:]] + [len(text)]
    return tuple(
        _clause(text[cut[0] : cut[1]], text[cut[1] : end])
        for cut, end in zip(cuts, ends, strict=True)
    )


def _clause(joint: str, text: str) -> Clause:
    words = text.split(" ")
    before = ""
    if words[0].lower() in _adverbs():
        before, words = words[0].lower(), words[1:]
    verb = verb_forms()[words[0].lower().rstrip(",")][0]
    comma = "," if words[0].endswith(",") else ""
    return Clause(joint, before, verb, comma + " ".join(words[1:]))


def _doubtful(clause: Clause, tense: Tense) -> bool:
    """Whether what follows a verb may hold another verb that would have to change with it."""
    if _OTHER_SUBJECT.search(clause.rest) or clause.rest.startswith(","):
        return True
    if clause.verb in _PHASES and re.match(r"\w+ing\b", clause.rest):
        return True
    unknown = _UNKNOWN_VERB if tense == "finite" else _UNKNOWN_PARTICIPLE
    if tense != "base" and unknown.search(clause.rest.lower()):
        return True
    for match in re.finditer(r"[A-Za-z']+", clause.rest):
        form = _form(match[0])
        before = clause.rest[: match.start()]
        if form == "finite" and not _NOUN_BEFORE.search(before):
            return True
    return tense == "base" and bool(re.search(r"\b\w+ed\b|, | (?:and|then) ", clause.rest))
