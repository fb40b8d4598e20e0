"""Signatures -> landmarks: moments that a motion itself singles out, so that every copy of it has them too.

A landmark is where a measure of the pose crosses a fixed level: the legs pass each other, the hands come apart by half
a metre. Wherever the clip starts, however it was cut or re-timed, the pose at that moment is the same. A pose and its
mirror image have one canonical form, with a flag, so that those of mirrored clips are the same too.
Shapes: M samples of all clips one after the other, L landmarks, 27 numbers a pose (see `data.signatures`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionmill.data.copies.signatures import (
    METRES,
    WIDTH,
    Floats,
    Integers,
    Signatures,
    StoredSignatures,
    mirrored,
)
from motionmill.data.scratch import Scratch

_CHUNK: Final = 1 << 18  # samples worked on at once
_HEAD, _L_WRIST, _R_WRIST, _L_ANKLE, _R_ANKLE = 0, 3, 4, 7, 8
_NEARLY_SYMMETRIC: Final = 0.015  # metres; such a pose is a landmark in both forms
_ENDS: Final = 63  # the kind of landmarks at fixed places of a clip, which even a still clip has


LANDMARK: Final = np.dtype(
    [("clip", "<i4"), ("time", "<f4"), ("kind", "u1"), ("flipped", "?"), ("pose", "<i2", WIDTH)]
)
"""A moment of a clip: which clip; when, in samples; which measure crosses which level; the pose in the canonical form,
millimetres; whether that is the mirror image of what the clip shows."""


def landmarks(signatures: StoredSignatures, folder: Path | None) -> Scratch:
    """All landmarks of all clips, on the disk of a folder."""
    marks = Scratch(LANDMARK, 1, folder)
    ends = np.cumsum(signatures.sizes)
    first = 0
    while first < len(signatures):
        begin = ends[first] - signatures.sizes[first]
        stop = int(np.searchsorted(ends, begin + _CHUNK, side="right"))
        stop = max(stop, first + 1)
        marks.add(0, _of_clips(signatures.some(np.arange(first, stop)), first))
        first = stop
    return marks


def _of_clips(signatures: Signatures, first: int) -> NDArray[Any]:
    """(L,) LANDMARK of some clips, whose numbers begin with `first`."""
    start, sizes = signatures.start, signatures.sizes
    clip = np.repeat(np.arange(len(sizes)), sizes)
    poses = _smooth(signatures.samples.astype(np.float32) * np.float32(METRES), clip)
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
        kinds.append(np.full(len(sizes), _ENDS))
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
    marks = np.empty(len(both), LANDMARK)
    marks["clip"] = owner[both] + first
    marks["time"] = (place - start[owner]).astype(np.float32)[both]
    marks["kind"] = kind[both]
    marks["flipped"] = np.repeat([False, True], [len(as_is), len(turned)])
    marks["pose"] = np.rint(forms * 1000)
    return marks


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
