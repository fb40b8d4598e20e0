"""Signatures -> landmarks: moments that a motion itself singles out, so that every copy of it has them too.

A landmark is where a measure of the pose crosses a fixed level: the legs pass each other, the hands come apart by half
a metre. Wherever the clip starts, however it was cut or re-timed, the pose at that moment is the same. A pose and its
mirror image have one canonical form, with a flag, so that those of mirrored clips are the same too.
Shapes: M samples of all clips one after the other, L landmarks, 27 numbers a pose (see `data.signatures`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionmill.data.copies.signatures import METRES, WIDTH, Floats, Integers, Signatures, mirrored

_CHUNK: Final = 1 << 18  # samples worked on at once
_HEAD, _L_WRIST, _R_WRIST, _L_ANKLE, _R_ANKLE = 0, 3, 4, 7, 8
_NEARLY_SYMMETRIC: Final = 0.015  # metres; such a pose is a landmark in both forms
_ENDS: Final = 63  # the kind of landmarks at fixed places of a clip, which even a still clip has


class Landmarks(NamedTuple):
    """Moments of clips.

    Attributes:
        clip: (L,) which clip.
        time: (L,) when, in samples.
        kind: (L,) which measure crosses which level.
        pose: (L, 27) int16, millimetres; in the canonical form.
        flipped: (L,) whether that is the mirror image of what the clip shows.
    """

    clip: NDArray[np.int32]
    time: Floats
    kind: NDArray[np.uint8]
    pose: NDArray[np.int16]
    flipped: NDArray[np.bool_]


def landmarks(signatures: Signatures) -> Landmarks:
    """All landmarks of all clips, those of some clips together."""
    columns = [list(column) for column in zip(*_parts(signatures), strict=True)]
    return Landmarks._make(_joined(column) for column in columns)


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """The parts one after the other; each is let go once it is copied, so that memory never holds all of them twice."""
    result = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    at = len(result)
    while parts:
        part = parts.pop()
        result[at - len(part) : at] = part
        at -= len(part)
    return result


def _parts(signatures: Signatures) -> Iterator[Landmarks]:
    """Some clips at a time."""
    first, start = 0, signatures.start
    while first < len(signatures):
        stop = int(np.searchsorted(start, start[first] + _CHUNK, side="right")) - 1
        stop = min(max(stop, first + 1), len(signatures))
        yield _of_clips(signatures, first, stop)
        first = stop


def _of_clips(signatures: Signatures, first: int, stop: int) -> Landmarks:
    start = signatures.start[first : stop + 1] - signatures.start[first]
    sizes = np.diff(start)
    samples = signatures.samples[signatures.start[first] : signatures.start[stop]]
    clip = np.repeat(np.arange(stop - first), sizes)
    poses = _smooth(samples.astype(np.float32) * np.float32(METRES), clip)
    inside = clip[1:] == clip[:-1]
    places, kinds = [], []
    for number, (measure, levels) in enumerate(_measures(poses)):
        for level_number, level in enumerate(levels):
            above = measure > level
            crossing = np.flatnonzero((above[1:] != above[:-1]) & inside)
            before, after = measure[crossing] - level, measure[crossing + 1] - level
            places.append(crossing + before / (before - after))
            kinds.append(np.full(len(crossing), number * 8 + level_number))
    for share in (0.0, 0.5, 1.0):
        places.append(start[:-1] + share * (sizes - 1))
        kinds.append(np.full(stop - first, _ENDS))
    place, kind = np.concatenate(places), np.concatenate(kinds)
    whole = np.minimum(
        np.floor(place).astype(np.int64), start[clip[place.astype(np.int64)] + 1] - 1
    )
    owner = clip[whole]
    following = np.minimum(whole + 1, start[owner + 1] - 1)
    part = (place - whole).astype(np.float32)[:, None]
    pose = poses[whole] * (1 - part) + poses[following] * part
    side = pose @ _odd_direction()
    as_is = np.flatnonzero(side > -_NEARLY_SYMMETRIC)
    turned = np.flatnonzero(side < _NEARLY_SYMMETRIC)
    both = np.concatenate((as_is, turned))
    forms = np.concatenate((pose[as_is], mirrored(pose[turned])))
    return Landmarks(
        (owner[both] + first).astype(np.int32),
        (place - start[owner]).astype(np.float32)[both],
        kind[both].astype(np.uint8),
        np.rint(forms * 1000).astype(np.int16),
        np.repeat([False, True], [len(as_is), len(turned)]),
    )


@functools.cache
def _odd_direction() -> Floats:
    """(27,) a direction along which a pose and its mirror image are opposite: its sign is the canonical form's."""
    direction = np.random.default_rng(0).standard_normal(WIDTH).astype(np.float32)
    direction -= mirrored(direction)
    return np.asarray(direction / np.linalg.norm(direction), np.float32)


def _measures(poses: Floats) -> Iterator[tuple[Floats, tuple[float, ...]]]:
    """Measures of the pose (M,) and the levels they cross; under mirroring each stays or changes its sign."""
    joints = poses.reshape(len(poses), -1, 3)
    yield joints[:, _L_ANKLE, 2] - joints[:, _R_ANKLE, 2], (0.0,)
    yield joints[:, _L_WRIST, 2] - joints[:, _R_WRIST, 2], (0.0,)
    yield joints[:, _L_WRIST, 1] - joints[:, _R_WRIST, 1], (0.0,)
    yield joints[:, _L_WRIST, 1] + joints[:, _R_WRIST, 1], (-0.2, 0.2, 0.6, 1.0)
    yield _apart(joints, _L_WRIST, _R_WRIST), (0.3, 0.6, 0.9)
    yield _apart(joints, _L_ANKLE, _R_ANKLE), (0.3, 0.5, 0.7)
    yield joints[:, _HEAD, 2], (0.1, 0.35)


def _apart(joints: Floats, left: int, right: int) -> Floats:
    return np.asarray(np.linalg.norm(joints[:, left] - joints[:, right], axis=-1), np.float32)


def _smooth(values: Floats, clip: Integers) -> Floats:
    """Three taps over time that do not reach into another clip."""
    before = np.concatenate((values[:1], values[:-1]))
    after = np.concatenate((values[1:], values[-1:]))
    first = np.flatnonzero(np.concatenate(([True], clip[1:] != clip[:-1])))
    last = np.concatenate((first[1:] - 1, [len(clip) - 1]))
    before[first], after[last] = values[first], values[last]
    return np.asarray((before + 2 * values + after) / 4, np.float32)
