"""Votes for pairs of clips -> how one lies over the other, refined, and how far apart they are over the overlap.

The second clip's time t is the first's time offset + tempo * t; both in samples. Every pair has a few guesses: each of
its votes at tempo 1, and each two of its votes. The best guess is refined by Gauss-Newton and then judged.
Shapes: H guesses or pairs, P moments of the overlap, 27 numbers a sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionmill.data.copies.signatures import (
    NUM_JOINTS,
    Floats,
    Integers,
    Signatures,
    StoredSignatures,
    mirrored,
)
from motionmill.data.copies.votes import Votes
from motionmill.data.quality_config import DuplicateConfig

_CHUNK: Final = 2048  # pairs worked on at once
_FEW, _MANY = 8, 48  # moments that are compared of a guess, of a refined alignment
_MIN_GAP: Final = 6.0  # samples between two votes that tell the tempo
_TEMPI: Final = (0.5, 2.0)
_USUAL_TEMPI: Final = (
    1.0,
    0.82,
    0.9,
    1.1,
    1.22,
)  # tried from one vote alone: frame rates mistaken for one another
_ROUNDS: Final = 3  # of refinement
_HOPEFUL: Final = 3.0  # times the greatest distance allowed, before refinement


class Alignments(NamedTuple):
    """Pairs of clips that show the same, each a row; see `data.duplicates.Link`."""

    first: Integers
    second: Integers
    flipped: NDArray[np.bool_]
    offset: Floats
    tempo: Floats
    distance: Floats
    overlap: Floats


def align(
    signatures: StoredSignatures, votes: Iterable[Votes], config: DuplicateConfig
) -> Alignments:
    """The pairs of clips that lie over each other within the limits of the config."""
    empty = np.zeros(0, np.float32)
    none = np.zeros(0, np.int64)
    parts = [Alignments(none, none, none.astype(bool), empty, empty, empty, empty)]
    for some in votes:
        heads = np.flatnonzero(some.rank == 0)
        ends = np.append(heads[1:], len(some.rank))
        parts += [
            _chunk(signatures, some, heads[at : at + _CHUNK], ends[at : at + _CHUNK], config)
            for at in range(0, len(heads), _CHUNK)
        ]
    return Alignments._make(np.concatenate(column) for column in zip(*parts, strict=True))


def _chunk(
    stored: StoredSignatures, votes: Votes, heads: Integers, ends: Integers, config: DuplicateConfig
) -> Alignments:
    """Some pairs of clips, whose signatures are read for that."""
    both = np.concatenate((votes.first[heads], votes.second[heads]))
    clips, places = np.unique(both, return_inverse=True)
    signatures = stored.some(clips)
    first, second = np.split(places, 2)
    found = _aligned(
        signatures, _Pairs(first, second, votes.flipped[heads]), votes, heads, ends, config
    )
    return found._replace(first=clips[found.first], second=clips[found.second])


def _aligned(
    signatures: Signatures,
    pair: _Pairs,
    votes: Votes,
    heads: Integers,
    ends: Integers,
    config: DuplicateConfig,
) -> Alignments:
    owner, offset, tempo = _guesses(votes, heads, ends)
    distance, _, overlap = _compare(signatures, pair.rows(owner), offset, tempo, _FEW)
    distance = np.where(overlap >= config.min_overlap / 2, distance, np.inf)
    order = np.lexsort((distance, owner))
    best = order[np.searchsorted(owner[order], np.arange(len(heads)))]
    offset, tempo = offset[best], tempo[best]
    hopeful = np.flatnonzero(distance[best] < _HOPEFUL * config.max_distance_metres)
    pair, offset, tempo = pair.rows(hopeful), offset[hopeful], tempo[hopeful]
    for _ in range(_ROUNDS):
        offset, tempo = _refined(signatures, pair, offset, tempo)
    distance, spread, overlap = _compare(signatures, pair, offset, tempo, _MANY)
    limit = np.minimum(config.max_distance_metres, config.max_share_of_movement * spread)
    same = (distance < limit) & (overlap >= config.min_overlap)
    columns = (*pair, offset, tempo, distance, overlap)
    return Alignments._make(column[same] for column in columns)


class _Pairs(NamedTuple):
    first: Integers
    second: Integers
    flipped: NDArray[np.bool_]

    def rows(self, index: Integers) -> _Pairs:
        return _Pairs._make(column[index] for column in self)


def _guesses(votes: Votes, heads: Integers, ends: Integers) -> tuple[Integers, Floats, Floats]:
    """For pairs whose votes lie at heads .. ends: which pair, offset, tempo."""
    owners, offsets, tempi = [], [], []
    most = int((ends - heads).max())
    for place in range(most):
        owner = np.flatnonzero(heads + place < ends)
        vote = heads[owner] + place
        for tempo in _USUAL_TEMPI if place < 2 else (1.0,):
            owners.append(owner)
            offsets.append(votes.first_time[vote] - np.float32(tempo) * votes.second_time[vote])
            tempi.append(np.full(len(owner), tempo, np.float32))
        for other_place in range(place):
            other = heads[owner] + other_place
            gap = votes.second_time[vote] - votes.second_time[other]
            with np.errstate(divide="ignore", invalid="ignore"):
                tempo = (votes.first_time[vote] - votes.first_time[other]) / gap
            good = (np.abs(gap) > _MIN_GAP) & (tempo > _TEMPI[0]) & (tempo < _TEMPI[1])
            owners.append(owner[good])
            tempi.append(tempo[good])
            offsets.append(
                votes.first_time[vote][good] - tempo[good] * votes.second_time[vote][good]
            )
    return np.concatenate(owners), np.concatenate(offsets), np.concatenate(tempi)


def _overlap(
    signatures: Signatures, pair: _Pairs, offset: Floats, tempo: Floats
) -> tuple[Floats, Floats, Floats]:
    """Where the overlap begins and ends in the second clip's time, and what share of the shorter clip it is."""
    lengths = (signatures.sizes - 1).astype(np.float32)
    first, second = lengths[pair.first], lengths[pair.second]
    start = np.clip(-offset / tempo, 0, second)
    end = np.clip((first - offset) / tempo, start, second)
    shorter = np.maximum(np.minimum(second, first / tempo), 1e-3)
    return start, end, np.minimum((end - start) / shorter, 1.0)


def _times(start: Floats, end: Floats, count: int) -> Floats:
    share = np.linspace(0, 1, count, dtype=np.float32)
    return np.asarray(start[:, None] + (end - start)[:, None] * share, np.float32)


def _both(
    signatures: Signatures, pair: _Pairs, offset: Floats, tempo: Floats, times: Floats
) -> tuple[Floats, Floats]:
    """Samples of the first clip as the second shows them, and of the second: (H, P, 27) metres."""
    smooth = times.shape[1] > _FEW
    own = signatures.at(pair.first, offset[:, None] + tempo[:, None] * times, smooth=smooth)
    own = np.where(pair.flipped[:, None, None], mirrored(own), own)
    return own, signatures.at(pair.second, times, smooth=smooth)


def _compare(
    signatures: Signatures, pair: _Pairs, offset: Floats, tempo: Floats, count: int
) -> tuple[Floats, Floats, Floats]:
    """Distance over the overlap, how much the second clip moves in it (both metres, root mean square), the overlap."""
    parts = []
    for at in range(0, max(1, len(offset)), _CHUNK):
        rows = slice(at, at + _CHUNK)
        some = _Pairs._make(column[rows] for column in pair)
        start, end, overlap = _overlap(signatures, some, offset[rows], tempo[rows])
        times = _times(start, end, count)
        own, other = _both(signatures, some, offset[rows], tempo[rows], times)
        squares = np.square(own - other).sum(axis=-1).mean(axis=-1) / NUM_JOINTS
        moves = other.var(axis=1).sum(axis=-1) / NUM_JOINTS
        parts.append((np.sqrt(squares), np.sqrt(moves), overlap))
    distance, moves, overlap = (np.concatenate(column) for column in zip(*parts, strict=True))
    return distance, moves, overlap


def _refined(
    signatures: Signatures, pair: _Pairs, offset: Floats, tempo: Floats
) -> tuple[Floats, Floats]:
    """One step of Gauss-Newton on offset and tempo, of at most half a second and a tenth."""
    start, end, _ = _overlap(signatures, pair, offset, tempo)
    times = _times(start, end, _MANY // 2)
    own, other = _both(signatures, pair, offset, tempo, times)
    ahead, _ = _both(signatures, pair, offset + 0.5, tempo, times)
    back, _ = _both(signatures, pair, offset - 0.5, tempo, times)
    slope = ahead - back
    steep = np.square(slope).sum(axis=-1)
    error = ((other - own) * slope).sum(axis=-1)
    middle = times.mean(axis=1, keepdims=True)
    around = times - middle
    damping = 1e-4 * _MANY
    shift = error.sum(axis=1) / (steep.sum(axis=1) + damping)
    cross = (steep * around).sum(axis=1)
    square = (steep * around**2).sum(axis=1) + damping * 10
    size = steep.sum(axis=1) + damping
    stretch = ((error * around).sum(axis=1) - cross * shift) / np.maximum(
        square - cross**2 / size, damping
    )
    shift -= cross / size * stretch
    shift, stretch = np.clip(shift, -7, 7), np.clip(stretch, -0.1, 0.1)
    tempo_now = np.clip(tempo + stretch, *_TEMPI)
    offset_now = offset + shift - (tempo_now - tempo) * middle[:, 0]
    return offset_now.astype(np.float32), tempo_now.astype(np.float32)
