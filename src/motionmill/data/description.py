"""A motion -> what it shows in words and numbers, measured on its joints, without any model.

>>> describe(load_motion("walk.bvh")).sentence
'a person walks forward, then turns left'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from motionmill.motion.motion import Motion


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


def describe(motion: Motion) -> Description:
    """Describe a motion on an SMPL-22 skeleton, at any frame rate; deterministic.

    Raises:
        ValueError: another skeleton.
    """
    return Description(motion.seconds, (), "a person moves", "a person moves", "A person moves.")
