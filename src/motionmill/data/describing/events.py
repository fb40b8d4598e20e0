"""What happens in a clip: things that a person does, each with its time, its part of the body and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final


@dataclass(frozen=True)
class Event:
    """One thing that a person does.

    Attributes:
        kind: what: "walk", "run", "turn", "raise", "wave", "bow", "jump", "sit" ...
        start, end: seconds from the clip's first frame.
        part: what moves: "body", "left hand", "right hand", "both hands", "left leg", "right leg", "both legs",
            "torso", "head".
        direction: where to, seen from the person: "forward", "backward", "left", "right", "up" ...; "" for nowhere.
        numbers: what was measured: `metres`, `degrees`, `metres_per_second`, `count`, `height`.
    """

    kind: str
    start: float
    end: float
    part: str = "body"
    direction: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def number(self, name: str) -> float:
        """A number of the event, 0 where it has none of that name."""
        return self.numbers.get(name, 0.0)


FPS: Final = 30.0


def event(
    kind: str, start: int, stop: int, part: str = "body", direction: str = "", **numbers: float
) -> Event:
    """An event of the frames start .. stop; numbers are rounded to what can be measured."""
    rounded = {name: round(float(value), 2) for name, value in sorted(numbers.items())}
    return Event(kind, round(start / FPS, 2), round(stop / FPS, 2), part, direction, rounded)


def overlap(first: Event, second: Event) -> float:
    """Common time as a share of the shorter one."""
    common = min(first.end, second.end) - max(first.start, second.start)
    return common / max(min(first.seconds, second.seconds), 1e-6)


def both_sides(events: Sequence[Event], limb: str, *, apart: float = 0.5) -> list[Event]:
    """Events of the left and the right limb ("hand", "leg") that happen together become one of both.

    A hand on the hip and one at the head are two things.
    """
    lefts = [each for each in events if each.part == f"left {limb}"]
    rights = [each for each in events if each.part == f"right {limb}"]
    merged: list[Event] = [each for each in events if each not in lefts and each not in rights]
    for left in lefts:
        partner = next(
            (
                right
                for right in rights
                if right.kind == left.kind
                and (left.kind != "touch" or right.direction == left.direction)
                and abs(right.start - left.start) < apart
                and overlap(left, right) > 0.5
            ),
            None,
        )
        if partner is None:
            merged.append(left)
            continue
        rights.remove(partner)
        merged.append(_together(left, partner, limb))
    return sorted(merged + rights, key=lambda each: (each.start, each.kind, each.part))


def _together(left: Event, right: Event, limb: str) -> Event:
    plural = {"hand": "hands", "leg": "legs", "foot": "feet"}[limb]
    numbers = {
        name: max(left.number(name), right.number(name))
        for name in sorted({*left.numbers, *right.numbers})
    }
    sides = {left.direction, right.direction}
    direction = sides.pop() if len(sides) == 1 else "sides" if sides == {"left", "right"} else ""
    start, end = min(left.start, right.start), max(left.end, right.end)
    return Event(left.kind, start, end, f"both {plural}", direction, numbers)


def counted(events: Sequence[Event], *, pause: float = 2.0) -> list[Event]:
    """The same thing done again within `pause` seconds becomes one event with a count."""
    result: list[Event] = []
    for each in sorted(events, key=lambda e: (e.start, e.kind, e.part)):
        known = next(
            (
                place
                for place in range(len(result) - 1, -1, -1)
                if (result[place].kind, result[place].part, result[place].direction)
                == (each.kind, each.part, each.direction)
                and each.start - result[place].end < pause
            ),
            None,
        )
        if known is None:
            result.append(replace(each, numbers={"count": 1.0, **each.numbers}))
            continue
        before = result[known]
        numbers = {
            name: max(before.number(name), each.number(name))
            for name in sorted({*before.numbers, *each.numbers})
        }
        numbers["count"] = before.number("count") + max(each.number("count"), 1.0)
        result[known] = replace(before, end=each.end, numbers=numbers)
    return result
