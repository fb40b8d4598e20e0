"""Clip: one piece of captioned motion with where it came from; what shards store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip of at most some seconds.

    Attributes:
        id: unique name, `SOURCE/RECORDING` or `SOURCE/RECORDING@START` for a window of a long take.
        features: (T, 272) float32 at 30 fps.
        captions: sentences that say what the motion shows.
        source: folder or collection it came from.
        licence: terms of use.
        commercial: whether the licence allows commercial use.
        group: recording group; clips of one group are never split between training and test.
        content: the source's label of what is done, if it has one.
        style: the source's label of how it is done, if it has one.
        provenance: file, frame range, frame rate, author; whatever leads back to the original.
        split: where it is used: train, val, test, val_pairs, test_pairs; "" where that is not known.
        measurements: what was measured on it, by name.
    """

    id: str
    features: Tensor
    captions: tuple[str, ...]
    source: str
    licence: str
    commercial: bool
    group: str
    content: str | None = None
    style: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    split: str = ""
    measurements: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Reject:
    """A clip that was left out: where, why, the measured value and its threshold."""

    id: str
    stage: str
    reason: str
    value: float | str | None = None
    threshold: float | None = None
