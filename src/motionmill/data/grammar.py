"""Phrase files -> English sentences: choices, conjugation, pronouns, articles.

The small language of `phrases/*.yaml`: `a / b` separates the entries of a list, `(a|b)` is a choice inside an entry,
`^verb` is conjugated with the phrase or subject it belongs to, `~verb` with the pronoun {he}. The first word of a verb
phrase is always a verb in its base form.
"""

from __future__ import annotations

import functools
import importlib.resources
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Form = Literal["singular", "plural", "gerund", "base"]

_CHOICE = re.compile(r"\(([^()]*)\)")
_MARKED = re.compile(r"([\^~])([a-z][a-z-]*)")
_IRREGULAR = {"be": "is", "have": "has", "do": "does", "go": "goes", "can": "can"}
_IRREGULAR_PLURAL = {"be": "are"}
_SUBSTANCE = re.compile(
    r"karate|basketball|tennis|pong|ballet|salsa|boxing|meditation|laughter|swordplay|footwork|rest|fatigue|practice"
    r"|confusion|defense|joy|music|work|exhaustion|martial arts"
)
_KEEPS_E = ("ee", "oe", "ye")


@dataclass(frozen=True)
class Subject:
    """Who moves.

    Attributes:
        text: as the subject of a sentence: "a person", "she".
        pronoun: "they", "he", "she" or "you".
    """

    text: str
    pronoun: str

    @property
    def form(self) -> Form:
        """How its verb is conjugated."""
        return "plural" if self.text in ("they", "you") else "singular"

    @property
    def as_object(self) -> str:
        return _PRONOUNS[self.text]["him"] if self.text in _PRONOUNS else self.text


_PRONOUNS: Mapping[str, Mapping[str, str]] = {
    "they": {"he": "they", "him": "them", "his": "their", "himself": "themselves"},
    "he": {"he": "he", "him": "him", "his": "his", "himself": "himself"},
    "she": {"he": "she", "him": "her", "his": "her", "himself": "herself"},
    "you": {"he": "you", "him": "you", "his": "your", "himself": "yourself"},
}


@functools.cache
def load_phrases(name: str) -> dict[str, Any]:
    """The contents of `phrases/NAME.yaml`."""
    import yaml

    file = importlib.resources.files("motionmill.data") / "phrases" / f"{name}.yaml"
    loaded: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded


@functools.cache
def entries(text: str) -> tuple[str, ...]:
    """The entries of a list: "walk / take a walk" -> ("walk", "take a walk"). A slash inside choices does not count."""
    return tuple(entry.strip() for entry in text.split(" / "))


def pick(text: str, rng: random.Random) -> str:
    """One entry of a list with its choices made."""
    return choose(rng.choice(entries(text)), rng)


def choose(text: str, rng: random.Random) -> str:
    """Make the choices: "walk (ahead|forward)" -> "walk ahead". Innermost first, so they may be nested."""
    while match := _CHOICE.search(text):
        text = text[: match.start()] + rng.choice(match[1].split("|")) + text[match.end() :]
    return " ".join(text.split())


def conjugate(verb: str, form: Form) -> str:
    """A verb in its base form -> "walks" (singular), "walk" (plural, base) or "walking" (gerund)."""
    if form == "gerund":
        return _gerund(verb)
    if form == "singular":
        return _third_person(verb)
    return _IRREGULAR_PLURAL.get(verb, verb) if form == "plural" else verb


def past_tense(verb: str) -> str:
    """ "walk" -> "walked", "run" -> "ran"; irregular ones are in `phrases/paraphrase.yaml`."""
    irregular: Mapping[str, str] = load_phrases("paraphrase")["past"]
    if verb in irregular:
        return irregular[verb]
    if verb.endswith("e"):
        return f"{verb}d"
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ied"
    return f"{_gerund(verb).removesuffix('ing')}ed"


def verb_phrase(phrase: str, form: Form, subject: Subject) -> str:
    """A verb phrase such as "walk and ^turn {his} head" in a form, with the subject's pronouns."""
    return finish(f"^{phrase}", form, subject)


def finish(text: str, form: Form, subject: Subject) -> str:
    """Conjugate the marked verbs of a text and fill its pronouns."""
    number: Form = "plural" if subject.pronoun in ("they", "you") else "singular"
    text = _MARKED.sub(lambda m: conjugate(m[2], form if m[1] == "^" else number), text)
    for slot, word in _PRONOUNS[subject.pronoun].items():
        text = text.replace(f"{{{slot}}}", word)
    return text


def tidy(text: str) -> str:
    """Articles and spaces: "a  angry man ,tired" -> "an angry man, tired"."""
    text = " ".join(text.split())
    text = re.sub(r"\s+([,.;!?])", r"\1", text)
    text = re.sub(r"\ba (?=[aeio]|L\b|u(?!-|ni|se|su))(?!one\b|once\b)", "an ", text)
    return re.sub(r"\ban (?![aeiouL]|ho(?:ur|nest))", "a ", text).strip(" ,;")


def with_article(noun: str) -> str:
    """ "wave of the hand" -> "a wave of the hand"; plurals ("push-ups") and substances ("boxing") stay without."""
    head = re.split(
        r"[ ,](?:with|of|in|on|to|from|by|at|and|over|for|as|like|while|using)\b", noun
    )[0]
    last = head.rsplit(" ", 1)[-1]
    plural = last.endswith("s") and not last.endswith("ss")
    substance = _SUBSTANCE.fullmatch(last) or (head == last and last.endswith("ing"))
    return noun if plural or substance else f"a {noun}"


def _third_person(verb: str) -> str:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if re.search(r"(s|x|z|ch|sh)$", verb):
        return verb + "es"
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    return verb + "s"


def _gerund(verb: str) -> str:
    last = verb.rsplit("-", 1)[-1]
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(_KEEPS_E) and len(verb) > 2:
        return verb[:-1] + "ing"
    if re.fullmatch(r"[^aeiou]*(?:qu)?[aeiou][bdgklmnprt]", last) or last == "begin":
        return verb + verb[-1] + "ing"
    return verb + "ing"
