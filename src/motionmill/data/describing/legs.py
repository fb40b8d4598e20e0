"""Curves of a clip -> what the legs do beside walking: kicks, lifted knees and legs, lunges, single steps."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionmill.data.describing.events import Event, both_sides, counted, event
from motionmill.data.describing.track import (
    ANKLE_HEIGHT,
    ANKLES,
    FPS,
    HIPS,
    KNEES,
    PELVIS,
    PELVIS_HEIGHT,
    Curve,
    Track,
    smooth,
    spans,
)

SIDES: Final = ("left", "right")
_KICK_SPEED: Final = 3.3  # metres a second of an ankle around the pelvis
_KICK_HEIGHT: Final = 0.3  # metres of the ankle over its height in standing
_KNEE_UP: Final = -0.2  # metres of the knee over the hip: the thigh is near level
_FOOT_UP: Final = 0.14  # metres of the foot over the floor that is lifted, for a while
_LUNGE: Final = 0.62  # metres between the feet
_STEP: Final = 0.22  # metres that a foot is set elsewhere


def leg_events(track: Track, moving: NDArray[np.bool_], upright: NDArray[np.bool_]) -> list[Event]:
    """What the legs do.

    Args:
        moving: (T,) whether the person walks, runs or jumps.
        upright: (T,) whether the person stands or crouches; of sitting and lying legs nothing is told.
    """
    kicks = [each for side in (0, 1) for each in _kicks(track, side, moving, upright)]
    calm = upright & ~moving
    for each in kicks:
        calm[round(each.start * FPS) : round(each.end * FPS) + 1] = False
    lunges = _lunges(track, upright & ~_covered(track, kicks))
    for each in lunges:
        calm[round(each.start * FPS) : round(each.end * FPS) + 1] = False
    lifts = [each for side in (0, 1) for each in _lifts(track, side, calm)]
    for each in lifts:
        calm[round(each.start * FPS) : round(each.end * FPS) + 1] = False
    return counted(kicks) + lunges + counted(lifts) + _single_steps(track, calm)


def _covered(track: Track, events: list[Event]) -> NDArray[np.bool_]:
    covered = np.zeros(len(track), bool)
    for each in events:
        covered[round(each.start * FPS) : round(each.end * FPS) + 1] = True
    return covered


def _kicks(
    track: Track, side: int, moving: NDArray[np.bool_], upright: NDArray[np.bool_]
) -> list[Event]:
    """A foot goes high and fast, away from the body, and the knee gets straight."""
    foot = track.own[:, ANKLES[side]] - track.own[:, PELVIS]
    rise = track.joints[:, ANKLES[side], 1] - ANKLE_HEIGHT
    speed = np.linalg.norm(np.gradient(foot, axis=0), axis=1) * FPS if len(foot) > 1 else rise * 0
    stands = track.feet[:, 1 - side] < 0.15  # on the other foot, however far the trunk leans away
    bend = _knee(track, side)
    outward = foot[:, 0] * (1.0 if side == 0 else -1.0)
    found = []
    for start, stop in spans((rise > 0.2) & upright & stands, shortest=0.1, gap=0.05):
        around = slice(max(0, start - 4), stop + 2)
        if rise[start:stop].max() < _KICK_HEIGHT or speed[around].max() < _KICK_SPEED:
            continue
        far = np.hypot(foot[start:stop, 2], foot[start:stop, 0])
        top = start + int(far.argmax())
        direction = "side" if outward[top] > abs(foot[top, 2]) else "forward"
        direction = "backward" if foot[top, 2] < -0.3 and direction != "side" else direction
        high = rise[start:stop].max() > 0.8
        reach = 0.25 if high else 0.62 if direction == "backward" else 0.42
        if far.max() < reach or bend[start:stop].max() < 140 or rise[top] < 0.2:
            continue
        if direction == "backward" and (rise[top] < 0.45 or moving[start:stop].any()):
            continue
        found.append(
            event(
                "kick", max(0, start - 4), stop + 4, f"{SIDES[side]} leg", direction,
                height=rise[start:stop].max(), speed=speed[around].max(),
            )
        )  # fmt: skip
    return found


def _knee(track: Track, side: int) -> Curve:
    """(T,) angle at the knee, degrees; 180 is straight."""
    thigh = track.own[:, HIPS[side]] - track.own[:, KNEES[side]]
    shin = track.own[:, ANKLES[side]] - track.own[:, KNEES[side]]
    cosine = (thigh * shin).sum(axis=1) / np.maximum(
        np.linalg.norm(thigh, axis=1) * np.linalg.norm(shin, axis=1), 1e-9
    )
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _lifts(track: Track, side: int, calm: NDArray[np.bool_]) -> list[Event]:
    """A knee brought up, or a straight leg lifted, while the other foot stands."""
    other = track.feet[:, 1 - side]
    lifted = (track.feet[:, side] > _FOOT_UP) & (other < 0.06) & calm
    knee = track.own[:, KNEES[side], 1] - track.own[:, HIPS[side], 1]
    bend = _knee(track, side)
    outward = 1.0 if side == 0 else -1.0
    foot = track.own[:, ANKLES[side]] - track.own[:, HIPS[side]]
    found = []
    for start, stop in spans(lifted, shortest=0.25, gap=0.1):
        top = start + int(track.feet[start:stop, side].argmax())
        seconds = (stop - start) / FPS
        out, ahead = float(foot[top, 0] * outward), float(foot[top, 2])
        if knee[start:stop].max() > _KNEE_UP and bend[top] < 140:
            kind, direction = "knee", "up"
        elif bend[top] < 115 and ahead < 0.0:
            kind, direction = "heel", "backward"
        elif max(out, abs(ahead)) > 0.3:
            kind = "lift"
            direction = "side" if out > abs(ahead) else "forward" if ahead > 0 else "backward"
        elif seconds > 0.7:
            kind, direction = "lift", ""
        else:
            continue
        height = float(track.feet[top, side])
        found.append(
            event(
                kind,
                max(0, start - 4),
                stop + 4,
                f"{SIDES[side]} leg",
                direction,
                height=height,
                seconds=seconds,
            )
        )
    return found


def _lunges(track: Track, upright: NDArray[np.bool_]) -> list[Event]:
    """Feet far apart, the body low and one knee bent: deep steps ahead or to a side."""
    feet = track.own[:, list(ANKLES)]
    apart = feet[:, 0] - feet[:, 1]
    wide = np.hypot(apart[:, 0], apart[:, 2])
    low = track.joints[:, PELVIS, 1] < 0.87 * PELVIS_HEIGHT
    knees = np.stack([_knee(track, side) for side in (0, 1)], axis=1)
    slow = smooth(np.abs(track.pace[:, 2]) + np.abs(track.pace[:, 0]), 9) < 0.5
    deep = (wide > _LUNGE) & low & (knees.min(axis=1) < 128) & upright & slow
    found = []
    for start, stop in spans(deep, shortest=0.25, gap=0.2):
        middle = start + int(knees[start:stop].min(axis=1).argmin())
        side = int(knees[middle].argmin())
        across = abs(apart[middle, 0]) > abs(apart[middle, 2])
        direction = SIDES[side] if across else "forward"
        if not across:
            side = 0 if apart[middle, 2] > 0 else 1
        found.append(event("lunge", start, stop, f"{SIDES[side]} leg", direction))
    return counted(found, pause=3.0)


def _single_steps(track: Track, calm: NDArray[np.bool_]) -> list[Event]:
    """A foot set elsewhere while the body hardly goes: one step."""
    found = []
    for side in (0, 1):
        foot = track.joints[:, ANKLES[side]][:, [0, 2]]
        speed = (
            np.linalg.norm(np.gradient(foot, axis=0), axis=1) * FPS if len(foot) > 1 else foot[:, 0]
        )
        for start, stop in spans((smooth(speed, 3) > 0.35) & calm, shortest=0.15, gap=0.1):
            moved = foot[min(stop, len(foot) - 1)] - foot[start]
            if np.hypot(*moved) < _STEP:
                continue
            cos, sin = np.cos(track.heading[start]), np.sin(track.heading[start])
            aside, ahead = cos * moved[0] - sin * moved[1], sin * moved[0] + cos * moved[1]
            if abs(ahead) > abs(aside):
                direction = "forward" if ahead > 0 else "backward"
            else:
                direction = "left" if aside > 0 else "right"
            metres = float(np.hypot(*moved)) * track.scale
            found.append(event("step", start, stop, f"{SIDES[side]} leg", direction, metres=metres))
    return both_sides(sorted(found, key=lambda each: each.start), "leg", apart=0.1)
