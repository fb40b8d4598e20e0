"""Events in time -> sentences: what happens together is joined by "while", what follows by "then"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from motionmill.data.describing.events import Event, overlap
from motionmill.data.describing.words import WEIGHTS, Detail, verb_phrase_of
from motionmill.data.grammar import Form, Subject, conjugate, tidy, verb_phrase

PERSON: Final = Subject("a person", "they")
_MOST_BEATS: Final = 5
_POSTURES: Final = ("crawl", "lie", "sit", "fall", "rise", "kneel", "squat", "crouch")
_WHOLE_BODY: Final = frozenset(
    ("walk", "run", "jump", "bow", "bend", "lunge", "turn", "climb", *_POSTURES)
)
_SMALL: Final = ("gesture", "touch", "look", "join", "hold", "reach", "lean", "twist", "step")


@dataclass(frozen=True)
class Beat:
    """What happens at one time: the main thing, and what goes with it."""

    main: Event
    beside: tuple[Event, ...] = ()


def short(events: Sequence[Event]) -> str:
    """The one or two things that matter most, without counts or adverbs."""
    if not events:
        return _sentence([], "brief")
    main = min(events, key=lambda e: (-_weight(e), e.start))
    turned: tuple[Event, ...] = ()
    if main.kind in ("walk", "run"):
        turned = tuple(e for e in events if e.kind == "turn" and overlap(e, main) > 0.2)[:1]
    return _sentence([Beat(main, turned)], "brief")


def sentence(events: Sequence[Event]) -> str:
    """Everything that matters, in the order of time."""
    kept = _important(events)
    return _sentence(_beats(kept), "full")


def long(events: Sequence[Event], seconds: float) -> str:
    """All events with their times and numbers, one after the other."""
    if not events:
        return f"A person stands still for {seconds:.1f} s."
    told = []
    for number, each in enumerate(events):
        phrase = verb_phrase(verb_phrase_of(each, "measured"), "singular", PERSON)
        who = "A person" if number == 0 else "the person"
        text = tidy(f"{who} {phrase}")
        span = f"{each.start:.1f} to {each.end:.1f} s"
        told.append(f"{text} ({span})." if number == 0 else f"From {span} {text}.")
    return " ".join(told)


def _weight(event: Event) -> float:
    """How much an event matters here: what takes long or is done often matters more."""
    weight = float(WEIGHTS[event.kind])
    if event.kind == "turn" and event.number("degrees") < 55:
        weight -= 3
    if event.kind in ("walk", "run") and event.number("metres") > 2:
        weight += 1
    if event.number("still") or event.kind in _SMALL:
        weight -= 1.5
    return weight + min(event.seconds, 6.0) * 0.25 + min(event.number("count"), 4.0) * 0.1


def _important(events: Sequence[Event]) -> list[Event]:
    """What a sentence tells: the weightiest, and small things only where there is little else."""
    ranked = sorted(events, key=lambda e: (-_weight(e), e.start))
    big = [each for each in ranked if _weight(each) >= 6]
    small = [each for each in ranked if _weight(each) < 6]
    kept = (big + small[: max(0, 2 - len(big) // 2)])[: _MOST_BEATS + 2]
    return sorted(kept, key=lambda e: (e.start, -WEIGHTS[e.kind]))


def _beats(events: list[Event]) -> list[Beat]:
    """Events that go on together become one beat, led by the one that the others accompany."""
    beats: list[Beat] = []
    for each in events:
        host = next(
            (place for place, beat in enumerate(beats) if _accompanies(each, beat)),
            None,
        )
        if host is None:
            beats.append(Beat(each))
            continue
        main, beside = beats[host].main, beats[host].beside
        if _leads(each, main):
            main, each = each, main
        beats[host] = Beat(main, (*beside, each))
    return beats


def _accompanies(event: Event, beat: Beat) -> bool:
    main = beat.main
    if len(beat.beside) >= 2 or event.kind == main.kind == "turn":
        return False
    if event.kind == "turn" and main.kind in ("walk", "run"):
        return overlap(event, main) > 0.6
    if {event.kind, main.kind} <= _WHOLE_BODY:
        return False
    return overlap(event, main) > 0.6 and abs(event.start - main.start) < max(
        1.2, 0.6 * main.seconds
    )


def _leads(event: Event, main: Event) -> bool:
    """Whether a later event is what the earlier one accompanies."""
    if main.kind in ("walk", "run", "crawl"):
        return False
    return _weight(event) > _weight(main) + 0.5


def _sentence(beats: Sequence[Beat], detail: Detail) -> str:
    if not beats:
        return "a person stands still"
    clauses = [_clause(beat, detail) for beat in beats[:_MOST_BEATS]]
    said: list[str] = []
    for clause in clauses:  # the same words in a row are said once
        if not said or said[-1] != clause:
            said.append(clause)
    text = said[0]
    for place, clause in enumerate(said[1:], start=1):
        last = place == len(said) - 1
        text += f" and then {clause}" if last and place > 1 else f", then {clause}"
    if len(said) == 2 and "," not in said[0] and " while " not in said[0] + said[1]:
        text = f"{said[0]} and then {said[1]}" if len(said[0]) < 40 else text
    return tidy(f"{PERSON.text} {text}")


def _clause(beat: Beat, detail: Detail) -> str:
    main = verb_phrase(verb_phrase_of(beat.main, detail), "singular", PERSON)
    others = list(beat.beside)
    if beat.main.kind in ("walk", "run") and beat.main.direction != "place":
        turned = [each for each in others if each.kind == "turn"]
        others = [each for each in others if each.kind != "turn"]
        main = _with_turns(beat.main, main, turned, detail)
    if not others:
        return main
    doing = [_phrase(each, detail, "gerund") for each in others]
    return f"{main} while {' and '.join(doing)}"


def _with_turns(way: Event, main: str, turned: list[Event], detail: Detail) -> str:
    """A way with the turns in it: "walks forward and turns left", "walks in a circle to the left"."""
    for each in turned:
        if each.number("degrees") > 300 and each.number("metres") > 2:
            return f"{conjugate(way.kind, 'singular')} in a circle to the {each.direction}"
        long_turn = each.seconds > 0.7 * way.seconds and way.seconds > 2.5 and len(turned) == 1
        if long_turn and detail != "brief":
            return f"{conjugate(way.kind, 'singular')} in a curve to the {each.direction}, turning {each.direction}"
    words = [_phrase(each, detail, "singular") for each in turned[:2]]
    joined = ", then ".join(words)
    return f"{main} and {joined}" if words else main


def _phrase(event: Event, detail: Detail, form: Form) -> str:
    return verb_phrase(verb_phrase_of(event, detail), form, PERSON)
