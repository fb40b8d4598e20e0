"""Curves of a clip -> what the whole body does without going anywhere: sits, lies, kneels, jumps, bows, leans, nods."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionmill.data.events import Event, counted, event
from motionmill.data.track import (
    ANKLES,
    FPS,
    HIPS,
    KNEES,
    NECK,
    PELVIS,
    PELVIS_HEIGHT,
    TOES,
    WRISTS,
    Track,
    smooth,
    spans,
    swings,
)

STAND, CROUCH, SQUAT, SIT, KNEEL, FOURS, LIE = "stand crouch squat sit kneel crawl lie".split()
_POSTURES: Final = (STAND, CROUCH, SQUAT, SIT, KNEEL, FOURS, LIE)

_BOW: Final = 14.0  # degrees that the trunk comes forward from where it was
_BOWED: Final = 16.0  # degrees forward at least
_BOW_HAND_SPEED: Final = 2.6  # metres a second
_FLIGHT_SECONDS: Final = 0.13
_FLIGHT: Final = 0.05  # metres of both feet over the floor
_FREE_FALL: Final = -4.0  # metres a second squared: who flies falls
_STEP_UP: Final = 0.22  # metres
_QUICK_FALL: Final = 1.5  # metres a second downward


def postures(track: Track) -> list[tuple[str, int, int]]:
    """How the body is held over time: (posture, first frame, frame after the last); short passages left out."""
    code = _codes(track)
    edges = [0, *(np.flatnonzero(np.diff(code)) + 1).tolist(), len(code)]
    parts = [(int(code[a]), a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
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
    for start, stop in zip(ends[:-1], ends[1:], strict=True):
        change = float(level[stop] - level[start])
        around = slice(max(0, start - 10), stop + 10)
        if abs(change) < _STEP_UP or (away | (track.upright < 0.6))[around].mean() > 0.2:
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
            )  # fmt: skip
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
            for first, last in zip(ends[:-1], ends[1:], strict=True)
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
