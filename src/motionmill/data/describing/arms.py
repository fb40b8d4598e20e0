"""Curves of a clip -> what the arms do: raising, waving, punching, clapping, reaching, holding, swinging, gesturing."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionmill.data.describing.events import Event, both_sides, counted, event, overlap
from motionmill.data.describing.track import (
    ELBOWS,
    FPS,
    HEAD,
    HIPS,
    PELVIS,
    SHOULDERS,
    SPINE3,
    WRISTS,
    Curve,
    Track,
    smooth,
    spans,
    swings,
)

SIDES: Final = ("left", "right")
_RAISED: Final = -0.12  # metres of the wrist over the shoulder from which a hand is raised
_STAYS_RAISED: Final = -0.22
_SURE: Final = 6  # changes of direction that make a wave of wide arcs, too
_WAVES_FROM: Final = -0.3  # metres under the shoulder down to which a hand may wave
_SWING: Final = 0.05  # metres of a wrist to and fro that make a wave
_WIDE_SWING: Final = 0.18
_SWINGS: Final = 4  # changes of direction; three where they are wide
_PUNCH_SPEED: Final = 2.4  # metres a second of the wrist away from the shoulder, ahead
_PUNCH_REACH: Final = 0.38  # metres ahead of the shoulder where it ends
_STRIKE_SPEED: Final = 4.2  # metres a second of a wrist around the body that swings
_REACH: Final = 0.36  # metres of the wrist from the shoulder, level
_BACK: Final = -0.2  # metres behind the shoulder that a straight arm is stretched back
_GESTURE: Final = 0.28  # metres of range of a hand that is up to something


@dataclass(frozen=True, eq=False)
class Arm:
    """One arm over time, seen from the body.

    Attributes:
        side: "left" or "right".
        hand: (T, 3) of the wrist from the shoulder: x outward from the body, y up, z ahead, metres.
        tip: (T, 3) of the fingertips from the shoulder, likewise.
        speed: (T, 3) of the wrist, metres a second.
        point: (T,) height of the fingertips over the elbow, metres.
        bend: (T,) angle at the elbow, degrees; 180 is straight.
        usable: (T,) whether up and down mean something: the trunk is not flat.
    """

    side: str
    hand: Curve
    tip: Curve
    speed: Curve
    point: Curve
    bend: Curve
    usable: NDArray[np.bool_]

    @property
    def part(self) -> str:
        return f"{self.side} hand"


def arm_events(track: Track, moving: NDArray[np.bool_]) -> list[Event]:
    """What both arms do.

    Args:
        moving: (T,) whether the person walks or runs: arms that swing along are not told.
    """
    arms = [_arm(track, side) for side in (0, 1)]
    together = _claps(track, arms, moving) + _held_together(track, arms)
    found: list[Event] = []
    for arm in arms:
        struck = _punches(arm)
        waved = [each for each in _waves(arm, moving) if not _within(each, together)]
        raised = [
            each
            for each in _raises(track, arm)
            if not _swings_along(each, moving)
            and not any(overlap(each, wave) > 0.5 for wave in waved)
        ]
        found += struck + waved
        found += [each for each in raised if not _within(each, together + struck)]
        placed = _held_places(track, arm, moving) + _reaches(arm, moving)
        found += [each for each in placed if not _within(each, struck + waved + raised + together)]
    found += [each for arm in arms for each in _strikes(arm, moving) if not _within(each, found)]
    found = both_sides(counted(found), "hand", apart=0.7) + together
    found = [each for each in found if each.kind != "fold" or each.part == "both hands"]
    told = [*found]
    for arm in arms:
        if not any(arm.side in each.part or "both" in each.part for each in found):
            told += _gestures(arm, moving)
    return both_sides(told, "hand", apart=1.5)


def _swings_along(event: Event, moving: NDArray[np.bool_]) -> bool:
    """Whether a raised hand is only an arm that swings along in walking or running."""
    start, stop = round(event.start * FPS), round(event.end * FPS)
    often = event.number("count") > 1 or event.number("seconds") < 0.8
    return often and bool(moving[start:stop].mean() > 0.4)


def _within(one: Event, others: list[Event]) -> bool:
    """Whether an event of the same hand already tells of this time."""
    side = one.part.split()[0]
    covered = sum(
        max(0.0, min(one.end, other.end) - max(one.start, other.start))
        for other in others
        if side in other.part or "both" in other.part or side == "both"
    )
    return covered > 0.5 * one.seconds


def _arm(track: Track, side: int) -> Arm:
    outward = np.array([1.0 if side == 0 else -1.0, 1.0, 1.0])
    own = track.own
    upper = own[:, ELBOWS[side]] - own[:, SHOULDERS[side]]
    fore = own[:, WRISTS[side]] - own[:, ELBOWS[side]]
    hand = (own[:, WRISTS[side]] - own[:, SHOULDERS[side]]) * outward
    cosine = -(upper * fore).sum(axis=1) / np.maximum(
        np.linalg.norm(upper, axis=1) * np.linalg.norm(fore, axis=1), 1e-9
    )
    speed = np.gradient(hand, axis=0) * FPS if len(hand) > 1 else hand * 0
    return Arm(
        SIDES[side],
        hand,
        (track.tips[:, side] - own[:, SHOULDERS[side]]) * outward,
        speed,
        track.tips[:, side, 1] - own[:, ELBOWS[side], 1],
        np.degrees(np.arccos(np.clip(cosine, -1, 1))),
        smooth(track.upright, 9) > 0.55,
    )


def _raises(track: Track, arm: Arm) -> list[Event]:
    """Times in which a hand is up: raised in the clip, or held up from its start."""
    height = arm.hand[:, 1]
    up = (height > _STAYS_RAISED) & arm.usable
    found = []
    for start, stop in spans(up, shortest=0.17, gap=0.15):
        top = start + int(height[start:stop].argmax())
        if height[top] < _RAISED:
            continue
        begin = start
        while begin > 0 and height[begin - 1] < height[begin] - 0.002:
            begin -= 1
        held = start <= 3 and height[0] > _RAISED - 0.05 and begin == start
        level = float(np.quantile(height[start:stop], 0.9))
        head = (
            track.own[start:stop, HEAD, 1]
            - track.own[start:stop, SHOULDERS[SIDES.index(arm.side)], 1]
        )
        over = level - float(np.median(head))
        kind = "hold" if held else "raise"
        name = "above the head" if over > 0.1 else "to head height" if over > -0.08 else "shoulder"
        out, _, ahead = arm.hand[top]
        away = ""
        if name == "shoulder" and arm.bend[top] > 140:
            away = "side" if out > 0.36 else "forward" if ahead > 0.36 else ""
        found.append(
            event(
                kind, begin, stop, arm.part, away or name, height=level, seconds=(stop - start) / FPS
            )
        )  # fmt: skip
    return counted(found, pause=1.5)


def _waves(arm: Arm, moving: NDArray[np.bool_]) -> list[Event]:
    """A lifted hand that goes to and fro at least three times, quickly."""
    lifted = (arm.hand[:, 1] > _WAVES_FROM) & arm.usable
    found = []
    for start, stop in spans(lifted, shortest=0.5, gap=0.1):
        count, first, last = _quick_swings(arm.tip[start:stop, 0], arm.tip[start:stop, 1], start)
        middle = float(np.median(arm.hand[first : last + 1, 1])) if count else -1.0
        wide = np.ptp(arm.tip[first : last + 1], axis=0).max() > 2 * _WIDE_SWING
        if count < (_SWINGS - 1 if wide and last - first > 1.2 * FPS else _SWINGS) or middle < (
            -0.05 if moving[start:stop].mean() > 0.3 else -0.27
        ):
            continue
        if not arm.usable[first : last + 1].all() or np.median(arm.point[first : last + 1]) < 0.05:
            continue
        found.append(
            event(
                "wave",
                first,
                last,
                arm.part,
                "above the head" if middle > 0.3 else "",
                count=max(1, round(count / 2)),
                height=middle,
            )
        )
    return counted(found, pause=1.0)


def _quick_swings(curve: Curve, height: Curve, offset: int) -> tuple[int, int, int]:
    """The longest series of swings to and fro, quick or wide: changes of direction, first and last frame.

    A swing that is as much up or down is part of raising a hand.
    """
    ends = swings(curve, _SWING)
    best, run, levels = (0, offset, offset), [ends[0]], 0
    for before, after in itertools.pairwise(ends):
        size, seconds = abs(curve[after] - curve[before]), (after - before) / FPS
        level = abs(height[after] - height[before]) < max(0.15, 0.6 * size)
        quick = size > _SWING and (seconds < 0.75 or (size > _WIDE_SWING and seconds < 1.3))
        run, levels = ([*run, after], levels + level) if quick else ([after], 0)
        count = len(run) - 2  # changes of direction
        if levels > count or count >= _SURE:
            best = max(best, (count, offset + run[0], offset + run[-1]))
    return best


def _punches(arm: Arm) -> list[Event]:
    """A fist goes ahead from the shoulder, fast, and the arm gets straight."""
    ahead, speed = arm.hand[:, 2], arm.speed
    fast = (speed[:, 2] > _PUNCH_SPEED) & (np.abs(speed[:, 1]) < 1.2 * speed[:, 2]) & arm.usable
    found = []
    for start, stop in spans(fast, shortest=0.06, gap=0.04):
        end = min(len(ahead) - 1, stop + 3)
        top = start + int(ahead[start : end + 1].argmax())
        low = min(len(ahead) - 1, top + round(0.35 * FPS))
        straight = arm.bend[start : end + 1].max() > arm.bend[max(0, start - 4)] + 25
        level = -0.38 < arm.hand[top, 1] < 0.3
        back = ahead[top] - ahead[top : low + 1].min() > 0.1 or low == len(ahead) - 1
        if ahead[top] > _PUNCH_REACH and straight and level and back:
            begin = max(0, start - 3)
            fastest = speed[start:stop, 2].max()
            found.append(event("punch", begin, top + 4, arm.part, "forward", speed=fastest))
    return counted(found, pause=2.0)


def _strikes(arm: Arm, moving: NDArray[np.bool_]) -> list[Event]:
    """A fast wide swing of a hand: throwing, hitting, slashing."""
    size = np.linalg.norm(arm.speed, axis=1)
    found = []
    for start, stop in spans((size > _STRIKE_SPEED) & arm.usable & ~moving, shortest=0.07, gap=0.1):
        way = arm.hand[min(stop, len(size) - 1)] - arm.hand[start]
        if np.linalg.norm(way) < 0.3:
            continue
        axis = int(np.abs(way).argmax())
        inward = "right" if arm.side == "left" else "left"
        names = ((inward, arm.side), ("down", "up"), ("backward", "forward"))[axis]
        found.append(
            event("swing", max(0, start - 3), stop + 3, arm.part, names[int(way[axis] > 0)])
        )
    return counted(found, pause=1.0)


def _claps(track: Track, arms: list[Arm], moving: NDArray[np.bool_]) -> list[Event]:
    """The hands meet and part quickly, twice or more."""
    apart = np.linalg.norm(track.own[:, WRISTS[0]] - track.own[:, WRISTS[1]], axis=1)
    usable = arms[0].usable & arms[1].usable & ~moving
    ends = swings(apart, 0.1)
    meetings = [
        frame
        for place, frame in enumerate(ends[1:-1], start=1)
        if apart[frame] < 0.17
        and apart[frame] < apart[ends[place - 1]]
        and ends[place + 1] - ends[place - 1] < 1.6 * FPS
        and usable[frame]
        and -0.42 < max(arms[0].hand[frame, 1], arms[1].hand[frame, 1]) < 0.15
    ]
    if len(meetings) < 2:
        return []
    start, stop = max(0, meetings[0] - 6), meetings[-1] + 6
    return [event("clap", start, stop, "both hands", "", count=len(meetings))]


def _held_together(track: Track, arms: list[Arm]) -> list[Event]:
    """Both hands kept together in front of the body."""
    apart = np.linalg.norm(track.own[:, WRISTS[0]] - track.own[:, WRISTS[1]], axis=1)
    bent = np.maximum(arms[0].bend, arms[1].bend) < 150
    front = np.minimum(arms[0].hand[:, 2], arms[1].hand[:, 2]) > 0.12
    joined = (apart < 0.17) & bent & front & arms[0].usable
    return [
        event("join", start, stop, "both hands", "", still=float(start < 3))
        for start, stop in spans(smooth(joined.astype(float), 5) > 0.5, shortest=0.6, gap=0.3)
    ]


def _held_places(track: Track, arm: Arm, moving: NDArray[np.bool_]) -> list[Event]:
    """A hand kept on the hip, at the head, on the chest, or both arms crossed."""
    side = SIDES.index(arm.side)
    own = track.own
    wrist = own[:, WRISTS[side]]
    outward = 1.0 if side == 0 else -1.0
    elbow_out = (own[:, ELBOWS[side], 0] - own[:, SHOULDERS[side], 0]) * outward
    to_hip = np.linalg.norm(wrist - own[:, HIPS[side]], axis=1)
    to_head = np.linalg.norm(wrist - own[:, HEAD], axis=1)
    to_elbow = np.linalg.norm(wrist - own[:, ELBOWS[1 - side]], axis=1)
    to_chest = np.linalg.norm(wrist - own[:, SPINE3], axis=1)
    places = (
        (
            "hip",
            (track.joints[:, PELVIS, 1] > 0.75)
            & (to_hip < 0.24)
            & (arm.bend < 128)
            & (elbow_out > 0.06),
        ),
        ("head", (to_head < 0.2) & (arm.hand[:, 1] > -0.12)),
        ("fold", (to_elbow < 0.17) & (arm.bend < 115)),
        ("chest", (to_chest < 0.2) & (arm.bend < 95) & (to_elbow >= 0.17)),
    )
    found = []
    for name, held in places:
        for start, stop in spans(held & arm.usable, shortest=0.5, gap=0.2):
            if moving[start:stop].mean() > 0.3 and stop - start < 1.5 * FPS:
                continue
            kind = "fold" if name == "fold" else "touch"
            where = "" if name == "fold" else name
            found.append(event(kind, start, stop, arm.part, where, still=float(start < 3)))
    return found


def _reaches(arm: Arm, moving: NDArray[np.bool_]) -> list[Event]:
    """A hand held out ahead or to the side, under the height of the shoulder."""
    out, up, ahead = arm.hand[:, 0], arm.hand[:, 1], arm.hand[:, 2]
    level = (up > -0.38) & (up < -0.08) & arm.usable & ~moving & (arm.bend > 105)
    found = []
    low = (up < -0.2) & arm.usable & ~moving & (arm.bend > 125)
    for name, away, held in (
        ("forward", ahead > _REACH, level),
        ("side", out > _REACH, level),
        ("backward", ahead < _BACK, low),
    ):
        for start, stop in spans(away & held, shortest=0.3, gap=0.2):
            found.append(event("reach", start, stop, arm.part, name, still=float(start < 3)))
    return counted(found, pause=1.5)


def _gestures(arm: Arm, moving: NDArray[np.bool_]) -> list[Event]:
    """A hand that moves about without anything that has a name."""
    usable = arm.usable & ~moving
    if usable.mean() < 0.3:
        return []
    rest = np.median(arm.hand, axis=0)
    away = np.linalg.norm(arm.hand - rest, axis=1)
    return [
        event("gesture", start, stop, arm.part, "", metres=away[start:stop].max())
        for start, stop in spans((away > 0.12) & usable, shortest=0.4, gap=0.6)
        if away[start:stop].max() > _GESTURE
    ]
