"""Motion signatures -> clusters of clips that show the same recording: copied, shifted, mirrored, cropped, re-timed.

Stage 10 of the data engine. Landmarks of all clips (`data.landmarks`) are sorted by hashes of their poses, several
times with different hashes; neighbours with nearly the same pose say how two clips would lie over each other, and the
best of these guesses are refined and compared over the whole overlap. Time grows with the number of clips, not of
pairs; signatures, landmarks and guesses lie on the disk, so that memory grows only by names and what is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motionmill.data.copies.alignment import Alignments, align
from motionmill.data.copies.landmarks import landmarks
from motionmill.data.copies.signatures import SAMPLES_PER_SECOND, SignatureStore
from motionmill.data.copies.signatures import signature as signature
from motionmill.data.copies.votes import votes
from motionmill.data.quality_config import DuplicateConfig

_CONTAINED = 0.9  # of a clip that lies in another one: nothing is lost without it


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Cluster:
    """Clips that are linked, directly or through others; ids in the order of the alphabet."""

    ids: tuple[str, ...]
    links: tuple[Link, ...]

    @property
    def key(self) -> str:
        """A group key for splits."""
        return f"duplicates/{self.ids[0]}"


def find_duplicates(store: SignatureStore, config: DuplicateConfig | None = None) -> list[Cluster]:
    """Clusters of clips that show the same, by an approximate index; each clip is in one at most.

    Args:
        store: signatures (`signature`) of clips, pieces of recordings, of some seconds; the result does not depend on
            the order.

    Raises:
        ValueError: an id twice.
    """
    clips = store.in_order()
    if len(clips) < 2:
        return []
    with landmarks(clips, store.folder) as marks:
        found = votes(marks, len(clips), store.folder)
        return _clusters(align(clips, found, config or DuplicateConfig()), clips.names)


def redundant(cluster: Cluster, frames: Mapping[str, int]) -> dict[str, Link]:
    """The clips of a cluster that another, kept clip contains: id -> the link to it. The longest clip is kept.

    A mirror image counts as contained: mirroring is an augmentation when clips are read.

    Args:
        frames: length of each clip of the cluster.
    """
    links: dict[str, list[Link]] = defaultdict(list)
    for link in cluster.links:
        if link.overlap >= _CONTAINED:
            links[link.first].append(link)
            links[link.second].append(link)
    kept: set[str] = set()
    dropped: dict[str, Link] = {}
    for name in sorted(cluster.ids, key=lambda name: (-frames[name], name)):
        holders = [link for link in links[name] if {link.first, link.second} - {name} <= kept]
        if holders:
            dropped[name] = min(holders, key=lambda link: (link.distance_metres, link.first))
        else:
            kept.add(name)
    return dropped


def _clusters(found: Alignments, names: Sequence[str]) -> list[Cluster]:
    parent: dict[int, int] = {}

    def root(index: int) -> int:
        parent.setdefault(index, index)
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    rows = list(zip(*(column.tolist() for column in found), strict=True))
    for first, second, *_ in rows:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    links: dict[int, list[Link]] = defaultdict(list)
    members: dict[int, set[int]] = defaultdict(set)
    for first, second, flipped, offset, tempo, distance, overlap in rows:
        place = root(first)
        members[place] |= {first, second}
        links[place].append(
            Link(
                names[first],
                names[second],
                bool(flipped),
                round(offset / SAMPLES_PER_SECOND, 3),
                round(tempo, 4),
                round(distance, 5),
                round(overlap, 4),
            )
        )
    return [
        Cluster(
            tuple(names[index] for index in sorted(members[place])),
            tuple(sorted(links[place], key=lambda link: (link.first, link.second, link.mirrored))),
        )
        for place in sorted(members)
    ]
