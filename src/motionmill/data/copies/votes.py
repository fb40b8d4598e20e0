"""Landmarks -> votes: pairs of moments of two clips that show nearly the same pose, found by sorting hashes.

Each of some tables cuts the space of poses into cells by random directions (locality-sensitive hashing) and sorts the
landmarks by cell; only near neighbours in that order are compared, so crowded cells cost no more than others. Landmarks
of one cell come into one part of a file, and parts are sorted one after the other; votes come into parts by their first
clip. So memory holds a part, however many clips there are.
Shapes: L landmarks, 27 numbers a pose, V votes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionmill.data.copies.signatures import NUM_JOINTS, WIDTH, Floats, Integers
from motionmill.data.scratch import Scratch

_TABLES: Final = 5
_DIRECTIONS: Final = 7  # of each table
_CELL: Final = 0.08  # width of a cell along a direction, metres
_NEIGHBOURS: Final = 8
_ALIKE: Final = 0.018  # metres, root mean square over the joints
_VOTES_A_PAIR: Final = 5
_CHUNK: Final = 1 << 16
_MARKS_A_PART: Final = 1 << 19

_PLACED: Final = np.dtype(
    [
        ("clip", "<i4"), ("time", "<f4"), ("flipped", "?"), ("pose", "<i2", WIDTH), ("cell", "<i8"),
        ("along", "<f4"),
    ]
)  # fmt: skip
"""A landmark with its cell, and where it lies inside of that along one more direction."""

_VOTE: Final = np.dtype(
    [
        ("first", "<i4"), ("second", "<i4"), ("flipped", "?"), ("first_time", "<f4"),
        ("second_time", "<f4"), ("distance", "<f4"),
    ]
)  # fmt: skip


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


class _Table(NamedTuple):
    """One way to cut the space of poses into cells."""

    directions: Floats
    shift: Floats
    factors: Integers


def votes(marks: Scratch, num_clips: int, folder: Path | None) -> Iterator[Votes]:
    """The best votes for every pair of clips that has any, some first clips after the others.

    Args:
        marks: landmarks (`landmarks.LANDMARK`).
        num_clips: their clips have smaller numbers.
        folder: whose disk takes what is sorted.
    """
    parts = 1 + len(marks) // _MARKS_A_PART
    with Scratch(_VOTE, parts, folder) as found:
        for table in _tables():
            with _placed(marks, table, parts, folder) as placed:
                for part in range(parts):
                    for some in _neighbours(placed.read(part)):
                        found.add_sorted(some["first"].astype(np.int64) * parts // num_clips, some)
        for part in range(parts):
            yield _best(found.read(part))


def _tables() -> list[_Table]:
    generator = np.random.default_rng(0)
    tables = []
    for _ in range(_TABLES):
        directions = generator.standard_normal((WIDTH, _DIRECTIONS + 1)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=0) * 1000 * _CELL
        shift = generator.random(_DIRECTIONS, dtype=np.float32)
        factors = generator.integers(1, 1 << 62, _DIRECTIONS + 1) | 1
        tables.append(_Table(directions, shift, factors))
    return tables


def _placed(marks: Scratch, table: _Table, parts: int, folder: Path | None) -> Scratch:
    """The landmarks with their cells, those of one cell in one part."""
    result = Scratch(_PLACED, parts, folder)
    for some in marks.chunks(_CHUNK):
        placed = np.empty(len(some), _PLACED)
        for name in ("clip", "time", "flipped", "pose"):
            placed[name] = some[name]
        places = some["pose"].astype(np.float32) @ table.directions
        placed["along"] = places[:, -1]
        whole = np.floor(places[:, :-1] + table.shift).astype(np.int64)
        cell = some["kind"].astype(np.int64) * table.factors[-1]
        cell += (whole * table.factors[:-1]).sum(axis=1)  # overflow wraps, as hashes do
        placed["cell"] = cell
        result.add_sorted((cell >> 20) % parts, placed)
    return result


def _neighbours(placed: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Votes for landmarks of two clips that are near in the order inside a cell, and alike."""
    order = np.lexsort((placed["along"], placed["cell"]))
    cells, clips, pose = placed["cell"][order], placed["clip"][order], placed["pose"]
    for step in range(1, _NEIGHBOURS + 1):
        near = np.flatnonzero((cells[step:] == cells[:-step]) & (clips[step:] != clips[:-step]))
        for start in range(0, len(near), _CHUNK):
            part = near[start : start + _CHUNK]
            left, right = order[part], order[part + step]
            apart = (pose[left].astype(np.float32) - pose[right]) / 1000
            distance = np.sqrt(np.einsum("ij,ij->i", apart, apart) / NUM_JOINTS)
            alike = distance < _ALIKE
            yield _oriented(placed, left[alike], right[alike], distance[alike])


def _oriented(
    placed: NDArray[Any], left: Integers, right: Integers, distance: Floats
) -> NDArray[Any]:
    """Pairs of landmarks as votes with the lower clip first."""
    swap = placed["clip"][left] > placed["clip"][right]
    left, right = np.where(swap, right, left), np.where(swap, left, right)
    found = np.empty(len(left), _VOTE)
    found["first"], found["second"] = placed["clip"][left], placed["clip"][right]
    found["flipped"] = placed["flipped"][left] != placed["flipped"][right]
    found["first_time"], found["second_time"] = placed["time"][left], placed["time"][right]
    found["distance"] = distance
    return found


def _best(found: NDArray[Any]) -> Votes:
    """The best few different votes of each pair, and their ranks."""
    names = ("second_time", "first_time", "distance", "flipped", "second", "first")
    found = found[np.lexsort([found[name] for name in names])]
    found = found[_new(found, _VOTE.names or ())]
    pairs = _new(found, ("first", "second", "flipped"))
    place = np.arange(len(found))
    rank = place - np.maximum.accumulate(np.where(pairs, place, 0))  # 0, 1, 2, ... in each pair
    kept = rank < _VOTES_A_PAIR
    found, rank = found[kept], rank[kept]
    return Votes(
        found["first"].astype(np.int64),
        found["second"].astype(np.int64),
        found["flipped"],
        found["first_time"],
        found["second_time"],
        rank,
    )


def _new(found: NDArray[Any], names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Of sorted rows: which differ from the one before."""
    new = np.zeros(len(found), bool)
    new[:1] = True
    for name in names:
        new[1:] |= found[name][1:] != found[name][:-1]
    return new
