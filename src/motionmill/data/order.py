"""Clips of many row groups -> the order of epochs through them: a shuffle that any process can look up anywhere.

Row groups are shuffled; then each clip is put off by as many places, up to `window`, as a die says. Whoever reads on in
this order needs each row group for `window` places and never again in the epoch, so that this many clips, and no more,
have to be in memory. With a window of all clips every order is equally likely.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


class EpochOrder:
    """Place in the training -> clip; places count on from epoch to epoch."""

    def __init__(self, group_sizes: Sequence[int], *, window: int, seed: int = 0) -> None:
        """Args: group_sizes: clips of each row group, which are numbered on from group to group."""
        if not sum(group_sizes):
            raise ValueError("no clips to put into an order")
        self._sizes = np.asarray(group_sizes, np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._window, self._seed = window, seed
        self.epoch_size = int(self._sizes.sum())
        self.epoch = functools.lru_cache(maxsize=2)(self._epoch)

    def _epoch(self, number: int) -> Indices:
        """The clips of an epoch, each once."""
        draw = np.random.default_rng((self._seed, number))
        if self._window >= self.epoch_size:
            return draw.permutation(self.epoch_size)
        groups = draw.permutation(len(self._sizes))
        sizes = self._sizes[groups]
        places = np.arange(self.epoch_size)
        clips = places + np.repeat(self._starts[groups] - (np.cumsum(sizes) - sizes), sizes)
        return clips[np.argsort(places + self._window * draw.random(self.epoch_size))]

    def take(self, start: int, count: int) -> list[int]:
        """The clips of places start .. start + count - 1."""
        places = range(start, start + count)
        return [
            int(self.epoch(place // self.epoch_size)[place % self.epoch_size]) for place in places
        ]
