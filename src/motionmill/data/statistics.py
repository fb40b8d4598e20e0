"""Frames of many clips -> their mean and standard deviation, in one pass and without holding them.

Parts are merged by the formulas of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for computing
sample variances", 1979), which lose no precision however many frames there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from motionmill.motion.features import NUM_FEATURES


@dataclass(frozen=True, eq=False)
class Moments:
    """Of some frames.

    Attributes:
        count: how many.
        mean: (272,) float64.
        squares: (272,) float64, sum of squared distances from the mean.
    """

    count: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def none(cls, width: int = NUM_FEATURES) -> Moments:
        """Of no frames."""
        zeros = torch.zeros(width, dtype=torch.float64)
        return cls(0, zeros, zeros)

    @classmethod
    def of(cls, frames: Tensor) -> Moments:
        """Of (T, 272) frames."""
        if not len(frames):
            return cls.none(frames.shape[-1])
        values = frames.double()
        mean = values.mean(0)
        return cls(len(values), mean, (values - mean).square().sum(0))

    def __add__(self, other: Moments) -> Moments:
        """Of the frames of both."""
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        between = apart.square() * (self.count * other.count / count)
        return Moments(count, mean, self.squares + other.squares + between)

    @property
    def std(self) -> Tensor:
        """(272,) standard deviation of the frames, float64; of all of them, not of a sample."""
        return (self.squares / max(1, self.count)).sqrt()

    def to_json(self) -> str:
        """Exact: what `from_json` gives back is equal."""
        return json.dumps([self.count, self.mean.tolist(), self.squares.tolist()])

    @classmethod
    def from_json(cls, text: str) -> Moments:
        """The reverse of `to_json`. Raises ValueError."""
        count, mean, squares = json.loads(text)
        as_double = (torch.tensor(values, dtype=torch.float64) for values in (mean, squares))
        return cls(int(count), *as_double)


def moments_of(clips: Iterable[Tensor]) -> Moments:
    """Of all frames of some clips (T, 272), one clip in memory at a time."""
    total = Moments.none()
    for clip in clips:
        total = total + Moments.of(clip)
    return total
