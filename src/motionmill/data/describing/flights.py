"""Curves of a clip -> when both feet leave the floor, or get to another one: jumps and climbs."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionmill.data.describing.events import Event, counted, event
from motionmill.data.describing.track import ANKLES, FPS, PELVIS, TOES, Track, smooth, spans, swings

_FLIGHT_SECONDS: Final = 0.13
_FLIGHT: Final = 0.05  # metres of both feet over the floor
_FREE_FALL: Final = -4.0  # metres a second squared: who flies falls
_STEP_UP: Final = 0.22  # metres


def jumps(track: Track, running: NDArray[np.bool_]) -> list[Event]:
    """Both feet off the floor; while running only what is clearly more than a stride.

    Args:
        running: (T,) whether the person runs.
    """
    clearance = track.feet.min(axis=1)
    pelvis = track.joints[:, PELVIS, 1]
    airborne = (clearance > _FLIGHT) & ~_planted(track)
    climb = np.gradient(smooth(pelvis, 3)) * FPS if len(pelvis) > 1 else pelvis * 0
    found = []
    for start, stop in spans(airborne, shortest=_FLIGHT_SECONDS):
        rise = float(pelvis[start:stop].max() - pelvis[max(0, start - 2)])
        high = float(clearance[start:stop].max())
        falls = (climb[stop - 1] - climb[start]) * FPS / (stop - 1 - start)
        if falls > _FREE_FALL and start > 0 and stop < len(pelvis):
            continue
        strides = running[start:stop].mean() > 0.5 or _is_stride(track, start, stop)
        if strides and (stop - start < 0.42 * FPS or high < 0.2):
            continue
        if high < 0.08 or rise < 0.04 or track.upright[start:stop].min() < 0.4:
            continue
        aside, ahead = track.displacement(start, stop)
        found.append(
            event(
                "jump", max(0, start - 6), stop, "body", _leap(aside, ahead),
                height=rise, metres=float(np.hypot(aside, ahead)) * track.scale,
            )
        )  # fmt: skip
    return counted(found, pause=1.2)


def _planted(track: Track) -> NDArray[np.bool_]:
    """(T,) whether a foot rests, at whatever height: on a step as on the floor."""
    planted = np.zeros(len(track), bool)
    for foot in (*ANKLES, *TOES):
        place = track.joints[:, foot]
        speed = (
            np.linalg.norm(np.gradient(place, axis=0), axis=1) * FPS
            if len(place) > 1
            else place[:, 0]
        )
        for start, stop in spans(speed < 0.35, shortest=0.16):
            planted[start:stop] = True
    return planted


def _is_stride(track: Track, start: int, stop: int) -> bool:
    """Whether a flight goes from one foot to the other, as in running."""
    before = track.feet[max(0, start - 5) : start + 1].min(axis=0)
    after = track.feet[stop - 1 : stop + 4].min(axis=0)
    takes_off, lands = int(before.argmin()), int(after.argmin())
    return takes_off != lands and before.max() > 0.12


def climbs(track: Track, away: NDArray[np.bool_]) -> list[Event]:
    """The feet get to another height and stay there: onto steps and blocks, and down from them.

    Args:
        away: (T,) where the height of the feet means something else: in flight, sitting, lying.
    """
    level = smooth(track.feet.min(axis=1), 15)
    planted = _planted(track)
    found = []
    ends = swings(level, _STEP_UP)
    for start, stop in itertools.pairwise(ends):
        change = float(level[stop] - level[start])
        edges = [
            *range(max(0, start - 10), start + 10),
            *range(stop - 10, min(len(level), stop + 10)),
        ]
        if abs(change) < _STEP_UP or (away | (track.upright < 0.6))[edges].any():
            continue
        if not (
            planted[max(0, start - 15) : start + 3].any() and planted[stop - 2 : stop + 15].any()
        ):
            continue
        name = "up" if change > 0 else "down"
        found.append(event("climb", start, stop, "body", name, metres=abs(change)))
    return found


def _leap(aside: float, ahead: float) -> str:
    if max(abs(aside), abs(ahead)) < 0.3:
        return "place"
    if abs(ahead) >= abs(aside):
        return "forward" if ahead > 0 else "backward"
    return "left" if aside > 0 else "right"
