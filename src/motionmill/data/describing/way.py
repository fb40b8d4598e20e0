"""Curves of a clip -> where the person goes and turns: walking, running, steps, turns, on the spot."""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np

from motionmill.data.describing.events import Event, event
from motionmill.data.describing.track import (
    ANKLES,
    FPS,
    PELVIS,
    Curve,
    Track,
    smooth,
    spans,
    swings,
)

_SETS_OFF, _HALTS = 0.25, 0.18  # metres a second over the floor
_SHORTEST_WAY: Final = 0.3  # metres
_STEP: Final = 0.2  # metres that a foot is set elsewhere
_TURN: Final = 35.0  # degrees; straight walks stay within 20, or 30 where a style sways
_TURN_BACK: Final = 18.0  # degrees the other way that end a turn
_RUN_SPEED: Final = 2.15  # metres a second that nobody walks
_RUN_LIKELY: Final = 1.75
_RUN_SLOWEST: Final = 1.25
_BOUNCE: Final = (
    0.35  # running, the body is highest while the feet are farthest apart; walking, lowest
)
_STRIDE: Final = 0.25  # metres between the feet that make a step
_LIFT: Final = 0.04  # metres that a foot leaves the floor in a step on the spot
_STILL_TURN_WAY: Final = 0.6  # metres that are only part of turning


def turns(track: Track) -> list[Event]:
    """Changes of heading by 35 degrees and more; several rounds are one turn."""
    degrees = np.degrees(track.heading)
    found = []
    ends = swings(degrees, _TURN_BACK)
    for start, stop in itertools.pairwise(ends):
        for first, last in _without_rests(degrees, start, stop):
            change = float(degrees[last] - degrees[first])
            if abs(change) >= _TURN:
                side = "left" if change > 0 else "right"
                metres = track.path(first, last + 1)
                found.append(
                    event("turn", first, last, "body", side, degrees=abs(change), metres=metres)
                )
    return found


def _without_rests(degrees: Curve, start: int, stop: int) -> list[tuple[int, int]]:
    """The parts of a turn in which the heading really changes."""
    rate = np.abs(np.gradient(degrees)) * FPS if len(degrees) > 1 else degrees * 0
    quick = rate[start : stop + 1] > max(12.0, 0.12 * float(rate[start : stop + 1].max()))
    return [
        (start + first, start + last - 1) for first, last in spans(quick, shortest=0.2, gap=0.7)
    ]


def ways(track: Track, turned: list[Event]) -> list[Event]:
    """Walking and running, one event a direction; ways that are only part of a turn on the spot are left out."""
    speed = np.hypot(track.pace[:, 0], track.pace[:, 2])
    found = []
    for start, stop in spans(speed > _HALTS, shortest=0.35, gap=0.3):
        if speed[start:stop].max() < _SETS_OFF or track.path(start, stop) < _SHORTEST_WAY:
            continue
        if not _feet_move(track, start, stop) or track.upright[start:stop].mean() < 0.55:
            continue
        for first, last in _by_direction(track, start, stop):
            way = _way(track, first, last, turned)
            if way is not None:
                found.append(way)
    return _continued(found)


def _continued(found: list[Event]) -> list[Event]:
    """A way that goes on after a short halt is one way."""
    result: list[Event] = []
    for each in found:
        before = result[-1] if result else None
        if (
            before is None
            or (before.kind, before.direction) != (each.kind, each.direction)
            or each.start - before.end > 1.0
        ):
            result.append(each)
            continue
        metres = before.number("metres") + each.number("metres")
        steps = before.number("steps") + each.number("steps")
        start, stop = round(before.start * FPS), round(each.end * FPS)
        result[-1] = event(
            each.kind,
            start,
            stop,
            "body",
            each.direction,
            metres=metres,
            metres_per_second=metres / ((stop - start) / FPS),
            steps=steps,
        )
    return result


def on_the_spot(track: Track, travelled: list[Event], turned: list[Event]) -> list[Event]:
    """Steps that lead nowhere: walking or running in place."""
    lifted = track.feet > _LIFT
    busy = np.zeros(len(track), bool)
    for each in (*travelled, *turned):
        busy[round(each.start * FPS) : round(each.end * FPS) + 1] = True
    alternating = smooth((lifted[:, 0] ^ lifted[:, 1]).astype(float), 31) > 0.35
    apart = track.own[:, ANKLES[0], 2] - track.own[:, ANKLES[1], 2]
    striding = smooth(np.abs(np.gradient(apart)) * FPS, 21) > 0.5 if len(apart) > 1 else busy
    upright = (track.joints[:, PELVIS, 1] > 0.7) & (track.upright > 0.7)
    found = []
    for start, stop in spans((alternating | striding) & ~busy & upright, shortest=0.5, gap=0.3):
        counts = [len(spans(lifted[start:stop, side], shortest=0.1)) for side in (0, 1)]
        strides = len(swings(apart[start:stop], _STRIDE)) - 2
        wide = np.ptp(track.own[start:stop, list(ANKLES), 2], axis=0).min() > _STRIDE
        if min(counts) < (1 if strides and wide else 2) or abs(counts[0] - counts[1]) > 2:
            continue
        flight = float((track.feet[start:stop].min(axis=1) > 0.02).mean())
        runs = flight > 0.3 or (flight > 0.04 and _bounce(track, start, stop) > _BOUNCE)
        found.append(
            event("run" if runs else "walk", start, stop, "body", "place", steps=sum(counts))
        )
    return found


def _feet_move(track: Track, start: int, stop: int) -> bool:
    """Whether a foot is set elsewhere: a body may sway or slide without going."""
    feet = track.joints[[start, stop - 1]][:, list(ANKLES)][..., [0, 2]]
    return float(np.linalg.norm(feet[1] - feet[0], axis=-1).max()) > _STEP


def _by_direction(track: Track, start: int, stop: int) -> list[tuple[int, int]]:
    """A way cut where it changes between ahead, back and to a side, for a while."""
    pace = smooth(track.pace[start:stop], 21)
    angle = np.degrees(np.arctan2(pace[:, 0], pace[:, 2]))
    sector = np.where(np.abs(angle) <= 60, 0, np.where(np.abs(angle) >= 125, 2, 1))
    sector = np.where((sector == 1) & (angle < 0), 3, sector)
    edges = [0, *(np.flatnonzero(np.diff(sector)) + 1).tolist(), len(sector)]
    parts = [[edges[i], edges[i + 1], int(sector[edges[i]])] for i in range(len(edges) - 1)]
    while len(parts) > 1:
        lengths = [
            part[1] - part[0]
            if track.path(start + part[0], start + part[1]) >= _SHORTEST_WAY
            else 0
            for part in parts
        ]
        shortest = min(range(len(parts)), key=lambda index: lengths[index])
        if lengths[shortest] >= 18:
            break
        into = shortest - 1 if shortest else 1
        longer = max((shortest, into), key=lambda index: parts[index][1] - parts[index][0])
        low, high = sorted((shortest, into))
        parts[low : high + 1] = [[parts[low][0], parts[high][1], parts[longer][2]]]
        if low and parts[low - 1][2] == parts[low][2]:
            parts[low - 1 : low + 1] = [[parts[low - 1][0], parts[low][1], parts[low][2]]]
    return [(start + part[0], start + part[1]) for part in parts]


def _way(track: Track, start: int, stop: int, turned: list[Event]) -> Event | None:
    metres = track.path(start, stop)
    if metres < _SHORTEST_WAY:
        return None
    aside, ahead = track.displacement(start, stop)
    seconds = (stop - start) / FPS
    way = event("walk", start, stop)
    turning = [each for each in turned if each.start < way.end and each.end > way.start]
    if math.hypot(aside, ahead) < 0.55 * metres and turning and metres < 1.5:
        return None
    inside = sum(min(each.end, way.end) - max(each.start, way.start) for each in turning)
    if metres < _STILL_TURN_WAY and inside > 0.5 * seconds:
        return None
    steps = _steps(track, start, stop)
    speed = metres / seconds
    direction = _direction(aside, ahead, turning=bool(turning))
    return event(
        "run" if _runs(track, start, stop, speed) else "walk",
        start,
        stop,
        "body",
        direction,
        metres=metres,
        metres_per_second=speed,
        steps=steps,
    )


def _direction(aside: float, ahead: float, *, turning: bool) -> str:
    """Where a way leads, seen from the person; in turns only the main direction can be told."""
    angle = math.degrees(math.atan2(aside, ahead))
    side = "left" if angle > 0 else "right"
    if abs(angle) <= (40 if turning else 16):
        return "forward"
    if abs(angle) <= 60:
        return f"forward {side}"
    if abs(angle) < 120:
        return side
    if abs(angle) < (140 if turning else 158):
        return f"backward {side}"
    return "backward"


def _steps(track: Track, start: int, stop: int) -> int:
    """How often the feet pass each other, along or across the way."""
    apart = track.own[start:stop, ANKLES[0]] - track.own[start:stop, ANKLES[1]]
    crossings = max(len(swings(apart[:, axis], _STRIDE)) - 2 for axis in (0, 2))
    return max(1, crossings + 1)


def _runs(track: Track, start: int, stop: int, speed: float) -> bool:
    if speed > _RUN_SPEED:
        return True
    if speed < _RUN_SLOWEST or stop - start < 15:
        return False
    return _bounce(track, start, stop) > (0.0 if speed > _RUN_LIKELY else _BOUNCE)


def _bounce(track: Track, start: int, stop: int) -> float:
    """Correlation of the pelvis' height with how far the feet are apart along the way, both without their drift."""
    height = track.joints[start:stop, PELVIS, 1]
    apart = np.abs(track.own[start:stop, ANKLES[0], 2] - track.own[start:stop, ANKLES[1], 2])
    height, apart = height - smooth(height, 31), apart - smooth(apart, 31)
    size = float(np.sqrt((height**2).sum() * (apart**2).sum()))
    return float((height * apart).sum()) / size if size > 1e-9 else 0.0
