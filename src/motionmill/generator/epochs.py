"""Token files -> packs, epoch by epoch: which clip, in which view, with which caption, in which pack.

An epoch is drawn as a whole from its number: a global shuffle of all clips, and packs filled one after the other. So
pack k is the same in every process and after every interruption. In memory is 24 bytes a clip of the current epoch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from motionmill.generator.store import Shard

Integers = npt.NDArray[np.int64]


class Draw(NamedTuple):
    """One sample of a pack.

    Attributes:
        shard, clip, caption: where it is; clip and caption count within the shard.
        start, stop: its codes within the shard.
        bare: whether it is shown without text.
        size: places that it takes at most.
    """

    shard: int
    clip: int
    caption: int
    start: int
    stop: int
    bare: bool
    size: int


class EpochPlan(NamedTuple):
    """An epoch.

    Attributes:
        draws: (samples, 6) shard, clip, caption (-1 - caption where text is dropped), start, stop, size; shuffled.
        packs: (packs + 1,) the first sample of each pack.
    """

    draws: npt.NDArray[np.int32]
    packs: Integers

    def pack(self, number: int) -> list[Draw]:
        rows = self.draws[self.packs[number] : self.packs[number + 1]].tolist()
        return [
            Draw(
                shard,
                clip,
                caption if caption >= 0 else -1 - caption,
                start,
                stop,
                caption < 0,
                size,
            )
            for shard, clip, caption, start, stop, size in rows
        ]


class Epochs:
    """Packs numbered on from epoch to epoch."""

    def __init__(
        self,
        shards: Sequence[Shard],
        text_sizes: Callable[[Shard, Integers], Integers],
        *,
        pack_states: int,
        max_tokens: int,
        extra: int,
        crop: float = 0.0,
        text_dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Draw nothing yet.

        Args:
            text_sizes: captions of a shard -> how many states each has at most.
            extra: states of a sample beside text and codes.
            crop: how often the first or the last token is left out.
        """
        self._shards, self._text_sizes = shards, text_sizes
        self._pack_states, self._max_tokens, self._extra = pack_states, max_tokens, extra
        self._crop, self._text_dropout, self._seed = crop, text_dropout, seed
        self.epoch = functools.lru_cache(maxsize=2)(self._epoch)
        self._first: list[int] = [0]

    def pack(self, number: int) -> list[Draw]:
        """The samples of a pack."""
        while self._first[-1] <= number:
            plan = self.epoch(len(self._first) - 1)
            self._first.append(self._first[-1] + len(plan.packs) - 1)
        epoch = int(np.searchsorted(self._first, number, side="right")) - 1
        return self.epoch(epoch).pack(number - self._first[epoch])

    def _epoch(self, number: int) -> EpochPlan:
        draws = np.concatenate([self._shard(number, shard) for shard in range(len(self._shards))])
        shuffled = draws[np.random.default_rng((self._seed, number)).permutation(len(draws))]
        return EpochPlan(shuffled, _fill(shuffled[:, 5], self._pack_states))

    def _shard(self, epoch: int, number: int) -> npt.NDArray[np.int32]:
        """The samples of a shard in an epoch, in order."""
        shard, draw = self._shards[number], np.random.default_rng((self._seed, epoch, number))
        weights = np.asarray(shard.weights, np.float64)
        times = np.floor(weights + draw.random(len(weights))).astype(np.int64)
        clips = np.repeat(np.arange(len(weights)), times)
        u = draw.random((5, len(clips)))
        first, last = shard.views[clips], shard.views[clips + 1]
        view = first + (u[0] * (last - first)).astype(np.int64)
        captions = np.asarray(shard.captions)[view]
        caption = captions[:, 0] + (u[1] * (captions[:, 1] - captions[:, 0])).astype(np.int64)
        start, stop = shard.code_start[view], shard.code_start[view + 1]
        spare = np.maximum(0, stop - start - self._max_tokens)
        start = start + (u[2] * (spare + 1)).astype(np.int64)
        stop = np.minimum(stop, start + self._max_tokens)
        cut = (u[3] < self._crop) & (stop - start > 1)
        head = u[3] < self._crop / 2
        start, stop = start + (cut & head), stop - (cut & ~head)
        size = self._text_sizes(shard, caption) + self._extra + stop - start
        bare = u[4] < self._text_dropout
        marked = np.where(bare, -1 - caption, caption)
        shards = np.full(len(clips), number)
        return np.stack((shards, clips, marked, start, stop, size), axis=1).astype(np.int32)


def _fill(sizes: npt.NDArray[np.int32], capacity: int) -> Integers:
    """(samples,) sizes -> (packs + 1,) first samples of packs that are filled one after the other."""
    ends = np.cumsum(sizes, dtype=np.int64)
    firsts, filled = [0], 0
    while firsts[-1] < len(sizes):
        # At least one sample goes into every pack, or there would be no end.
        stop = max(int(np.searchsorted(ends, filled + capacity, side="right")), firsts[-1] + 1)
        firsts.append(stop)
        filled = int(ends[stop - 1])
    return np.asarray(firsts)
