"""Clips of many shards -> the order in which epochs go through them: a shuffle that any process can look up anywhere.

Shards are shuffled, then the clips of each group of `window` shards in a row: whoever reads on in this order has no
more than these shards open at a time. With a window of all shards every order is equally likely.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


class EpochOrder:
    """Place in the training -> clip; places count on from epoch to epoch."""

    def __init__(self, shard_sizes: Sequence[int], *, window: int = 16, seed: int = 0) -> None:
        """Args: shard_sizes: clips of each shard, which are numbered on from shard to shard."""
        if not sum(shard_sizes):
            raise ValueError("no clips to put into an order")
        self._sizes = np.asarray(shard_sizes, np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._window, self._seed = window, seed
        self.epoch_size = int(self._sizes.sum())
        self.epoch = functools.lru_cache(maxsize=2)(self._epoch)

    def _epoch(self, number: int) -> Indices:
        """The clips of an epoch, each once."""
        draw = np.random.default_rng((self._seed, number))
        shards = draw.permutation(len(self._sizes))
        parts = []
        for first in range(0, len(shards), self._window):
            clips = [
                self._starts[shard] + np.arange(self._sizes[shard])
                for shard in shards[first : first + self._window]
            ]
            parts.append(draw.permutation(np.concatenate(clips)))
        return np.concatenate(parts)

    def take(self, start: int, count: int) -> list[int]:
        """The clips of places start .. start + count - 1."""
        places = range(start, start + count)
        return [
            int(self.epoch(place // self.epoch_size)[place % self.epoch_size]) for place in places
        ]
