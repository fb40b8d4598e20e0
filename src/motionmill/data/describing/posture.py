"""Curves of a clip -> how the body is held: standing, crouching, sitting, kneeling, lying; and how that changes."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionmill.data.describing.events import Event, counted, event
from motionmill.data.describing.track import (
    ANKLES,
    FPS,
    HIPS,
    KNEES,
    PELVIS,
    PELVIS_HEIGHT,
    WRISTS,
    Track,
)

STAND, CROUCH, SQUAT, SIT, KNEEL, FOURS, LIE = [
    "stand",
    "crouch",
    "squat",
    "sit",
    "kneel",
    "crawl",
    "lie",
]
_POSTURES: Final = (STAND, CROUCH, SQUAT, SIT, KNEEL, FOURS, LIE)

_QUICK_FALL: Final = 1.5  # metres a second downward


def postures(track: Track) -> list[tuple[str, int, int]]:
    """How the body is held over time: (posture, first frame, frame after the last); short passages left out."""
    code = _codes(track)
    edges = [0, *(np.flatnonzero(np.diff(code)) + 1).tolist(), len(code)]
    parts = [(int(code[a]), a, b) for a, b in itertools.pairwise(edges)]
    while len(parts) > 1:
        place = min(range(len(parts)), key=lambda index: parts[index][2] - parts[index][1])
        if parts[place][2] - parts[place][1] >= 0.4 * FPS:
            break
        into = place - 1 if place else 1
        low, high = sorted((place, into))
        parts[low : high + 1] = [(parts[into][0], parts[low][1], parts[high][2])]
        parts = _joined(parts)
    return [(_POSTURES[kind], start, stop) for kind, start, stop in parts]


def _joined(parts: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    result = parts[:1]
    for kind, start, stop in parts[1:]:
        if kind == result[-1][0]:
            result[-1] = (kind, result[-1][1], stop)
        else:
            result.append((kind, start, stop))
    return result


def _codes(track: Track) -> NDArray[np.int64]:
    """(T,) index into `_POSTURES`."""
    y = track.joints[..., 1]
    height = y[:, PELVIS] / PELVIS_HEIGHT
    knees, wrists = y[:, list(KNEES)], y[:, list(WRISTS)]
    thighs = y[:, list(HIPS)].mean(axis=1) - knees.mean(axis=1)
    ahead = track.own[:, list(ANKLES), 2].mean(axis=1)
    flat = track.upright < 0.5
    code = np.zeros(len(track), np.int64)
    code[height < 0.84] = 1
    code[height < 0.66] = 2
    seated = (height < 0.68) & (thighs < 0.27) & (ahead > 0.17) & ~flat
    code[seated | ((height < 0.25) & ~flat)] = 3
    on_knees = (knees.min(axis=1) < 0.14) & (height > 0.28) & (height < 0.75) & ~seated
    code[on_knees & (thighs > 0.12) & ~flat] = 4
    code[flat & (knees.min(axis=1) < 0.2) & (wrists.min(axis=1) < 0.25) & (height > 0.3)] = 5
    code[flat & (height < 0.36)] = 6
    return code


def posture_events(track: Track) -> list[Event]:
    """Sitting down, standing up, lying down, falling, squats, kneeling; and the posture that a clip begins in."""
    parts = postures(track)
    found: list[Event] = []
    for place, (kind, start, stop) in enumerate(parts):
        before = parts[place - 1][0] if place else ""
        if not place:
            if kind != STAND:
                found.append(event(kind, start, stop, "body", _lying(track, kind, start), still=1))
            continue
        if kind == STAND or (kind == CROUCH and before in (SQUAT, SIT, KNEEL)):
            if before not in (CROUCH, SQUAT) or (place == 1 and before == SQUAT):
                begin = max(parts[place - 1][1], start - round(0.6 * FPS))
                found.append(event("rise", begin, min(stop, start + 8), "body", before))
            continue
        begin = max(parts[place - 1][1], start - round(0.5 * FPS))
        if kind == LIE and before not in (SIT, FOURS, KNEEL):
            drop = float(np.gradient(track.joints[:, PELVIS, 1])[begin : start + 10].min()) * FPS
            if drop < -_QUICK_FALL:
                found.append(event("fall", begin, stop, "body", _lying(track, kind, stop - 1)))
                continue
        back_up = place + 1 < len(parts) and parts[place + 1][0] == STAND
        numbers = {"back_up": 1.0} if back_up and kind in (CROUCH, SQUAT) else {}
        found.append(event(kind, begin, stop, "body", _lying(track, kind, stop - 1), **numbers))
    squats = [each for each in found if each.kind in (SQUAT, CROUCH) and each.number("back_up")]
    return [each for each in found if each not in squats] + counted(squats, pause=3.0)


def _lying(track: Track, kind: str, frame: int) -> str:
    """What a lying person lies on."""
    if kind != LIE:
        return ""
    up = float(np.median(track.belly[max(0, frame - 10) : frame + 10]))
    return "back" if up > 0.5 else "stomach" if up < -0.5 else "side"
