"""Landmarks -> votes: pairs of moments of two clips that show nearly the same pose, found by sorting hashes.

Each of some tables cuts the space of poses into cells by random directions (locality-sensitive hashing) and sorts the
landmarks by cell; only near neighbours in that order are compared, so crowded cells cost no more than others.
Shapes: L landmarks, 27 numbers a pose, V votes.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionmill.data.copies.landmarks import Landmarks
from motionmill.data.copies.signatures import NUM_JOINTS, WIDTH, Floats, Integers

_TABLES: Final = 5
_DIRECTIONS: Final = 7  # of each table
_CELL: Final = 0.08  # width of a cell along a direction, metres
_NEIGHBOURS: Final = 8
_ALIKE: Final = 0.018  # metres, root mean square over the joints
_VOTES_A_PAIR: Final = 5
_CHUNK: Final = 1 << 19


class Votes(NamedTuple):
    """Moments of two clips that look alike; at most some for each pair of clips, the best first.

    Attributes:
        first, second: (V,) clips, first < second.
        flipped: (V,) whether one looks like the other's mirror image.
        first_time, second_time: (V,) in samples.
        rank: (V,) 0 for the best vote of a pair.
    """

    first: Integers
    second: Integers
    flipped: NDArray[np.bool_]
    first_time: Floats
    second_time: Floats
    rank: Integers


class _Found(NamedTuple):
    """Votes as they are found: any number for a pair, in any order."""

    first: Integers
    second: Integers
    flipped: NDArray[np.bool_]
    first_time: Floats
    second_time: Floats
    distance: Floats


def votes(marks: Landmarks) -> Votes:
    """The best votes for every pair of clips that has any."""
    generator = np.random.default_rng(0)
    best: _Found | None = None
    for _ in range(_TABLES):
        found = _oriented(marks, *_neighbours(marks, *_sorted(marks, generator)))
        if best is not None:
            both: list[tuple[Any, Any]] = list(zip(best, found, strict=True))
            found = _Found._make(np.concatenate(columns) for columns in both)
        best, rank = _best(found)
    assert best is not None
    return Votes(*best[:5], rank)


def _sorted(marks: Landmarks, generator: np.random.Generator) -> tuple[Integers, Integers]:
    """One table: the order of the landmarks by cell, and inside a cell along one more direction; and the cells."""
    directions = generator.standard_normal((WIDTH, _DIRECTIONS + 1)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0) * 1000 * _CELL
    shift = generator.random(_DIRECTIONS, dtype=np.float32)
    factors = generator.integers(1, 1 << 62, _DIRECTIONS + 1) | 1
    cell = marks.kind.astype(np.int64) * factors[-1]
    along = np.empty(len(cell), np.float32)
    for start in range(0, len(cell), _CHUNK):
        part = slice(start, start + _CHUNK)
        places = marks.pose[part].astype(np.float32) @ directions
        along[part] = places[:, -1]
        whole = np.floor(places[:, :-1] + shift).astype(np.int64)
        cell[part] += (whole * factors[:-1]).sum(axis=1)  # overflow wraps, as hashes do
    return np.lexsort((along, cell)), cell


def _neighbours(
    marks: Landmarks, order: Integers, cell: Integers
) -> tuple[Integers, Integers, Floats]:
    """Pairs of landmarks of two clips, near in the order, in one cell, and alike; and how far apart they are."""
    cells, clips, pose = cell[order], marks.clip[order], marks.pose
    parts = []
    for step in range(1, _NEIGHBOURS + 1):
        near = np.flatnonzero((cells[step:] == cells[:-step]) & (clips[step:] != clips[:-step]))
        for start in range(0, len(near), _CHUNK):
            part = near[start : start + _CHUNK]
            left, right = order[part], order[part + step]
            apart = (pose[left].astype(np.float32) - pose[right]) / 1000
            distance = np.sqrt(np.einsum("ij,ij->i", apart, apart) / NUM_JOINTS)
            alike = distance < _ALIKE
            parts.append((left[alike], right[alike], distance[alike]))
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    left, right, distance = (np.concatenate(column) for column in zip(*parts, strict=True))
    return left, right, distance


def _oriented(marks: Landmarks, left: Integers, right: Integers, distance: Floats) -> _Found:
    """Pairs of landmarks as votes with the lower clip first."""
    swap = marks.clip[left] > marks.clip[right]
    left, right = np.where(swap, right, left), np.where(swap, left, right)
    return _Found(
        marks.clip[left].astype(np.int64),
        marks.clip[right].astype(np.int64),
        marks.flipped[left] != marks.flipped[right],
        marks.time[left],
        marks.time[right],
        distance,
    )


def _best(found: _Found) -> tuple[_Found, Integers]:
    """The best few different votes of each pair, and their ranks."""
    order = np.lexsort((
        found.second_time, found.first_time, found.distance, found.flipped, found.second, found.first
    ))  # fmt: skip
    found = _Found._make(column[order] for column in found)
    same = np.ones(len(order), bool)
    for column in found:
        same[1:] &= column[1:] == column[:-1]
    same[:1] = False
    found = _Found._make(column[~same] for column in found)
    rank = _places_in_runs(found.first, found.second, found.flipped)
    kept = rank < _VOTES_A_PAIR
    return _Found._make(column[kept] for column in found), rank[kept]


def _places_in_runs(*columns: NDArray[np.generic]) -> Integers:
    """Of sorted rows: 0, 1, 2, ... inside every run of equal rows."""
    new = np.zeros(len(columns[0]), bool)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    place = np.arange(len(new))
    return place - np.maximum.accumulate(np.where(new, place, 0))
