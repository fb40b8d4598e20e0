"""Curves of a clip -> what the trunk and the head do: bows, bends, leans, twists, nods, looks."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionmill.data.describing.events import Event, counted, event
from motionmill.data.describing.track import (
    FPS,
    NECK,
    PELVIS,
    PELVIS_HEIGHT,
    WRISTS,
    Track,
    smooth,
    spans,
    swings,
)

_BOW: Final = 14.0  # degrees that the trunk comes forward from where it was
_BOWED: Final = 16.0  # degrees forward at least
_BOW_HAND_SPEED: Final = 2.6  # metres a second


def bows(track: Track, moving: NDArray[np.bool_]) -> list[Event]:
    """The trunk comes forward and goes back: bows, and bending down to the floor.

    Args:
        moving: (T,) whether the person walks or runs; a bend in passing has to be deep.
    """
    lean = smooth(track.lean, 5)
    height = track.joints[:, PELVIS, 1] / PELVIS_HEIGHT
    found = []
    turning = swings(lean, _BOW)
    for place, peak in enumerate(turning):
        around = [turning[near] for near in (place - 1, place + 1) if 0 <= near < len(turning)]
        base = min(lean[frame] for frame in around)
        rises = all(lean[frame] < lean[peak] for frame in around)
        if not rises or lean[peak] - base < _BOW or lean[peak] < _BOWED:
            continue
        if height[peak] < 0.8 or (moving[peak] and lean[peak] < 45) or track.upright[peak] < -0.7:
            continue
        start, stop = _extent(lean, peak, base, around)
        low = float(track.joints[start:stop, list(WRISTS), 1].min())
        kind = "bow" if _calm_hands(track, start, stop, peak) else "bend"
        direction = "down" if low < 0.38 or lean[peak] > 95 else "forward"
        found.append(
            event(
                "bend" if direction == "down" else kind,
                start,
                stop,
                "torso",
                direction,
                degrees=lean[peak],
                low=low,
            )
        )
    return counted(found, pause=2.5)


def _calm_hands(track: Track, start: int, stop: int, peak: int) -> bool:
    """Whether the hands stay low and slow, as in a bow: not in a stroke, a throw or a reach."""
    wrists = track.own[start:stop, list(WRISTS)] - track.own[start:stop, [PELVIS]]
    if stop - start < 0.5 * FPS:
        return False
    speed = np.linalg.norm(np.gradient(wrists, axis=0), axis=-1).max() * FPS
    high = (track.own[peak, list(WRISTS), 1] - track.own[peak, NECK, 1]).max()
    return bool(speed < _BOW_HAND_SPEED and high < 0.0)


def _extent(
    lean: NDArray[np.float64], peak: int, base: float, around: list[int]
) -> tuple[int, int]:
    """Frames from leaving to coming back within a fifth of the way."""
    away = lean > base + 0.2 * (lean[peak] - base)
    start = stop = peak
    while start > min((*around, peak)) and away[start - 1]:
        start -= 1
    while stop < max((*around, peak)) and away[min(stop + 1, len(lean) - 1)]:
        stop += 1
    return start, stop + 1


def leans(track: Track, moving: NDArray[np.bool_]) -> list[Event]:
    """Leaning to a side or back, and twisting the trunk, while standing or sitting."""
    calm = ~moving & (track.upright > 0.6)
    found = []
    tilt, lean = smooth(track.tilt, 5), smooth(track.lean, 5)
    twist = smooth(track.chest_turn, 5)
    twist = twist - np.median(twist)
    for curve, limit, kind, names in (
        (tilt - np.median(tilt), 17.0, "lean", ("left", "right")),
        (-lean, 18.0, "lean", ("backward", "")),
        (twist, 32.0, "twist", ("left", "right")),
    ):
        for name, signed in zip(names, (curve, -curve), strict=True):
            if not name:
                continue
            for start, stop in spans((signed > limit) & calm, shortest=0.25, gap=0.2):
                degrees = float(signed[start:stop].max())
                found.append(event(kind, start, stop, "torso", name, degrees=degrees))
    return counted(found, pause=2.5)


def head_events(track: Track, moving: NDArray[np.bool_]) -> list[Event]:
    """Nodding, shaking the head, looking to a side, up or down."""
    calm = (track.upright > 0.75) & ~moving
    found = []
    nod, turn = smooth(track.nod, 3), smooth(track.head_turn, 3)
    for curve, size, kind in ((nod, 11.0, "nod"), (turn, 14.0, "shake")):
        ends = swings(curve, size)[1:-1]
        quick = [
            (first, last)
            for first, last in itertools.pairwise(ends)
            if last - first < 0.6 * FPS and calm[first] and calm[last]
        ]
        if len(quick) >= 3:
            start, stop = quick[0][0], quick[-1][1]
            found.append(event(kind, start, stop, "head", count=(len(quick) + 1) // 2))
    if any(each.kind == "shake" for each in found):
        return found
    middle = float(np.median(turn))
    for name, signed in (("left", turn), ("right", -turn)):
        shifted = signed - (middle if name == "left" else -middle)
        for start, stop in spans((signed > 32) & (shifted > 20) & calm, shortest=0.3, gap=0.2):
            degrees = float(signed[start:stop].max())
            found.append(event("look", start, stop, "head", name, degrees=degrees))
    return counted(found, pause=2.0)
