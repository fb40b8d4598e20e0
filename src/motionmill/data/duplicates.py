"""Motion signatures -> clusters of clips that show the same recording: copied, shifted, mirrored, cropped, re-sampled.

Stage 10 of the data engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from motionmill.data.quality_config import DuplicateConfig

Signature = NDArray[np.int8]


@dataclass(frozen=True)
class Link:
    """Two clips that show the same.

    Attributes:
        first, second: ids, in the order of the alphabet.
        mirrored: whether the second is the first's mirror image.
        offset_seconds: where the second starts in the first's time.
        tempo: how many seconds of the first one second of the second is.
        distance_metres: root mean square distance of the joints over the overlap.
        overlap: share of the shorter clip that the overlap is.
    """

    first: str
    second: str
    mirrored: bool
    offset_seconds: float
    tempo: float
    distance_metres: float
    overlap: float


@dataclass(frozen=True)
class Cluster:
    """Clips that are linked, directly or through others; ids in the order of the alphabet."""

    ids: tuple[str, ...]
    links: tuple[Link, ...]


def signature(features: Tensor) -> Signature:
    """(T, 272) features at 30 fps -> (S, 27) int8: where nine joints are from the pelvis, in centimetres, 15 a second."""
    raise NotImplementedError


def find_duplicates(
    signatures: Sequence[Signature], ids: Sequence[str], config: DuplicateConfig | None = None
) -> list[Cluster]:
    """Clusters of clips that show the same, by an approximate index; each clip is in one at most."""
    raise NotImplementedError


def redundant(cluster: Cluster, frames: dict[str, int]) -> dict[str, Link]:
    """The clips of a cluster that another, kept clip contains: id -> the link to it. The longest clip is kept."""
    raise NotImplementedError
