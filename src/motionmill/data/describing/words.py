"""An event -> the words for it: a verb phrase with its verb in the base form, later verbs marked `^`.

The small language is that of `data.grammar`. How much is said differs: `brief` is the action alone, `full` has
adverbs and counts, `measured` has metres, degrees and rates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from motionmill.data.describing.events import Event

Detail = Literal["brief", "full", "measured"]

WEIGHTS: Final = {
    "run": 9, "walk": 8, "crawl": 8, "jump": 9, "fall": 10, "kick": 9, "punch": 9, "turn": 7,
    "bow": 8, "bend": 8, "sit": 9, "lie": 9, "kneel": 9, "squat": 9, "crouch": 5, "climb": 8, "rise": 8, "wave": 9,
    "clap": 8, "raise": 8, "hold": 5, "lunge": 8, "knee": 7, "heel": 5, "lift": 6, "step": 4, "swing": 6,
    "fold": 6, "touch": 4, "reach": 5, "join": 3, "lean": 4, "twist": 3, "nod": 5, "shake": 5, "look": 2,
    "gesture": 2,
}  # fmt: skip
"""How much an event matters, from 10."""

_TIMES: Final = {2: "twice", 3: "three times", 4: "four times", 5: "five times", 6: "six times"}
_SLOW_WALK, _FAST_WALK = 0.72, 1.65  # metres a second
_SLOW_RUN, _FAST_RUN = 1.9, 3.6
_MANY: Final = 7


def verb_phrase_of(event: Event, detail: Detail) -> str:
    """ "walk slowly forward", "raise the right hand above the head twice", "turn left by 92 degrees"."""
    return " ".join(_PHRASES[event.kind](event, detail).split())


def times(event: Event) -> str:
    """ "twice", "three times", "several times"; nothing for once."""
    count = round(event.number("count"))
    if count < 2:
        return ""
    return _TIMES.get(count, "several times" if count < _MANY + 5 else "many times")


def _counted(event: Event, detail: Detail, least: int = 2) -> str:
    if detail == "brief" or event.number("count") < least:
        return ""
    if detail == "measured" and event.number("count") > len(_TIMES) + 1:
        return f"{round(event.number('count'))} times"
    return times(event)


def limb(event: Event) -> str:
    """ "the right hand", "both hands"."""
    return event.part if event.part.startswith("both") else f"the {event.part}"


def _way(event: Event, detail: Detail) -> str:
    verb = event.kind
    metres, speed = event.number("metres"), event.number("metres_per_second")
    if event.direction == "place":
        return f"{verb} in place"
    where = _where(event.direction)
    steps = round(event.number("steps"))
    if verb == "walk" and metres < 0.75 and steps <= 2:
        number = "a step" if steps == 1 else "two steps"
        return f"take {number} {_aside(event.direction)}"
    if detail == "measured":
        return f"{verb} {where} {metres:.1f} m at {speed:.1f} m/s"
    pace = _pace(verb, speed) if detail == "full" else ""
    return f"{verb} {pace} {where}" if pace != "fast" else f"{verb} {where} fast"


def _pace(verb: str, speed: float) -> str:
    slow, fast = (_SLOW_RUN, _FAST_RUN) if verb == "run" else (_SLOW_WALK, _FAST_WALK)
    return "slowly" if speed < slow else "fast" if speed > fast else ""


def _where(direction: str) -> str:
    """Where a way leads: "forward", "diagonally forward to the left", "sideways to the right"."""
    first, _, second = direction.partition(" ")
    if second:
        return f"diagonally {first} to the {second}"
    return f"sideways to the {first}" if first in ("left", "right") else first


def _aside(direction: str) -> str:
    first, _, second = direction.partition(" ")
    side = second or first
    if side in ("left", "right"):
        return f"{first if second else ''} to the {side}"
    return first


def _turn(event: Event, detail: Detail) -> str:
    degrees, side = event.number("degrees"), event.direction
    if detail == "measured":
        return f"turn {side} by {degrees:.0f} degrees"
    rounds = round(degrees / 360)
    if degrees > 300:
        walked = event.number("metres") > 2.0 * max(1, rounds)
        many = "" if rounds < 2 or detail == "brief" else _TIMES.get(rounds, "several times")
        return (
            f"go in a circle to the {side} {many}"
            if walked
            else f"spin around to the {side} {many}"
        )
    if degrees > 150:
        return f"turn around to the {side}"
    slightly = "slightly" if degrees < 55 and detail == "full" else ""
    return f"turn {slightly} to the {side}" if slightly else f"turn {side}"


def _raise(event: Event, detail: Detail) -> str:
    verb = "raise" if event.kind == "raise" else "hold"
    hand = limb(event)
    up = "" if verb == "raise" else "up"
    place = {
        "above the head": "above the head",
        "to head height": "to head height" if verb == "raise" else "at head height",
        "shoulder": "to shoulder height" if verb == "raise" else "at shoulder height",
        "side": "out to the side" + ("s" if "both" in event.part else ""),
        "sides": "out to the sides",
        "forward": "out in front",
    }.get(event.direction, "")
    if verb == "hold" and event.direction in ("side", "forward", "sides"):
        up = ""
    if detail == "brief" and verb == "raise":
        place = ""
    if detail == "brief":
        place = "" if up else place
    return f"{verb} {hand} {up} {place} {_counted(event, detail)}"


def _wave(event: Event, detail: Detail) -> str:
    if detail == "brief":
        return f"wave {limb(event)}"
    counted = _counted(event, detail) if detail == "measured" else ""
    return f"wave {limb(event)} {event.direction} {counted}"


def _jump(event: Event, detail: Detail) -> str:
    where = {"place": "up" if detail != "brief" else "", "left": "to the left", "right": "to the right"}.get(
        event.direction, event.direction
    )  # fmt: skip
    if detail == "measured":
        far = f" {event.number('metres'):.1f} m far" if event.direction != "place" else ""
        return f"jump {where}{far} {_counted(event, detail)}, {event.number('height') * 100:.0f} cm high"
    return f"jump {where} {_counted(event, detail)}"


def _bow(event: Event, detail: Detail) -> str:
    degrees = event.number("degrees")
    if detail == "measured":
        return f"bow forward by {degrees:.0f} degrees {_counted(event, detail)}"
    deep = (
        ""
        if detail == "brief"
        else "deeply"
        if degrees > 52
        else "slightly"
        if degrees < 28
        else ""
    )
    return f"bow {deep} {_counted(event, detail)}"


def _bend(event: Event, detail: Detail) -> str:
    if event.direction == "forward":
        return f"bend forward {_counted(event, detail)}"
    floor = "and ^reach to the floor" if event.number("low") < 0.25 and detail != "brief" else ""
    return f"bend down {floor} {_counted(event, detail)}"


def _posture(down: str, still: str) -> Callable[[Event, Detail], str]:
    def phrase(event: Event, detail: Detail) -> str:
        if event.number("still"):
            return still
        again = " and ^stand back up" if event.number("back_up") and detail != "brief" else ""
        return f"{down}{again} {_counted(event, detail)}"

    return phrase


def _lie(event: Event, detail: Detail) -> str:
    on = {"back": "on the back", "stomach": "on the stomach", "side": "on one side"}[
        event.direction
    ]
    return f"lie {on}" if event.number("still") else f"lie down {on}"


def _fall(event: Event, detail: Detail) -> str:
    return "fall down" if detail == "brief" else f"fall down onto the {event.direction}"


def _rise(event: Event, detail: Detail) -> str:
    return "get up" if event.direction in ("lie", "crawl", "kneel") else "stand up"


def _kick(event: Event, detail: Detail) -> str:
    where = {"forward": "", "side": "to the side", "backward": "backward"}.get(event.direction, "")
    high = "high" if event.number("height") > 0.85 and detail != "brief" else ""
    return f"kick {high} with {limb(event)} {where} {_counted(event, detail)}"


def _knee(event: Event, detail: Detail) -> str:
    knee = event.part.replace("legs", "knees").replace("leg", "knee")
    return f"lift {'' if 'both' in knee else 'the '}{knee} {_counted(event, detail)}"


def _lift(event: Event, detail: Detail) -> str:
    where = {"forward": "to the front", "side": "out to the side", "backward": "to the back"}.get(
        event.direction, ""
    )
    return f"lift {limb(event)} {where} {_counted(event, detail)}"


def _lunge(event: Event, detail: Detail) -> str:
    where = "forward" if event.direction == "forward" else f"to the {event.direction}"
    leg = f"with {limb(event)}" if event.direction == "forward" and "both" not in event.part else ""
    return f"lunge {where} {leg} {_counted(event, detail)}"


def _step(event: Event, detail: Detail) -> str:
    where = _aside(event.direction)
    foot = f" with {limb(event)}" if detail == "measured" else ""
    return f"take a step {where}{foot} {_counted(event, detail)}"


def _swing(event: Event, detail: Detail) -> str:
    arm = limb(event).replace("hand", "arm")
    where = {
        "left": "to the left", "right": "to the right", "up": "up", "down": "down", "forward": "forward",
        "backward": "back",
    }.get(event.direction, "")  # fmt: skip
    return f"swing {arm} {where if detail != 'brief' else ''} {_counted(event, detail)}"


def _touch(event: Event, detail: Detail) -> str:
    both = "both" in event.part
    place = {
        "hip": "the hips" if both else "the hip",
        "head": "the head",
        "chest": "the chest",
    }[event.direction]
    if event.direction == "hip":
        return f"{'keep' if event.number('still') else 'put'} {limb(event)} on {place}"
    verb = "keep" if event.number("still") else "bring"
    return f"{verb} {limb(event)} {'at' if verb == 'keep' else 'to'} {place}"


def _reach(event: Event, detail: Detail) -> str:
    both = "both" in event.part
    if event.direction == "backward":
        arm = limb(event).replace("hand", "arm")
        return (
            f"{'hold' if event.number('still') else 'stretch'} {arm} back {_counted(event, detail)}"
        )
    where = {"forward": "forward", "side": "to the sides" if both else "to the side"}.get(
        event.direction, ""
    )
    if event.number("still"):
        where = {"forward": "in front of the body"}.get(event.direction, where)
        return f"hold {limb(event)} out {where}"
    return f"stretch {limb(event)} out {where} {_counted(event, detail)}"


def _lean(event: Event, detail: Detail) -> str:
    where = "backward" if event.direction == "backward" else f"to the {event.direction}"
    if detail == "measured":
        return f"lean {where} by {event.number('degrees'):.0f} degrees {_counted(event, detail)}"
    return f"lean {where} {_counted(event, detail)}"


def _gesture(event: Event, detail: Detail) -> str:
    return f"gesture with {limb(event)}" if event.number("metres") > 0.4 else f"move {limb(event)}"


_PHRASES: Final[dict[str, Callable[[Event, Detail], str]]] = {
    "walk": _way,
    "run": _way,
    "crawl": _posture("get on all fours", "be on hands and knees"),
    "climb": lambda event, detail: f"climb {event.direction}",
    "turn": _turn,
    "raise": _raise,
    "hold": _raise,
    "wave": _wave,
    "jump": _jump,
    "bow": _bow,
    "bend": _bend,
    "sit": _posture("sit down", "sit"),
    "kneel": _posture("kneel down", "kneel"),
    "squat": _posture("squat down", "squat"),
    "crouch": _posture("crouch", "crouch"),
    "lie": _lie,
    "fall": _fall,
    "rise": _rise,
    "kick": _kick,
    "punch": lambda event, detail: f"punch with {limb(event)} {_counted(event, detail)}",
    "clap": lambda event, detail: f"clap {_counted(event, detail)}",
    "knee": _knee,
    "heel": lambda event, detail: (
        f"bend {limb(event).replace('leg', 'knee')} backward {_counted(event, detail)}"
    ),
    "lift": _lift,
    "lunge": _lunge,
    "step": _step,
    "swing": _swing,
    "fold": lambda event, detail: (
        "keep the arms crossed" if event.number("still") else "cross the arms"
    ),
    "touch": _touch,
    "reach": _reach,
    "join": lambda event, detail: (
        "hold both hands together" if event.number("still") else "bring both hands together"
    ),
    "lean": _lean,
    "twist": lambda event, detail: (
        f"twist the torso to the {event.direction} {_counted(event, detail)}"
    ),
    "nod": lambda event, detail: "nod",
    "shake": lambda event, detail: "shake the head",
    "look": lambda event, detail: f"look to the {event.direction} {_counted(event, detail)}",
    "gesture": _gesture,
}
