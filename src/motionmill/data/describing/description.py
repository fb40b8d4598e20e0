"""A motion -> what it shows in words and numbers, measured on its joints, without any model.

>>> describe(load_motion("walk.bvh")).sentence
'a person walks forward, then turns left'
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionmill.data.describing import telling
from motionmill.data.describing.arms import arm_events
from motionmill.data.describing.events import FPS, overlap
from motionmill.data.describing.events import Event as Event
from motionmill.data.describing.flights import climbs, jumps
from motionmill.data.describing.kinematics import Kinematics
from motionmill.data.describing.legs import leg_events
from motionmill.data.describing.posture import CROUCH, SQUAT, STAND, posture_events, postures
from motionmill.data.describing.track import Track, track
from motionmill.data.describing.trunk import bows, head_events, leans
from motionmill.data.describing.way import on_the_spot, turns, ways
from motionmill.motion.motion import Motion


@dataclass(frozen=True)
class Description:
    """What a clip shows.

    Attributes:
        seconds: its length.
        events: in order of their start.
        short: its main action, a few words: "a person walks forward".
        sentence: everything that matters, in order, without numbers beyond counts.
        long: all events with metres, degrees and seconds, in several sentences.
    """

    seconds: float
    events: tuple[Event, ...]
    short: str
    sentence: str
    long: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the same motion gives the same bytes."""
        return asdict(self)


def describe(motion: Motion | Kinematics) -> Description:
    """Describe a motion on an SMPL-22 skeleton, at any frame rate; deterministic.

    Raises:
        ValueError: another skeleton, or values that are not finite.
    """
    curves = track(motion)
    seconds = (motion.motion if isinstance(motion, Kinematics) else motion).seconds
    events = tuple(_events(curves))
    return Description(
        round(seconds, 2),
        events,
        telling.short(events),
        telling.sentence(events),
        telling.long(events, seconds),
    )


def _events(curves: Track) -> list[Event]:
    """All that is found, in order of time; what one event explains is not told by another."""
    turned = turns(curves)
    travelled = ways(curves, turned)
    travelled += on_the_spot(curves, travelled, turned)
    held = posture_events(curves)
    moving = _during(curves, travelled)
    leaps = jumps(curves, _during(curves, [each for each in travelled if each.kind == "run"]))
    upright = np.ones(len(curves), bool)
    for kind, start, stop in postures(curves):
        if kind not in (STAND, CROUCH, SQUAT):
            upright[start:stop] = False
    still = [each for each in turned if not _goes_along(each, travelled)]
    stepping = moving | _during(curves, [*leaps, *still])
    bent = bows(curves, moving | ~upright)
    arms = arm_events(curves, moving)
    legs = leg_events(curves, stepping, upright)
    lunging = [each for each in legs if each.kind == "lunge"]
    held = [each for each in held if not any(overlap(each, lunge) > 0.4 for lunge in lunging)]
    held = [each for each in held if each.kind != CROUCH or not _goes_along(each, travelled)]
    body = leans(curves, moving | _during(curves, bent))
    higher = climbs(curves, ~upright | _during(curves, leaps))
    found = [*turned, *travelled, *held, *leaps, *bent, *arms, *legs, *body, *higher]
    found += head_events(curves, moving)
    return sorted(
        found, key=lambda each: (each.start, each.end, each.kind, each.part, each.direction)
    )


def _goes_along(event: Event, travelled: list[Event]) -> bool:
    """Whether an event happens in walking or running."""
    return any(overlap(event, way) > 0.5 for way in travelled)


def _during(curves: Track, events: list[Event]) -> NDArray[np.bool_]:
    """(T,) whether one of the events goes on."""
    held = np.zeros(len(curves), bool)
    for each in events:
        held[round(each.start * FPS) : round(each.end * FPS) + 1] = True
    return held
